"""Untrained networks of NAS-Bench-201 (Dong & Yang, 2020) and their code kernels.

Stem (3x3 convolution, BatchNorm); three stacks of equal cells with C, 2C and 4C channels; a residual block of stride 2
before the second and the third; then BatchNorm and a ReLU. The convolutions of a cell and of the
blocks are ReLU-Conv-BatchNorm, so several edges out of a feature map have ReLUs with the same input.
"""

from __future__ import annotations

from invertnas.errors import OutOfDomainError
from invertnas.proxies.base import FloatArray
from invertnas.proxies.images import image_batch
from invertnas.proxies.networks.layers import (
    CodeKernel,
    Tensor,
    WeightBank,
    add,
    avg_pool,
    conv,
    half_mean,
    normalise,
    relu,
)
from invertnas.proxies.nwot import NWOTConfig
from invertnas.spaces.nasbench201 import CELL_EDGES, NONE, OP_NAMES, SKIP, NASBench201Space
from invertnas.spaces.spec import ArchSpec

STACKS = 3
MAPS = 4
CONV_1X1, CONV_3X3 = OP_NAMES.index("nor_conv_1x1"), OP_NAMES.index("nor_conv_3x3")
KERNEL_SIZES = {CONV_1X1: 1, CONV_3X3: 3}


class NB201Network:
    """All networks of the space on one batch; implements `invertnas.proxies.nwot.Network`.

    Args:
        config: sizes and seed.
    """

    def __init__(self, config: NWOTConfig) -> None:
        self.config, self.bank, self._space = config, WeightBank(config.seed), NASBench201Space()
        images = image_batch(config.batch, config.image_size)
        self._stem = normalise(conv(images, self.bank.conv("stem", 3, 3, config.channels)))

    def key(self, arch: ArchSpec) -> tuple[int, ...]:
        """The six operations, dead edges as `none`: 9,445 networks. Raises OutOfDomainError outside the space."""
        if not self._space.is_valid(arch):
            raise OutOfDomainError(f"got {arch}; expected a NAS-Bench-201 cell")
        return live_ops(arch.ops[1:-1])

    def kernel(self, arch: ArchSpec) -> FloatArray:
        """(B, B) kernel of an architecture. Raises OutOfDomainError outside the space."""
        ops, codes, x = self.key(arch), CodeKernel(self.config.batch), self._stem
        for stack in range(STACKS):
            if stack:
                x = self._reduce(x, stack, codes)
            for cell in range(self.config.cells):
                x = self._cell(x, ops, f"{stack} {cell}", codes)
        codes.add(normalise(x))
        return codes.value

    def _cell(self, x: Tensor, ops: tuple[int, ...], slot: str, codes: CodeKernel) -> Tensor:
        """Output of a cell whose dead edges are `none`; zeros where nothing reaches it."""
        terms: list[list[Tensor]] = [[x], [], [], []]
        for source in range(MAPS - 1):
            if not terms[source]:
                continue
            value = add(terms[source])
            convs = [KERNEL_SIZES.get(op) for (start, _), op in zip(CELL_EDGES, ops) if start == source]
            codes.add(value, sum(size is not None for size in convs))
            active = relu(value) if any(convs) else value
            for edge, ((start, target), op) in enumerate(zip(CELL_EDGES, ops)):
                if start != source or op == NONE:
                    continue
                if op in KERNEL_SIZES:
                    kernel = self.bank.conv(f"{slot} {edge}", KERNEL_SIZES[op], x.shape[-1], x.shape[-1])
                    terms[target].append(normalise(conv(active, kernel)))
                else:
                    terms[target].append(value if op == SKIP else avg_pool(value))
        return add(terms[-1]) if terms[-1] else x * 0.0

    def _reduce(self, x: Tensor, stack: int, codes: CodeKernel) -> Tensor:
        """Residual block: two 3x3 convolutions, the first of stride 2, beside 2x2 mean and a 1x1 convolution."""
        inputs = x.shape[-1]
        first, second, shortcut = (
            self.bank.conv(f"{stack} {name}", size, width, 2 * inputs)
            for name, size, width in (("first", 3, inputs), ("second", 3, 2 * inputs), ("shortcut", 1, inputs))
        )
        codes.add(x)
        inner = normalise(conv(relu(x), first, stride=2))
        codes.add(inner)
        return add([normalise(conv(relu(inner), second)), conv(half_mean(x), shortcut)])


def live_ops(cell_ops: tuple[int, ...]) -> tuple[int, ...]:
    """The six operations with `none` on every edge that is on no way from input to output.

    A ReLU that the output does not depend on, or that sees nothing but zeros, is not counted.
    """
    forward, backward = {0}, {MAPS - 1}
    for (source, target), op in zip(CELL_EDGES, cell_ops):  # sorted by target
        if op != NONE and source in forward:
            forward.add(target)
    for source, target in sorted(CELL_EDGES, reverse=True):
        if cell_ops[CELL_EDGES.index((source, target))] != NONE and target in backward:
            backward.add(source)
    return tuple(
        op if source in forward and target in backward else NONE for (source, target), op in zip(CELL_EDGES, cell_ops)
    )
