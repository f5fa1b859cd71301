"""Graph isomorphism network in batch mode (Xu et al., 2019), as in Spektral, with which a test compares it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="invertnas")
class GINConv(keras.layers.Layer):
    """H = MLP((1 + eps) X + A X), where the MLP's hidden layers are ReLU, each with batch normalisation behind it.

    Names and order of the weights are those of Spektral's `GINConvBatch`, so files of either fit the other.

    Args:
        channels: C, output channels and width of the hidden layers.
        mlp_hidden: hidden layers.
        activation: of the last layer.
        kernel_initializer: called with the shape of each kernel.

    Input: [(B, N, F), (B, N, N)]. Output: (B, N, C).
    """

    def __init__(
        self,
        channels: int,
        mlp_hidden: int = 0,
        activation: str = "relu",
        kernel_initializer: str | Callable[..., Any] = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mlp = keras.Sequential()
        for _ in range(mlp_hidden):
            self.mlp.add(keras.layers.Dense(channels, "relu", kernel_initializer=kernel_initializer))
            self.mlp.add(keras.layers.BatchNormalization())
        self.mlp.add(keras.layers.Dense(channels, activation, kernel_initializer=kernel_initializer))

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """Create all weights."""
        self.mlp.build((None, *input_shape[0][1:]))
        self.eps = self.add_weight(shape=(1,), initializer="zeros", name="eps")
        self.built = True

    def call(self, inputs: list[tf.Tensor], training: bool = False) -> tf.Tensor:
        """(B, N, C) node states after one step."""
        states, adjacency = inputs
        return self.mlp((1.0 + self.eps) * states + tf.matmul(adjacency, states), training=training)
