"""Random cells of NAS-Bench-NLP by the rules of its generator, with the limits NASLib sets.

A draw fills slots one after another with a main operation: linear with probability 1/2, blend,
product and sum with 1/6 each. A linear reads two (4/5) or three (1/5) of x, the previous states and
the activations so far, and an activation of it takes the next slot; blend reads three and product
and sum two of the previous states and the nodes so far. Then inner nodes are chosen as the new hidden
states, and nodes that none of them needs are removed. A draw counts if every input is used, no
new hidden state reads a previous one directly, and the cell is small enough.
"""

from __future__ import annotations

import numpy as np

from invertnas.spaces.nasbench_nlp.cell import ACTIVATIONS, BLEND, LINEAR, MAX_INNER, NUM_INPUTS, PROD, SUM, Cell

INTERMEDIATE = 7
NUMBERS = 64


def random_cell(rng: np.random.Generator, states: int) -> Cell:
    """A valid cell with `states` hidden states out of `states` + 7 slots; not in canonical form."""
    while True:
        # One block of uniform numbers is far cheaper than a call per choice; a draw needs at most 50.
        numbers = rng.random(NUMBERS).tolist()
        ops, inputs = _fill(numbers, states)
        inner = list(range(NUM_INPUTS, NUM_INPUTS + len(ops)))
        cell = _prune(ops, inputs, _choose(inner, states, numbers), states)
        if cell is not None:
            return cell


def _choose(items: list[int], count: int, numbers: list[float]) -> list[int]:
    """`count` different items, uniformly, in random order; uses up one number for each."""
    left = items.copy()
    return [left.pop(int(numbers.pop() * len(left))) for _ in range(count)]


def _fill(numbers: list[float], states: int) -> tuple[list[int], list[list[int]]]:
    """Operations and inputs of all slots."""
    ops: list[int] = []
    inputs: list[list[int]] = []
    previous = list(range(1, 1 + states))
    linear_sources, sources = [0, *previous], previous.copy()
    while len(ops) < states + INTERMEDIATE:
        # Linear has three of six shares, then product, sum, blend; what has too few nodes to read has none.
        kind = int(numbers.pop() * (6 if len(sources) > 2 else 5 if len(sources) == 2 else 3))
        node = NUM_INPUTS + len(ops)
        if kind < 3:
            count = min(2 + (numbers.pop() >= 0.8), len(linear_sources))
            ops += LINEAR, ACTIVATIONS[int(numbers.pop() * len(ACTIVATIONS))]
            inputs += _choose(linear_sources, count, numbers), [node]
            linear_sources.append(node + 1)
            sources += node, node + 1
        else:
            ops.append((PROD, SUM, BLEND)[kind - 3])
            inputs.append(_choose(sources, 3 if kind == 5 else 2, numbers))
            sources.append(node)
    return ops, inputs


def _prune(ops: list[int], inputs: list[list[int]], new: list[int], states: int) -> Cell | None:
    """The cell without nodes that no hidden state needs; None if it is to be rejected."""
    for state in new:
        if any(1 <= source <= states for source in inputs[state - NUM_INPUTS]):
            return None
    needed = set(new)
    for node in range(NUM_INPUTS + len(ops) - 1, NUM_INPUTS - 1, -1):
        if node in needed:
            needed.update(inputs[node - NUM_INPUTS])
    kept = [node for node in range(NUM_INPUTS, NUM_INPUTS + len(ops)) if node in needed]
    if len(kept) > MAX_INNER or not needed.issuperset(range(1 + states)):
        return None
    number = {node: node for node in range(NUM_INPUTS)} | {node: NUM_INPUTS + i for i, node in enumerate(kept)}
    return Cell(
        tuple(ops[node - NUM_INPUTS] for node in kept),
        tuple(tuple(sorted(number[source] for source in inputs[node - NUM_INPUTS])) for node in kept),
        tuple(number[state] for state in new),
    )
