"""Untrained networks of NAS-Bench-101 (Ying et al., 2019, section 2 and S3) and their code kernels.

Stem (3x3 convolution); three stacks of equal cells with C, 2C and 4C channels, a 2x2 maximum of stride 2 between
them. Every convolution is Conv-BatchNorm-ReLU. In a cell

- the output concatenates the inner nodes it reads, which share its channels as evenly as whole numbers allow, the first
  ones taking one more; another node has the most channels of the nodes that read it;
- a node adds up what it reads: inner nodes cut to its own number of channels, and the cell's input through a 1x1
  convolution. An input that the output reads is added to the concatenation, through a 1x1 convolution as well.
"""

from __future__ import annotations

import tensorflow as tf

from invertnas.proxies.base import FloatArray
from invertnas.proxies.images import image_batch
from invertnas.proxies.networks.layers import (
    CodeKernel,
    Tensor,
    WeightBank,
    add,
    conv,
    half_max,
    max_pool,
    normalise,
    relu,
)
from invertnas.proxies.nwot import NWOTConfig
from invertnas.spaces.nasbench101.space import OP_NAMES, NASBench101Space
from invertnas.spaces.spec import ArchSpec

STACKS = 3
KERNEL_SIZES = {OP_NAMES.index("conv1x1-bn-relu"): 1, OP_NAMES.index("conv3x3-bn-relu"): 3}


class NB101Network:
    """All networks of the space on one batch; implements `invertnas.proxies.nwot.Network`.

    A cell is taken in its canonical numbering, which decides the weights of its nodes.

    Args:
        config: sizes and seed.
    """

    def __init__(self, config: NWOTConfig) -> None:
        self.config, self.bank, self._space = config, WeightBank(config.seed), NASBench101Space()
        self._images = image_batch(config.batch, config.image_size)

    def key(self, arch: ArchSpec) -> int:
        """The cell's code. Raises OutOfDomainError outside the space."""
        return self._space.code(arch)

    def kernel(self, arch: ArchSpec) -> FloatArray:
        """(B, B) kernel of an architecture. Raises OutOfDomainError outside the space."""
        arch, codes = self._space.canonical(arch), CodeKernel(self.config.batch)
        x, channels = self._conv(self._images, "stem", 3, self.config.channels, codes), self.config.channels
        for stack in range(STACKS):
            if stack:
                x, channels = half_max(x), 2 * channels
            for cell in range(self.config.cells):
                x = self._cell(x, arch, channels, f"{stack} {cell}", codes)
        return codes.value

    def _cell(self, x: Tensor, arch: ArchSpec, channels: int, slot: str, codes: CodeKernel) -> Tensor:
        widths, last = node_channels(arch, channels), len(arch.ops) - 1
        reads: list[list[int]] = [[source for source, target in arch.edges if target == node] for node in range(last)]
        values: list[Tensor] = [x]
        for node in range(1, last):
            terms = [_cut(values[source], widths[node]) for source in reads[node] if source]
            if 0 in reads[node]:
                terms.append(self._conv(x, f"{slot} input {node}", 1, widths[node], codes))
            size = KERNEL_SIZES.get(arch.ops[node])
            value = add(terms)
            values.append(self._conv(value, f"{slot} {node}", size, widths[node], codes) if size else max_pool(value))
        parts = [values[node] for node in range(1, last) if (node, last) in arch.edges]
        sums = [tf.raw_ops.ConcatV2(values=parts, axis=3) if len(parts) > 1 else parts[0]] if parts else []
        if (0, last) in arch.edges:
            sums.append(self._conv(x, f"{slot} input {last}", 1, channels, codes))
        return add(sums)

    def _conv(self, x: Tensor, slot: str, size: int, channels: int, codes: CodeKernel) -> Tensor:
        value = normalise(conv(x, self.bank.conv(slot, size, x.shape[-1], channels)))
        codes.add(value)
        return relu(value)


def node_channels(arch: ArchSpec, channels: int) -> list[int]:
    """Channels of every node of a pruned cell whose output has `channels`; the input's entry is not used."""
    last = len(arch.ops) - 1
    widths = [0] * last + [channels]
    read = [node for node in range(1, last) if (node, last) in arch.edges]
    for rank, node in enumerate(read):
        widths[node] = channels // len(read) + (rank < channels % len(read))
    for node in range(last - 1, 0, -1):
        if node not in read:
            widths[node] = max(widths[target] for source, target in arch.edges if source == node)
    return widths


def _cut(x: Tensor, channels: int) -> Tensor:
    return x if x.shape[-1] == channels else x[..., :channels]
