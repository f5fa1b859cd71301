"""Build the compact NAS-Bench-201 table from a CSV or from the official v1.1 file.

python -m experiments.benchmark_data.nb201 --csv nasbench201_v1_1.csv.gz
python -m experiments.benchmark_data.nb201 --pth NAS-Bench-201-v1_1-096897.pth --out official.npz
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import importlib
import pickle
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from absl import flags

from experiments.common.cli import run
from invertnas.benchmarks.nasbench201 import COLUMN_IMAGES, DEFAULT_TABLE, LABELS, NUM_CELLS
from invertnas.errors import ArtefactError, ConfigError, DataMissingError, OutOfDomainError
from invertnas.files.io import sha256_file, write_arrays
from invertnas.spaces.nasbench201 import NASBench201Space

CSV_SHA256 = "2c4d8d5cad378d80fc461763b75d7ec5ed9f8716a498e6aa40b1470caa02adea"
CSV_HEADER = ("index", "arch", *COLUMN_IMAGES, "n_seeds", "params_m")
RUNS_MULTIPLE = 6
TOLERANCE = 1e-4
MAX_SEEDS = 3
# Column -> (hyper-parameter set, data set, split) in the terms of the official API.
OFFICIAL = {
    "cifar10_train": ("200", "cifar10-valid", "train"),
    "cifar10_val": ("200", "cifar10-valid", "x-valid"),
    "cifar10_test": ("200", "cifar10", "ori-test"),
    "cifar100_train": ("200", "cifar100", "train"),
    "cifar100_val": ("200", "cifar100", "x-valid"),
    "cifar100_test": ("200", "cifar100", "x-test"),
    "imagenet16-120_train": ("200", "ImageNet16-120", "train"),
    "imagenet16-120_val": ("200", "ImageNet16-120", "x-valid"),
    "imagenet16-120_test": ("200", "ImageNet16-120", "x-test"),
    "cifar10_halftrain_test": ("200", "cifar10-valid", "ori-test"),
    "cifar10_val_ep12": ("12", "cifar10-valid", "x-valid"),
    "cifar10_test_ep12": ("12", "cifar10", "ori-test"),
    "cifar100_val_ep12": ("12", "cifar100", "x-valid"),
    "cifar100_test_ep12": ("12", "cifar100", "x-test"),
    "imagenet16-120_val_ep12": ("12", "ImageNet16-120", "x-valid"),
    "imagenet16-120_test_ep12": ("12", "ImageNet16-120", "x-test"),
}

FLAGS = flags.FlagValues()
_CSV = flags.DEFINE_string("csv", None, "CSV of the release v1.1 (.csv or .csv.gz).", flag_values=FLAGS)
_PTH = flags.DEFINE_string(
    "pth", None, "Official NAS-Bench-201-v1_1-096897.pth; needs invertnas[nasbench201].", flag_values=FLAGS
)
_OUT = flags.DEFINE_string("out", str(DEFAULT_TABLE), "Table to write.", flag_values=FLAGS)
_ALLOW = flags.DEFINE_bool(
    "allow_other_csv", False, "Accept a CSV whose checksum differs from the known one.", flag_values=FLAGS
)


class OfficialResults(Protocol):
    """The methods of `nas_201_api.ArchResults` that are used: all runs of one cell."""

    def get_metrics(self, dataset: str, setname: str, iepoch: int, is_random: bool) -> dict[str, Any]: ...

    def get_dataset_seeds(self, dataset: str) -> Sequence[int]: ...

    def get_compute_costs(self, dataset: str) -> dict[str, Any]: ...


class OfficialAPI(Protocol):
    """The methods of `nas_201_api.NASBench201API` (2.0 or later) that are used."""

    def __len__(self) -> int: ...

    def arch(self, index: int) -> str: ...

    def query_meta_info_by_index(self, arch_index: int, hp: str) -> OfficialResults: ...


@dataclasses.dataclass(frozen=True)
class Row:
    """One cell in official order: accuracies in percent, in the order of `COLUMN_IMAGES`."""

    arch: str
    percents: tuple[float, ...]
    n_seeds: int
    params_m: float


def check_csv(path: Path, expected: str, allow_other: bool) -> str:
    """SHA-256 of the CSV. Raises DataMissingError, or ArtefactError if it is not the expected one."""
    if not path.is_file():
        raise DataMissingError(f"no CSV at {path}; pass the path of nasbench201_v1_1.csv.gz with --csv")
    got = sha256_file(path)
    if got != expected and not allow_other:
        raise ArtefactError(
            f"{path} has sha256 {got}; expected {expected}. Fetch the file again, or pass --allow_other_csv "
            "to build from a CSV of your own; nothing was written"
        )
    return got


def read_csv(path: Path) -> list[Row]:
    """Rows of the CSV, whose index column must count from 0. Raises ArtefactError if it is malformed."""
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as stream:
            lines = csv.reader(stream)
            header = tuple(next(lines, ()))
            if header != CSV_HEADER:
                raise ArtefactError(f"{path} has columns {header}; expected {CSV_HEADER}")
            return [_parse_line(path, number, line) for number, line in enumerate(lines)]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise ArtefactError(f"{path} cannot be read ({error}); fetch the file again") from error


def _parse_line(path: Path, number: int, line: list[str]) -> Row:
    try:
        if len(line) != len(CSV_HEADER) or int(line[0]) != number:
            raise ValueError(f"{len(line)} fields, index {line[0] if line else 'absent'}")
        return Row(line[1], tuple(map(float, line[2:-2])), int(line[-2]), float(line[-1]))
    except ValueError as error:
        raise ArtefactError(
            f"{path} is malformed at data row {number} ({error}); expected {len(CSV_HEADER)} fields, index {number}"
        ) from error


def load_official(path: Path) -> OfficialAPI:
    """Open the official file. Raises DataMissingError without the file or package, ArtefactError if unreadable."""
    try:
        module = importlib.import_module("nas_201_api")
    except ImportError as error:
        raise DataMissingError(
            f"reading {path.name} needs the package nas-bench-201 ({error}); run `pip install invertnas[nasbench201]`"
        ) from error
    if not path.is_file():
        raise DataMissingError(f"no file at {path}; pass the path of NAS-Bench-201-v1_1-096897.pth with --pth")
    try:
        api: OfficialAPI = module.NASBench201API(str(path), verbose=False)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, AssertionError) as error:
        raise ArtefactError(
            f"{path} cannot be read ({error}); if torch 2.6 or later refuses it and you trust the file, "
            "set TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1"
        ) from error
    return api


def read_official(api: OfficialAPI) -> list[Row]:
    """Means over all runs at the last epoch, for every index. Raises ArtefactError if a value is missing."""
    return [_official_row(api, index) for index in range(len(api))]


def _official_row(api: OfficialAPI, index: int) -> Row:
    try:
        results = {hp: api.query_meta_info_by_index(index, hp) for hp in ("200", "12")}
        percents = tuple(
            float(results[hp].get_metrics(dataset, split, iepoch=int(hp) - 1, is_random=False)["accuracy"])
            for hp, dataset, split in (OFFICIAL[name] for name in COLUMN_IMAGES)
        )
        seeds = len(results["200"].get_dataset_seeds("cifar10-valid"))
        params_m = float(results["200"].get_compute_costs("cifar10-valid")["params"])
    except (KeyError, ValueError, TypeError) as error:
        raise ArtefactError(f"the official file lacks a value of index {index} ({error!r}); expected v1.1") from error
    return Row(api.arch(index), percents, seeds, params_m)


def pack(rows: Sequence[Row], origin: str, source_sha256: str, num_rows: int = NUM_CELLS) -> dict[str, np.ndarray]:
    """Arrays of the table file.

    Args:
        rows: R cells in official order.
        origin: one of `LABELS`.
        source_sha256: checksum of the file the rows come from.
        num_rows: the R to insist on.

    Returns:
        "ops" (R, 6) uint8; "counts" (C, R) uint32 over "denominators" (C,) uint32, named by "columns" (C,);
        "params" (R,) uint32; "n_seeds" (R,) uint8; "origin" and "source_sha256", single strings.

    Raises:
        ArtefactError: a wrong number of rows, a repeated or foreign cell, or a value that cannot be one.
    """
    if len(rows) != num_rows:
        raise ArtefactError(f"got {len(rows)} rows; expected {num_rows}: the file is truncated or of another release")
    if not all(1 <= row.n_seeds <= MAX_SEEDS and 0 < row.params_m < 100 for row in rows):
        raise ArtefactError(f"got a row with n_seeds outside 1..{MAX_SEEDS} or no positive parameter count")
    denominators = RUNS_MULTIPLE * np.array(list(COLUMN_IMAGES.values()), np.uint32)
    params = np.array([row.params_m for row in rows]) * 1e6
    return {
        "ops": _cell_ops(row.arch for row in rows),
        "columns": np.array(list(COLUMN_IMAGES)),
        "denominators": denominators,
        "counts": _counts(np.array([row.percents for row in rows], np.float64).T, denominators),
        "params": np.rint(params).astype(np.uint32),
        "n_seeds": np.array([row.n_seeds for row in rows], np.uint8),
        "origin": np.array(origin),
        "source_sha256": np.array(source_sha256),
    }


def _cell_ops(archs: Iterable[str]) -> npt.NDArray[np.uint8]:
    """(R, 6) operation indices in node order; raises ArtefactError for a foreign or repeated string."""
    space = NASBench201Space()
    found: dict[str, tuple[int, ...]] = {}
    for index, text in enumerate(archs):
        if text in found:
            raise ArtefactError(f"row {index} repeats the cell {text}; expected every cell once")
        try:
            found[text] = space.from_string(text).ops[1:-1]
        except OutOfDomainError as error:
            raise ArtefactError(f"row {index} holds no cell: {error}") from error
    return np.array(list(found.values()), np.uint8)


def _counts(percents: npt.NDArray[np.float64], denominators: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """(C, R) whole numbers; raises ArtefactError if a percentage is no mean of one, two or three runs."""
    if not ((percents >= 0) & (percents <= 100)).all():
        raise ArtefactError("got an accuracy that is not a number or outside 0..100; expected percentages")
    counts = np.rint(percents / 100 * denominators[:, None])
    error = np.abs(counts / denominators[:, None] * 100 - percents)
    if error.max() >= TOLERANCE:
        column, row = np.unravel_index(error.argmax(), error.shape)
        raise ArtefactError(
            f"got {percents[column, row]} % in column {list(COLUMN_IMAGES)[column]} of row {row}, which is no mean of "
            f"1, 2 or 3 runs on {denominators[column] // RUNS_MULTIPLE} images; pass unrounded values of release v1.1"
        )
    return counts.astype(np.uint32)


def main(argv: Sequence[str]) -> int:
    """Build the table named by --out; nothing is written unless every check passes."""
    csv_path, pth_path = _CSV.value, _PTH.value
    if len(argv) > 1 or (csv_path is None) == (pth_path is None):
        raise ConfigError(
            f"got {list(argv[1:])}, --csv {csv_path}, --pth {pth_path}; pass one of --csv and --pth alone"
        )
    if csv_path is not None:
        digest = check_csv(Path(csv_path), CSV_SHA256, _ALLOW.value)
        rows, origin = read_csv(Path(csv_path)), LABELS[0]
    else:
        source = Path(str(pth_path))
        rows, origin, digest = read_official(load_official(source)), LABELS[1], sha256_file(source)
    out = Path(_OUT.value)
    write_arrays(out, pack(rows, origin, digest), compress=True)
    print(f"wrote {out}: {len(rows)} cells, {out.stat().st_size} bytes, sha256 {sha256_file(out)}")
    return 0


if __name__ == "__main__":
    run(main, FLAGS)
