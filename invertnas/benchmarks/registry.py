"""Benchmarks by name: the search side and the analysis side."""

from __future__ import annotations

from invertnas.benchmarks.base import Analysis, Benchmark
from invertnas.errors import ConfigError
from invertnas.spaces.records import load_class, record_of, records


def benchmark_names() -> tuple[str, ...]:
    """Names of all benchmarks."""
    return tuple(record.name for record in records() if record.benchmark is not None)


def open_benchmark(name: str, budget: int) -> Benchmark:
    """A benchmark with a fresh ledger of `budget` queries.

    Raises:
        ConfigError: there is no benchmark of that name.
        BudgetError: the budget is not positive.
    """
    benchmark: Benchmark = load_class(_path(name, record_of(name).benchmark))(budget)
    return benchmark


def open_analysis(name: str) -> Analysis:
    """Test accuracies and optima, for reports alone. Raises ConfigError if there is no benchmark of that name."""
    analysis: Analysis = load_class(_path(name, record_of(name).analysis))()
    return analysis


def _path(name: str, path: str | None) -> str:
    if path is None:
        raise ConfigError(f"got space {name!r}, which has no benchmark; expected one of {', '.join(benchmark_names())}")
    return path
