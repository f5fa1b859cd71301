"""The NAS-Bench-201 network with one constant for all weights, in plain NumPy (Dong & Yang, 2020).

As in `recurrent`, equal weights make all channels of a feature map equal, so each map is one channel and a
convolution is constant x channels x sum over the window. BatchNorm uses the statistics of the batch; its weight
is the constant and its bias 0. The network: stem, three stages of cells with 1, 2 and 4 times the channels of
the stem, a residual block of stride 2 before the second and the third, then BatchNorm, ReLU, the mean over the
image and a linear layer with a single output.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from invertnas.spaces.nasbench201 import CELL_EDGES, NONE, OP_NAMES, SKIP

Array = npt.NDArray[np.float64]
CONV_3X3, POOL = OP_NAMES.index("nor_conv_3x3"), OP_NAMES.index("avg_pool_3x3")
EPSILON = 1e-5
STAGES = 3


def constant_output(
    cell_ops: tuple[int, ...], inputs: Array, weight: float, *, channels: int = 16, cells: int = 5
) -> Array:
    """(B,) output for images.

    Args:
        cell_ops: operation indices of the six edges.
        inputs: (B, H, W) images, normalised and summed over their channels; H and W divide by 4.
        weight: the constant.
        channels: of the stem.
        cells: per stage.
    """
    maps = _batch_norm(weight * _window_sum(inputs), weight)
    for stage in range(STAGES):
        if stage:
            maps = _reduce(maps, weight, channels)
            channels *= 2
        for _ in range(cells):
            maps = _cell(cell_ops, maps, weight, channels)
    means = np.maximum(_batch_norm(maps, weight), 0).mean(axis=(1, 2))
    return np.asarray(weight * channels * means)


def _cell(cell_ops: tuple[int, ...], inputs: Array, weight: float, channels: int) -> Array:
    nodes = [inputs]
    for node in range(1, 4):
        maps = np.zeros_like(inputs)
        for (source, target), op in zip(CELL_EDGES, cell_ops):
            if target == node and op != NONE:
                maps = maps + _apply(op, nodes[source], weight, channels)
        nodes.append(maps)
    return nodes[-1]


def _apply(op: int, maps: Array, weight: float, channels: int) -> Array:
    if op == SKIP:
        return maps
    if op == POOL:
        return _window_sum(maps) / _window_sum(np.ones_like(maps[:1]))
    return _conv(maps, weight, channels, wide=op == CONV_3X3)


def _conv(maps: Array, weight: float, channels: int, *, wide: bool, stride: int = 1) -> Array:
    """ReLU, convolution of 3 x 3 (wide) or 1 x 1, BatchNorm."""
    active = np.maximum(maps, 0)
    sums = _window_sum(active) if wide else active
    return _batch_norm(weight * channels * sums[:, ::stride, ::stride], weight)


def _reduce(maps: Array, weight: float, channels: int) -> Array:
    """The residual block that halves height and width; `channels` are those of its input."""
    batch, height, width = maps.shape
    means = maps.reshape(batch, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    inner = _conv(maps, weight, channels, wide=True, stride=2)
    return weight * channels * means + _conv(inner, weight, 2 * channels, wide=True)


def _window_sum(maps: Array) -> Array:
    """(B, H, W) sums over windows of 3 x 3, zeros outside."""
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]


def _batch_norm(maps: Array, weight: float) -> Array:
    return weight * (maps - maps.mean()) / np.sqrt(maps.var() + EPSILON)
