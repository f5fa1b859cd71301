"""The DARTS space of NAS-Bench-301 as pairs of graphs (Liu et al., 2019; Siems et al., 2020; paper F.3).

An architecture is a normal and a reduction cell. A cell has two inputs, the outputs c_{k-2} and
c_{k-1} of the cells before it, and four blocks; a block sums two operations on two different inputs,
each a cell input or an earlier block; the output concatenates the blocks.

As a graph, a cell has eleven nodes: the two inputs, the two operations of each block, the output. An
operation has one edge from a cell input, or edges from both operations of the block it reads. The
operation with the smaller input comes first, so each architecture is exactly one graph. The two cells
stand side by side in 22 nodes without edges between them, the normal cell first.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from invertnas.errors import OutOfDomainError
from invertnas.spaces.accept import checked_text, graph_of
from invertnas.spaces.graph_space import GraphSpace
from invertnas.spaces.nasbench301 import notations
from invertnas.spaces.nasbench301.cells import (
    CELL_NODES,
    CELL_OPS,
    FORM,
    NUM_BLOCKS,
    NUM_EDITS,
    NUM_OPS,
    NUM_PAIRS,
    WIRINGS,
    CompactCell,
    Edges,
    canonical_cell,
    cell_edges,
    cell_paths,
    edited_cell,
    format_cell,
    least_order,
    op_number,
    parse_cell,
    source_nodes,
)
from invertnas.spaces.notation import Notation
from invertnas.spaces.records import NB301
from invertnas.spaces.spec import ArchSpec, IntArray

OP_NAMES = ("output", "input_0", "input_1", *CELL_OPS)
OUTPUT, INPUT_0, INPUT_1, FIRST_OP = 0, 1, 2, 3
NUM_CELLS = 2
NUM_NODES = NUM_CELLS * CELL_NODES
CELL_NAMES = ("normal", "reduce")
CONCAT = (2, 3, 4, 5)

_EDGES = tuple({wiring: cell_edges(wiring, cell * CELL_NODES) for wiring in WIRINGS} for cell in range(NUM_CELLS))
_WIRING = tuple({edges: wiring for wiring, edges in table.items()} for table in _EDGES)
# The predecessors of an operation as bits -> the number of its input, -1 where they are none.
_INPUT_OF_BITS = np.full(1 << CELL_NODES, -1, np.int64)
for _number in range(NUM_BLOCKS + 1):
    _INPUT_OF_BITS[sum(1 << node for node in source_nodes(_number))] = _number
_BITS_OF_OUTPUT = sum(1 << node for node in range(2, 2 + NUM_PAIRS))


class Genotype(NamedTuple):
    """The record of the DARTS code: (operation, input) pairs in block order, and the blocks concatenated."""

    normal: Sequence[tuple[str, int]]
    normal_concat: Sequence[int]
    reduce: Sequence[tuple[str, int]]
    reduce_concat: Sequence[int]


class NASBench301Space(GraphSpace):
    """All (180 * 7^8)^2, about 1.1e18, pairs of cells. Stateless; implements `invertnas.spaces.base.SearchSpace`.

    The identity is the string: the surrogates tell any two genotypes apart.
    """

    name = NB301.name
    op_names = OP_NAMES
    inner_ops = tuple(range(FIRST_OP, len(OP_NAMES)))
    num_nodes = NUM_NODES
    num_cells = NUM_CELLS

    def from_compact(self, compact: Iterable[Iterable[Iterable[int]]]) -> ArchSpec:
        """Architecture of [normal, reduction], each eight (input, operation 0..6) pairs in block order.

        The pairs of a block may come in either order. Raises OutOfDomainError if it is no architecture.
        """
        try:
            normal, reduce = ([(int(number), int(op)) for number, op in cell] for cell in compact)
        except (TypeError, ValueError) as error:
            raise OutOfDomainError(
                f"got {compact!r} ({error}); expected a normal and a reduction cell of eight (input, operation) pairs"
            ) from error
        return _build(canonical_cell(normal), canonical_cell(reduce))

    def to_compact(self, arch: ArchSpec | str) -> tuple[CompactCell, CompactCell]:
        """Inverse of `from_compact`, inputs ascending within a block. Raises OutOfDomainError."""
        arch = graph_of(self, arch)
        cells = _parse(arch)
        if cells is None:
            raise OutOfDomainError(
                f"got operations {arch.ops} with edges {arch.edges}, which is no DARTS architecture; expected two "
                "cells of two inputs, eight operations and an output, where a block reads two different inputs in order"
            )
        return cells

    def from_genotype(self, genotype: Genotype | Sequence[Any]) -> ArchSpec:
        """Architecture of a DARTS genotype, or of any four fields in its order. Raises OutOfDomainError."""
        try:
            fields = Genotype(*genotype)
            concats = [tuple(int(block) for block in c) for c in (fields.normal_concat, fields.reduce_concat)]
            cells = [[(int(number), str(op)) for op, number in cell] for cell in (fields.normal, fields.reduce)]
        except (TypeError, ValueError) as error:
            raise OutOfDomainError(
                f"got {genotype!r} ({error}); expected (normal, normal_concat, reduce, reduce_concat), the cells as "
                "eight (operation, input) pairs"
            ) from error
        if concats != [CONCAT, CONCAT]:
            raise OutOfDomainError(f"got concatenations {concats}; expected {CONCAT} for both cells")
        return self.from_compact([[(number, op_number(op)) for number, op in cell] for cell in cells])

    def to_genotype(self, arch: ArchSpec | str) -> Genotype:
        """Inverse of `from_genotype`. Raises OutOfDomainError."""
        normal, reduce = ([(CELL_OPS[op], number) for number, op in cell] for cell in self.to_compact(arch))
        return Genotype(normal, list(CONCAT), reduce, list(CONCAT))

    def to_config(self, arch: ArchSpec | str) -> dict[str, str]:
        """The configuration of the benchmark's own code, as a dictionary. Raises OutOfDomainError."""
        return notations.to_config(self.to_genotype(arch))

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        """Uniform over the space: two different inputs for each block, one of seven operations sixteen times."""
        wirings = rng.integers(len(WIRINGS), size=NUM_CELLS).tolist()
        ops = rng.integers(NUM_OPS, size=(NUM_CELLS, NUM_PAIRS)).tolist()
        return _build(*(tuple(zip(WIRINGS[wiring], row)) for wiring, row in zip(wirings, ops)))

    def is_valid(self, arch: ArchSpec) -> bool:
        """Whether the graph is the one of a DARTS architecture, in its node order."""
        return isinstance(arch, ArchSpec) and _parse(arch) is not None

    def isomorphism_class(self, arch: ArchSpec | str) -> str:
        """The string with the blocks of each cell in their least order.

        Another order of the blocks gives the same network up to the order of channels in the
        concatenation. Operations are not rewritten: a skip connection stays one.
        """
        return _format(*(least_order(cell) for cell in self.to_compact(arch)))

    def to_string(self, arch: ArchSpec | str) -> str:
        """``normal:|op~0|op~1|+...;reduce:|op~0|op~1|+...``, op~i reading input i. Raises OutOfDomainError."""
        return _format(*self.to_compact(arch))

    def from_string(self, text: str) -> ArchSpec:
        """Inverse of `to_string`; raises OutOfDomainError with the expected form."""
        parts = [part.partition(":") for part in checked_text(text, self.name).split(";")]
        if tuple(name for name, _, _ in parts) != CELL_NAMES:
            raise OutOfDomainError(f"got {text!r}; expected 'normal:CELL;reduce:CELL' with CELL = {FORM}")
        return _build(*(parse_cell(cell) for _, _, cell in parts))

    def decode(self, ops: IntArray, adjacency: IntArray) -> list[ArchSpec | None]:
        """None unless the graph is exactly the one of an architecture: nothing is repaired."""
        inputs, wired = _read_wiring(adjacency)
        labels = ops.reshape(-1, NUM_CELLS, CELL_NODES)
        kinds = labels[..., 2:-1] - FIRST_OP
        valid = wired & (labels[..., [0, 1, -1]] == (INPUT_0, INPUT_1, OUTPUT)).all(axis=(1, 2))
        valid &= ((kinds >= 0) & (kinds < NUM_OPS)).all(axis=(1, 2))
        return [
            _build(*(tuple(zip(*cell)) for cell in zip(*row))) if ok else None
            for *row, ok in zip(inputs.tolist(), kinds.tolist(), valid.tolist())
        ]

    def paths(self, arch: ArchSpec | str, longest: int | None = None) -> tuple[set[tuple[int, ...]], ...]:
        """For each cell, the operation sequences from either cell input to the output, at most `longest` long.

        A sequence does not tell from which of the two inputs it starts.
        """
        return tuple(
            {tuple(FIRST_OP + op for op in path) for path in cell_paths(cell, longest)}
            for cell in self.to_compact(arch)
        )

    def neighbours(self, arch: ArchSpec | str) -> list[ArchSpec]:
        """The 120 architectures that differ in one operation (96) or one input (24), normal cell first."""
        normal, reduce = self.to_compact(arch)
        return [_build(edited_cell(normal, edit), reduce) for edit in range(NUM_EDITS)] + [
            _build(normal, edited_cell(reduce, edit)) for edit in range(NUM_EDITS)
        ]

    def mutate(self, arch: ArchSpec | str, rng: np.random.Generator) -> ArchSpec:
        """One of the 120 neighbours, uniformly."""
        cells = list(self.to_compact(arch))
        which, edit = divmod(int(rng.integers(NUM_CELLS * NUM_EDITS)), NUM_EDITS)
        cells[which] = edited_cell(cells[which], edit)
        return _build(*cells)

    def _other_notations(self) -> tuple[Notation, ...]:
        return notations.others(self)


