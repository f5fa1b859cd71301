"""The NAS-Bench-201 cell space in operation-on-node form (Dong & Yang, 2020; paper F.2).

A cell is a complete DAG on four feature maps with one of five operations on each of the six
edges. Each edge becomes a node here, between an input and an output node: eight nodes, ten
fixed edges, seven operation labels. Node order: input, 0-1, 0-2, 1-2, 0-3, 1-3, 2-3, output.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from invertnas.errors import OutOfDomainError
from invertnas.spaces import nasbench201_notations as notations
from invertnas.spaces.accept import checked_text, graph_of
from invertnas.spaces.graph_space import GraphSpace
from invertnas.spaces.notation import Notation
from invertnas.spaces.records import NB201
from invertnas.spaces.spec import ArchSpec, IntArray

OP_NAMES = ("output", "input", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none")
OUTPUT, INPUT = 0, 1
NONE = OP_NAMES.index("none")
SKIP = OP_NAMES.index("skip_connect")
CELL_OPS = tuple(range(2, len(OP_NAMES)))
NUM_NODES = 8
NUM_CELL_EDGES = 6
# (from feature map, to feature map) of the six inner nodes, in node order.
CELL_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
GRAPH_EDGES = ((0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 6), (3, 6), (4, 7), (5, 7), (6, 7))
ADJACENCY = np.zeros((NUM_NODES, NUM_NODES), np.int64)
ADJACENCY[tuple(zip(*GRAPH_EDGES))] = 1
ADJACENCY.setflags(write=False)
_CELL = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")


class NASBench201Space(GraphSpace):
    """All 15,625 cells. Stateless; implements `invertnas.spaces.base.SearchSpace`.

    The identity is the official string: the benchmark holds each of the 15,625 as its own entry.
    """

    name = NB201.name
    string_form = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|, as in NATS-Bench"
    op_names = OP_NAMES
    inner_ops = CELL_OPS
    num_nodes = NUM_NODES
    num_cells = 1

    def from_cell_ops(self, cell_ops: Iterable[int]) -> ArchSpec:
        """Architecture from its six inner operation indices, in node order; not checked."""
        return ArchSpec((INPUT, *(int(op) for op in cell_ops), OUTPUT), GRAPH_EDGES)

    def all(self) -> Iterator[ArchSpec]:
        """Every architecture, in lexicographic order of operation indices."""
        return (self.from_cell_ops(ops) for ops in itertools.product(CELL_OPS, repeat=NUM_CELL_EDGES))

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        """Uniform over the 15,625 cells."""
        return self.from_cell_ops(rng.integers(CELL_OPS[0], CELL_OPS[-1] + 1, NUM_CELL_EDGES))

    def is_valid(self, arch: ArchSpec) -> bool:
        """The ten fixed edges, input first, output last, five cell operations between."""
        return (
            isinstance(arch, ArchSpec)
            and arch.edges == GRAPH_EDGES
            and len(arch.ops) == NUM_NODES
            and arch.ops[0] == INPUT
            and arch.ops[-1] == OUTPUT
            and all(op in CELL_OPS for op in arch.ops[1:-1])
        )

    def isomorphism_class(self, arch: ArchSpec | str) -> str:
        """Canonical expression of the function the cell computes.

        Zeroed branches vanish, identity edges are substituted, and sums are flattened and sorted,
        so cells equal up to these rewritings share a key: 4,930 classes. (Dong & Yang, 2020, count
        6,466 because they keep zeroed branches as terms of their own.)
        """
        return _canonical(self._checked(arch).ops[1:-1])

    def to_string(self, arch: ArchSpec | str) -> str:
        """``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``; raises OutOfDomainError for an invalid graph."""
        return _format(self._checked(arch).ops[1:-1])

    def from_string(self, text: str) -> ArchSpec:
        """Parse the official string; raises OutOfDomainError with the expected form."""
        match = _CELL.fullmatch(checked_text(text, self.name))
        names = match.groups() if match else ()
        if not names or not all(name in OP_NAMES[2:] for name in names):
            raise OutOfDomainError(
                f"got {text!r}, which is no NAS-Bench-201 cell; expected '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|' "
                f"with op one of {', '.join(OP_NAMES[2:])}"
            )
        return self.from_cell_ops([OP_NAMES.index(name) for name in names])

    def decode(self, ops: IntArray, adjacency: IntArray) -> list[ArchSpec | None]:
        """None unless the adjacency equals the fixed one and every label stands where it may."""
        inner = ops[:, 1:-1]
        valid = (
            (adjacency == ADJACENCY).all(axis=(1, 2))
            & (ops[:, 0] == INPUT)
            & (ops[:, -1] == OUTPUT)
            & ((inner >= CELL_OPS[0]) & (inner <= CELL_OPS[-1])).all(axis=1)
        )
        return [self.from_cell_ops(row) if ok else None for row, ok in zip(inner.tolist(), valid.tolist())]

    def neighbours(self, arch: ArchSpec | str) -> list[ArchSpec]:
        """The 24 cells that differ in one operation."""
        cell = self._checked(arch).ops[1:-1]
        return [
            self.from_cell_ops(cell[:position] + (op,) + cell[position + 1 :])
            for position in range(NUM_CELL_EDGES)
            for op in CELL_OPS
            if op != cell[position]
        ]

    def to_index(self, arch: ArchSpec | str) -> int:
        """The benchmark's own number of the cell, 0 to 15,624. Raises OutOfDomainError."""
        return notations.to_index(self._checked(arch).ops[1:-1])

    def from_index(self, index: int) -> ArchSpec:
        """The cell of one of the benchmark's own numbers. Raises OutOfDomainError for any other number."""
        return self.from_cell_ops(notations.from_index(index))

    def to_naslib(self, arch: ArchSpec | str) -> tuple[int, ...]:
        """NASLib's six operation indices. Raises OutOfDomainError."""
        return notations.to_naslib(self._checked(arch).ops[1:-1])

    def from_naslib(self, indices: Sequence[int]) -> ArchSpec:
        """The cell of NASLib's six operation indices. Raises OutOfDomainError."""
        return self.from_cell_ops(notations.from_naslib(indices))

    def _other_notations(self) -> tuple[Notation, ...]:
        return notations.others(self)

    def _checked(self, arch: ArchSpec | str) -> ArchSpec:
        arch = graph_of(self, arch)
        if not self.is_valid(arch):
            raise OutOfDomainError(
                f"got operations {arch.ops} with edges {arch.edges}, which is no NAS-Bench-201 cell; expected "
                f"input ({INPUT}), six of {CELL_OPS}, output ({OUTPUT}) on the ten fixed edges"
            )
        return arch


@functools.lru_cache(maxsize=None)
def _format(cell: tuple[int, ...]) -> str:
    n = [OP_NAMES[op] for op in cell]
    return f"|{n[0]}~0|+|{n[1]}~0|{n[2]}~1|+|{n[3]}~0|{n[4]}~1|{n[5]}~2|"


@functools.lru_cache(maxsize=None)
def _canonical(cell: tuple[int, ...]) -> str:
    maps: list[tuple[str, ...]] = [("x",)]
    for target in range(1, 4):
        terms: list[str] = []
        for (source, end), op in zip(CELL_EDGES, cell):
            if end != target or op == NONE or not maps[source]:
                continue
            terms += maps[source] if op == SKIP else (f"{op}({'+'.join(maps[source])})",)
        maps.append(tuple(sorted(terms)))
    return "+".join(maps[3]) or "0"
