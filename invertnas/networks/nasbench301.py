"""The network of a DARTS architecture (Liu et al., 2019; with 8 cells of 32 channels: Siems et al., 2020).

Stem (3x3 convolution to 3C channels, BatchNorm); cells, with a reduction cell after the first and after the second
third, which doubles C; mean over the pixels, classifier. A cell first brings its two inputs to C channels
(ReLU, 1x1 convolution, BatchNorm, or a factorised reduction where an input is twice as large), then applies its
operations, with stride 2 on its inputs in a reduction cell, and concatenates its blocks. The auxiliary classifier
and the dropped paths of the benchmark's training are no part of the network here.
"""

from __future__ import annotations

from invertnas.networks.layers import Layers, Tensor, relu_conv_norm
from invertnas.spaces.nasbench301 import NASBench301Space
from invertnas.spaces.nasbench301.cells import CELL_OPS, CompactCell
from invertnas.spaces.spec import ArchSpec

CHANNELS, CELLS = 32, 8
MOMENTUM = 0.9
STEM_MULTIPLIER = 3
NORMAL, REDUCTION = 0, 1


def network(
    layers: Layers, space: NASBench301Space, arch: ArchSpec, x: Tensor, classes: int, channels: int, cells: int
) -> Tensor:
    """(B, classes) logits of (B, H, W, C) images.

    Args:
        layers: what the network is made of.
        space: the search space.
        arch: an architecture of it.
        x: images.
        classes: number of logits.
        channels: C of the first cell.
        cells: in all, the reduction cells included.
    """
    kinds = space.to_compact(arch)  # raises OutOfDomainError outside the space
    stem = layers.norm("stem_norm", layers.conv("stem_conv", x, STEM_MULTIPLIER * channels, 3))
    before, halve = (stem, stem), False
    for place in range(cells):
        kind = REDUCTION if place in (cells // 3, 2 * cells // 3) else NORMAL
        channels *= 1 + kind
        name = f"cell{place}"
        first = _halved if halve else relu_conv_norm
        inputs = [
            first(layers, f"{name}_input0", before[0], channels, 1),
            relu_conv_norm(layers, f"{name}_input1", before[1], channels, 1),
        ]
        before, halve = (before[1], _cell(layers, name, inputs, kinds[kind], 1 + kind)), kind == REDUCTION
    return layers.classify(before[1], classes)


def _cell(layers: Layers, name: str, inputs: list[Tensor], cell: CompactCell, stride: int) -> Tensor:
    """Concatenation of the four blocks; `stride` is that of the operations on the cell's inputs."""
    values, terms = list(inputs), list[Tensor]()
    for position, (number, op) in enumerate(cell):
        step = stride if number < len(inputs) else 1
        terms.append(_operation(layers, f"{name}_op{position}", values[number], CELL_OPS[op], step))
        if position % 2:
            values.append(layers.add(terms[-2:]))
    return layers.concat(values[len(inputs) :])


def _operation(layers: Layers, name: str, x: Tensor, op: str, stride: int) -> Tensor:
    if op == "max_pool_3x3":
        return layers.max_pool(x, stride=stride)
    if op == "avg_pool_3x3":
        return layers.avg_pool(x, stride=stride)
    if op == "skip_connect":
        return x if stride == 1 else _halved(layers, name, x, layers.channels(x))
    size = int(op[-1])
    if op.startswith("dil"):
        return _separable(layers, name, x, size, stride, 2)
    return _separable(layers, f"{name}_again", _separable(layers, name, x, size, stride, 1), size, 1, 1)


def _separable(layers: Layers, name: str, x: Tensor, size: int, stride: int, dilation: int) -> Tensor:
    """ReLU, depthwise and pointwise convolution, BatchNorm."""
    spread = layers.depthwise(f"{name}_depthwise", layers.relu(x), size, stride=stride, dilation=dilation)
    return layers.norm(f"{name}_norm", layers.conv(f"{name}_conv", spread, layers.channels(x), 1))


def _halved(layers: Layers, name: str, x: Tensor, channels: int, size: int = 1) -> Tensor:
    """Factorised reduction: ReLU, two 1x1 convolutions of stride 2, one of them a pixel further, BatchNorm."""
    active, even = layers.relu(x), channels // 2
    halves = [
        layers.conv(f"{name}_even_conv", active, even, size, stride=2),
        layers.conv(f"{name}_odd_conv", layers.shifted(active), channels - even, size, stride=2),
    ]
    return layers.norm(f"{name}_norm", layers.concat(halves))
