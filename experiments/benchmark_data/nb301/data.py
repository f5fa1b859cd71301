"""Files of NAS-Bench-301: reading the sources, packing the official predictions, checking what is embedded."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.benchmark_data.nb301.calibration import calibrate
from invertnas.benchmarks.nasbench301.surrogate import (
    CALIBRATION_FILE,
    ENCODING_FILE,
    EPOCH,
    PREDICTIONS_FILE,
    SURROGATE_FILE,
    Cells,
    RawSurrogate,
    parse_codes,
    read_calibration,
    read_codes,
)
from invertnas.errors import ArtefactError, DataMissingError, OutOfDomainError
from invertnas.files.io import read_arrays, sha256_arrays, write_arrays, write_atomic, write_json
from invertnas.spaces.nasbench301.space import NASBench301Space

# The source files, their checksums and what they become.
SOURCES = {
    "surrogate.onnx": (SURROGATE_FILE, "3c6a6fb3a70998bf6c55883bdc5cc71cff190e1859468d72cc6960b88f06d280"),
    "encoding.json": (ENCODING_FILE, "b16bb8db9aa5a9b688cd97e782643abe96bd166baa445675f57cbcf5e6128a98"),
    "official_xgb_v1.0_predictions.csv": (
        PREDICTIONS_FILE,
        "0b8ff8988060b096329e31ed6b9cfb4988c14afe784426fd459935a2beaedc6b",
    ),
}
HEADER = ["genotype_compact", "val_accuracy_nb301_xgb", "group"]
ARRAYS = ("cells", "percent", "group")
# Coefficients may differ by so much between machines, whose float32 sums differ in the last digits.
COEFFICIENT_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Official predictions.

    Attributes:
        cells: R architectures, normal and reduction cell.
        percent: (R,) validation accuracies.
        group: (R,) names of the collections they come from.
    """

    cells: list[Cells]
    percent: npt.NDArray[np.float64]
    group: npt.NDArray[np.str_]

    def arrays(self) -> dict[str, np.ndarray]:
        """ "cells" (R, 2, 8, 2) uint8 of (input, operation), "percent" (R,) float64, "group" (R,) text."""
        return {"cells": np.array(self.cells, np.uint8), "percent": self.percent, "group": self.group}


def read_sources(folder: Path, allow_other: bool = False) -> dict[str, bytes]:
    """Contents of the three source files by name.

    Raises:
        DataMissingError: a file is missing.
        ArtefactError: a file has another checksum, unless `allow_other`.
    """
    contents = {}
    for name, (_, expected) in SOURCES.items():
        path = folder / name
        if not path.is_file():
            raise DataMissingError(f"no {name} in {folder}; expected {', '.join(SOURCES)} (see data/SOURCES.md)")
        contents[name] = path.read_bytes()
        digest = hashlib.sha256(contents[name]).hexdigest()
        if digest != expected and not allow_other:
            raise ArtefactError(
                f"{path} has sha256 {digest}; expected {expected}. Fetch the file again, or pass --allow_other "
                "to build from files of your own; nothing was written"
            )
    return contents


