"""Benchmark contract: `query` spends budget and returns validation only; the rest is analysis."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from invertnas.errors import BudgetError
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


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
        BudgetError: if the budget is not positive, or a new query would exceed it.
    """

    def __init__(self, budget: int) -> None:
        if budget < 1:
            raise BudgetError(f"got a budget of {budget} queries; expected at least 1")
        self.budget = budget
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

    def query(self, arch: ArchSpec, dataset: str) -> float:
        """Validation accuracy in [0, 1]; spends one query of the ledger unless known.

        Raises:
            OutOfDomainError: unknown data set or architecture outside the space.
            BudgetError: the budget is used up.
        """
        ...


class Analysis(Protocol):
    """Everything a search must not see: test accuracies and optima, for reports only."""

    def test_accuracy(self, arch: ArchSpec, dataset: str) -> float | None:
        """Test accuracy in [0, 1], or None where the benchmark has none."""
        ...

    def optimum(self, dataset: str) -> tuple[float | None, float | None]:
        """Best validation and best test accuracy of the whole space (independent maxima)."""
        ...
