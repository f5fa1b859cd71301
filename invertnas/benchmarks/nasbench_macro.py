"""NAS-Bench-Macro (Su et al., 2021, CVPR) as a table: a search side and an analysis side.

The benchmark has no validation accuracies: its numbers are the *test* accuracies on CIFAR-10 of three training runs
of each of the 3,969 distinct networks. A data set here is one of the runs. A search on "cifar10-run1" maximises the
accuracies of the first run, and is judged by the mean of the two others, which it has not seen.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from invertnas.benchmarks.base import PaidBenchmark, checked_dataset
from invertnas.checks import checked_path
from invertnas.errors import ArtefactError, DataMissingError, OutOfDomainError
from invertnas.files.io import read_arrays
from invertnas.spaces.nasbench_macro import LAYER_OPS, NUM_LAYERS, NASBenchMacroSpace
from invertnas.spaces.records import MACRO
from invertnas.spaces.spec import ArchSpec

DEFAULT_TABLE = Path(__file__).parent / "data" / "nasbench_macro.npz"
DATASETS = MACRO.dataset_names
LABELS = ("official table (test accuracies of three runs)",)
NUM_STRINGS = len(LAYER_OPS) ** NUM_LAYERS
IMAGES = 10_000
ARRAYS = ("counts", "params", "flops", "origin", "source_sha256")
Accuracies = npt.NDArray[np.float64]
Counts = npt.NDArray[np.uint32]


@dataclasses.dataclass(frozen=True)
class _Table:
    """Rows in the order of the strings; every array is read-only.

    Attributes:
        origin: one of `LABELS`.
        runs: (6561, 3) fractions.
        params, flops: (6561,) trainable parameters, and multiply-adds of one image.
    """

    origin: str
    runs: Accuracies
    params: Counts
    flops: Counts


@dataclasses.dataclass(frozen=True)
class _Objective:
    """The part of the table that a search on one run may hold."""

    origin: str
    values: Accuracies


class NASBenchMacro(PaidBenchmark[NASBenchMacroSpace]):
    """The benchmark as a search sees it: paid accuracies of one training run, nothing else.

    Implements `invertnas.benchmarks.base.Benchmark`. One object serves one search; a network asked for on two data
    sets is two queries, and asked for by two strings it is one. The table is read on first use and shared between
    objects.

    Args:
        budget: number of distinct (data set, network) queries.
        table: table file; default is the one that comes with the package.

    Raises:
        BudgetError: the budget is not positive.
        DataMissingError, ArtefactError: on first use, if the table is missing or damaged.
    """

    name = MACRO.name
    datasets = DATASETS

    def __init__(self, budget: int, table: str | os.PathLike[str] | None = None) -> None:
        super().__init__(NASBenchMacroSpace(), budget)
        self._path = DEFAULT_TABLE if table is None else checked_path(table, "table")

    @property
    def labels(self) -> str:
        """Where the accuracies come from: one of `LABELS`."""
        return _load_objective(self._path, DATASETS[0]).origin

    def _lookup(self, arch: ArchSpec, dataset: str) -> float:
        return float(_load_objective(self._path, dataset).values[_row(self.space.to_string(arch))])


class NASBenchMacroAnalysis:
    """The whole table, for reports and offline analysis only; never hand it to a search.

    Implements `invertnas.benchmarks.base.Analysis`.

    Args:
        table: table file; default is the one that comes with the package.

    Raises:
        DataMissingError, ArtefactError: on first use, if the table is missing or damaged.
    """

    def __init__(self, table: str | os.PathLike[str] | None = None) -> None:
        self.space = NASBenchMacroSpace()
        self._path = DEFAULT_TABLE if table is None else checked_path(table, "table")

    @property
    def labels(self) -> str:
        """Where the accuracies come from: one of `LABELS`."""
        return _load(self._path).origin

    def validation_accuracy(self, arch: ArchSpec | str, dataset: str) -> float:
        """What `NASBenchMacro.query` answers: the test accuracy of the run. Raises as it does, but for the budget."""
        return float(self.table(dataset)["val"][self.index(arch)])

    def test_accuracy(self, arch: ArchSpec | str, dataset: str) -> float:
        """Mean test accuracy in [0, 1] of the two other runs. Raises as `validation_accuracy`."""
        return float(self.table(dataset)["test"][self.index(arch)])

    def optimum(self, dataset: str) -> tuple[float, float]:
        """Best accuracy of the run and best mean of the two others: two independent maxima.

        Raises:
            OutOfDomainError: unknown data set.
        """
        whole = self.table(dataset)
        return float(whole["val"].max()), float(whole["test"].max())

    def mean_accuracy(self, arch: ArchSpec | str) -> float:
        """Mean test accuracy in [0, 1] of all three runs. Raises OutOfDomainError."""
        return float(_load(self._path).runs[self.index(arch)].mean())

    def params(self, arch: ArchSpec | str) -> float:
        """Millions of trainable parameters. Raises OutOfDomainError."""
        return int(_load(self._path).params[self.index(arch)]) / 1e6

    def flops(self, arch: ArchSpec | str) -> float:
        """Millions of multiply-adds for one image. Raises OutOfDomainError."""
        return int(_load(self._path).flops[self.index(arch)]) / 1e6

    def index(self, arch: ArchSpec | str) -> int:
        """Row, 0 to 6,560, by string. Raises OutOfDomainError for an architecture outside the space."""
        return _row(self.space.to_string(arch))

    def arch(self, index: int) -> ArchSpec:
        """Architecture of a row. Raises OutOfDomainError if there is none."""
        if not 0 <= index < NUM_STRINGS:
            raise OutOfDomainError(f"got index {index}; expected 0 to {NUM_STRINGS - 1}")
        return self.space.from_string(np.base_repr(index, len(LAYER_OPS)).zfill(NUM_LAYERS))

    def table(self, dataset: str) -> dict[str, npt.NDArray[Any]]:
        """All rows in the order of the strings, as read-only arrays.

        Returns:
            (6561,) fractions "val", of the run, and "test", the mean of the two others; "runs" (6561, 3); (6561,)
            counts "params" and "flops".

        Raises:
            OutOfDomainError: unknown data set.
        """
        _check_dataset(dataset)
        loaded, run = _load(self._path), DATASETS.index(dataset)
        test = np.delete(loaded.runs, run, axis=1).mean(axis=1)
        test.setflags(write=False)
        whole = {"val": loaded.runs[:, run], "test": test, "runs": loaded.runs}
        return {**whole, "params": loaded.params, "flops": loaded.flops}


def _check_dataset(dataset: str) -> None:
    checked_dataset(dataset, DATASETS, MACRO.title)


def _row(text: str) -> int:
    return int(text, len(LAYER_OPS))


@functools.lru_cache(maxsize=4)
def _load(path: Path) -> _Table:
    """Read and check a table file. Raises DataMissingError or ArtefactError."""
    if not path.is_file():
        raise DataMissingError(
            f"no NAS-Bench-Macro table at {path}; reinstall invertnas or build it with "
            "`make data_macro JSON=nas-bench-macro_cifar10.json`"
        )
    try:
        arrays = read_arrays(path)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise ArtefactError(f"{path} is damaged ({error}); reinstall invertnas or build the table again") from error
    _check_arrays(path, arrays)
    table = _Table(str(arrays["origin"]), arrays["counts"] / IMAGES, arrays["params"], arrays["flops"])
    for array in (table.runs, table.params, table.flops):
        array.setflags(write=False)
    return table


@functools.lru_cache(maxsize=len(DATASETS))
def _load_objective(path: Path, dataset: str) -> _Objective:
    """A copy of the one run that a search maximises."""
    whole = _load(path)
    values = whole.runs[:, DATASETS.index(dataset)].copy()
    values.setflags(write=False)
    return _Objective(whole.origin, values)


def _check_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Raise ArtefactError unless the arrays are a complete table."""
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise ArtefactError(f"{path} lacks {', '.join(missing)}; expected a table of experiments.benchmark_data.macro")
    shapes = {name: arrays[name].shape for name in ("counts", "params", "flops")}
    expected = {"counts": (NUM_STRINGS, len(DATASETS)), "params": (NUM_STRINGS,), "flops": (NUM_STRINGS,)}
    if shapes != expected:
        raise ArtefactError(f"{path} has shapes {shapes}; expected {expected}")
    if (arrays["counts"] > IMAGES).any() or str(arrays["origin"]) not in LABELS:
        raise ArtefactError(f"{path} has accuracies above 1 or an unknown origin {arrays['origin']}; build it again")
