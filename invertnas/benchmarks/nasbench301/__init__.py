"""NAS-Bench-301: the benchmark and its embedded surrogate."""

from invertnas.benchmarks.nasbench301.benchmark import NASBench301, NASBench301Analysis

__all__ = ["NASBench301", "NASBench301Analysis"]
