"""NAS-Bench-201 (Dong & Yang, 2020, release v1.1) as a table: a search side and an analysis side.

The table file holds whole numbers, not percentages. Every accuracy of the release is the mean over
one, two or three runs of a share of correctly classified images, so it is a whole multiple of
1 / (6 * images): `count / denominator` gives it back without rounding.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import zipfile
import zlib
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from invertnas.benchmarks.base import PaidBenchmark, checked_dataset
from invertnas.checks import checked_path
from invertnas.errors import ArtefactError, ConfigError, DataMissingError, OutOfDomainError
from invertnas.files.io import read_arrays
from invertnas.spaces.accept import accepted
from invertnas.spaces.nasbench201 import CELL_OPS, NUM_CELL_EDGES, NASBench201Space
from invertnas.spaces.notation import is_whole
from invertnas.spaces.records import NB201
from invertnas.spaces.spec import ArchSpec

DEFAULT_TABLE = Path(__file__).parent / "data" / "nasbench201.npz"
DATASETS = NB201.dataset_names[:3]
# Further tasks of the same cells and the columns of their validation and test accuracy. The half-train network has
# its test accuracy alone, which therefore is what a search maximises there.
FURTHER = MappingProxyType(
    {
        **{f"{name}-12ep": (f"{name}_val_ep12", f"{name}_test_ep12") for name in DATASETS},
        "cifar10-halftrain-test": ("cifar10_halftrain_test", "cifar10_halftrain_test"),
    }
)
_COLUMNS = MappingProxyType({name: (f"{name}_val", f"{name}_test") for name in DATASETS} | dict(FURTHER))
LABELS = ("embedded table", "official table")
EPOCHS = (200, 12)
NUM_CELLS = len(CELL_OPS) ** NUM_CELL_EDGES
# Images behind one run of each column; times 6 (the common multiple of 1, 2 and 3 runs) = denominator.
COLUMN_IMAGES = MappingProxyType(
    {
        "cifar10_train": 25_000,
        "cifar10_val": 25_000,
        "cifar10_test": 10_000,
        "cifar100_train": 50_000,
        "cifar100_val": 5_000,
        "cifar100_test": 5_000,
        "imagenet16-120_train": 151_700,
        "imagenet16-120_val": 3_000,
        "imagenet16-120_test": 3_000,
        "cifar10_halftrain_test": 10_000,
        "cifar10_val_ep12": 25_000,
        "cifar10_test_ep12": 10_000,
        "cifar100_val_ep12": 5_000,
        "cifar100_test_ep12": 5_000,
        "imagenet16-120_val_ep12": 3_000,
        "imagenet16-120_test_ep12": 3_000,
    }
)
ARRAYS = ("ops", "columns", "denominators", "counts", "params", "n_seeds", "origin", "source_sha256")
Accuracies = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class _Table:
    """Rows in official index order; every array is read-only.

    Attributes:
        origin: one of `LABELS`.
        ops: (15625, 6) uint8 operation indices of the inner nodes.
        row_of_code: (15625,) row of each cell code, see `_codes`.
        accuracies: column name -> (15625,) fractions.
        params: (15625,) uint32 trainable parameters of the CIFAR-10 network.
        n_seeds: (15625,) uint8 runs of 200 epochs behind each mean.
    """

    origin: str
    ops: npt.NDArray[np.uint8]
    row_of_code: npt.NDArray[np.intp]
    accuracies: MappingProxyType[str, Accuracies]
    params: npt.NDArray[np.uint32]
    n_seeds: npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class _Objective:
    """The part of the table that a search on one data set may hold, ordered by cell code."""

    origin: str
    values: Accuracies


class NASBench201(PaidBenchmark[NASBench201Space]):
    """The benchmark as a search sees it: paid accuracies of the data set asked for, nothing else.

    Implements `invertnas.benchmarks.base.Benchmark`. One object serves one search; a cell asked for
    on two data sets is two queries. The table is read on first use and shared between objects.

    "cifar10", "cifar100" and "imagenet16-120" give validation accuracies after 200 epochs. The names ending in
    "-12ep" give those of the runs of 12 epochs. "cifar10-halftrain-test" gives the *test* accuracy of the networks
    trained on half of CIFAR-10 for 200 epochs: a task to compare searches on, whose result is no estimate of
    accuracy on unseen images.

    Args:
        budget: number of distinct (data set, cell) queries.
        table: table file; default is the one that comes with the package.

    Raises:
        BudgetError: the budget is not positive.
        DataMissingError, ArtefactError: on first use, if the table is missing or damaged.
    """

    name = NB201.name
    datasets = NB201.dataset_names

    def __init__(self, budget: int, table: str | os.PathLike[str] | None = None) -> None:
        super().__init__(NASBench201Space(), budget)
        self._path = DEFAULT_TABLE if table is None else checked_path(table, "table")

    @property
    def labels(self) -> str:
        """Where the accuracies come from: "embedded table" or "official table"."""
        return _load_objective(self._path, DATASETS[0]).origin

    def _lookup(self, arch: ArchSpec, dataset: str) -> float:
        return float(_load_objective(self._path, dataset).values[_code(arch)])


class NASBench201Analysis:
    """The whole table, for reports and offline analysis only; never hand it to a search.

    Implements `invertnas.benchmarks.base.Analysis`.

    Args:
        table: table file; default is the one that comes with the package.

    Raises:
        DataMissingError, ArtefactError: on first use, if the table is missing or damaged.
    """

    def __init__(self, table: str | os.PathLike[str] | None = None) -> None:
        self.space = NASBench201Space()
        self._path = DEFAULT_TABLE if table is None else checked_path(table, "table")

    @property
    def labels(self) -> str:
        """Where the accuracies come from: "embedded table" or "official table"."""
        return _load(self._path).origin

    def validation_accuracy(self, arch: ArchSpec | str, dataset: str, epochs: int = 200) -> float:
        """Mean validation accuracy in [0, 1] of the 200- or the 12-epoch runs.

        `epochs=12` on "cifar10" is the same as "cifar10-12ep". On "cifar10-halftrain-test" it is the test accuracy.

        Raises:
            OutOfDomainError: unknown data set or architecture outside the space.
            ConfigError: `epochs` is neither 200 nor 12, or given with a data set that has one length only.
        """
        return self._value(arch, dataset, 0, epochs)

    def test_accuracy(self, arch: ArchSpec | str, dataset: str, epochs: int = 200) -> float:
        """Mean test accuracy in [0, 1]; CIFAR-10 is the network trained on train + validation.

        Raises: as `validation_accuracy`.
        """
        return self._value(arch, dataset, 1, epochs)

    def optimum(self, dataset: str) -> tuple[float, float]:
        """Best validation and best test accuracy of a data set: two independent maxima.

        Raises:
            OutOfDomainError: unknown data set.
        """
        _check_dataset(dataset)
        val, test = (_load(self._path).accuracies[column] for column in _COLUMNS[dataset])
        return float(val.max()), float(test.max())

    def params(self, arch: ArchSpec | str) -> float:
        """Millions of trainable parameters of the CIFAR-10 network. Raises OutOfDomainError."""
        return int(_load(self._path).params[self.index(arch)]) / 1e6

    def index(self, arch: ArchSpec | str) -> int:
        """Official index, 0 to 15,624. Raises OutOfDomainError for an architecture outside the space."""
        return int(_load(self._path).row_of_code[_code(accepted(self.space, arch))])

    def arch(self, index: int) -> ArchSpec:
        """Architecture of an official index. Raises OutOfDomainError if there is none."""
        if not is_whole(index) or not 0 <= index < NUM_CELLS:
            raise OutOfDomainError(f"got index {index!r}; expected a whole number from 0 to {NUM_CELLS - 1}")
        return self.space.from_cell_ops(_load(self._path).ops[index].tolist())

    def table(self, dataset: str) -> dict[str, npt.NDArray[Any]]:
        """All rows of one data set in official index order, as read-only arrays.

        Returns:
            "ops" (15625, 6) uint8; (15625,) fractions "train", "val", "test", "val_ep12", "test_ep12" and,
            for CIFAR-10, "halftrain_test"; (15625,) "params" (a count) and "n_seeds". Of the data sets in `FURTHER`
            only "ops", "val", "test" and "params".

        Raises:
            OutOfDomainError: unknown data set.
        """
        _check_dataset(dataset)
        loaded = _load(self._path)
        if dataset in FURTHER:
            val, test = (loaded.accuracies[column] for column in FURTHER[dataset])
            return {"ops": loaded.ops, "val": val, "test": test, "params": loaded.params}
        prefix = f"{dataset}_"
        columns = {name.removeprefix(prefix): c for name, c in loaded.accuracies.items() if name.startswith(prefix)}
        return {"ops": loaded.ops, **columns, "params": loaded.params, "n_seeds": loaded.n_seeds}

    def _value(self, arch: ArchSpec | str, dataset: str, kind: int, epochs: int) -> float:
        _check_dataset(dataset)
        if not is_whole(epochs) or epochs not in EPOCHS:
            raise ConfigError(
                f"got epochs={epochs!r}; expected 200 or 12; the table holds runs of {EPOCHS[0]} and {EPOCHS[1]} epochs"
            )
        if epochs == EPOCHS[1] and dataset not in DATASETS:
            raise ConfigError(f"got epochs={epochs} with {dataset!r}; expected one of {', '.join(DATASETS)}")
        name = f"{dataset}-12ep" if epochs == EPOCHS[1] else dataset
        return float(_load(self._path).accuracies[_COLUMNS[name][kind]][self.index(arch)])


def _check_dataset(dataset: str) -> None:
    checked_dataset(dataset, _COLUMNS, NB201.title)


def _code(arch: ArchSpec) -> int:
    """Position of a valid cell in `NASBench201Space.all()`."""
    return functools.reduce(lambda code, op: code * len(CELL_OPS) + op - CELL_OPS[0], arch.ops[1:-1], 0)


def _codes(ops: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(R,) codes of (R, 6) operation indices; the vector form of `_code`."""
    weights = len(CELL_OPS) ** np.arange(NUM_CELL_EDGES - 1, -1, -1)
    return (ops.astype(np.int64) - CELL_OPS[0]) @ weights


