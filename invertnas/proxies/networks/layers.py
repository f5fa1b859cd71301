"""Layers of the untrained networks, as functions of a tensor, and the kernel of their activation codes.

Nothing is built per architecture: a network calls these functions one after another, and their weights come from a
`WeightBank` that all architectures share. Feature maps are (B, H, W, C) float32. Padding is that of the
PyTorch networks of the benchmarks: (k - 1) / 2 pixels on every side, so a stride takes every other pixel from the
first on.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from invertnas.proxies.base import FloatArray
from invertnas.seeding import generator

Tensor = Any
EPSILON = 1e-5
# Up to so many channels a depthwise and a pointwise convolution are faster as the one convolution that they are.
DENSE_CHANNELS = 16


class WeightBank:
    """Weights drawn from N(0, 2 / fan-in) (He et al., 2015), each by its name, shape and the seed alone.

    Args:
        seed: other seeds give independent weights.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._drawn: dict[tuple[Any, ...], Tensor] = {}

    def array(self, slot: str, *shape: int) -> np.ndarray:
        """(k, k, C_in, C_out) float32 kernel of a convolution."""
        rng = generator(self.seed, f"proxy weights {slot}", *shape)
        return (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32)

    def conv(self, slot: str, size: int, inputs: int, outputs: int) -> Tensor:
        """The kernel as a constant, drawn on first use."""
        return self._kept("conv", slot, size, inputs, outputs)

    def depthwise(self, slot: str, size: int, channels: int) -> Tensor:
        """(k, k, C, 1) kernel of a depthwise convolution."""
        return self._kept("depthwise", slot, size, channels)

    def separable(self, slot: str, size: int, channels: int) -> Tensor:
        """(k, k, C, C) kernel equal to the depthwise and then the pointwise convolution of a slot."""
        return self._kept("separable", slot, size, channels)

    def halving(self, slot: str, inputs: int, outputs: int) -> Tensor:
        """(2, 2, C_in, C_out) kernel of DARTS' factorized reduction.

        At stride 2 it is two 1x1 convolutions side by side, one of the even pixels, one of the odd ones.
        """
        return self._kept("halving", slot, inputs, outputs)

    def _kept(self, kind: str, slot: str, *sizes: int) -> Tensor:
        key = (kind, slot, *sizes)
        if key not in self._drawn:
            self._drawn[key] = tf.constant(getattr(self, f"_draw_{kind}")(slot, *sizes))
        return self._drawn[key]

    def _draw_conv(self, slot: str, size: int, inputs: int, outputs: int) -> np.ndarray:
        return self.array(slot, size, size, inputs, outputs)

    def _draw_depthwise(self, slot: str, size: int, channels: int) -> np.ndarray:
        return self.array(f"{slot} depthwise", size, size, 1, channels).swapaxes(2, 3)

    def _draw_separable(self, slot: str, size: int, channels: int) -> np.ndarray:
        pointwise = self._draw_conv(f"{slot} pointwise", 1, channels, channels)
        return self._draw_depthwise(slot, size, channels) * pointwise

    def _draw_halving(self, slot: str, inputs: int, outputs: int) -> np.ndarray:
        kernel, half = np.zeros((2, 2, inputs, outputs), np.float32), outputs // 2
        kernel[0, 0, :, :half] = self.array(f"{slot} even", 1, 1, inputs, half)[0, 0]
        kernel[1, 1, :, half:] = self.array(f"{slot} odd", 1, 1, inputs, outputs - half)[0, 0]
        return kernel


