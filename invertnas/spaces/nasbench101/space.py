"""The NAS-Bench-101 cell space (Ying et al., 2019; paper F.1).

A cell is a directed acyclic graph of at most seven nodes and nine edges: an input, up to five operations and
an output. Nodes on no path from input to output count for nothing and are pruned; what is left is named by an
isomorphism-invariant hash, of which there are 423,624. Graphs with fewer nodes are padded at the end, so the
output stands last among a cell's own nodes, not at index 6.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from invertnas.errors import OutOfDomainError
from invertnas.spaces.accept import checked_text, graph_of
from invertnas.spaces.graph_space import GraphSpace
from invertnas.spaces.nasbench101 import notations
from invertnas.spaces.nasbench101.graph import (
    CODE_BASE,
    MAX_EDGES,
    MAX_NODES,
    NUM_LABELS,
    Labels,
    canonical,
    canonical_masks,
    cell_code,
    edge_bit,
    labellings,
    mask_edges,
    module_hash,
    number_forward,
)
from invertnas.spaces.notation import Notation, is_whole
from invertnas.spaces.records import NB101
from invertnas.spaces.spec import ArchSpec, IntArray, graph_paths

OP_NAMES = ("output", "input", "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3")
OUTPUT, INPUT = 0, 1
# The benchmark's own labels, 0 to 2 (see `nasbench101_graph`), as operation indices and back; -1 is none.
LABEL_OPS = (3, 2, 4)
OP_LABELS = (-1, -1, 1, 0, 2)
NUM_CELLS = 423_624
_TEXT = re.compile(r"([01]*)((?: [\w-]+)+)")
# The bit of each entry of an adjacency matrix; zero on and below the diagonal.
_BITS = np.array([[edge_bit(x, y) if x < y else 0 for y in range(MAX_NODES)] for x in range(MAX_NODES)])
_Form = tuple[int, Labels]


class NASBench101Space(GraphSpace):
    """All 423,624 cells. Stateless; implements `invertnas.spaces.base.SearchSpace`.

    A graph belongs to the space if its pruned form does, as in the benchmark itself; so isomorphic graphs and
    graphs with idle nodes are one cell under one identity. Every graph that this class returns is pruned and
    in its canonical numbering, the one the benchmark stores, so equal cells are equal ArchSpecs.
    """

    name = NB101.name
    op_names = OP_NAMES
    inner_ops = tuple(range(2, len(OP_NAMES)))
    num_nodes = MAX_NODES
    num_cells = 1

    def all(self) -> Iterator[ArchSpec]:
        """Every cell once, by ascending `code`. Enumerated here, without a data file."""
        for nodes in range(2, MAX_NODES + 1):
            for mask in canonical_masks(nodes):
                for labels in labellings(mask, nodes):
                    yield _spec((mask, labels))

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        """Uniform over the 423,624 cells.

        A graph and a labelling of its inner nodes are drawn together and taken if the labelling is the
        canonical one, as 94 % are. (The `random_spec` of naszilla and others draws adjacency bits instead, which
        favours cells that can be numbered in many ways.)
        """
        masks, ends = _mask_table()
        while True:
            draw = int(rng.integers(ends[-1]))
            row = int(np.searchsorted(ends, draw, side="right"))
            mask, inner = masks[row]
            form = mask, _digits(int(ends[row]) - 1 - draw, inner)
            if canonical(*form) == form:
                return _spec(form)

    def is_valid(self, arch: ArchSpec) -> bool:
        """Whether the pruned graph is one of the cells.

        At most seven nodes before pruning, the first the input and the last the output; after it, a path from
        one to the other, at most nine edges, and only cell operations between.
        """
        return isinstance(arch, ArchSpec) and _form(arch) is not None

    def canonical(self, arch: ArchSpec | str) -> ArchSpec:
        """The pruned graph in its canonical numbering. Raises OutOfDomainError for an invalid graph."""
        return _spec(_checked(self, arch))

    def identity(self, arch: ArchSpec | str) -> str:
        """The benchmark's MD5 hash of the pruned cell, equal for isomorphic cells. Raises OutOfDomainError."""
        return module_hash(*_checked(self, arch))

    def code(self, arch: ArchSpec | str) -> int:
        """A number below 2^32, ascending with `all`, that names the cell. Raises OutOfDomainError."""
        return cell_code(*_checked(self, arch))

    def from_code(self, code: int) -> ArchSpec:
        """The cell of a code. Raises OutOfDomainError for a number that is none."""
        if not is_whole(code):
            raise OutOfDomainError(f"got code {code!r}; expected a whole number of `code`")
        mask, digits = divmod(int(code), CODE_BASE)
        nodes = 1 + sum(mask >= edge_bit(0, node) for node in range(1, MAX_NODES))
        form = mask, _digits(digits, nodes - 2)
        if (
            not 0 < mask < 1 << (MAX_NODES * (MAX_NODES - 1) // 2)
            or canonical(*form) != form
            or cell_code(*form) != code
        ):
            raise OutOfDomainError(f"got {code}, which is no NAS-Bench-101 cell; expected a number of `code`")
        return _spec(form)

    def to_string(self, arch: ArchSpec | str) -> str:
        """Canonical form as the adjacency's upper triangle, row by row, and the operations in node order.

        For example ``101 input conv3x3-bn-relu output`` is input -> convolution -> output: the pairs (0, 1),
        (0, 2) and (1, 2). Raises OutOfDomainError for an invalid graph.
        """
        return _format(_checked(self, arch))

    def from_string(self, text: str) -> ArchSpec:
        """Inverse of `to_string`; a cell in another numbering gives its canonical form.

        Raises:
            OutOfDomainError: malformed text, or a graph outside the space.
        """
        match = _TEXT.fullmatch(checked_text(text, self.name))
        bits, names = (match.group(1), match.group(2).split()) if match else ("", [])
        pairs = list(itertools.combinations(range(len(names)), 2))
        if not names or len(bits) != len(pairs) or not set(names) <= set(OP_NAMES):
            raise OutOfDomainError(
                f"got {text!r}, which is no NAS-Bench-101 cell; expected the upper triangle of the adjacency as "
                f"n (n - 1) / 2 bits, row by row, and n of {', '.join(OP_NAMES)}, with single spaces"
            )
        edges = tuple(pair for pair, bit in zip(pairs, bits) if bit == "1")
        return self.canonical(ArchSpec(tuple(map(OP_NAMES.index, names)), edges))

    def decode(self, ops: IntArray, adjacency: IntArray) -> list[ArchSpec | None]:
        """Canonical cells of (B, 7) operation indices and (B, 7, 7) 0/1 entries; None where invalid.

        A graph ends at its first node labelled output; what stands beyond is padding and is not looked at. The
        part before must be strictly upper triangular, start with the input, and prune to a cell.
        """
        ends = np.where((ops == OUTPUT).any(axis=1), (ops == OUTPUT).argmax(axis=1), -1)
        inside = np.arange(MAX_NODES) <= ends[:, None]
        edges = (adjacency != 0) & inside[:, :, None] & inside[:, None, :]
        masks = (edges * _BITS).sum(axis=(1, 2))
        forward = ~(edges & (_BITS == 0)).any(axis=(1, 2)) & (ops[:, 0] == INPUT) & (ends > 0)
        rows = zip(forward.tolist(), masks.tolist(), ends.tolist(), ops.tolist())
        return [_decoded(mask, tuple(row[1:end])) if ok else None for ok, mask, end, row in rows]

    def paths(self, arch: ArchSpec | str, longest: int | None = None) -> tuple[set[tuple[int, ...]], ...]:
        """Operation sequences from input to output, at most `longest` long. Raises OutOfDomainError."""
        return (graph_paths(self.canonical(arch), longest),)

    def neighbours(self, arch: ArchSpec | str) -> list[ArchSpec]:
        """All other cells one edit away from the pruned cell, each once, in a fixed order.

        An edit changes one operation, drops one edge, adds one wherever that makes no cycle, or, as pruned cells
        could only shrink by these, hangs a new operation between two nodes. A cell with nine edges cannot grow:
        it has about 17 neighbours, smaller ones have up to about 80.
        """
        own = _checked(self, arch)
        found = dict.fromkeys(filter(None, (canonical(*edited) for edited in _edits(*own))))
        found.pop(own, None)
        return [_spec(form) for form in found]

    def to_matrix(self, arch: ArchSpec | str) -> tuple[list[list[int]], list[str]]:
        """Adjacency matrix and operations of the canonical form, as the benchmark's ModelSpec has them.

        Raises:
            OutOfDomainError: for an invalid graph.
        """
        return notations.to_matrix(self.canonical(arch))

    def from_matrix(self, matrix: Any, ops: Sequence[str]) -> ArchSpec:
        """The cell of an upper triangular 0/1 matrix and the operations in node order. Raises OutOfDomainError."""
        return notations.from_matrix(self, matrix, ops)

    def to_naslib(self, arch: ArchSpec | str) -> tuple[int, ...]:
        """NASLib's tuple: the matrix row by row, then the operation indices. Raises OutOfDomainError."""
        return notations.to_naslib(self.canonical(arch))

    def from_hash(self, name: str) -> ArchSpec:
        """The cell of one of the benchmark's MD5 names, which `identity` gives; seconds on the first call.

        Raises:
            OutOfDomainError: there is no such cell.
        """
        return notations.from_hash(self, name)

    def _other_notations(self) -> tuple[Notation, ...]:
        return notations.others(self)


def _form(arch: ArchSpec) -> _Form | None:
    """Canonical mask and labels, or None for a graph outside the space."""
    ops = arch.ops
    if not 2 <= len(ops) <= MAX_NODES or ops[0] != INPUT or ops[-1] != OUTPUT:
        return None
    return canonical(_mask(arch.edges), _labels(ops[1:-1]))


def _checked(space: NASBench101Space, arch: ArchSpec | str) -> _Form:
    arch = graph_of(space, arch)
    form = _form(arch)
    if form is None:
        raise OutOfDomainError(
            f"got operations {arch.ops} with edges {arch.edges}, which is no NAS-Bench-101 cell; expected input "
            f"({INPUT}), at most {MAX_NODES - 2} of {tuple(sorted(LABEL_OPS))}, output ({OUTPUT}), with a path from "
            f"input to output and at most {MAX_EDGES} edges on such paths"
        )
    return form


@functools.lru_cache(maxsize=1 << 16)
def _mask(edges: tuple[tuple[int, int], ...]) -> int:
    return sum(edge_bit(source, target) for source, target in edges)


def _labels(inner: Sequence[int]) -> Labels:
    """Labels of operation indices; -1 for what is no cell operation."""
    return tuple([OP_LABELS[op] if 0 <= op < len(OP_LABELS) else -1 for op in inner])


def _decoded(mask: int, inner: tuple[int, ...]) -> ArchSpec | None:
    form = canonical(mask, _labels(inner))
    return None if form is None else _spec(form)


@functools.lru_cache(maxsize=1 << 16)
def _spec(form: _Form) -> ArchSpec:
    mask, labels = form
    return ArchSpec((INPUT, *(LABEL_OPS[label] for label in labels), OUTPUT), mask_edges(mask))


@functools.lru_cache(maxsize=1 << 16)
def _format(form: _Form) -> str:
    arch = _spec(form)
    pairs = itertools.combinations(range(len(arch.ops)), 2)
    bits = "".join("1" if pair in arch.edges else "0" for pair in pairs)
    return " ".join((bits, *(OP_NAMES[op] for op in arch.ops)))


@functools.lru_cache(maxsize=None)
def _mask_table() -> tuple[list[tuple[int, int]], np.ndarray]:
    """(mask, inner nodes) of every canonical mask, and the running total of their labellings."""
    masks = [(mask, nodes - 2) for nodes in range(2, MAX_NODES + 1) for mask in canonical_masks(nodes)]
    return masks, np.cumsum([NUM_LABELS**inner for _, inner in masks])


def _digits(number: int, length: int) -> Labels:
    """The last `length` digits of a number in base three."""
    return tuple([number // NUM_LABELS**place % NUM_LABELS for place in range(length - 1, -1, -1)])


def _edits(mask: int, labels: Labels) -> Iterator[_Form]:
    """Graphs one edit away, valid or not: operations, then edges dropped and added, then new nodes."""
    for position, own in enumerate(labels):
        for label in range(NUM_LABELS):
            if label != own:
                yield mask, labels[:position] + (label,) + labels[position + 1 :]
    nodes, edges = len(labels) + 2, mask_edges(mask)
    for source, target in edges:
        yield mask ^ edge_bit(source, target), labels
    # Into any node but the input from any but the output, also against the numbering if that makes no cycle.
    pairs = [(x, y) for x in range(nodes - 1) for y in range(1, nodes) if x != y]
    inner = range(1, nodes - 1)
    for added in (pair for pair in pairs if pair not in edges and len(edges) < MAX_EDGES):
        if (grown := number_forward((*edges, added), inner, nodes - 1)) is not None:
            yield grown[0], tuple([labels[old - 1] for old in grown[1]])
    if nodes == MAX_NODES or len(edges) + 2 > MAX_EDGES:
        return
    for x, y in pairs:
        if (grown := number_forward((*edges, (x, nodes), (nodes, y)), (*inner, nodes), nodes - 1)) is not None:
            for label in range(NUM_LABELS):
                yield grown[0], tuple([labels[old - 1] if old < nodes else label for old in grown[1]])
