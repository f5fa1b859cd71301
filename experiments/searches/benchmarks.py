"""Benchmarks by name, as the scripts see them: the search side, the analysis side, and titles."""

from __future__ import annotations

from invertnas.benchmarks.registry import benchmark_names
from invertnas.benchmarks.registry import open_analysis as open_analysis
from invertnas.benchmarks.registry import open_benchmark as open_benchmark
from invertnas.spaces.records import open_space as space_of
from invertnas.spaces.records import record_of, records

__all__ = ["BENCHMARKS", "DATASET_TITLES", "benchmark_title", "open_analysis", "open_benchmark", "space_of"]
BENCHMARKS = benchmark_names()
DATASET_TITLES = {name: title for record in records() for name, title in record.datasets}


def benchmark_title(name: str) -> str:
    """The benchmark's name as people write it. Raises ConfigError for an unknown one."""
    return record_of(name).title
