"""Stacked recurrent cells of NAS-Bench-NLP whose weights are all one constant, in plain NumPy.

With all weights of a linear operation equal to w, each of its output channels is w times the sum over the
input channels, so all channels of every node are equal, and a sum over n of them is n times one channel. So
each node needs one number per sequence, whatever the width, and no network is built. The words enter as sums
over the channels of their embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from invertnas.proxies.tokens import Tokens
from invertnas.seeding import generator
from invertnas.spaces.nasbench_nlp.cell import LINEAR, Cell
from invertnas.spaces.nasbench_nlp.ops import arguments, elementwise

Array = npt.NDArray[np.float64]


def embedding_sums(tokens: Tokens, width: int, *, seed: int) -> Array:
    """(steps, batch) sums over the `width` channels of embeddings drawn from U(0, 1), one per word."""
    table = generator(seed, "embedding").random((tokens.vocabulary, width))
    return np.asarray(table.sum(axis=1)[tokens.ids])


def constant_outputs(
    cell: Cell, sums: Array, weights: Sequence[float], widths: Sequence[int], *, constant_biases: bool = False
) -> Array | None:
    """(W, steps, batch) output of the last layer, any channel, for each of the W constant weights.

    Args:
        cell: nodes in topological order.
        sums: (steps, batch) input of the first layer, summed over its channels.
        weights: W values; each is that of all weights of one network, and its initial hidden states.
        widths: channels of the layers, first to last.
        constant_biases: whether biases are the constant too; else they are 0.

    Returns:
        None if any number overflows.
    """
    constants = np.array(weights, np.float64)[:, None]
    inputs = constants * sums[:, None]  # (steps, W, batch): what a linear operation of x alone gives
    start = np.broadcast_to(constants, inputs.shape[1:])
    outputs = inputs
    with np.errstate(over="ignore", invalid="ignore"):
        for width in widths:
            outputs = _layer(cell, inputs, start, constants * width, constants * constant_biases)
            if not np.isfinite(outputs).all():
                return None
            inputs = constants * width * outputs
    return np.ascontiguousarray(outputs.transpose(1, 0, 2))


def _layer(cell: Cell, inputs: Array, start: Array, gain: Array, bias: Array) -> Array:
    """(steps, W, batch) h_new_0 of one layer; `gain` is the weight times the width of a hidden state."""
    reads = [arguments(cell, op, sources) for op, sources in zip(cell.ops, cell.inputs)]
    hidden = [start] * 3
    outputs = []
    for step in inputs:
        values = [step, *hidden]
        for op, sources in zip(cell.ops, reads):
            if op == LINEAR:
                of_hidden = sum(values[source] for source in sources if source)
                values.append(gain * of_hidden + bias + (step if 0 in sources else 0))
            else:
                values.append(elementwise(op, [values[source] for source in sources]))
        hidden[: len(cell.states)] = [values[state] for state in cell.states]
        outputs.append(hidden[0])
    return np.stack(outputs)
