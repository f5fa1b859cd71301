"""NAS-Bench-NLP: the benchmark, its surrogate and the features that it reads."""

from invertnas.benchmarks.nasbench_nlp.benchmark import NASBenchNLP, NASBenchNLPAnalysis

__all__ = ["NASBenchNLP", "NASBenchNLPAnalysis"]
