"""Untrained networks of the DARTS space (Liu et al., 2019; with 8 cells: Siems et al., 2020) and their kernels.

Stem (3x3 convolution to 3C channels, BatchNorm); normal cells with a reduction cell after the first and after
the second third, which doubles C. A cell first brings its two inputs to C channels (ReLU-Conv1x1-BatchNorm, or
a factorized reduction where an input is twice as large), then applies its operations, with stride 2 on
its inputs in a reduction cell, and concatenates its blocks.

- sep_conv: twice ReLU-depthwise-pointwise-BatchNorm, the second of stride 1; dil_conv: once, with dilation 2;
- skip_connect of stride 2: factorized reduction, ReLU-(two 1x1 convolutions of stride 2, one of them a pixel
  further)-BatchNorm;
- pooling: without BatchNorm.
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
    avg_pool,
    conv,
    max_pool,
    normalise,
    relu,
    separable,
)
from invertnas.proxies.nwot import NWOTConfig
from invertnas.spaces.nasbench301.cells import CELL_OPS, CompactCell
from invertnas.spaces.nasbench301.space import NASBench301Space
from invertnas.spaces.spec import ArchSpec

STACKS = 3
STEM_MULTIPLIER = 3
NORMAL, REDUCTION = 0, 1
POOLS = {"max_pool_3x3": max_pool, "avg_pool_3x3": avg_pool}
Parts = list[Tensor]


class NB301Network:
    """All networks of the space on one batch; implements `invertnas.proxies.nwot.Network`.

    Args:
        config: sizes and seed; the network has 3 * cells + 2 cells.
    """

    def __init__(self, config: NWOTConfig) -> None:
        self.config, self.bank, self._space = config, WeightBank(config.seed), NASBench301Space()
        images = image_batch(config.batch, config.image_size)
        self._stem = normalise(conv(images, self.bank.conv("stem", 3, 3, STEM_MULTIPLIER * config.channels)))

    def key(self, arch: ArchSpec) -> tuple[CompactCell, CompactCell]:
        """The two cells. Raises OutOfDomainError outside the space."""
        return self._space.to_compact(arch)

    def kernel(self, arch: ArchSpec) -> FloatArray:
        """(B, B) kernel of an architecture. Raises OutOfDomainError outside the space."""
        cells, codes = self.key(arch), CodeKernel(self.config.batch)
        channels, kinds = self.config.channels, (([NORMAL] * self.config.cells + [REDUCTION]) * STACKS)[:-1]
        codes.add(self._stem, 3)  # both inputs of the first cell and one of the second
        before: list[Parts] = [[self._stem], [self._stem]]
        for place, kind in enumerate(kinds):
            channels *= 1 + (kind == REDUCTION)
            size = before[1][0].shape[1]
            inputs = [
                self._input(parts, f"{place} input {number}", channels, parts[0].shape[1] > size)
                for number, parts in enumerate(before)
            ]
            readers = min(2, len(kinds) - 1 - place)
            before = [before[1], self._blocks(inputs, cells[kind], kind, place, readers, codes)]
        return codes.value

    def _input(self, parts: Parts, slot: str, channels: int, halve: bool) -> Tensor:
        """An input, the concatenation of `parts`, brought to `channels`."""
        active = relu(tf.raw_ops.ConcatV2(values=parts, axis=3) if len(parts) > 1 else parts[0])
        if halve:
            return normalise(conv(active, self.bank.halving(slot, active.shape[-1], channels), stride=2))
        return normalise(conv(active, self.bank.conv(slot, 1, active.shape[-1], channels)))

    def _blocks(
        self, inputs: list[Tensor], cell: CompactCell, kind: int, place: int, readers: int, codes: CodeKernel
    ) -> Parts:
        """The four blocks of a cell, whose concatenation `readers` later cells read through a ReLU."""
        values, active = list(inputs), dict[int, Tensor]()
        counts = [0] * len(inputs) + [readers] * (len(cell) // 2)
        for position, (number, op) in enumerate(cell):
            name, x = CELL_OPS[op], values[number]
            stride = 2 if kind == REDUCTION and number < len(inputs) else 1
            if "conv" in name or (name == "skip_connect" and stride == 2):
                counts[number] += 1
                if number not in active:
                    active[number] = relu(x)
                value = self._convolve(active[number], name, f"{place} {position}", stride, codes)
            else:
                value = x if name == "skip_connect" else POOLS[name](x, stride)
            if position % 2:
                values[-1] = add([values[-1], value])
            else:
                values.append(value)
        for value, count in zip(values, counts):
            codes.add(value, count)
        return values[len(inputs) :]

    def _convolve(self, active: Tensor, name: str, slot: str, stride: int, codes: CodeKernel) -> Tensor:
        """An operation with ReLUs, of which the first is already applied and counted."""
        if name == "skip_connect":
            channels = active.shape[-1]
            return normalise(conv(active, self.bank.halving(f"{slot} skip", channels, channels), stride))
        size, twice = int(name[-1]), name.startswith("sep")
        x = normalise(separable(self.bank, f"{slot} {name}", active, size, stride, 1 if twice else 2))
        if twice:
            codes.add(x)
            x = normalise(separable(self.bank, f"{slot} {name} again", relu(x), size))
        return x
