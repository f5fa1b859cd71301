"""Search spaces: architectures, their encodings, identities and neighbourhoods (NumPy only)."""

from invertnas.spaces.base import SearchSpace as SearchSpace
from invertnas.spaces.nasbench201 import NASBench201Space as NASBench201Space
from invertnas.spaces.spec import ArchSpec as ArchSpec
from invertnas.spaces.spec import GraphBatch as GraphBatch
