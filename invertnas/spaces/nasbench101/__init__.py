"""The space of NAS-Bench-101."""

from invertnas.spaces.nasbench101.space import NASBench101Space

__all__ = ["NASBench101Space"]
