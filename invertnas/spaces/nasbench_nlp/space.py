"""The recurrent cells of NAS-Bench-NLP as graphs (Klyuchnikov et al., 2020; paper F.4).

A cell has at most 14 nodes: the four inputs x, h_prev_0, h_prev_1, h_prev_2, always the first four and
without edges where the cell has fewer states; one to eight inner nodes, that is, at most 12 nodes of
the kind the surrogates count; a node `state` if there are two or three hidden states; the node `output`.
The edge into `output` from an inner node marks h_new_0, and the edges into `state` mark h_new_1
and, later in node order, h_new_2; `state` has an edge to `output`. So the graph tells which nodes are the
new hidden states and which state each is. That state 1 comes before state 2 restricts nothing: cells that
differ in the names of these two compute the same outputs.

As in the encodings of NASLib and AG-Net, a graph does not hold the order of the three inputs of `blend`
(a * b + (1 - a) * c); cells that differ in nothing else are one cell here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from invertnas.errors import OutOfDomainError
from invertnas.spaces.accept import checked_text, graph_of
from invertnas.spaces.graph_space import GraphSpace
from invertnas.spaces.nasbench_nlp import cell as nlp_cell
from invertnas.spaces.nasbench_nlp.cell import (
    H_PREV,
    INNER_OPS,
    MAX_INNER,
    MAX_STATES,
    NUM_INPUTS,
    OP_NAMES,
    OUTPUT,
    STATE,
    Cell,
    X,
)
from invertnas.spaces.nasbench_nlp.edits import edits
from invertnas.spaces.nasbench_nlp.recipe_cells import recipe_cell
from invertnas.spaces.nasbench_nlp.sampling import random_cell
from invertnas.spaces.notation import Notation
from invertnas.spaces.records import NBNLP
from invertnas.spaces.spec import ArchSpec, GraphBatch, IntArray, encode_graphs

NUM_NODES = NUM_INPUTS + MAX_INNER + 2
INPUT_OPS = (X, *H_PREV)
INPUT_NAMES = ("x", "h0", "h1", "h2")
SHORT_NAMES = tuple(OP_NAMES[op].split("_", 1)[-1] for op in INNER_OPS)
MIN_IN, MAX_IN = (
    np.array([pick(nlp_cell.ARITY.get(op, (0, 3))) for op in range(len(OP_NAMES))]) for pick in (min, max)
)
_NODE = re.compile(r"([a-z_]+)\(([a-z0-9,]+)\)")


class NASBenchNLPSpace(GraphSpace):
    """All cells with at most eight inner nodes and three hidden states. Stateless; implements `SearchSpace`."""

    name = NBNLP.name
    op_names = OP_NAMES
    inner_ops = INNER_OPS
    num_nodes = NUM_NODES
    num_cells = 1

    def from_cell(self, cell: Cell) -> ArchSpec:
        """The graph of a cell in canonical node order. Raises OutOfDomainError for an invalid one."""
        try:
            fault = nlp_cell.fault(cell)
        except (TypeError, ValueError, LookupError) as error:
            fault = f"{error}; expected a Cell of operations, inputs and states"
        if fault:
            raise OutOfDomainError(f"got {cell}, which is no NAS-Bench-NLP cell: {fault}")
        return _graph(nlp_cell.canonical(cell))

    def to_cell(self, arch: ArchSpec | str) -> Cell:
        """The cell of a graph, in the graph's node order. Raises OutOfDomainError for an invalid graph."""
        arch = graph_of(self, arch)
        cell, fault = _read(arch)
        if cell is None:
            raise OutOfDomainError(
                f"got operations {arch.ops} with edges {arch.edges}, which is no NAS-Bench-NLP cell: {fault}"
            )
        return cell

    def canonical(self, arch: ArchSpec | str) -> ArchSpec:
        """The graph in canonical node order: equal for equal cells. Raises OutOfDomainError."""
        return _graph(nlp_cell.canonical(self.to_cell(arch)))

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        """A cell of two hidden states by NASLib's rules, see `nlp_sampling`; not uniform."""
        return self.sample_states(rng, 2)

    def sample_states(self, rng: np.random.Generator, states: int) -> ArchSpec:
        """As `sample`, with one to three hidden states: the logged cells have all three numbers."""
        if not 1 <= states <= MAX_STATES:
            raise OutOfDomainError(f"got {states} hidden states; expected 1 to {MAX_STATES}")
        return _graph(nlp_cell.canonical(random_cell(rng, states)))

    def is_valid(self, arch: ArchSpec) -> bool:
        """Whether a graph is a cell that can be trained; any topological node order will do.

        Nodes stand as the module says. Activations read one node, sum and product two, blend three,
        linear two or three. Only linear reads x, whose width is not that of a hidden state. Of the
        previous states exactly those are read that the cell renews, and every inner node and x are
        needed by some new hidden state.
        """
        return isinstance(arch, ArchSpec) and _read(arch)[0] is not None

    def identity(self, arch: ArchSpec | str) -> str:
        """`to_string` of the canonical order, free of node order and of the names of states 1 and 2.

        Raises:
            OutOfDomainError: for an invalid graph.
        """
        return _identity(graph_of(self, arch))

    def to_string(self, arch: ArchSpec | str) -> str:
        """``linear(x,h0);tanh(0)->1``: inner nodes, numbered from 0, and after the arrow the new states.

        Raises:
            OutOfDomainError: for an invalid graph.
        """
        return _format(self.to_cell(arch))

    def from_string(self, text: str) -> ArchSpec:
        """Inverse of `to_string`, keeping the node order. Raises OutOfDomainError for malformed text."""
        cell = _parse(checked_text(text, self.name))
        fault = nlp_cell.fault(cell) if cell else "malformed"
        if cell is None or fault or list(cell.states[1:]) != sorted(cell.states[1:]) or not _forward(cell):
            raise OutOfDomainError(
                f"got {text!r}, which is no NAS-Bench-NLP cell ({fault or 'order'}); expected inner nodes as in "
                f"'linear(x,h0);tanh(0)->1', each after what it reads, with operations {', '.join(SHORT_NAMES)}, and "
                "the nodes of h_new_0, h_new_1, h_new_2 after the arrow, that of state 1 before that of state 2"
            )
        return _graph(cell)

    def encode(self, archs: Sequence[ArchSpec | str]) -> GraphBatch:
        """(B, 14, 13) one-hot operations and (B, 14, 14) adjacency of the canonical graphs."""
        return encode_graphs([self.canonical(arch) for arch in archs], NUM_NODES, len(OP_NAMES))

    def decode(self, ops: IntArray, adjacency: IntArray) -> list[ArchSpec | None]:
        """Canonical graphs; rows and columns after the first `output` node are padding, whatever they hold."""
        kept = _plausible(ops, adjacency)
        decoded: list[ArchSpec | None] = [None] * len(ops)
        for row in np.flatnonzero(kept).tolist():
            labels = ops[row].tolist()
            size = labels.index(OUTPUT) + 1
            sources, targets = np.nonzero(adjacency[row, :size, :size])
            cell, _ = _read(ArchSpec(tuple(labels[:size]), tuple(zip(sources.tolist(), targets.tolist()))))
            decoded[row] = None if cell is None else _graph(nlp_cell.canonical(cell))
        return decoded

    def paths(self, arch: ArchSpec | str, longest: int | None = None) -> tuple[set[tuple[int, ...]], ...]:
        """Inner operations along every way from any of the inputs to any new hidden state, of the one cell.

        Those of at most `longest` operations. Raises OutOfDomainError.
        """
        cell, most = self.to_cell(arch), MAX_INNER if longest is None else longest
        ways: list[set[tuple[int, ...]]] = [{()} for _ in range(NUM_INPUTS)]
        for op, sources in zip(cell.ops, cell.inputs):
            ways.append({way + (op,) for source in sources for way in ways[source] if len(way) < most})
        return (set().union(*(ways[state] for state in cell.states)),)

    def neighbours(self, arch: ArchSpec | str) -> list[ArchSpec]:
        """All cells one edit away, see `nlp_edits`: 40 to 100 of most cells, in canonical node order."""
        arch = graph_of(self, arch)
        self.to_cell(arch)
        return list(_neighbours(arch))

    def _from_recipe(self, recipe: Any) -> ArchSpec:
        return self.from_cell(recipe_cell(recipe))

    def _other_notations(self) -> tuple[Notation, ...]:
        form = "{'node_0': {'op': 'linear', 'input': ['x', 'h_prev_0']}, 'h_new_0': {...}}"
        return (Notation("recipe of the logs", form, _is_recipe, self._from_recipe),)


