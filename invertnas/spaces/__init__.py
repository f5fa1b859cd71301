"""Search spaces: architectures, their encodings, identities and neighbourhoods (NumPy only)."""

from invertnas.spaces.base import SearchSpace as SearchSpace
from invertnas.spaces.graph_space import GraphSpace as GraphSpace
from invertnas.spaces.nasbench101.space import NASBench101Space as NASBench101Space
from invertnas.spaces.nasbench201 import NASBench201Space as NASBench201Space
from invertnas.spaces.nasbench301.space import NASBench301Space as NASBench301Space
from invertnas.spaces.nasbench_macro import NASBenchMacroSpace as NASBenchMacroSpace
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace as NASBenchNLPSpace
from invertnas.spaces.spec import ArchSpec as ArchSpec
from invertnas.spaces.spec import GraphBatch as GraphBatch
