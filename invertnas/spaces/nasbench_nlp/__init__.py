"""The space of NAS-Bench-NLP."""

from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace

__all__ = ["NASBenchNLPSpace"]
