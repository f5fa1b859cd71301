"""Search spaces of a user's own, as a user writes them: awkward, large, careless."""

from __future__ import annotations

import numpy as np

from invertnas.spaces import ArchSpec
from invertnas.spaces.graph_space import GraphSpace


class Words(GraphSpace):
    """Chains of three operations out of three."""

    name, op_names, inner_ops, num_nodes = "words", ("in", "out", "a", "b", "c"), (2, 3, 4), 5
    edges = tuple((node, node + 1) for node in range(4))

    def is_valid(self, arch: ArchSpec) -> bool:
        return (arch.ops[0], arch.ops[4]) == (0, 1) and arch.edges == self.edges and {*arch.ops[1:4]} <= {2, 3, 4}

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        return ArchSpec((0, *rng.integers(2, 5, 3).tolist(), 1), self.edges)


class Even(GraphSpace):
    """Chains of eight operations, an even number of which are b: no single edit leads to another one."""

    name, op_names, inner_ops, num_nodes = "even", ("in", "out", "a", "b"), (2, 3), 10
    edges = tuple((node, node + 1) for node in range(9))

    def is_valid(self, arch: ArchSpec) -> bool:
        return (arch.ops[0], arch.ops[-1]) == (0, 1) and arch.edges == self.edges and arch.ops.count(3) % 2 == 0

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        while True:
            arch = ArchSpec((0, *rng.integers(2, 4, 8).tolist(), 1), self.edges)
            if self.is_valid(arch):
                return arch


class Lists(GraphSpace):
    """Gives lists where tuples belong, and NumPy's numbers where Python's do."""

    name, op_names, inner_ops, num_nodes = "lists", ("in", "out", "a", "b", "c"), (2, 3, 4), 6

    def is_valid(self, arch: ArchSpec) -> bool:
        return len(arch.ops) == 6 and len(arch.edges) == 5

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        chain = [[node, node + 1] for node in range(5)]
        return ArchSpec([0, *rng.integers(2, 5, 4), 1], chain)  # type: ignore[arg-type]


class Dense(GraphSpace):
    """Complete graphs of many nodes: more paths than can be listed.

    Args:
        nodes: of a cell.
    """

    name, op_names, inner_ops = "dense", ("in", "out", "a", "b", "c"), (2, 3, 4)

    def __init__(self, nodes: int) -> None:
        self.num_nodes = nodes
        self.edges = tuple((source, target) for source in range(nodes) for target in range(source + 1, nodes))

    def is_valid(self, arch: ArchSpec) -> bool:
        return len(arch.ops) == self.num_nodes and arch.edges == self.edges

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        return ArchSpec((0, *rng.integers(2, 5, self.num_nodes - 2).tolist(), 1), self.edges)
