"""The space of NAS-Bench-301 (DARTS)."""

from invertnas.spaces.nasbench301.space import NASBench301Space

__all__ = ["NASBench301Space"]
