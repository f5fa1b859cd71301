"""K multilayer perceptrons as one layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from invertnas.seeding import generator
from invertnas.stacked.tape import Linear, linear

Pairs = Sequence[tuple[Any, Any]]  # kernel (K, in, out) and bias (K, 1, out) of each layer


def fixed(values: np.ndarray) -> Callable[..., tf.Tensor]:
    """Initialiser of given values."""
    return lambda shape, dtype=None: tf.constant(values)


def mlp(inputs: tf.Tensor, pairs: Pairs, *, matmul_dtype: str = "float32", through: Linear = linear) -> tf.Tensor:
    """(K, B, out) outputs of (K, B, in) inputs: ReLU behind every layer but the last.

    Args:
        inputs: (K, B, in), or (1, B, in) if the members share them.
        pairs: kernel and bias of each layer.
        matmul_dtype: of the matrix products.
        through: does the linear maps, `linear` or a tape's.
    """
    states = tf.cast(inputs, matmul_dtype)
    for kernel, bias in pairs[:-1]:
        states = tf.nn.relu(through(states, kernel, bias))
    return tf.cast(through(states, *pairs[-1]), inputs.dtype)


def glorot(rng: np.random.Generator, shape: tuple[int, int, int], scale: float = 1.0) -> np.ndarray:
    """(K, in, out) kernels, Glorot-uniform, another one for each member."""
    limit = scale * np.sqrt(6.0 / (shape[1] + shape[2]))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


@keras.saving.register_keras_serializable(package="invertnas")
class StackedMLP(keras.layers.Layer):
    """K multilayer perceptrons with one batched matrix product per layer for all of them.

    Hidden layers are ReLU; the last is linear. Kernels are Glorot-uniform, different for each
    member; biases start at zero.

    Input: (K, B, fan_in). Output: (K, B, units).

    Args:
        members: K.
        units: outputs.
        hidden_layers: hidden layers.
        hidden: width of each.
        head_scale: factor on the initial kernel of the last layer.
        matmul_dtype: of the matrix products.
        seed: of the kernels, see `invertnas.seeding`.
        stream: names of the kernels' stream, the component first.
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
        stream: tuple[Any, ...] = ("mlp",),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.members, self.units, self.hidden_layers, self.hidden = members, units, hidden_layers, hidden
        self.head_scale, self.matmul_dtype, self.seed, self.stream = head_scale, matmul_dtype, seed, tuple(stream)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the stacked kernels (K, in, out) and biases (K, 1, out)."""
        sizes = [int(input_shape[-1] or 0), *[self.hidden] * self.hidden_layers, self.units]
        self.kernels, self.biases = [], []
        for index, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
            shape = (self.members, fan_in, fan_out)
            scale = self.head_scale if index == self.hidden_layers else 1.0
            values = glorot(generator(self.seed, *self.stream, "kernel", index), shape, scale)
            self.kernels.append(self.add_weight(shape=shape, initializer=fixed(values), name=f"kernel_{index}"))
            shape = (self.members, 1, fan_out)
            self.biases.append(self.add_weight(shape=shape, initializer="zeros", name=f"bias_{index}"))
        self.built = True

    @property
    def pairs(self) -> list[tuple[tf.Variable, tf.Variable]]:
        """Kernel and bias of each layer."""
        return [(kernel.value, bias.value) for kernel, bias in zip(self.kernels, self.biases)]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(K, B, units) outputs, of the dtype of the inputs."""
        return mlp(inputs, self.pairs, matmul_dtype=self.matmul_dtype)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor needs."""
        names = ("members", "units", "hidden_layers", "hidden", "head_scale", "matmul_dtype", "seed")
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own, "stream": list(self.stream)}
