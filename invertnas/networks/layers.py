"""The layers that all networks are made of, in two forms: Keras layers, and what they would cost.

A network of a space is written once, as calls of `Layers`. `KerasLayers` turns them into a functional Keras model of
Keras' own layers, `invertnas.networks.cost.CostLayers` into counts. Feature maps are (B, H, W, C). Padding is that of
the PyTorch networks of the benchmarks: (k - 1) / 2 pixels on every side, so a stride takes every other pixel from the
first on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import keras

from invertnas.seeding import seed_sequence

Tensor = Any
EPSILON = 1e-5


class Layers(Protocol):
    """What a network is written in. A layer with weights has a name of its own, which decides its initial weights."""

    def conv(self, name: str, x: Tensor, filters: int, size: int, *, stride: int = 1) -> Tensor:
        """Convolution without bias."""
        ...

    def depthwise(self, name: str, x: Tensor, size: int, *, stride: int = 1, dilation: int = 1) -> Tensor:
        """Depthwise convolution without bias."""
        ...

    def norm(self, name: str, x: Tensor) -> Tensor:
        """BatchNorm with scale and offset."""
        ...

    def relu(self, x: Tensor) -> Tensor:
        """Rectified linear units."""
        ...

    def add(self, terms: Sequence[Tensor]) -> Tensor:
        """Sum of one or more feature maps."""
        ...

    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        """One or more feature maps side by side."""
        ...

    def zero(self, x: Tensor) -> Tensor:
        """Zeros of the shape of `x`, through which no gradient flows."""
        ...

    def max_pool(self, x: Tensor, *, stride: int = 1) -> Tensor:
        """3x3 maximum."""
        ...

    def avg_pool(self, x: Tensor, *, stride: int = 1) -> Tensor:
        """3x3 mean; padding does not count."""
        ...

    def half_max(self, x: Tensor) -> Tensor:
        """Maximum over blocks of 2x2, cut off at an odd edge."""
        ...

    def half_mean(self, x: Tensor) -> Tensor:
        """Mean over blocks of 2x2, cut off at an odd edge."""
        ...

    def shifted(self, x: Tensor) -> Tensor:
        """The feature map without its first row and column, a row and a column of zeros after its last."""
        ...

    def first_channels(self, x: Tensor, count: int) -> Tensor:
        """The first `count` channels."""
        ...

    def classify(self, x: Tensor, classes: int) -> Tensor:
        """Mean over all pixels, then a matrix product with bias: (B, classes) logits."""
        ...

    def channels(self, x: Tensor) -> int:
        """C of a feature map."""
        ...


def relu_conv_norm(layers: Layers, name: str, x: Tensor, filters: int, size: int, *, stride: int = 1) -> Tensor:
    """ReLU, convolution, BatchNorm."""
    return layers.norm(f"{name}_norm", layers.conv(f"{name}_conv", layers.relu(x), filters, size, stride=stride))


class KerasLayers:
    """Layers of a functional Keras model.

    Weights are drawn from N(0, 2 / fan-in) (He et al., 2015), those of the classifier from Glorot's uniform
    distribution, each by the seed and its layer's name: equal layers of two architectures start equal.

    Args:
        seed: of the initial weights.
        momentum: of the running means of BatchNorm.
    """

    def __init__(self, seed: int, *, momentum: float) -> None:
        self.seed, self.momentum = seed, momentum

    def conv(self, name: str, x: Tensor, filters: int, size: int, *, stride: int = 1) -> Tensor:
        x, padding = self._padded(x, size, stride, 1)
        return keras.layers.Conv2D(
            filters, size, stride, padding, use_bias=False, kernel_initializer=self._he(name), name=name
        )(x)

    def depthwise(self, name: str, x: Tensor, size: int, *, stride: int = 1, dilation: int = 1) -> Tensor:
        # TensorFlow has no depthwise convolution with both a stride and a dilation, so the pixels are taken afterwards.
        inner = 1 if dilation > 1 else stride
        x, padding = self._padded(x, size, inner, dilation)
        x = keras.layers.DepthwiseConv2D(
            size,
            inner,
            padding,
            dilation_rate=dilation,
            use_bias=False,
            depthwise_initializer=self._he(name, 2.0 * self.channels(x)),
            name=name,
        )(x)
        return _every_other(x) if inner < stride else x

    def norm(self, name: str, x: Tensor) -> Tensor:
        return keras.layers.BatchNormalization(momentum=self.momentum, epsilon=EPSILON, name=name)(x)

    def relu(self, x: Tensor) -> Tensor:
        return keras.layers.ReLU()(x)

    def add(self, terms: Sequence[Tensor]) -> Tensor:
        return keras.layers.Add()(list(terms)) if len(terms) > 1 else terms[0]

    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        return keras.layers.Concatenate()(list(parts)) if len(parts) > 1 else parts[0]

    def zero(self, x: Tensor) -> Tensor:
        return keras.layers.Rescaling(0.0)(x)

    def max_pool(self, x: Tensor, *, stride: int = 1) -> Tensor:
        # Of the maxima at all pixels every other one is what a padding of one pixel on every side gives.
        x = keras.layers.MaxPooling2D(3, 1, "same")(x)
        return _every_other(x) if stride > 1 else x

    def avg_pool(self, x: Tensor, *, stride: int = 1) -> Tensor:
        x = keras.layers.AveragePooling2D(3, 1, "same")(x)
        return _every_other(x) if stride > 1 else x

    def half_max(self, x: Tensor) -> Tensor:
        return keras.layers.MaxPooling2D(2, 2, "same")(x)

    def half_mean(self, x: Tensor) -> Tensor:
        return keras.layers.AveragePooling2D(2, 2, "same")(x)

    def shifted(self, x: Tensor) -> Tensor:
        return keras.layers.Cropping2D(((1, 0), (1, 0)))(keras.layers.ZeroPadding2D(((0, 1), (0, 1)))(x))

    def first_channels(self, x: Tensor, count: int) -> Tensor:
        # Cropping, told that the last two axes are the spatial ones, crops the channels.
        surplus = self.channels(x) - count
        return keras.layers.Cropping2D(((0, 0), (0, surplus)), data_format="channels_first")(x) if surplus else x

    def classify(self, x: Tensor, classes: int) -> Tensor:
        x = keras.layers.GlobalAveragePooling2D(name="features")(x)
        initializer = keras.initializers.GlorotUniform(seed=self._seed("logits"))
        return keras.layers.Dense(classes, kernel_initializer=initializer, dtype="float32", name="logits")(x)

    def channels(self, x: Tensor) -> int:
        return int(x.shape[-1])

    def _padded(self, x: Tensor, size: int, stride: int, dilation: int) -> tuple[Tensor, str]:
        """Even padding on all sides; Keras' own is even where nothing is left out."""
        if stride == 1 or size == 1:
            return x, "same"
        return keras.layers.ZeroPadding2D(dilation * (size // 2))(x), "valid"

    def _he(self, name: str, scale: float = 2.0) -> Any:
        return keras.initializers.VarianceScaling(scale, "fan_in", "untruncated_normal", seed=self._seed(name))

    def _seed(self, name: str) -> int:
        return int(seed_sequence(self.seed, f"network weights {name}").generate_state(1)[0])


def _every_other(x: Tensor) -> Tensor:
    return keras.layers.MaxPooling2D(1, 2, "valid")(x)
