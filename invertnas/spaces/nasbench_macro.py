"""The NAS-Bench-Macro space: eight layers in a chain, three choices for each (Su et al., 2021, CVPR).

A network has three stages of two, three and three layers. A layer is an identity, an inverted residual block with
expansion 3 and a 3x3 kernel, or one with expansion 6 and a 5x5 kernel. Ten nodes, nine fixed edges, five operation
labels. Node order: input, the layers 1 to 8, output.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from invertnas.errors import OutOfDomainError
from invertnas.spaces.accept import accepted, checked_text, graph_of
from invertnas.spaces.graph_space import GraphSpace
from invertnas.spaces.records import MACRO
from invertnas.spaces.spec import ArchSpec, IntArray

OP_NAMES = ("output", "input", "identity", "mb3_k3", "mb6_k5")
OUTPUT, INPUT, IDENTITY = 0, 1, 2
LAYER_OPS = tuple(range(2, len(OP_NAMES)))
STAGES = (2, 3, 3)
NUM_LAYERS = sum(STAGES)
NUM_NODES = NUM_LAYERS + 2
GRAPH_EDGES = tuple(itertools.pairwise(range(NUM_NODES)))
ADJACENCY = np.eye(NUM_NODES, k=1, dtype=np.int64)
ADJACENCY.setflags(write=False)
_ENDS = tuple(itertools.accumulate(STAGES))


class NASBenchMacroSpace(GraphSpace):
    """All 6,561 strings of eight digits. Stateless; implements `invertnas.spaces.base.SearchSpace`.

    They are 3,969 distinct networks: an identity that is not the first layer of its stage does nothing, so it may
    stand anywhere in the stage. The identity of an architecture is that of its network, and the benchmark has one
    entry for all strings of a network.
    """

    name = MACRO.name
    op_names = OP_NAMES
    inner_ops = LAYER_OPS
    num_nodes = NUM_NODES
    num_cells = 1
    path_parts = NUM_LAYERS
    string_form = "eight digits, 0 to 2"

    def from_layer_ops(self, layer_ops: Iterable[int]) -> ArchSpec:
        """Architecture from its eight inner operation indices, in layer order."""
        return ArchSpec((INPUT, *(int(op) for op in layer_ops), OUTPUT), GRAPH_EDGES)

    def all(self) -> Iterator[ArchSpec]:
        """Every string's architecture, in order."""
        return (self.from_layer_ops(ops) for ops in itertools.product(LAYER_OPS, repeat=NUM_LAYERS))

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        """Uniform over the 6,561 strings."""
        return self.from_layer_ops(rng.integers(LAYER_OPS[0], LAYER_OPS[-1] + 1, NUM_LAYERS))

    def is_valid(self, arch: ArchSpec) -> bool:
        """The chain of ten nodes, input first, output last, eight layer operations between."""
        return (
            isinstance(arch, ArchSpec)
            and arch.edges == GRAPH_EDGES
            and len(arch.ops) == NUM_NODES
            and (arch.ops[0], arch.ops[-1]) == (INPUT, OUTPUT)
            and all(op in LAYER_OPS for op in arch.ops[1:-1])
        )

    def identity(self, arch: ArchSpec | str) -> str:
        """The string with the identities of each stage, but for its first layer's, moved to the stage's end.

        The first layer of a stage changes size and width, so an identity there is a projection and stays. Raises
        OutOfDomainError.
        """
        digits = self.to_string(arch)
        stages = (digits[end - length : end] for length, end in zip(STAGES, _ENDS))
        return "".join((stage[0] + stage[1:].replace("0", "")).ljust(len(stage), "0") for stage in stages)

    def to_string(self, arch: ArchSpec | str) -> str:
        """Eight digits, 0 to 2, as the benchmark writes it; raises OutOfDomainError for an invalid graph."""
        arch = graph_of(self, arch)
        if not self.is_valid(arch):
            raise OutOfDomainError(
                f"got operations {arch.ops} with edges {arch.edges}, which is no NAS-Bench-Macro network; expected "
                f"input ({INPUT}), eight of {LAYER_OPS}, output ({OUTPUT}) in a chain"
            )
        return "".join(str(op - LAYER_OPS[0]) for op in arch.ops[1:-1])

    def from_string(self, text: str) -> ArchSpec:
        """Parse eight digits; raises OutOfDomainError with the expected form."""
        if len(checked_text(text, self.name)) != NUM_LAYERS or not set(text) <= set("012"):
            raise OutOfDomainError(
                f"got {text!r}, which is no NAS-Bench-Macro network; expected {NUM_LAYERS} digits, each 0 "
                "(identity), 1 (expansion 3, 3x3) or 2 (expansion 6, 5x5)"
            )
        return self.from_layer_ops(LAYER_OPS[int(digit)] for digit in text)

    def decode(self, ops: IntArray, adjacency: IntArray) -> list[ArchSpec | None]:
        """None unless the adjacency equals the fixed one and every label stands where it may."""
        inner = ops[:, 1:-1]
        valid = (
            (adjacency == ADJACENCY).all(axis=(1, 2))
            & (ops[:, 0] == INPUT)
            & (ops[:, -1] == OUTPUT)
            & ((inner >= LAYER_OPS[0]) & (inner <= LAYER_OPS[-1])).all(axis=1)
        )
        return [self.from_layer_ops(row) if ok else None for row, ok in zip(inner.tolist(), valid.tolist())]

    def paths(self, arch: ArchSpec | str, longest: int | None = None) -> tuple[set[tuple[int, ...]], ...]:
        """The operation of each layer, as if each were a cell: the one path through a chain resembles no other."""
        return tuple({(op,)} if longest is None or longest > 0 else set() for op in accepted(self, arch).ops[1:-1])

    def neighbours(self, arch: ArchSpec | str) -> list[ArchSpec]:
        """The 16 architectures that differ in one layer; none is the same network as `arch`."""
        layers = accepted(self, arch).ops[1:-1]
        return [
            self.from_layer_ops(layers[:place] + (op,) + layers[place + 1 :])
            for place in range(NUM_LAYERS)
            for op in LAYER_OPS
            if op != layers[place]
        ]
