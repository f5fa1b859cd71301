"""The network of a NAS-Bench-201 cell (Dong & Yang, 2020, section 2.1).

Stem (3x3 convolution, BatchNorm); three stacks of equal cells with C, 2C and 4C channels; a residual block of stride 2
before the second and the third stack; BatchNorm, ReLU, mean over the pixels, classifier. The benchmark has 16
channels and five cells a stack. Its networks keep what does not reach the output: convolutions on dead edges are
parameters and are computed.
"""

from __future__ import annotations

from invertnas.networks.layers import Layers, Tensor, relu_conv_norm
from invertnas.proxies.networks.nasbench201 import KERNEL_SIZES, MAPS, STACKS, live_ops
from invertnas.spaces.nasbench201 import CELL_EDGES, NONE, SKIP, NASBench201Space
from invertnas.spaces.spec import ArchSpec

CHANNELS, CELLS = 16, 5
MOMENTUM = 0.9


def network(
    layers: Layers, space: NASBench201Space, arch: ArchSpec, x: Tensor, classes: int, channels: int, cells: int,
    *, prune: bool = False,
) -> Tensor:  # fmt: skip
    """(B, classes) logits of (B, H, W, C) images.

    Args:
        layers: what the network is made of.
        space: the search space.
        arch: a cell of it.
        x: images.
        classes: number of logits.
        channels: of the first stack.
        cells: of each stack.
        prune: leave out what the output does not depend on; the function is the same.
    """
    space.to_string(arch)  # raises OutOfDomainError outside the space
    ops = live_ops(arch.ops[1:-1]) if prune else arch.ops[1:-1]
    x = layers.norm("stem_norm", layers.conv("stem_conv", x, channels, 3))
    for stack in range(STACKS):
        if stack:
            x = _reduce(layers, f"reduce{stack}", x)
        for number in range(cells):
            x = _cell(layers, f"stack{stack}_cell{number}", x, ops, prune)
    return layers.classify(layers.relu(layers.norm("last_norm", x)), classes)


def _cell(layers: Layers, name: str, x: Tensor, ops: tuple[int, ...], prune: bool) -> Tensor:
    terms: list[list[Tensor]] = [[x], *([] for _ in range(MAPS - 1))]
    values: list[Tensor | None] = [x] + [None] * (MAPS - 1)
    for edge, ((source, target), op) in enumerate(zip(CELL_EDGES, ops)):  # sorted by target
        value = values[source]
        if value is not None and not (prune and op == NONE):
            terms[target].append(_operation(layers, f"{name}_edge{edge}", value, op))
        if target not in {end for _, end in CELL_EDGES[edge + 1 :]} and terms[target]:
            values[target] = layers.add(terms[target])
    return layers.zero(x) if values[-1] is None else values[-1]


def _operation(layers: Layers, name: str, x: Tensor, op: int) -> Tensor:
    if op in KERNEL_SIZES:
        return relu_conv_norm(layers, name, x, layers.channels(x), KERNEL_SIZES[op])
    if op == NONE:
        return layers.zero(x)
    return x if op == SKIP else layers.avg_pool(x)


def _reduce(layers: Layers, name: str, x: Tensor) -> Tensor:
    """Residual block: two 3x3 convolutions, the first of stride 2, beside 2x2 mean and a 1x1 convolution."""
    channels = 2 * layers.channels(x)
    inner = relu_conv_norm(layers, f"{name}_first", x, channels, 3, stride=2)
    outer = relu_conv_norm(layers, f"{name}_second", inner, channels, 3)
    return layers.add([outer, layers.conv(f"{name}_shortcut_conv", layers.half_mean(x), channels, 1)])