@functools.lru_cache(maxsize=1 << 16)
def _identity(arch: ArchSpec) -> str:
    return _format(nlp_cell.canonical(NASBenchNLPSpace().to_cell(arch)))


@functools.lru_cache(maxsize=1 << 12)
def _neighbours(arch: ArchSpec) -> tuple[ArchSpec, ...]:
    cell = nlp_cell.canonical(NASBenchNLPSpace().to_cell(arch))
    found = dict.fromkeys(nlp_cell.canonical(each) for each in edits(cell) if not nlp_cell.fault(each))
    found.pop(cell, None)
    return tuple(_graph(each) for each in found)


@functools.lru_cache(maxsize=1 << 16)
def _graph(cell: Cell) -> ArchSpec:
    """The graph of a valid cell whose nodes are in topological order, state 1 before state 2."""
    memory = len(cell.states) > 1
    state = NUM_INPUTS + len(cell.ops)
    edges = [(source, NUM_INPUTS + index) for index, sources in enumerate(cell.inputs) for source in sources]
    edges += [(node, state) for node in cell.states[1:]]
    edges += [(node, state + memory) for node in (cell.states[0], *((state,) if memory else ()))]
    return ArchSpec((*INPUT_OPS, *cell.ops, *((STATE,) if memory else ()), OUTPUT), tuple(sorted(edges)))