def conv(x: Tensor, kernel: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Convolution without bias; a kernel of even size is not padded."""
    size = kernel.shape[0]
    padding: dict[str, Any] = {"padding": "SAME" if size % 2 else "VALID"}
    if stride > 1 and size % 2 and size > 1:
        pad = dilation * (size // 2)
        padding = {"padding": "EXPLICIT", "explicit_paddings": [0, 0, pad, pad, pad, pad, 0, 0]}
    return tf.raw_ops.Conv2D(
        input=x, filter=kernel, strides=[1, stride, stride, 1], dilations=[1, dilation, dilation, 1], **padding
    )


def separable(bank: WeightBank, slot: str, x: Tensor, size: int, stride: int = 1, dilation: int = 1) -> Tensor:
    """Depthwise, then pointwise convolution, channels kept."""
    channels = x.shape[-1]
    if channels <= DENSE_CHANNELS:
        return conv(x, bank.separable(slot, size, channels), stride, dilation)
    kernel = bank.depthwise(slot, size, channels)
    if stride == 1 or dilation > 1:
        # Of the pixels that a stride leaves out the pointwise convolution takes no notice.
        x = tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "SAME", dilations=[dilation, dilation])
        return conv(x, bank.conv(f"{slot} pointwise", 1, channels, channels), stride)
    return conv(_depthwise(x, kernel, stride), bank.conv(f"{slot} pointwise", 1, channels, channels))


def normalise(x: Tensor) -> Tensor:
    """BatchNorm with the statistics of the batch, weight 1 and bias 0."""
    one, zero, empty = _constants(x.shape[-1])
    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=one, offset=zero, mean=empty, variance=empty, epsilon=EPSILON, is_training=True
    )[0]


def relu(x: Tensor) -> Tensor:
    """Rectified linear units."""
    return tf.raw_ops.Relu(features=x)


def add(tensors: list[Tensor]) -> Tensor:
    """Sum of one or more tensors."""
    return tensors[0] if len(tensors) == 1 else tf.raw_ops.AddN(inputs=tensors)


def max_pool(x: Tensor, stride: int = 1) -> Tensor:
    """3x3 maximum."""
    return tf.raw_ops.MaxPool(
        input=x,
        ksize=[1, 3, 3, 1],
        strides=[1, stride, stride, 1],
        padding="EXPLICIT",
        explicit_paddings=[0, 0, 1, 1, 1, 1, 0, 0],
    )


def avg_pool(x: Tensor, stride: int = 1) -> Tensor:
    """3x3 mean; padding does not count."""
    if stride == 1:
        return tf.raw_ops.AvgPool(value=x, ksize=[1, 3, 3, 1], strides=[1, 1, 1, 1], padding="SAME")
    ones, counts = _pool_constants(x.shape[1], x.shape[2], x.shape[3], stride)
    return _depthwise(x, ones, stride) / counts


def half_mean(x: Tensor) -> Tensor:
    """Mean over blocks of 2x2."""
    return tf.raw_ops.AvgPool(value=x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")


def half_max(x: Tensor) -> Tensor:
    """Maximum over blocks of 2x2."""
    return tf.raw_ops.MaxPool(input=x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")


def _depthwise(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    pad = kernel.shape[0] // 2
    return tf.raw_ops.DepthwiseConv2dNative(
        input=x,
        filter=kernel,
        strides=[1, stride, stride, 1],
        padding="EXPLICIT",
        explicit_paddings=[0, 0, pad, pad, pad, pad, 0, 0],
    )


@functools.lru_cache(maxsize=None)
def _constants(channels: int) -> tuple[Tensor, Tensor, Tensor]:
    return tf.ones(channels), tf.zeros(channels), tf.zeros(0)


@functools.lru_cache(maxsize=None)
def _pool_constants(height: int, width: int, channels: int, stride: int) -> tuple[Tensor, Tensor]:
    """A kernel of ones, and (1, h, w, 1) how many pixels each window has."""
    ones = tf.ones((3, 3, channels, 1))
    counts = _depthwise(tf.ones((1, height, width, 1)), tf.ones((3, 3, 1, 1)), stride)
    return ones, counts


class CodeKernel:
    """K = sum over all ReLUs of c c^T + (1 - c)(1 - c)^T, with c = [input > 0] (Mellor et al., 2021).

    Entry [i, j] counts the units that two images of the batch switch alike.

    Args:
        batch: B.
    """

    def __init__(self, batch: int) -> None:
        self.value: FloatArray = np.zeros((batch, batch))

    def add(self, x: Tensor, times: int = 1) -> None:
        """Count the units of `times` ReLUs that all read `x`, (B, H, W, C)."""
        if not times:
            return
        # float32 is exact here: all numbers are whole and below 2^24.
        codes = (np.asarray(memoryview(x)).reshape(len(self.value), -1) > 0).astype(np.float32)
        both = (codes @ codes.T).astype(np.float64)
        active = np.diag(both)
        self.value += times * (codes.shape[1] - active[:, None] - active + 2 * both)
