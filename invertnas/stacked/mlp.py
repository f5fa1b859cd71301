"""K multilayer perceptrons as one layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from invertnas.stacked.tape import linear


def fixed(values: np.ndarray) -> Callable[..., tf.Tensor]:
    return lambda shape, dtype=None: tf.constant(values)


@keras.saving.register_keras_serializable(package="invertnas")
class StackedMLP(keras.layers.Layer):
    """K multilayer perceptrons with one batched matrix product per layer for all of them.

    Hidden layers are ReLU; the last is linear. Kernels are Glorot-uniform, different for each
    member; biases start at zero.

    Input: (K, B, fan_in). Output: (K, B, units).
    """

    def __init__(
        self,
        members: int,
        units: int,
        hidden_layers: int,
        hidden: int,
        *,
        head_scale: float = 1.0,
        matmul_dtype: str = "float32",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.members, self.units, self.hidden_layers, self.hidden = members, units, hidden_layers, hidden
        self.head_scale, self.matmul_dtype, self.seed = head_scale, matmul_dtype, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the stacked kernels (K, in, out) and biases (K, 1, out)."""
        rng = np.random.default_rng(self.seed)
        sizes = [int(input_shape[-1] or 0), *[self.hidden] * self.hidden_layers, self.units]
        self.kernels, self.biases = [], []
        for index, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
            limit = np.sqrt(6.0 / (fan_in + fan_out)) * (self.head_scale if index == self.hidden_layers else 1.0)
            shape = (self.members, fan_in, fan_out)
            values = rng.uniform(-limit, limit, shape).astype(np.float32)
            self.kernels.append(self.add_weight(shape=shape, initializer=fixed(values), name=f"kernel_{index}"))
            shape = (self.members, 1, fan_out)
            self.biases.append(self.add_weight(shape=shape, initializer="zeros", name=f"bias_{index}"))
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(K, B, units) outputs, of the dtype of the inputs."""
        states = tf.cast(inputs, self.matmul_dtype)
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1]):
            states = tf.nn.relu(linear(states, kernel.value, bias.value))
        return tf.cast(linear(states, self.kernels[-1].value, self.biases[-1].value), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor needs."""
        names = ("members", "units", "hidden_layers", "hidden", "head_scale", "matmul_dtype", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
