"""Benchmarks by name, as the scripts see them: the search side and the analysis side."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from invertnas.benchmarks.base import Analysis, Benchmark
from invertnas.errors import ConfigError
from invertnas.spaces.base import SearchSpace


class _Names(NamedTuple):
    """Where a benchmark's classes are: module below `invertnas.benchmarks`, and title in tables."""

    module: str
    prefix: str
    title: str


_NAMES = {
    "nasbench101": _Names("nasbench101", "NASBench101", "NAS-Bench-101"),
    "nasbench201": _Names("nasbench201", "NASBench201", "NAS-Bench-201"),
    "nasbench301": _Names("nasbench301", "NASBench301", "NAS-Bench-301"),
    "nasbench_nlp": _Names("nasbench_nlp", "NASBenchNLP", "NAS-Bench-NLP"),
}
BENCHMARKS = tuple(_NAMES)
DATASET_TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16-120": "ImageNet16-120", "ptb": "PTB"}


def space_of(name: str) -> SearchSpace:
    """The search space of a benchmark."""
    return _load(name, "spaces", "Space")()


def open_benchmark(name: str, budget: int) -> Benchmark:
    """A benchmark with a fresh ledger of `budget` queries."""
    return _load(name, "benchmarks", "")(budget)


def open_analysis(name: str) -> Analysis:
    """Test accuracies and optima, for reports."""
    return _load(name, "benchmarks", "Analysis")()


def benchmark_title(name: str) -> str:
    """The benchmark's name as people write it."""
    return _names(name).title


def _load(name: str, package: str, suffix: str) -> Callable[..., Any]:
    names = _names(name)
    return getattr(importlib.import_module(f"invertnas.{package}.{names.module}"), names.prefix + suffix)


def _names(name: str) -> _Names:
    if name not in _NAMES:
        raise ConfigError(f"got benchmark {name!r}; expected one of {', '.join(BENCHMARKS)}")
    return _NAMES[name]
