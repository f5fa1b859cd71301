"""Whether a GVAE's latents and a fit came to something: named errors and warnings instead of silence."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from invertnas.errors import TrainingError
from invertnas.spaces.spec import FloatArray


def spread_of(latents: FloatArray) -> float:
    """Overall standard deviation of latents. Raises TrainingError unless it is a positive number."""
    spread = float(latents.std())
    if not (math.isfinite(spread) and spread > 0):
        raise TrainingError(
            f"got latents of spread {spread} for {len(latents)} random architectures; expected a positive number: "
            "the GVAE is not trained, or its training came to nothing"
        )
    return spread


def sound_report(report: dict[str, Any], sat_out: list[int]) -> dict[str, Any]:
    """The report of a fit, with the members that sat out most of it under `"unsound"`.

    Args:
        report: of the trainer.
        sat_out: steps that each member had sat out before.

    Raises:
        TrainingError: no member ended with a finite loss.

    Warns:
        RuntimeWarning: members sat out more than half of the steps.
    """
    total = report["losses"]["total"]
    if report["best_epoch"] < 0 or not math.isfinite(total):
        raise TrainingError(
            f"got no finite loss (total {total}) in {report['steps']} steps of the ensemble; expected at least one "
            "member with a finite one: check the accuracies and latents, or lower learning_rate"
        )
    missed = np.array(report["skipped"]) - np.array(sat_out)
    unsound = np.flatnonzero(missed > report["steps"] / 2).tolist()
    if unsound:
        warnings.warn(
            f"members {unsound} of {len(missed)} sat out {missed[unsound].tolist()} of {report['steps']} steps, as "
            "their gradients were not finite; their predictions stay those of before: lower learning_rate",
            RuntimeWarning,
            stacklevel=4,
        )
    return report | {"unsound": unsound}
