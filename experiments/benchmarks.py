"""Benchmarks by name, as the scripts see them: the search side and the analysis side."""

from __future__ import annotations

from invertnas.benchmarks.base import Analysis, Benchmark
from invertnas.benchmarks.nasbench201 import NASBench201, NASBench201Analysis
from invertnas.errors import ConfigError
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.nasbench201 import NASBench201Space

BENCHMARKS = ("nasbench201",)
DATASET_TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16-120": "ImageNet16-120"}


def space_of(name: str) -> SearchSpace:
    """The search space of a benchmark."""
    _check(name)
    return NASBench201Space()


def open_benchmark(name: str, budget: int) -> Benchmark:
    """A benchmark with a fresh ledger of `budget` queries."""
    _check(name)
    return NASBench201(budget)


def open_analysis(name: str) -> Analysis:
    """Test accuracies and optima, for reports."""
    _check(name)
    return NASBench201Analysis()


def _check(name: str) -> None:
    if name not in BENCHMARKS:
        raise ConfigError(f"got benchmark {name!r}; expected one of {', '.join(BENCHMARKS)}")
