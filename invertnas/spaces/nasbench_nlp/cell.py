"""Recurrent cells of NAS-Bench-NLP: what a cell is, when it is one, and its canonical form.

A cell computes new hidden states from the input x and the previous hidden states (Klyuchnikov et al.,
2020). Inner nodes apply one operation to earlier nodes; one to three of them are the new hidden
states h_new_0, h_new_1, h_new_2. State 0 is also the output of the cell, so it is special; states 1
and 2 are memory that only the cell itself reads, so exchanging their names changes nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

OP_NAMES = (
    "output", "x", "h_prev_0", "h_prev_1", "h_prev_2", "state", "activation_sigm", "activation_tanh",
    "activation_leaky_relu", "elementwise_sum", "elementwise_prod", "linear", "blend",
)  # fmt: skip
OUTPUT, X, H_PREV, STATE = 0, 1, (2, 3, 4), 5
SIGM, TANH, LEAKY_RELU, SUM, PROD, LINEAR, BLEND = INNER_OPS = tuple(range(6, 13))
ACTIVATIONS = (SIGM, TANH, LEAKY_RELU)
# Operation -> numbers of inputs it may take.
ARITY = {SIGM: (1,), TANH: (1,), LEAKY_RELU: (1,), SUM: (2,), PROD: (2,), LINEAR: (2, 3), BLEND: (3,)}
NUM_INPUTS = 4
MAX_STATES = 3
MAX_INNER = 8


class Cell(NamedTuple):
    """A cell by node number: 0 = x, 1 to 3 = h_prev_0 to h_prev_2, from 4 on the inner nodes, in any order.

    Attributes:
        ops: operation index of each inner node.
        inputs: ascending node numbers that each inner node reads.
        states: node numbers of h_new_0, h_new_1, ...
    """

    ops: tuple[int, ...]
    inputs: tuple[tuple[int, ...], ...]
    states: tuple[int, ...]


def fault(cell: Cell) -> str:
    """What keeps a cell out of the space, or an empty string; see `NASBenchNLPSpace.is_valid`."""
    ops, inputs, states = cell
    last = NUM_INPUTS + len(ops)
    if not 1 <= len(ops) <= MAX_INNER:
        return f"{len(ops)} inner nodes; expected 1 to {MAX_INNER}"
    if not 1 <= len(states) <= MAX_STATES or len(set(states)) < len(states):
        return f"new hidden states at nodes {states}; expected 1 to {MAX_STATES} different nodes"
    if not all(NUM_INPUTS <= state < last for state in states):
        return f"new hidden states at nodes {states}; expected inner nodes, {NUM_INPUTS} to {last - 1}"
    for op, sources in zip(ops, inputs):
        if op not in ARITY or len(sources) not in ARITY[op]:
            return f"an inner node with operation {op} and inputs {sources}; expected counts of inputs {ARITY}"
        if op != LINEAR and 0 in sources:
            return f"{OP_NAMES[op]} of x; x has a width of its own, so only linear may read it"
    return _fault_of_flow(cell)


def _fault_of_flow(cell: Cell) -> str:
    """Faults in who reads whom, given that every node is sound by itself."""
    if not topological(cell):
        return "a cycle"
    used, stack = set(cell.states), list(cell.states)
    while stack:
        node = stack.pop()
        if node >= NUM_INPUTS:
            fresh = [source for source in cell.inputs[node - NUM_INPUTS] if source not in used]
            used.update(fresh)
            stack += fresh
    wanted = {*range(1 + len(cell.states)), *range(NUM_INPUTS, NUM_INPUTS + len(cell.ops))}
    if used == wanted:
        return ""
    return (
        f"{len(cell.states)} hidden states that depend on nodes {sorted(used)}; expected every inner node, x, and "
        f"the previous value of each state: {sorted(wanted)}"
    )


def topological(cell: Cell) -> list[int]:
    """Inner nodes, every one after those it reads; empty if there is a cycle."""
    placed, order, waiting = {0, 1, 2, 3}, [], list(range(NUM_INPUTS, NUM_INPUTS + len(cell.ops)))
    while waiting:
        ready = [node for node in waiting if placed.issuperset(cell.inputs[node - NUM_INPUTS])]
        if not ready:
            return []
        placed.update(ready)
        order += ready
        waiting = [node for node in waiting if node not in placed]
    return order


@functools.lru_cache(maxsize=1 << 16)
def canonical(cell: Cell) -> Cell:
    """The one representative of all cells equal to a valid `cell` up to node order and names of states 1 and 2.

    Nodes come level by level (longest way from an input), then by operation, then by what they read.
    Nodes that this leaves tied are tried in every order and the smallest result is taken, so equal
    cells, and only those, have equal representatives. State 1 comes before state 2; where
    both namings of the two allow that, the smaller result is taken.
    """
    found = [_smallest(each) for each in _namings(cell)]
    return min(each for each in found if each is not None)


def _namings(cell: Cell) -> Iterable[Cell]:
    yield cell
    if len(cell.states) == MAX_STATES:
        other = (0, 1, 3, 2)
        exchanged = tuple(
            tuple(sorted(other[node] if node < NUM_INPUTS else node for node in sources)) for sources in cell.inputs
        )
        yield Cell(cell.ops, exchanged, (cell.states[0], cell.states[2], cell.states[1]))


def _smallest(cell: Cell) -> Cell | None:
    """Smallest renumbering in the order of `canonical`; None if state 1 cannot come before state 2."""
    nodes = range(NUM_INPUTS, NUM_INPUTS + len(cell.ops))
    sources = {node: cell.inputs[node - NUM_INPUTS] for node in nodes}
    level = [0] * (NUM_INPUTS + len(cell.ops))
    for node in topological(cell):
        level[node] = 1 + max([level[source] for source in sources[node]])
    readers: list[list[int]] = [[] for _ in level]
    for node, op in zip(nodes, cell.ops):
        for source in sources[node]:
            readers[source].append(op)
    rank = {state: index for index, state in enumerate(cell.states, 1)}
    ops = cell.ops
    fixed = {
        node: ((level[node], ops[node - NUM_INPUTS]), (rank.get(node, 0), sorted(readers[node]))) for node in nodes
    }
    position = [0, 1, 2, 3] + [-1] * len(ops)
    return _place(cell, sources, fixed, position, [])


Keys = dict[int, tuple[tuple[int, int], tuple[int, list[int]]]]


def _place(
    cell: Cell, sources: dict[int, tuple[int, ...]], fixed: Keys, position: list[int], order: list[int]
) -> Cell | None:
    """Number the nodes not yet in `order`, smallest key first; branch where several are smallest."""
    states = cell.states
    while len(order) < len(cell.ops):
        least, ties = None, []
        for node, reads in sources.items():
            if position[node] >= 0:
                continue
            at = [position[source] for source in reads]
            if min(at) < 0 or (len(states) == MAX_STATES and node == states[2] and position[states[1]] < 0):
                continue
            at.sort()
            before, after = fixed[node]
            key = (before, at, after)
            if least is None or key < least:
                least, ties = key, [node]
            elif key == least:
                ties.append(node)
        if not ties:
            return None
        if len(ties) > 1:
            return _branch(cell, sources, fixed, position, order, ties)
        position[ties[0]] = NUM_INPUTS + len(order)
        order.append(ties[0])
    return _renumber(cell, position, order)


def _branch(
    cell: Cell,
    sources: dict[int, tuple[int, ...]],
    fixed: Keys,
    position: list[int],
    order: list[int],
    ties: Sequence[int],
) -> Cell | None:
    """The smallest result over which of the tied nodes comes first."""
    found = []
    for node in ties:
        trial = position.copy()
        trial[node] = NUM_INPUTS + len(order)
        found.append(_place(cell, sources, fixed, trial, [*order, node]))
    return min([each for each in found if each is not None], default=None)


def _renumber(cell: Cell, position: Sequence[int], order: Sequence[int]) -> Cell:
    inner = [node - NUM_INPUTS for node in order]
    return Cell(
        tuple(cell.ops[index] for index in inner),
        tuple(tuple(sorted([position[source] for source in cell.inputs[index]])) for index in inner),
        tuple(position[state] for state in cell.states),
    )