@functools.lru_cache(maxsize=4)
def _load(path: Path) -> _Table:
    """Read and check a table file. Raises DataMissingError or ArtefactError."""
    if not path.is_file():
        raise DataMissingError(
            f"no NAS-Bench-201 table at {path}; reinstall invertnas or build it with "
            "`python -m experiments.benchmark_data.nb201 --pth NAS-Bench-201-v1_1-096897.pth`"
        )
    try:
        arrays = read_arrays(path)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise ArtefactError(f"{path} is damaged ({error}); reinstall invertnas or build the table again") from error
    _check_arrays(path, arrays)
    row_of_code = np.argsort(_codes(arrays["ops"]))
    accuracies = {
        str(name): counts / int(denominator)
        for name, counts, denominator in zip(arrays["columns"], arrays["counts"], arrays["denominators"])
    }
    for array in (arrays["ops"], arrays["params"], arrays["n_seeds"], row_of_code, *accuracies.values()):
        array.setflags(write=False)
    origin = str(arrays["origin"])
    frozen = MappingProxyType(accuracies)
    return _Table(origin, arrays["ops"], row_of_code, frozen, arrays["params"], arrays["n_seeds"])


def _check_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Raise ArtefactError unless the arrays are a complete table."""
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise ArtefactError(f"{path} lacks {', '.join(missing)}; expected a table of experiments.benchmark_data.nb201")
    shapes = {name: arrays[name].shape for name in ("ops", "counts", "params", "n_seeds", "denominators")}
    wanted = (len(COLUMN_IMAGES),)
    expected = {"ops": (NUM_CELLS, NUM_CELL_EDGES), "counts": wanted + (NUM_CELLS,), "params": (NUM_CELLS,)}
    expected |= {"n_seeds": (NUM_CELLS,), "denominators": wanted}
    if shapes != expected or arrays["columns"].tolist() != list(COLUMN_IMAGES):
        raise ArtefactError(f"{path} has shapes {shapes}; expected {expected} with columns {', '.join(COLUMN_IMAGES)}")
    if not np.array_equal(np.sort(_codes(arrays["ops"])), np.arange(NUM_CELLS)):
        raise ArtefactError(f"{path} does not hold each of the {NUM_CELLS} cells once; build it again")
    if (arrays["counts"] > arrays["denominators"][:, None]).any() or str(arrays["origin"]) not in LABELS:
        raise ArtefactError(f"{path} has accuracies above 1 or an unknown origin {arrays['origin']}; build it again")


@functools.lru_cache(maxsize=len(_COLUMNS))
def _load_objective(path: Path, dataset: str) -> _Objective:
    """A copy of the one column that a search on the data set maximises, ordered by cell code."""
    whole = _load(path)
    values = whole.accuracies[_COLUMNS[dataset][0]][whole.row_of_code]
    values.setflags(write=False)
    return _Objective(whole.origin, values)
