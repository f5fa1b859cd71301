"""Features of recurrent cells for the surrogate of NAS-Bench-NLP; sizes do not depend on the cell.

The encoding of NAS-Bench-X11 (`x11_encoding`) numbers nodes, so a tree model has to learn the same thing for
every position. These features count what a cell is made of instead: operations, who reads whom,
lengths of the ways from each input to each state, which states feed each other without a squashing
operation or without a linear one, and what the untrained cell does (`dynamics`).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from invertnas.benchmarks.nasbench_nlp.dynamics import DYNAMICS_NAMES, dynamics
from invertnas.spaces.nasbench_nlp.cell import (  # fmt: skip
    ACTIVATIONS,
    INNER_OPS,
    LINEAR,
    NUM_INPUTS,
    OP_NAMES,
    SIGM,
    TANH,
    Cell,
)

# What a node can read: x, state 0, another state, or a node with one of the seven operations.
KINDS = ("x", "h0", "memory", *(OP_NAMES[op].split("_", 1)[-1] for op in INNER_OPS))
SQUASHING = (SIGM, TANH)
# Numbers counted along a way from an input to a state.
COSTS = {"linear": (LINEAR,), "activation": ACTIVATIONS, "squash": SQUASHING, "length": INNER_OPS}
MAX_X11_NODES = 13
Features = dict[str, float]


def x11_encoding(cell: Cell) -> list[int]:
    """The 185 numbers NAS-Bench-X11's surrogate reads: 13 x 13 adjacency, 13 operations, 3 hidden states.

    Nodes are x, h_prev_0 to h_prev_2 and the inner nodes in the order of the cell, the last one moved to
    place 12; operations count from 0 = input, 1 = sigmoid to 7 = blend; hidden states are node numbers
    before that move, ascending. From the description of `adjacency mix` in NASLib's encodings.
    """
    last = NUM_INPUTS + len(cell.ops) - 1
    adjacency = np.zeros((MAX_X11_NODES, MAX_X11_NODES), np.int64)
    ops = np.zeros(MAX_X11_NODES, np.int64)
    for node, (op, sources) in enumerate(zip(cell.ops, cell.inputs), NUM_INPUTS):
        place = MAX_X11_NODES - 1 if node == last else node
        ops[place] = op - INNER_OPS[0] + 1
        adjacency[list(sources), place] = 1
    states = (*sorted(cell.states), 0, 0)[:3]
    return [*adjacency.ravel().tolist(), *ops.tolist(), *states]


def parameters(cell: Cell) -> int:
    """Trainable parameters of the benchmark's network: three layers of 600, 600 and 400 units, tied embedding."""
    linear = [sources for op, sources in zip(cell.ops, cell.inputs) if op == LINEAR]
    of_x = sum(0 in sources for sources in linear)
    of_hidden = sum(map(len, linear)) - of_x
    return 4_010_000 + 840_000 * of_x + 880_000 * of_hidden + 1_600 * len(linear)


def features(cell: Cell) -> npt.NDArray[np.float64]:
    """(K,) features named by `feature_names()`, of a cell with nodes in topological order."""
    return np.concatenate([list(_structure(cell).values()), dynamics(cell)])


@functools.lru_cache(maxsize=1)
def feature_names() -> tuple[str, ...]:
    """K names, in the order of `features`."""
    return (*_structure(Cell((LINEAR,), ((0, 1),), (NUM_INPUTS,))), *DYNAMICS_NAMES)


def _structure(cell: Cell) -> Features:
    return _counts(cell) | _reads(cell) | _roles(cell) | _ways(cell) | _recurrence(cell)


def _counts(cell: Cell) -> Features:
    found = {f"count_{OP_NAMES[op]}": float(cell.ops.count(op)) for op in INNER_OPS}
    wide = sum(op == LINEAR and len(sources) == 3 for op, sources in zip(cell.ops, cell.inputs))
    return found | {
        "nodes": float(len(cell.ops)),
        "states": float(len(cell.states)),
        "wide_linear": float(wide),
        "params_m": parameters(cell) / 1e6,
    }


def _kind(cell: Cell, node: int) -> int:
    return min(node, 2) if node < NUM_INPUTS else 3 + cell.ops[node - NUM_INPUTS] - INNER_OPS[0]


