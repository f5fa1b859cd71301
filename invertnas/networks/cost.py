"""Parameters and multiply-adds of a network without building it: layers that only count."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple


@dataclasses.dataclass(frozen=True)
class NetworkCost:
    """What a network costs, for one input.

    Attributes:
        parameters: trainable parameters.
        multiply_adds: of the convolutions and matrix products, without biases. Papers on architecture search call
            this number FLOPs; a multiplication and an addition are one.
    """

    parameters: int
    multiply_adds: int


class Shape(NamedTuple):
    """Height, width and channels of a feature map."""

    height: int
    width: int
    filters: int


class CostLayers:
    """Implements `invertnas.networks.layers.Layers` on shapes."""

    def __init__(self) -> None:
        self.parameters, self.multiply_adds = 0, 0

    @property
    def cost(self) -> NetworkCost:
        """What has been counted so far."""
        return NetworkCost(self.parameters, self.multiply_adds)

    def conv(self, name: str, x: Shape, filters: int, size: int, *, stride: int = 1) -> Shape:
        """Convolution without bias."""
        return self._weights(_strided(x, stride)._replace(filters=filters), size * size * x.filters * filters)

    def depthwise(self, name: str, x: Shape, size: int, *, stride: int = 1, dilation: int = 1) -> Shape:
        """Depthwise convolution without bias, counted at the pixels that the stride keeps."""
        return self._weights(_strided(x, stride), size * size * x.filters)

    def norm(self, name: str, x: Shape) -> Shape:
        """Scale and offset; no multiply-adds, as it can be folded into the convolution before it."""
        self.parameters += 2 * x.filters
        return x

    def relu(self, x: Shape) -> Shape:
        """Free."""
        return x

    def add(self, terms: Sequence[Shape]) -> Shape:
        """Free."""
        return terms[0]

    def concat(self, parts: Sequence[Shape]) -> Shape:
        """Free."""
        return parts[0]._replace(filters=sum(part.filters for part in parts))

    def zero(self, x: Shape) -> Shape:
        """Free."""
        return x

    def max_pool(self, x: Shape, *, stride: int = 1) -> Shape:
        """Free."""
        return _strided(x, stride)

    def avg_pool(self, x: Shape, *, stride: int = 1) -> Shape:
        """Free."""
        return _strided(x, stride)

    def half_max(self, x: Shape) -> Shape:
        """Free."""
        return _strided(x, 2)

    def half_mean(self, x: Shape) -> Shape:
        """Free."""
        return _strided(x, 2)

    def shifted(self, x: Shape) -> Shape:
        """Free."""
        return x

    def first_channels(self, x: Shape, count: int) -> Shape:
        """Free."""
        return x._replace(filters=count)

    def classify(self, x: Shape, classes: int) -> Shape:
        """A matrix product with bias."""
        self.parameters += (x.filters + 1) * classes
        self.multiply_adds += x.filters * classes
        return Shape(1, 1, classes)

    def channels(self, x: Shape) -> int:
        """C of a feature map."""
        return x.filters

    def _weights(self, output: Shape, weights: int) -> Shape:
        self.parameters += weights
        self.multiply_adds += weights * output.height * output.width
        return output


def _strided(x: Shape, stride: int) -> Shape:
    return Shape(-(-x.height // stride), -(-x.width // stride), x.filters)
