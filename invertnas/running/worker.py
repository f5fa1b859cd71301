"""What happens on a worker: one training, whose failure is a result."""

from __future__ import annotations

import dataclasses
import math
import os
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from invertnas.errors import ConfigError
from invertnas.running.measurement import Measurement
from invertnas.spaces.spec import ArchSpec

Evaluate = Callable[[ArchSpec], "float | Measurement"]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What comes back from a worker; small and easy to pickle.

    Attributes:
        value: validation accuracy, a fraction; None where the training failed.
        costs, info: of the measurement.
        error: why it failed.
        refused: what is wrong with what `evaluate` returned; the run ends with it.
        evaluate_s: seconds taken.
        started_at: seconds since 1970.
        worker: host and process.
    """

    value: float | None
    costs: Mapping[str, float]
    info: Mapping[str, Any]
    error: str | None
    refused: str | None
    evaluate_s: float
    started_at: float
    worker: str


def evaluate_once(evaluate: Evaluate, arch: ArchSpec) -> Outcome:
    """Train one architecture. An exception of `evaluate`, or a value that is not a number, is a failed training."""
    started_at, start = time.time(), time.perf_counter()
    measured: Measurement | None = None
    error = refused = None
    try:
        given = evaluate(arch)
    except (Exception, SystemExit) as raised:
        error = _describe(raised)
    else:
        try:
            measured = given if isinstance(given, Measurement) else Measurement(given)
        except ConfigError as raised:
            refused = str(raised)
    if measured is not None and math.isnan(measured.value):
        error = "the value is not a number"
    return Outcome(
        value=measured.value if measured is not None and error is None else None,
        costs=dict(measured.costs) if measured is not None else {},
        info=dict(measured.info) if measured is not None else {},
        error=error,
        refused=refused,
        evaluate_s=time.perf_counter() - start,
        started_at=started_at,
        worker=f"{socket.gethostname()}:{os.getpid()}",
    )


def _describe(error: BaseException) -> str:
    """Type, message and the place of an exception, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return " ".join(f"{type(error).__name__}: {error}{place}".split())
