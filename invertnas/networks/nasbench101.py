"""The network of a NAS-Bench-101 cell (Ying et al., 2019, section 2 and S3).

Stem (3x3 convolution); three stacks of equal cells with C, 2C and 4C channels, a 2x2 maximum of stride 2 between
them; mean over the pixels, classifier. Every convolution is followed by BatchNorm and ReLU. The benchmark has 128
channels and three cells a stack. In a cell

- the output concatenates the inner nodes it reads, which share its channels as evenly as whole numbers allow; another
  node has the most channels of the nodes that read it;
- a node adds up what it reads: inner nodes cut to its own number of channels, and the cell's input through a 1x1
  convolution. An input that the output reads is added to the concatenation, through a 1x1 convolution as well.
"""

from __future__ import annotations

from invertnas.networks.layers import Layers, Tensor
from invertnas.proxies.networks.nasbench101 import KERNEL_SIZES, STACKS, node_channels
from invertnas.spaces.nasbench101 import NASBench101Space
from invertnas.spaces.spec import ArchSpec

CHANNELS, CELLS = 128, 3
MOMENTUM = 0.997


def network(
    layers: Layers, space: NASBench101Space, arch: ArchSpec, x: Tensor, classes: int, channels: int, cells: int
) -> Tensor:
    """(B, classes) logits of (B, H, W, C) images.

    Args:
        layers: what the network is made of.
        space: the search space.
        arch: a cell of it, taken pruned and in its canonical numbering.
        x: images.
        classes: number of logits.
        channels: of the first stack.
        cells: of each stack.
    """
    arch = space.canonical(arch)  # raises OutOfDomainError outside the space
    x = _conv(layers, "stem", x, channels, 3)
    for stack in range(STACKS):
        if stack:
            x, channels = layers.half_max(x), 2 * channels
        for number in range(cells):
            x = _cell(layers, f"stack{stack}_cell{number}", x, arch, channels)
    return layers.classify(x, classes)


def _cell(layers: Layers, name: str, x: Tensor, arch: ArchSpec, channels: int) -> Tensor:
    widths, last = node_channels(arch, channels), len(arch.ops) - 1
    values: list[Tensor] = [x]
    for node in range(1, last):
        reads = [source for source, target in arch.edges if target == node]
        terms = [layers.first_channels(values[source], widths[node]) for source in reads if source]
        if 0 in reads:
            terms.append(_conv(layers, f"{name}_input{node}", x, widths[node], 1))
        value, size = layers.add(terms), KERNEL_SIZES.get(arch.ops[node])
        values.append(
            _conv(layers, f"{name}_node{node}", value, widths[node], size) if size else layers.max_pool(value)
        )
    parts = [values[node] for node in range(1, last) if (node, last) in arch.edges]
    sums = [layers.concat(parts)] if parts else []
    if (0, last) in arch.edges:
        sums.append(_conv(layers, f"{name}_input{last}", x, channels, 1))
    return layers.add(sums)


def _conv(layers: Layers, name: str, x: Tensor, channels: int, size: int) -> Tensor:
    return layers.relu(layers.norm(f"{name}_norm", layers.conv(f"{name}_conv", x, channels, size)))
