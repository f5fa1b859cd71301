"""Benchmark contract: `query` spends budget and returns validation only; the rest is analysis."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable
from typing import Any, Generic, Protocol, TypeVar

from invertnas.checks import suggestion
from invertnas.errors import BudgetError, OutOfDomainError
from invertnas.spaces.accept import accepted
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.notation import is_whole
from invertnas.spaces.spec import ArchSpec

Space = TypeVar("Space", bound=SearchSpace)


@dataclasses.dataclass(frozen=True)
class QueryRecord:
    """One paid query: architecture string and validation accuracy as a fraction."""

    arch: str
    val_accuracy: float


class QueryLedger:
    """Counts queries of one search against a budget.

    The rule for repeats: an architecture is paid once; asking again returns the recorded value
    and costs nothing, as a user with a log book would do.

    Args:
        budget: number of distinct architectures that may be queried.

    Raises:
        BudgetError: if the budget is no whole number of at least 1, or a new query would exceed it.
    """

    def __init__(self, budget: int) -> None:
        if not is_whole(budget) or int(budget) < 1:
            raise BudgetError(f"got a budget of {budget!r} queries; expected a whole number of at least 1; raise it")
        self.budget = int(budget)
        self._records: dict[str, QueryRecord] = {}

    @property
    def spent(self) -> int:
        """Distinct architectures paid so far."""
        return len(self._records)

    @property
    def remaining(self) -> int:
        """Queries left."""
        return self.budget - self.spent

    @property
    def records(self) -> tuple[QueryRecord, ...]:
        """All paid queries, in order."""
        return tuple(self._records.values())

    def known(self, identity: str) -> float | None:
        """Recorded validation accuracy, or None if not yet paid."""
        record = self._records.get(identity)
        return None if record is None else record.val_accuracy

    def pay(self, identity: str, record: QueryRecord) -> None:
        """Book one query. Raises BudgetError if the budget is used up."""
        if self.remaining < 1:
            raise BudgetError(f"got a query beyond the budget of {self.budget}; raise the budget or stop the search")
        self._records[identity] = record


class Benchmark(Protocol):
    """What a search may see of a benchmark.

    Attributes:
        name: e.g. ``"nasbench201"``.
        space: its search space.
        datasets: names accepted by `query`.
        labels: where the accuracies come from: "official table", "embedded table" or "surrogate ...".
        ledger: budget of this search.
    """

    @property
    def name(self) -> str: ...

    @property
    def space(self) -> SearchSpace: ...

    @property
    def datasets(self) -> tuple[str, ...]: ...

    @property
    def labels(self) -> str: ...

    @property
    def ledger(self) -> QueryLedger: ...

    def query(self, arch: ArchSpec | str, dataset: str) -> float:
        """Validation accuracy in [0, 1]; spends one query of the ledger unless known.

        Takes a string of the space's notation too.

        Raises:
            OutOfDomainError: unknown data set or architecture outside the space.
            BudgetError: the budget is used up.
        """
        ...


class PaidBenchmark(abc.ABC, Generic[Space]):
    """A benchmark whose values are looked up; implements `Benchmark`. A new one gives `_lookup` and its attributes.

    One object serves one search. An architecture asked for on two data sets is two queries; architectures of one
    identity are one.

    Args:
        space: its search space.
        budget: number of distinct (data set, architecture) queries.

    Attributes:
        name: short name, e.g. "nasbench201".
        datasets: names accepted by `query`.
        space: its search space.
        ledger: what was paid.

    Raises:
        BudgetError: the budget is no whole number of at least 1.
    """

    name: str
    datasets: tuple[str, ...]

    def __init__(self, space: Space, budget: int) -> None:
        self.space = space
        self.ledger = QueryLedger(budget)

    @property
    @abc.abstractmethod
    def labels(self) -> str:
        """Where the accuracies come from."""

    def query(self, arch: ArchSpec | str, dataset: str) -> float:
        """The benchmark's accuracy in [0, 1] for a search to see; a repeated question is free.

        Args:
            arch: architecture of the space, or a string of its notation.
            dataset: one of `datasets`.

        Raises:
            OutOfDomainError: unknown data set or architecture outside the space.
            BudgetError: the budget is used up.
            DataMissingError, ArtefactError: the data is missing, damaged or lacks this architecture.
        """
        chosen = checked_dataset(dataset, self.datasets, self.name)
        graph = accepted(self.space, arch)
        identity = f"{chosen} {self.space.identity(graph)}"
        known = self.ledger.known(identity)
        if known is not None:
            return known
        value = self._lookup(graph, chosen)
        self.ledger.pay(identity, QueryRecord(self.space.to_string(graph), value))
        return value

    @abc.abstractmethod
    def _lookup(self, arch: ArchSpec, dataset: str) -> float:
        """The accuracy, a fraction, of a valid architecture on one of `datasets`."""


def checked_dataset(dataset: Any, datasets: Iterable[str], benchmark: str) -> str:
    """One of the data sets. Raises OutOfDomainError that lists them, with the nearest name."""
    known = list(datasets)
    if not isinstance(dataset, str) or dataset not in known:
        raise OutOfDomainError(
            f"got data set {dataset!r}; {benchmark} has {', '.join(known)}{suggestion(dataset, known)}"
        )
    return dataset


class Analysis(Protocol):
    """Everything a search must not see: test accuracies and optima, for reports only."""

    def test_accuracy(self, arch: ArchSpec, dataset: str) -> float | None:
        """Test accuracy in [0, 1], or None where the benchmark has none."""
        ...

    def optimum(self, dataset: str) -> tuple[float | None, float | None]:
        """Best validation and best test accuracy of the whole space (independent maxima)."""
        ...