@functools.lru_cache(maxsize=1 << 16)
def _read(arch: ArchSpec) -> tuple[Cell | None, str]:
    """The cell of a graph, or None and what is wrong."""
    ops, last = arch.ops, len(arch.ops) - 1
    if last <= NUM_INPUTS:
        return None, f"{len(ops)} nodes; expected inputs, inner nodes and output"
    if ops[:NUM_INPUTS] != INPUT_OPS or ops[-1] != OUTPUT:
        return None, f"expected operations {INPUT_OPS} first and {OUTPUT} last"
    state = last - 1 if ops[-2] == STATE else None
    end = last if state is None else state
    reads: list[list[int]] = [[] for _ in ops]
    for source, target in arch.edges:
        reads[target].append(source)
    if any(reads[:NUM_INPUTS]):
        return None, "an edge into an input; expected none"
    outputs = [node for node in reads[last] if node != state]
    if len(outputs) != 1 or (state is not None and (state not in reads[last] or not 1 <= len(reads[state]) <= 2)):
        return None, "expected one inner node and, if present, `state` before `output`, and one or two before `state`"
    states = (*outputs, *(reads[state] if state is not None else ()))
    cell = Cell(ops[NUM_INPUTS:end], tuple(tuple(each) for each in reads[NUM_INPUTS:end]), states)
    fault = nlp_cell.fault(cell)
    return (None, fault) if fault else (cell, "")


def _plausible(ops: IntArray, adjacency: IntArray) -> np.ndarray:
    """(B,) what may be a cell: inputs first, then inner nodes with forward edges and right numbers of inputs."""
    is_output = ops == OUTPUT
    inside = np.cumsum(is_output, axis=1) - is_output == 0
    edges = (adjacency != 0) & inside[:, :, None] & inside[:, None, :]
    counts = edges.sum(axis=1)
    return (
        is_output.any(axis=1)
        & (ops[:, :NUM_INPUTS] == INPUT_OPS).all(axis=1)
        & ~np.tril(edges).any(axis=(1, 2))
        & (~inside | ((counts >= MIN_IN[ops]) & (counts <= MAX_IN[ops]))).all(axis=1)
    )


def _format(cell: Cell) -> str:
    names = [*INPUT_NAMES, *map(str, range(len(cell.ops)))]
    nodes = [
        f"{SHORT_NAMES[op - INNER_OPS[0]]}({','.join([names[source] for source in sources])})"
        for op, sources in zip(cell.ops, cell.inputs)
    ]
    return f"{';'.join(nodes)}->{','.join([names[state] for state in cell.states])}"


def _parse(text: str) -> Cell | None:
    """The cell of a string, checked for form only."""
    inner, arrow, new = text.partition("->")
    matches = [_NODE.fullmatch(part) for part in inner.split(";")]
    names = [*INPUT_NAMES, *map(str, range(len(matches)))]
    reads = [match[2].split(",") if match else [] for match in matches]
    states = new.split(",")
    if not arrow or not all(match and match[1] in SHORT_NAMES for match in matches):
        return None
    if not all(name in names for name in (*states, *(name for read in reads for name in read))):
        return None
    if any([names.index(name) for name in read] != sorted({names.index(name) for name in read}) for read in reads):
        return None
    ops = tuple(INNER_OPS[SHORT_NAMES.index(match[1])] for match in matches if match)
    inputs = tuple(tuple(names.index(name) for name in read) for read in reads)
    return Cell(ops, inputs, tuple(names.index(name) for name in states))


def _is_recipe(given: Any) -> bool:
    return (
        isinstance(given, Mapping)
        and len(given) > 0
        and all(isinstance(node, Mapping) and "op" in node for node in given.values())
    )


def _forward(cell: Cell) -> bool:
    return all(max(sources) < NUM_INPUTS + index for index, sources in enumerate(cell.inputs))
