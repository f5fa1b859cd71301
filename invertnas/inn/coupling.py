"""Stacked invertible layers: K independent flows as one tensor program.

Contract of every layer here: `call(x, inverse=False) -> (y, log_det)` on (K, B, D) tensors, where
`log_det` (K, B) is the log-determinant of the direction asked for, so
`layer(layer(x)[0], inverse=True)` returns `x` and the negated log-determinant.

Notation: (x1, x2), (y1, y2) halves of input and output; s log-scale; t shift.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from invertnas.inn.config import INNConfig
from invertnas.inn.maps import Coupling, couple, permute
from invertnas.stacked.mlp import StackedMLP, fixed


@keras.saving.register_keras_serializable(package="invertnas")
class StackedPermutation(keras.layers.Layer):
    """A fixed order of the features for each member; volume preserving.

    The order is a non-trainable weight, so it travels with saved weights.
    """

    def __init__(self, orders: list[list[int]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.orders = [[int(i) for i in order] for order in orders]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Store the (K, D) order and its inverse."""
        order = np.array(self.orders, np.int32)
        inverse = np.argsort(order, axis=1).astype(np.int32)
        options: dict[str, Any] = {"shape": order.shape, "dtype": "int32", "trainable": False}
        self.order = self.add_weight(initializer=fixed(order), name="order", **options)
        self.inverse_order = self.add_weight(initializer=fixed(inverse), name="inverse_order", **options)
        self.is_reverse = bool((order == np.arange(order.shape[1])[::-1]).all())
        self.built = True

    def call(self, inputs: tf.Tensor, inverse: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Permuted features and a zero log-determinant (K, B)."""
        order = None if self.is_reverse else tf.convert_to_tensor(self.inverse_order if inverse else self.order)
        return permute(inputs, order), tf.zeros(tf.shape(inputs)[:2])

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor needs."""
        return {**super().get_config(), "orders": self.orders}


@keras.saving.register_keras_serializable(package="invertnas")
class StackedCoupling(keras.layers.Layer):
    """Two-sided affine coupling (paper Eq. 4 and 5), with one trunk shared by s and t of each half.

    Forward: y1 = x1 exp(s2(x2)) + t2(x2);  y2 = x2 exp(s1(y1)) + t1(y1).
    Inverse: x2 = (y2 - t1(y1)) exp(-s1(y1));  x1 = (y1 - t2(x2)) exp(-s2(x2)).
    Here s = bound * tanh(raw), so exp(s) lies in [exp(-bound), exp(bound)].

    Args:
        config: gives members, dimension, subnets and bound.
        number: of the layer in its flow.
        seed: of the weights.
        stream: name of the component they are drawn for.
    """

    def __init__(self, config: INNConfig, number: int = 0, seed: int = 0, stream: str = "inn", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.number, self.seed, self.stream = config, number, seed, stream
        self.first = config.dim // 2
        self.rest = config.dim - self.first
        self.net1, self.net2 = self._net("net1", 2 * self.rest), self._net("net2", 2 * self.first)

    def _net(self, name: str, units: int) -> StackedMLP:
        cfg = self.config
        return StackedMLP(
            cfg.members,
            units,
            cfg.hidden_layers,
            cfg.hidden,
            head_scale=cfg.head_scale,
            matmul_dtype=cfg.matmul_dtype,
            seed=self.seed,
            stream=(self.stream, self.number, name),
            name=name,
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build both subnets for their halves."""
        self.net1.build((self.config.members, None, self.first))
        self.net2.build((self.config.members, None, self.rest))
        self.built = True

    @property
    def weights_of(self) -> Coupling:
        """Kernels and biases of both subnets."""
        return Coupling(self.net1.pairs, self.net2.pairs)

    def call(self, inputs: tf.Tensor, inverse: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Transformed (K, B, D) features and log-determinants (K, B)."""
        outputs, log_scale = couple(self.config, self.weights_of, inputs, inverse)
        return outputs, -log_scale if inverse else log_scale

    def get_config(self) -> dict[str, Any]:
        """Everything `from_config` needs."""
        own = {"config": self.config.to_dict(), "number": self.number, "seed": self.seed, "stream": self.stream}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> StackedCoupling:
        """Inverse of `get_config`."""
        return cls(**{**config, "config": INNConfig(**config["config"])})