def _format(*cells: CompactCell) -> str:
    return ";".join(f"{name}:{format_cell(cell)}" for name, cell in zip(CELL_NAMES, cells))


def _build(*cells: CompactCell) -> ArchSpec:
    """ArchSpec of the two cells, which must be canonical."""
    ops: tuple[int, ...] = ()
    edges: Edges = ()
    for table, pairs in zip(_EDGES, cells):
        wiring, kinds = zip(*pairs)
        ops += (INPUT_0, INPUT_1, *(FIRST_OP + kind for kind in kinds), OUTPUT)
        edges += table[wiring]
    return ArchSpec(ops, edges)


def _parse(arch: ArchSpec) -> tuple[CompactCell, CompactCell] | None:
    """The two cells of a graph, or None if it is not one of the space."""
    if len(arch.ops) != NUM_NODES:
        return None
    split = bisect.bisect_left(arch.edges, (CELL_NODES,))
    cells: list[CompactCell] = []
    for cell, edges in enumerate((arch.edges[:split], arch.edges[split:])):
        first, second, *inner, last = arch.ops[cell * CELL_NODES : (cell + 1) * CELL_NODES]
        wiring = _WIRING[cell].get(edges)
        if wiring is None or (first, second, last) != (INPUT_0, INPUT_1, OUTPUT):
            return None
        if min(inner) < FIRST_OP or max(inner) >= len(OP_NAMES):
            return None
        cells.append(tuple(zip(wiring, (op - FIRST_OP for op in inner))))
    return cells[0], cells[1]