def _reads(cell: Cell) -> Features:
    """Counts of (what is read, by which operation), and of readers."""
    counts = np.zeros((len(KINDS), len(INNER_OPS)))
    readers = np.zeros(NUM_INPUTS + len(cell.ops))
    for op, sources in zip(cell.ops, cell.inputs):
        for source in sources:
            counts[_kind(cell, source), op - INNER_OPS[0]] += 1
            readers[source] += 1
    found = {
        f"{kind}_to_{OP_NAMES[op]}": float(counts[row, column])
        for row, kind in enumerate(KINDS)
        for column, op in enumerate(INNER_OPS)
        if row or op == LINEAR
    }
    new = [readers[state] for state in cell.states]
    return found | {
        "most_readers": readers[NUM_INPUTS:].max(),
        "readers_memory": readers[2:NUM_INPUTS].sum(),
        "readers_new_0": new[0],
        "readers_new_memory": sum(new[1:]),
    }


def _roles(cell: Cell) -> Features:
    ops = [cell.ops[state - NUM_INPUTS] for state in cell.states]
    found = {f"new_0_is_{OP_NAMES[op]}": float(ops[0] == op) for op in INNER_OPS}
    return found | {f"new_memory_is_{OP_NAMES[op]}": float(ops[1:].count(op)) for op in INNER_OPS}


def _spread(cell: Cell, start: int, step: Callable[[int, list[int]], int]) -> dict[int, int]:
    """Value of every node that `start` reaches; `step` makes it from the operation and the values it reads."""
    values = {start: 0}
    for node, (op, sources) in enumerate(zip(cell.ops, cell.inputs), NUM_INPUTS):
        reached = [values[source] for source in sources if source in values]
        if reached:
            values[node] = step(op, reached)
    return values


def _ways(cell: Cell) -> Features:
    """Least and greatest counts along the ways from an input to a new state, and numbers of ways; -1 for none."""
    found: Features = {}
    starts = {"x": [0], "h0": [1], "memory": list(range(2, 1 + len(cell.states)))}
    ends = {"new_0": cell.states[:1], "new_memory": cell.states[1:]}
    for cost, ops in COSTS.items():
        for which, choose in (("least", min), ("most", max)):
            tables = {
                start: _spread(cell, start, lambda op, reached: choose(reached) + (op in ops))
                for start in range(1 + len(cell.states))
            }
            for (name, nodes), (end, states) in itertools.product(starts.items(), ends.items()):
                values = [tables[node][state] for node in nodes for state in states if state in tables[node]]
                found[f"{which}_{cost}_{name}_to_{end}"] = float(choose(values, default=-1))
    for (name, nodes), (end, states) in itertools.product(starts.items(), ends.items()):
        found[f"ways_{name}_to_{end}"] = float(sum(_ways_between(cell, node, states) for node in nodes))
    depths = [found[f"most_length_{name}_to_{end}"] for name in starts for end in ends]
    return found | {"depth": max(depths)}


def _ways_between(cell: Cell, start: int, states: Iterable[int]) -> int:
    ways = [int(node == start) for node in range(NUM_INPUTS)]
    for sources in cell.inputs:
        ways.append(sum(ways[source] for source in sources))
    return sum(ways[state] for state in states)


def _recurrence(cell: Cell) -> Features:
    """Which states feed which without any of some operations, within a step and over several."""
    found: Features = {}
    size = len(cell.states)
    for name, barred in (("unsquashed", SQUASHING), ("elementwise", (LINEAR, *ACTIVATIONS))):
        direct = np.zeros((size, size))
        for index in range(size):
            reached = {1 + index}
            for node, (op, sources) in enumerate(zip(cell.ops, cell.inputs), NUM_INPUTS):
                if op not in barred and reached.intersection(sources):
                    reached.add(node)
            direct[index] = [state in reached for state in cell.states]
        loops = np.minimum(direct @ np.linalg.matrix_power(direct + np.eye(size), size), 1)
        found |= {
            f"{name}_links": direct.sum(),
            f"{name}_self": np.trace(direct),
            f"{name}_self_0": direct[0, 0],
            f"{name}_loops": np.trace(loops),
            f"{name}_loop_0": loops[0, 0],
        }
    return found
