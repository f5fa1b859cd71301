"""The measured NAS-Bench-101 accuracies that are public without the official file, from one CSV."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from invertnas.errors import ArtefactError, DataMissingError
from invertnas.files.io import sha256_file
from invertnas.spaces.nasbench101.graph import canonical, cell_code, module_hash

CSV_SHA256 = "327a3c909f94c8f48edb43f74eeeb500062b0a0216942f5a0cee40d07ba99e1c"
REPEATS = 3
Accuracies = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Known:
    """Accuracies after 108 epochs as fractions, NaN where unknown; K cells by ascending code.

    Attributes:
        codes: (K,) cell codes.
        val_max: (K,) highest of the three validation accuracies.
        val_mean: (K,) mean of the three.
        test_mean: (K,) mean of the three test accuracies.
    """

    codes: npt.NDArray[np.uint32]
    val_max: Accuracies
    val_mean: Accuracies
    test_mean: Accuracies


def check_csv(path: Path, allow_other: bool) -> str:
    """SHA-256 of the CSV. Raises DataMissingError, or ArtefactError if it is not the expected one."""
    if not path.is_file():
        raise DataMissingError(f"no CSV at {path}; pass the path of nb101_known_accuracy.csv.gz with --known")
    got = sha256_file(path)
    if got != CSV_SHA256 and not allow_other:
        raise ArtefactError(
            f"{path} has sha256 {got}; expected {CSV_SHA256}. Fetch the file again, or pass --allow_other_csv "
            "to build from a CSV of your own; nothing was written"
        )
    return got


def read_known(path: Path) -> Known:
    """Read the CSV and check every row's hash.

    Columns used: `hash`, `adj_bits`, `ops` (one digit per inner node: 0 conv3x3, 1 conv1x1, 2 maxpool3x3),
    `val_max3_ep108`, `val_mean3_ep108`, `test_mean3_ep108`, and `val_repeats_ep108` and `test_repeats_ep108`,
    whose three values, where there are three, stand in for a mean that is not given.

    Raises:
        ArtefactError: the file is damaged, a row is malformed, or a hash is not that of its cell.
    """
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as stream:
            rows = [_parse(path, number, row) for number, row in enumerate(csv.DictReader(stream))]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise ArtefactError(f"{path} cannot be read ({error}); fetch the file again") from error
    rows.sort()
    table = np.array(rows, np.float64).reshape(-1, 4)
    codes = table[:, 0].astype(np.uint32)
    if not len(codes) or (codes[1:] == codes[:-1]).any():
        raise ArtefactError(f"{path} has no rows or a cell twice; expected every cell once")
    known = Known(codes, *table[:, 1:].T)
    _check_values(path, known)
    return known


def _parse(path: Path, number: int, row: dict[str, str]) -> tuple[float, float, float, float]:
    try:
        labels = tuple(int(digit) for digit in row["ops"])
        form = canonical(int(row["adj_bits"]), labels)
        if form is None or module_hash(*form) != row["hash"]:
            raise ValueError(f"hash {row['hash']} is not that of the cell")
        means = [_mean(row, split) for split in ("val", "test")]
        return cell_code(*form), _number(row["val_max3_ep108"]), means[0], means[1]
    except (KeyError, ValueError, TypeError) as error:
        raise ArtefactError(f"{path} is malformed at data row {number} ({error}); fetch the file again") from error


def _mean(row: dict[str, str], split: str) -> float:
    given = _number(row[f"{split}_mean3_ep108"])
    repeats = [float(value) for value in row[f"{split}_repeats_ep108"].split(";") if value]
    return sum(repeats) / REPEATS if np.isnan(given) and len(repeats) == REPEATS else given


def _number(text: str) -> float:
    return float(text) if text else float("nan")


def _check_values(path: Path, known: Known) -> None:
    for name in ("val_max", "val_mean", "test_mean"):
        values = getattr(known, name)
        if ((values <= 0) | (values >= 1)).any():
            raise ArtefactError(f"{path} has a {name} outside 0..1; expected fractions")
    if (known.val_mean > known.val_max + 1e-6).any():
        raise ArtefactError(f"{path} has a mean validation accuracy above the maximum of its repeats")
