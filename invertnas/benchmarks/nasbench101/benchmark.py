"""NAS-Bench-101 (Ying et al., 2019) as a table: a search side and an analysis side.

The table that comes with the package is *not* the benchmark's own, which is a 500 MB download. Its test accuracies are
the official ones of every cell. Its validation accuracies are measured for 7 % of the cells, as far as they are public
elsewhere. All others are imputed from the test accuracy and the graph, so **an imputed validation label holds test
information**; see `data/SOURCES.md`. `make data_nb101` converts the official file to a second table, which is then used
instead. `labels` says which one is in force.
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
from invertnas.files.io import read_arrays, read_json
from invertnas.spaces.nasbench101.space import NUM_CELLS, NASBench101Space
from invertnas.spaces.notation import is_whole
from invertnas.spaces.records import NB101
from invertnas.spaces.spec import ArchSpec

DEFAULT_TABLE = Path(__file__).parent.parent / "data" / "nasbench101.npz"
OFFICIAL_TABLE = DEFAULT_TABLE.with_name("nasbench101_official.npz")
DEFAULT_QUALITY = DEFAULT_TABLE.with_suffix(".json")
# What a search may maximise: the validation accuracy, or, under its own name, the measured test accuracy.
DATASETS = NB101.dataset_names
_COLUMNS = dict(zip(DATASETS, ("val", "test")))
EMBEDDED, OFFICIAL = LABELS = (
    "embedded: test measured, validation 7 % measured, rest imputed from test",
    "official table",
)
# What a value is, by its number in the table's `val_source` and `test_source`.
SOURCES = ("imputed from test accuracy and graph", "converted maximum of three runs", "mean of three runs")
IMPUTED = SOURCES[0]
# Best mean validation and best mean test accuracy of the official table, of two different cells. The embedded
# table has other maxima: the cell with the best validation accuracy is not among those measured.
OFFICIAL_OPTIMUM = (0.950554, 0.943176)
ARRAYS = ("steps", "val", "test", "denominator", "val_source", "test_source", "origin", "source_sha256")
Accuracies = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint32]


@dataclasses.dataclass(frozen=True)
class _Table:
    """Rows by ascending cell code; every array is read-only.

    Attributes:
        origin: one of `LABELS`.
        codes: (M,) `NASBench101Space.code` of each row.
        val, test: (M,) fractions.
        val_source, test_source: (M,) indices into `SOURCES`.
    """

    origin: str
    codes: Codes
    val: Accuracies
    test: Accuracies
    val_source: npt.NDArray[np.uint8]
    test_source: npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class _Objective:
    """The part of the table that a search on one data set may hold."""

    origin: str
    codes: Codes
    values: Accuracies


def default_table() -> Path:
    """The converted official table where there is one, else the embedded one."""
    return OFFICIAL_TABLE if OFFICIAL_TABLE.is_file() else DEFAULT_TABLE


class NASBench101(PaidBenchmark[NASBench101Space]):
    """The benchmark as a search sees it: paid accuracies after 108 epochs, nothing else.

    Implements `invertnas.benchmarks.base.Benchmark`. One object serves one search. Isomorphic cells, and cells
    with idle nodes, are one cell and one query. The table is read on first use and shared between objects.

    On "cifar10" the accuracy is that of validation, which in the embedded table is imputed from the test accuracy
    for most cells (`NASBench101Analysis.sources`). On "cifar10-test" it is the measured test accuracy of every
    cell: a task to compare searches on, whose result is no estimate of accuracy on unseen images.

    Args:
        budget: number of distinct cells that may be queried.
        table: table file; default is `default_table()`.

    Raises:
        BudgetError: the budget is not positive.
        DataMissingError, ArtefactError: on first use, if the table is missing or damaged.
    """

    name = NB101.name
    datasets = DATASETS

    def __init__(self, budget: int, table: str | os.PathLike[str] | None = None) -> None:
        super().__init__(NASBench101Space(), budget)
        self._path = default_table() if table is None else checked_path(table, "table")

    @property
    def labels(self) -> str:
        """Where the accuracies come from: one of `LABELS`."""
        return _load_objective(self._path, DATASETS[0]).origin

    def _lookup(self, arch: ArchSpec, dataset: str) -> float:
        loaded = _load_objective(self._path, dataset)
        return float(loaded.values[_row(loaded.codes, self.space.code(arch))])


class NASBench101Analysis:
    """The whole table, for reports and offline analysis only; never hand it to a search.

    Implements `invertnas.benchmarks.base.Analysis`.

    Args:
        table: table file; default is `default_table()`.

    Raises:
        DataMissingError, ArtefactError: on first use, if the table is missing or damaged.
    """

    def __init__(self, table: str | os.PathLike[str] | None = None) -> None:
        self.space = NASBench101Space()
        self._path = default_table() if table is None else checked_path(table, "table")

    @property
    def labels(self) -> str:
        """Where the accuracies come from: one of `LABELS`."""
        return _load(self._path).origin

    def validation_accuracy(self, arch: ArchSpec | str, dataset: str) -> float:
        """What `NASBench101.query` answers, in [0, 1]. Raises as it does, but for the budget."""
        _check_dataset(dataset)
        return float(getattr(_load(self._path), _COLUMNS[dataset])[self.index(arch)])

    def test_accuracy(self, arch: ArchSpec | str, dataset: str) -> float:
        """Mean test accuracy of three runs in [0, 1], measured for every cell. Raises as `validation_accuracy`."""
        _check_dataset(dataset)
        return float(_load(self._path).test[self.index(arch)])

    def optimum(self, dataset: str) -> tuple[float, float]:
        """Best answer and best test accuracy of the labels in force: two independent maxima.

        With the embedded table the best validation accuracy is a maximum over measured and imputed values together,
        not the optimum of the benchmark, which is `OFFICIAL_OPTIMUM`.

        Raises:
            OutOfDomainError: unknown data set.
        """
        _check_dataset(dataset)
        loaded = _load(self._path)
        return float(getattr(loaded, _COLUMNS[dataset]).max()), float(loaded.test.max())

    def sources(self, arch: ArchSpec | str) -> tuple[str, str]:
        """What the cell's validation and its test accuracy are: two of `SOURCES`.

        A validation accuracy that is `IMPUTED` was predicted from the cell's test accuracy and graph, with the
        deviation of a measured cell added. Raises OutOfDomainError.
        """
        loaded, row = _load(self._path), self.index(arch)
        return SOURCES[loaded.val_source[row]], SOURCES[loaded.test_source[row]]

    def index(self, arch: ArchSpec | str) -> int:
        """Row of the table; rows ascend with `NASBench101Space.code`. Raises OutOfDomainError, DataMissingError."""
        return _row(_load(self._path).codes, self.space.code(arch))

    def arch(self, index: int) -> ArchSpec:
        """Architecture of a row. Raises OutOfDomainError if there is none."""
        codes = _load(self._path).codes
        if not is_whole(index) or not 0 <= index < len(codes):
            raise OutOfDomainError(f"got index {index!r}; expected a whole number from 0 to {len(codes) - 1}")
        return self.space.from_code(int(codes[index]))

    def table(self, dataset: str) -> dict[str, npt.NDArray[Any]]:
        """All rows as read-only arrays.

        Returns:
            "codes" (M,) uint32, "val" and "test" (M,) fractions, whatever the data set, "val_source" and "test_source"
            (M,) uint8 indices into `SOURCES`.

        Raises:
            OutOfDomainError: unknown data set.
        """
        _check_dataset(dataset)
        loaded = _load(self._path)
        return {name: getattr(loaded, name) for name in ("codes", "val", "test", "val_source", "test_source")}


def surrogate_quality(path: Path = DEFAULT_QUALITY) -> dict[str, Any]:
    """How good the embedded table's imputed labels are on held-out cells, as `make data_nb101` measured it.

    Raises:
        DataMissingError, ArtefactError: the file is missing or no JSON.
    """
    if not path.is_file():
        raise DataMissingError(f"no surrogate figures at {path}; reinstall invertnas or build the table again")
    content: dict[str, Any] = read_json(path)
    return content


def _check_dataset(dataset: str) -> None:
    checked_dataset(dataset, DATASETS, NB101.title)


def _row(codes: Codes, code: int) -> int:
    # A Python integer would make NumPy convert the whole array.
    row = int(np.searchsorted(codes, np.uint32(code)))
    if row == len(codes) or codes[row] != code:
        raise DataMissingError(
            f"the table holds {len(codes)} of the {NUM_CELLS} cells and not this one; build it from the whole file"
        )
    return row


@functools.lru_cache(maxsize=4)
def _load(path: Path) -> _Table:
    """Read and check a table file. Raises DataMissingError or ArtefactError."""
    if not path.is_file():
        raise DataMissingError(
            f"no NAS-Bench-101 table at {path}; reinstall invertnas or build it with "
            "`python -m experiments.benchmark_data.nb101.build --tfrecord nasbench_only108.tfrecord`"
        )
    try:
        arrays = read_arrays(path)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise ArtefactError(f"{path} is damaged ({error}); reinstall invertnas or build the table again") from error
    _check_arrays(path, arrays)
    codes = np.cumsum(arrays["steps"], dtype=np.uint32)
    accuracies = [arrays[name] / arrays["denominator"] for name in ("val", "test")]
    kept = (codes, *accuracies, arrays["val_source"], arrays["test_source"])
    for array in kept:
        array.setflags(write=False)
    return _Table(str(arrays["origin"]), *kept)


@functools.lru_cache(maxsize=4)
def _load_objective(path: Path, dataset: str) -> _Objective:
    loaded = _load(path)
    return _Objective(loaded.origin, loaded.codes, getattr(loaded, _COLUMNS[dataset]))


def _check_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Raise ArtefactError unless the arrays are a table: all cells, or some of the official file's."""
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise ArtefactError(
            f"{path} lacks {', '.join(missing)}; expected a table of experiments.benchmark_data.nb101.build"
        )
    if str(arrays["origin"]) not in LABELS:
        raise ArtefactError(f"{path} has an unknown origin {arrays['origin']}; expected one of {', '.join(LABELS)}")
    rows = arrays["steps"].size
    shapes = {name: arrays[name].shape for name in ("steps", "val", "test", "val_source", "test_source")}
    whole = rows == NUM_CELLS or (str(arrays["origin"]) == OFFICIAL and 0 < rows < NUM_CELLS)
    if set(shapes.values()) != {(rows,)} or not whole:
        raise ArtefactError(f"{path} has shapes {shapes}; expected one row for each of {NUM_CELLS} cells")
    # A first code of zero would be the empty mask; a later step of zero a cell twice.
    if (arrays["steps"] == 0).any() or arrays["steps"].sum(dtype=np.uint64) >= 1 << 32:
        raise ArtefactError(f"{path} does not hold each cell once, by ascending code; build it again")
    values = np.stack([arrays["val"], arrays["test"]])
    labels = np.stack([arrays["val_source"], arrays["test_source"]])
    if not ((values >= 0) & (values <= arrays["denominator"])).all() or (labels >= len(SOURCES)).any():
        raise ArtefactError(f"{path} has accuracies outside 0..1 or an unknown source; build it again")