def parse_predictions(content: bytes) -> Predictions:
    """Predictions of the CSV. Raises ArtefactError for a malformed row or an architecture that occurs twice."""
    space = NASBench301Space()
    rows: dict[Cells, tuple[float, str]] = {}
    try:
        lines = csv.reader(io.StringIO(content.decode()))
        header = next(lines, [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArtefactError(f"the predictions are no CSV ({error}); fetch the file again") from error
    if header != HEADER:
        raise ArtefactError(f"the predictions have columns {header}; expected {HEADER}")
    for number, line in enumerate(lines):
        try:
            compact, percent, group = line
            cells = space.to_compact(space.from_compact(json.loads(compact)))
            if not 0 < float(percent) < 100 or cells in rows:
                raise ValueError(f"{percent} % or an architecture that occurred before")
            rows[cells] = float(percent), group
        except (ValueError, OutOfDomainError) as error:
            raise ArtefactError(
                f"data row {number} of the predictions is malformed ({error}); expected an architecture not seen "
                "before, its percentage and its group"
            ) from error
    percents, groups = zip(*rows.values()) if rows else ((), ())
    return Predictions(list(rows), np.array(percents, np.float64), np.array(groups, np.str_))


def read_predictions(folder: Path) -> Predictions:
    """The embedded predictions. Raises DataMissingError or ArtefactError."""
    path = folder / PREDICTIONS_FILE
    if not path.is_file():
        raise DataMissingError(f"no {PREDICTIONS_FILE} in {folder}; reinstall invertnas or build it with --source")
    arrays = read_arrays(path)
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise ArtefactError(f"{path} lacks {', '.join(missing)}; build it again")
    space = NASBench301Space()
    try:
        cells = [space.to_compact(space.from_compact(one)) for one in arrays["cells"].tolist()]
    except OutOfDomainError as error:
        raise ArtefactError(f"{path} holds no DARTS architectures ({error}); build it again") from error
    return Predictions(cells, arrays["percent"], arrays["group"])


def fit(network: RawSurrogate, predictions: Predictions) -> dict[str, Any]:
    """Slope, intercept and quality. Raises ArtefactError if there are too few predictions for a fit."""
    if len(predictions.cells) < 50:
        raise ArtefactError(f"got {len(predictions.cells)} predictions; expected at least 50: the file is truncated")
    return dict(calibrate(predictions.cells, predictions.percent, predictions.group, network.percent))


def build(contents: dict[str, bytes], out: Path) -> dict[str, Any]:
    """Write the four files of the benchmark into a folder; nothing is written unless all of them can be.

    Returns:
        The calibration, as written.

    Raises:
        ArtefactError: a source is malformed.
        OutputError: the folder cannot be written.
    """
    model, encoding, table = (contents[name] for name in SOURCES)
    predictions = parse_predictions(table)
    arrays = predictions.arrays()
    fitted = fit(RawSurrogate(model, parse_codes(_parse_json(encoding), "encoding.json")), predictions)
    digests = {
        SURROGATE_FILE: hashlib.sha256(model).hexdigest(),
        ENCODING_FILE: hashlib.sha256(encoding).hexdigest(),
        PREDICTIONS_FILE: sha256_arrays(*(arrays[name] for name in ARRAYS)),
    }
    content = {"target": "official xgb_v1.0 predictions, percent", "epoch": EPOCH, "sha256": digests, **fitted}
    write_atomic(out / SURROGATE_FILE, lambda path: path.write_bytes(model))
    write_atomic(out / ENCODING_FILE, lambda path: path.write_bytes(encoding))
    write_arrays(out / PREDICTIONS_FILE, arrays, compress=True)
    write_json(out / CALIBRATION_FILE, content)
    return content


def _parse_json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise ArtefactError(f"encoding.json is not valid JSON ({error}); fetch the file again") from error


def verify(folder: Path) -> dict[str, Any]:
    """Check the files of a folder against their checksums and refit the calibration.

    Returns:
        The calibration found by the new fit.

    Raises:
        DataMissingError: a file is missing.
        ArtefactError: a checksum or the new fit disagrees with the calibration file.
    """
    stored = read_calibration(folder)
    predictions = read_predictions(folder)
    arrays = predictions.arrays()
    digest = sha256_arrays(*(arrays[name] for name in ARRAYS))
    if digest != stored["sha256"].get(PREDICTIONS_FILE):
        raise ArtefactError(f"the arrays of {folder / PREDICTIONS_FILE} have sha256 {digest}; build them again")
    fitted = fit(RawSurrogate((folder / SURROGATE_FILE).read_bytes(), read_codes(folder / ENCODING_FILE)), predictions)
    for name in ("slope", "intercept"):
        if abs(fitted[name] - stored[name]) > COEFFICIENT_TOLERANCE:
            raise ArtefactError(f"{folder / CALIBRATION_FILE} has {name} {stored[name]}; the fit gives {fitted[name]}")
    return fitted
