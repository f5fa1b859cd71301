"""What the parameterless operations of NAS-Bench-NLP compute, in NumPy (Klyuchnikov et al., 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from invertnas.spaces.nasbench_nlp.cell import BLEND, LEAKY_RELU, NUM_INPUTS, PROD, SIGM, SUM, TANH, Cell

Array = npt.NDArray[np.float64]


def arguments(cell: Cell, op: int, sources: tuple[int, ...]) -> tuple[int, ...]:
    """The inputs in order; the order of blend is not known, so a sigmoid is taken as its gate if there is one."""
    if op != BLEND:
        return sources
    gates = [source for source in sources if source >= NUM_INPUTS and cell.ops[source - NUM_INPUTS] == SIGM]
    return tuple(sorted(sources, key=lambda source: source not in gates[:1]))


def elementwise(op: int, reads: Sequence[Array]) -> Array:
    """Result of any operation but linear on arrays of one shape, given in the order of `arguments`."""
    first = reads[0]
    if op == SIGM:
        return 1 / (1 + np.exp(-np.clip(first, -50, 50)))
    if op == TANH:
        return np.tanh(first)
    if op == LEAKY_RELU:
        return np.where(first > 0, first, 0.01 * first)
    if op == SUM:
        return first + reads[1]
    if op == PROD:
        return first * reads[1]
    return first * reads[1] + (1 - first) * reads[2]