def _read_wiring(adjacency: IntArray) -> tuple[IntArray, np.ndarray]:
    """(B, 2, 8) input numbers of (B, 22, 22) entries, and (B,) whether they are exactly a wiring."""
    blocks = adjacency.reshape(-1, NUM_CELLS, CELL_NODES, NUM_CELLS, CELL_NODES)
    wired = ((adjacency == 0) | (adjacency == 1)).all(axis=(1, 2))
    wired &= ~(blocks[:, 0, :, 1].any(axis=(1, 2)) | blocks[:, 1, :, 0].any(axis=(1, 2)))
    present = np.stack([blocks[:, cell, :, cell] == 1 for cell in range(NUM_CELLS)], axis=1)
    bits = (present * (1 << np.arange(CELL_NODES))[:, None]).sum(axis=2)
    wired &= (bits[..., :2] == 0).all(axis=(1, 2)) & (bits[..., -1] == _BITS_OF_OUTPUT).all(axis=1)
    inputs = _INPUT_OF_BITS[bits[..., 2:-1]]
    first, second = inputs[..., ::2], inputs[..., 1::2]
    ordered = (first >= 0) & (first < second) & (second < np.arange(2, 2 + NUM_BLOCKS))
    return inputs, wired & ordered.all(axis=(1, 2))
