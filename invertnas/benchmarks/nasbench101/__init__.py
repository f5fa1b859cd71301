"""NAS-Bench-101: the benchmark and the reader of its official file."""

from invertnas.benchmarks.nasbench101.benchmark import NASBench101, NASBench101Analysis

__all__ = ["NASBench101", "NASBench101Analysis"]
