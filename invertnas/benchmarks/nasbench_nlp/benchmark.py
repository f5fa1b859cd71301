"""NAS-Bench-NLP (Klyuchnikov et al., 2020): recurrent cells on PTB, logged runs and a surrogate.

The "accuracy" of this benchmark is 100 - validation loss, the loss in nats per token after 50 epochs, as
in NASLib and in the paper's Table 3 (whose text calls it perplexity): 95.5 is a loss of 4.5, a
perplexity of 90. As everywhere in this package it is divided by 100: accuracy = 1 - loss / 100.

Logged cells answer with the mean over their runs (*tabular*); a run that diverged counts as the loss of
guessing uniformly among 10,000 words, ln 10,000 = 9.21, and so does any worse one. All other cells answer
with a model trained on the logs (*surrogate*), whose quality is in `data/nasbench_nlp_quality.json`.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from types import MappingProxyType

import numpy as np

from invertnas.benchmarks.base import PaidBenchmark, checked_dataset
from invertnas.benchmarks.nasbench_nlp.features import parameters
from invertnas.benchmarks.nasbench_nlp.official import OfficialSurrogate
from invertnas.benchmarks.nasbench_nlp.surrogate import DIVERGED_LOSS, NLPSurrogate
from invertnas.checks import checked_path
from invertnas.errors import ArtefactError, DataMissingError
from invertnas.files.io import read_arrays
from invertnas.spaces.nasbench_nlp import cell as nlp_cell
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace
from invertnas.spaces.records import NBNLP
from invertnas.spaces.spec import ArchSpec

DEFAULT_TABLE = Path(__file__).parent.parent / "data" / "nasbench_nlp.npz"
DATASETS = NBNLP.dataset_names
ORIGINS = ("collected logs", "official logs")
TABULAR, SURROGATE, OFFICIAL = "tabular", "surrogate", "official surrogate"
ARRAYS = ("cells", "cell_of_run", "val", "test", "origin", "source_sha256")


class NASBenchNLP(PaidBenchmark[NASBenchNLPSpace]):
    """The benchmark as a search sees it: paid validation "accuracies", nothing else.

    Implements `invertnas.benchmarks.base.Benchmark`. One object serves one search. Files are read on first
    use and shared between objects.

    Args:
        budget: number of distinct cells that may be queried.
        table: file of logged runs; default is the one that comes with the package.
        surrogate: file of the surrogate; default is the one that comes with the package.
        tabular: whether logged cells answer with their runs. Without, every cell answers with the surrogate, as
            for the paper and the methods it compares with, which asked NAS-Bench-X11's surrogate alone.
        official: folder of NAS-Bench-X11's `nbnlp_v01`; its predictions then replace our surrogate's.

    Raises:
        BudgetError: the budget is not positive.
        DataMissingError, ArtefactError: on first use, if a file is missing or damaged.
    """

    name = NBNLP.name
    datasets = DATASETS

    def __init__(
        self,
        budget: int,
        table: str | os.PathLike[str] | None = None,
        surrogate: str | os.PathLike[str] | None = None,
        *,
        tabular: bool = True,
        official: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(NASBenchNLPSpace(), budget)
        path = DEFAULT_TABLE if table is None else checked_path(table, "table")
        self._table = path if tabular else None
        self._surrogate = None if surrogate is None else checked_path(surrogate, "surrogate")
        self._official = None if official is None else checked_path(official, "official")

    @property
    def labels(self) -> str:
        """Where the accuracies come from: "tabular + surrogate", "surrogate", or the same with "official".

        Runs of the official logs are called so in place of "tabular".

        Raises:
            DataMissingError, ArtefactError: if the table is missing or damaged.
        """
        kind = SURROGATE if self._official is None else f"{OFFICIAL} nbnlp_v01"
        if self._table is None:
            return kind
        origin = _origin(self._table)
        return f"{TABULAR if origin == ORIGINS[0] else origin} + {kind}"

    def _lookup(self, arch: ArchSpec, dataset: str) -> float:
        return 1 - self._loss(self.space.identity(arch), arch) / 100

    def _loss(self, identity: str, arch: ArchSpec) -> float:
        logged = _load_validation(self._table).get(identity) if self._table else None
        if logged is not None:
            return logged
        cell = nlp_cell.canonical(self.space.to_cell(arch))
        if self._official is not None:
            return _official(self._official).loss(cell)
        return float(NLPSurrogate(self._surrogate).loss([cell])[0])


class NASBenchNLPAnalysis:
    """The logs with their test values, for reports only; never hand it to a search.

    Implements `invertnas.benchmarks.base.Analysis`.

    Args:
        table: file of logged runs; default is the one that comes with the package.

    Raises:
        DataMissingError, ArtefactError: on first use, if the table is missing or damaged.
    """

    def __init__(self, table: str | os.PathLike[str] | None = None) -> None:
        self.space = NASBenchNLPSpace()
        self._path = DEFAULT_TABLE if table is None else checked_path(table, "table")

    @property
    def origin(self) -> str:
        """Where the logs come from: "collected logs" or "official logs"."""
        return _origin(self._path)

    def validation_accuracy(self, arch: ArchSpec | str, dataset: str) -> float | None:
        """1 - mean validation loss / 100 of a logged cell, None for others. Raises OutOfDomainError."""
        return self._value("val", arch, dataset)

    def test_accuracy(self, arch: ArchSpec | str, dataset: str) -> float | None:
        """1 - mean test loss / 100 of a logged cell, None for others: the surrogate has no test value."""
        return self._value("test", arch, dataset)

    def optimum(self, dataset: str) -> tuple[float | None, float | None]:
        """(None, None): nobody knows the best of all cells; `best_logged` has the best that were trained."""
        _check_dataset(dataset)
        return None, None

    def best_logged(self, dataset: str) -> tuple[float, float]:
        """Best validation and best test value of the logged cells: two independent maxima."""
        _check_dataset(dataset)
        return 1 - min(_means(self._path, "val").values()) / 100, 1 - min(_means(self._path, "test").values()) / 100

    def source(self, arch: ArchSpec | str) -> str:
        """Which label a query of the default benchmark gives: "tabular" or "surrogate"."""
        return TABULAR if self.space.identity(arch) in _means(self._path, "val") else SURROGATE

    def logged(self) -> tuple[ArchSpec, ...]:
        """Every logged cell, in order of the logs."""
        return tuple(self.space.from_string(text) for text in _means(self._path, "val"))

    def params(self, arch: ArchSpec | str) -> float:
        """Millions of trainable parameters of the network of three such layers. Raises OutOfDomainError."""
        return parameters(self.space.to_cell(arch)) / 1e6

    def _value(self, column: str, arch: ArchSpec | str, dataset: str) -> float | None:
        _check_dataset(dataset)
        loss = _means(self._path, column).get(self.space.identity(arch))
        return None if loss is None else 1 - loss / 100


def _check_dataset(dataset: str) -> None:
    checked_dataset(dataset, DATASETS, NBNLP.title)


@functools.lru_cache(maxsize=4)
def _official(folder: Path) -> OfficialSurrogate:
    return OfficialSurrogate(folder)


@functools.lru_cache(maxsize=4)
def _load_validation(path: Path) -> MappingProxyType[str, float]:
    """What a search may hold: identity -> mean validation loss in nats."""
    return _means(path, "val")


@functools.lru_cache(maxsize=8)
def _means(path: Path, column: str) -> MappingProxyType[str, float]:
    """Identity -> mean loss in nats over the runs of a logged cell, in order of the table."""
    arrays = _read(path)
    runs = np.minimum(np.nan_to_num(arrays[column].astype(np.float64), nan=DIVERGED_LOSS), DIVERGED_LOSS)
    sums = np.bincount(arrays["cell_of_run"], runs)
    means = sums / np.bincount(arrays["cell_of_run"])
    return MappingProxyType(dict(zip(arrays["cells"].astype(str).tolist(), means.tolist())))


@functools.lru_cache(maxsize=4)
def _origin(path: Path) -> str:
    return str(_read(path)["origin"])


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read and check a table file. Raises DataMissingError or ArtefactError."""
    if not path.is_file():
        raise DataMissingError(
            f"no NAS-Bench-NLP table at {path}; reinstall InvertNAS, or in a checkout build it with make data_nbnlp"
        )
    arrays = read_arrays(path)
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise ArtefactError(
            f"{path} lacks {', '.join(missing)}; expected a table of experiments.benchmark_data.nbnlp.build"
        )
    cells, runs = arrays["cells"], arrays["cell_of_run"]
    if not (runs.shape == arrays["val"].shape == arrays["test"].shape) or len(set(cells.tolist())) != len(cells):
        raise ArtefactError(f"{path} has columns of different lengths or a cell twice; build it again")
    if not np.array_equal(np.unique(runs), np.arange(len(cells))) or str(arrays["origin"]) not in ORIGINS:
        raise ArtefactError(f"{path} has a cell without runs or an unknown origin {arrays['origin']}; build it again")
    values = np.concatenate([arrays["val"], arrays["test"]])
    if not ((values > 0) & (values < 100) | np.isnan(values)).all() or np.isnan(values).all():
        raise ArtefactError(f"{path} has losses outside 0..100 nats; build it again")
    return arrays
