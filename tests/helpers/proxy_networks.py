"""The networks behind NWOT once more, slow and plain: NumPy in double precision, one ReLU after another.

Written from the descriptions of the benchmarks, apart from `invertnas.proxies`; only the names and values of the
weights are those of its `WeightBank`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from invertnas.proxies.images import image_batch
from invertnas.proxies.networks.layers import WeightBank
from invertnas.proxies.nwot import NWOTConfig
from invertnas.spaces import ArchSpec, NASBench301Space
from invertnas.spaces.nasbench201 import CELL_EDGES
from invertnas.spaces.nasbench201 import OP_NAMES as NB201_OPS
from invertnas.spaces.nasbench301.cells import CELL_OPS

Array = npt.NDArray[np.float64]


class Relus:
    """ReLUs that keep the code of what they read."""

    def __init__(self) -> None:
        self.codes: list[Array] = []

    def __call__(self, x: Array) -> Array:
        self.codes.append((x > 0).reshape(len(x), -1).astype(np.float64))
        return np.maximum(x, 0)

    def kernel(self) -> Array:
        return np.sum([c @ c.T + (1 - c) @ (1 - c).T for c in self.codes], axis=0)


def windows(x: Array, size: int, stride: int, dilation: int = 1, fill: float = 0.0) -> Array:
    """(size * size, B, h, w, C) pixels that each tap of a kernel sees, padded evenly all round."""
    pad, (_, height, width, _) = dilation * (size // 2), x.shape
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), constant_values=fill)
    taps = [dilation * step for step in range(size)]
    views = [padded[:, i : i + height, j : j + width][:, ::stride, ::stride] for i in taps for j in taps]
    return np.stack(views)


def conv(x: Array, kernel: npt.ArrayLike, stride: int = 1) -> Array:
    weights = np.asarray(kernel, np.float64)
    seen = windows(x, len(weights), stride)
    return np.einsum("tbhwi,tio->bhwo", seen, weights.reshape(len(seen), *weights.shape[2:]))


def depthwise(x: Array, kernel: npt.ArrayLike, stride: int, dilation: int) -> Array:
    weights = np.asarray(kernel, np.float64)[..., 0]
    seen = windows(x, len(weights), stride, dilation)
    return np.einsum("tbhwc,tc->bhwc", seen, weights.reshape(len(seen), -1))


def batch_norm(x: Array) -> Array:
    return (x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + 1e-5)


def max_pool(x: Array, stride: int) -> Array:
    return windows(x, 3, stride, fill=-np.inf).max(axis=0)


def avg_pool(x: Array, stride: int) -> Array:
    return np.nanmean(windows(x, 3, stride, fill=np.nan), axis=0)


def blocks(x: Array) -> Array:
    """(B, h / 2, w / 2, 4, C) pixels of every 2x2 block."""
    return np.stack([x[:, i::2, j::2] for i, j in itertools.product((0, 1), repeat=2)], axis=3)


def nb201_kernel(arch: ArchSpec, config: NWOTConfig) -> Array:
    bank, relu, channels = WeightBank(config.seed), Relus(), config.channels
    x = batch_norm(
        conv(image_batch(config.batch, config.image_size).astype(np.float64), bank.conv("stem", 3, 3, channels))
    )
    for stack in range(3):
        if stack:
            inner = batch_norm(conv(relu(x), bank.conv(f"{stack} first", 3, channels, 2 * channels), 2))
            inner = batch_norm(conv(relu(inner), bank.conv(f"{stack} second", 3, 2 * channels, 2 * channels)))
            x = inner + conv(blocks(x).mean(axis=3), bank.conv(f"{stack} shortcut", 1, channels, 2 * channels))
            channels *= 2
        for cell in range(config.cells):
            x = _nb201_cell(x, arch.ops[1:-1], f"{stack} {cell}", bank, relu)
    relu(batch_norm(x))
    return relu.kernel()


def _nb201_cell(x: Array, ops: tuple[int, ...], slot: str, bank: WeightBank, relu: Relus) -> Array:
    values: dict[int, Array | None] = {0: x}

    def value(node: int) -> Array | None:
        if node not in values:
            terms = [term(edge, start) for edge, (start, end) in enumerate(CELL_EDGES) if end == node]
            found = [each for each in terms if each is not None]
            values[node] = np.sum(found, axis=0) if found else None
        return values[node]

    def term(edge: int, start: int) -> Array | None:
        name = NB201_OPS[ops[edge]]
        source = None if name == "none" else value(start)
        if source is None or name == "skip_connect":
            return source
        if name == "avg_pool_3x3":
            return avg_pool(source, 1)
        return batch_norm(conv(relu(source), bank.conv(f"{slot} {edge}", int(name[-1]), x.shape[-1], x.shape[-1])))

    out = value(3)
    return np.zeros_like(x) if out is None else out


def nb101_kernel(arch: ArchSpec, config: NWOTConfig) -> Array:
    """Of a pruned cell in canonical numbering."""
    bank, relu, channels = WeightBank(config.seed), Relus(), config.channels

    def layer(x: Array, slot: str, size: int, width: int) -> Array:
        return relu(batch_norm(conv(x, bank.conv(slot, size, x.shape[-1], width))))

    x = layer(image_batch(config.batch, config.image_size).astype(np.float64), "stem", 3, channels)
    for stack in range(3):
        if stack:
            x, channels = blocks(x).max(axis=3), 2 * channels
        for cell in range(config.cells):
            x = _nb101_cell(x, arch, channels, f"{stack} {cell}", layer)
    return relu.kernel()


def _nb101_cell(
    x: Array, arch: ArchSpec, channels: int, slot: str, layer: Callable[[Array, str, int, int], Array]
) -> Array:
    last = len(arch.ops) - 1
    into_output = [node for node in range(1, last) if (node, last) in arch.edges]
    shares = [len(part) for part in np.array_split(np.arange(channels), max(len(into_output), 1))]

    def width(node: int) -> int:
        if node in into_output:
            return shares[into_output.index(node)]
        return max(width(target) for source, target in arch.edges if source == node)

    values: dict[int, Array] = {}
    for node in range(1, last):
        total = np.zeros((*x.shape[:3], width(node)))
        for source in range(1, node):
            if (source, node) in arch.edges:
                total += values[source][..., : width(node)]
        if (0, node) in arch.edges:
            total += layer(x, f"{slot} input {node}", 1, width(node))
        size = {2: 1, 3: 3, 4: 0}[arch.ops[node]]
        values[node] = layer(total, f"{slot} {node}", size, width(node)) if size else max_pool(total, 1)
    out = np.concatenate([values[node] for node in into_output], axis=3) if into_output else np.zeros(1)
    return out + layer(x, f"{slot} input {last}", 1, channels) if (0, last) in arch.edges else out


def nb301_kernel(arch: ArchSpec, config: NWOTConfig) -> Array:
    bank, relu, channels = WeightBank(config.seed), Relus(), config.channels
    stem = batch_norm(
        conv(image_batch(config.batch, config.image_size).astype(np.float64), bank.conv("stem", 3, 3, 3 * channels))
    )
    cells, before, was_reduction = NASBench301Space().to_compact(arch), [stem, stem], False
    layers = 3 * config.cells + 2
    for place in range(layers):
        reduction = place in (layers // 3, 2 * layers // 3)
        channels *= 1 + reduction
        values = []
        for number, x in enumerate(before):
            slot = f"{place} input {number}"
            if number == 0 and was_reduction:
                values.append(_halved(x, slot, channels, bank, relu))
            else:
                values.append(batch_norm(conv(relu(x), bank.conv(slot, 1, x.shape[-1], channels))))
        terms = []
        for position, (number, op) in enumerate(cells[reduction]):
            stride = 2 if reduction and number < 2 else 1
            terms.append(_darts_op(values[number], CELL_OPS[op], f"{place} {position}", stride, bank, relu))
            if position % 2:
                values.append(terms[-2] + terms[-1])
        before, was_reduction = [before[1], np.concatenate(values[2:], axis=3)], reduction
    return relu.kernel()


def _halved(x: Array, slot: str, channels: int, bank: WeightBank, relu: Relus) -> Array:
    """Factorized reduction."""
    active, half = relu(x), channels // 2
    even = bank.array(f"{slot} even", 1, 1, x.shape[-1], half)
    odd = bank.array(f"{slot} odd", 1, 1, x.shape[-1], channels - half)
    return batch_norm(np.concatenate([conv(active[:, ::2, ::2], even), conv(active[:, 1::2, 1::2], odd)], axis=3))


def _darts_op(x: Array, name: str, slot: str, stride: int, bank: WeightBank, relu: Relus) -> Array:
    if "pool" in name:
        return (max_pool if name.startswith("max") else avg_pool)(x, stride)
    if name == "skip_connect":
        return x if stride == 1 else _halved(x, f"{slot} skip", x.shape[-1], bank, relu)
    channels, size, dilation = x.shape[-1], int(name[-1]), 2 if name.startswith("dil") else 1
    for part, step in ((f"{slot} {name}", stride), (f"{slot} {name} again", 1))[: 3 - dilation]:
        x = depthwise(relu(x), bank.depthwise(part, size, channels), step, dilation)
        x = batch_norm(conv(x, bank.conv(f"{part} pointwise", 1, channels, channels)))
    return x
