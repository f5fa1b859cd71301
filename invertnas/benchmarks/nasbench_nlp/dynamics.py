"""What an untrained recurrent cell does to random sequences: numbers that a surrogate can learn from.

A cell runs with fixed random weights on random inputs, in a few copies at once, once with weights of the
size networks start with and once with weights three times as large, as after training. A second run
differs by a small push at one step. The sizes of states say whether a cell blows up, dies out or saturates;
the growth of the push says how long it remembers. No training data and no labels enter.

Weights and inputs come from fixed seeds and results are rounded to two decimals, so that the last
digits of a platform's arithmetic do not reach the surrogate.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from invertnas.spaces.nasbench_nlp.cell import LINEAR, NUM_INPUTS, Cell
from invertnas.spaces.nasbench_nlp.ops import arguments, elementwise

WIDTH = 16
BATCH = 4
STEPS = 16
PUSHED_STEP = 4
PUSH = 0.01
GAINS = (1.0, 3.0)
REPEATS = 2
MAX_NODES = 32
LARGEST = 1e6
MEASURES = (
    "size_early", "spread_early", "mean_early", "common_early", "size_late", "spread_late", "mean_late",
    "common_late", "growth", "push_0", "push_1", "push_2", "push_5", "push_11", "push_slope", "rank",
)  # fmt: skip
DYNAMICS_NAMES = tuple(f"gain{gain:g}_{name}" for gain in GAINS for name in MEASURES)
Array = npt.NDArray[np.float64]


@functools.lru_cache(maxsize=1)
def _constants() -> tuple[Array, Array]:
    """Weights (nodes, 3, gains * repeats, width, width) and inputs (steps, gains * repeats, 2 * batch, width)."""
    rng = np.random.default_rng(20_200_612)
    # Only `random` is used: its stream is the one least likely to change between versions of NumPy.
    unit = 2 * rng.random((MAX_NODES, 3, 1, REPEATS, WIDTH, WIDTH)) - 1
    weights = unit * np.array(GAINS)[:, None, None, None] / np.sqrt(WIDTH)
    inputs = np.sqrt(3) * (2 * rng.random((STEPS, 1, REPEATS, BATCH, WIDTH)) - 1)
    push = PUSH * np.sqrt(3) * (2 * rng.random((1, REPEATS, BATCH, WIDTH)) - 1)
    both = np.concatenate([inputs, inputs], axis=3)
    both[PUSHED_STEP, :, :, BATCH:] += push
    both = np.broadcast_to(both, (STEPS, len(GAINS), REPEATS, 2 * BATCH, WIDTH))
    copies = len(GAINS) * REPEATS
    shape = (MAX_NODES, 3, copies, WIDTH, WIDTH)
    return weights.reshape(shape), both.reshape(STEPS, copies, 2 * BATCH, WIDTH)


def dynamics(cell: Cell) -> Array:
    """(32,) measures of a cell with nodes in topological order, named by `DYNAMICS_NAMES`.

    Sizes are log10 of root mean squares of h_new_0; a push is log10 of its size relative to the start.
    """
    states, change = _simulate(cell)
    early, late, middle = _sizes(states[PUSHED_STEP]), _sizes(states[-1]), _sizes(states[STEPS // 2])
    pushes = [change[PUSHED_STEP + lag] for lag in (0, 1, 2, 5, STEPS - PUSHED_STEP - 1)]
    measures = [*early, *late, late[0] - middle[0], *pushes, pushes[-1] - pushes[3], _rank(states[-1])]
    means = np.stack(measures).reshape(len(MEASURES), len(GAINS), REPEATS).mean(axis=2)
    return np.round(means.T.ravel(), 2) + 0.0


def _simulate(cell: Cell) -> tuple[Array, Array]:
    """h_new_0 (steps, copies, batch, width) without the push, and the log10 change by it (steps, copies)."""
    weights, inputs = _constants()
    hidden = [np.zeros_like(inputs[0]) for _ in range(NUM_INPUTS - 1)]
    states, changes = [], []
    for step in range(STEPS):
        values = [inputs[step], *hidden]
        for index, (op, sources) in enumerate(zip(cell.ops, cell.inputs)):
            reads = [values[source] for source in arguments(cell, op, sources)]
            values.append(np.clip(_apply(op, reads, weights[index]), -LARGEST, LARGEST))
        hidden[: len(cell.states)] = [values[state] for state in cell.states]
        states.append(hidden[0][:, :BATCH])
        difference = hidden[0][:, BATCH:] - hidden[0][:, :BATCH]
        changes.append(_log(np.sqrt((difference**2).mean(axis=(1, 2))) / PUSH))
    return np.stack(states), np.stack(changes)


def _apply(op: int, reads: list[Array], weights: Array) -> Array:
    if op == LINEAR:
        return np.sum([read @ weights[slot] for slot, read in enumerate(reads)], axis=0)
    return elementwise(op, reads)


def _log(values: Array) -> Array:
    return np.log10(values + 1e-9)


def _sizes(state: Array) -> list[Array]:
    """Size, spread over the batch, mean, and size of what the batch has in common; each (copies,)."""
    return [
        _log(np.sqrt((state**2).mean(axis=(1, 2)))),
        _log(state.std(axis=1).mean(axis=1)),
        _log(np.abs(state.mean(axis=(1, 2)))),
        _log(np.sqrt((state.mean(axis=1) ** 2).mean(axis=1))),
    ]


def _rank(state: Array) -> Array:
    """Effective number of directions in which the sequences of a batch differ: 0 to 3."""
    values = np.linalg.svd(state - state.mean(axis=1, keepdims=True), compute_uv=False)
    total = (values**2).sum(axis=1)
    return np.where(total > 1e-18, values.sum(axis=1) ** 2 / np.maximum(total, 1e-18), 0.0)
