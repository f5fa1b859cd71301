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
        zeros = tf.zeros(tf.shape(inputs)[:2])
        if self.is_reverse:
            return tf.reverse(inputs, (-1,)), zeros
        order = tf.convert_to_tensor(self.inverse_order if inverse else self.order)
        return tf.gather(inputs, order[:, tf.newaxis, :] + tf.zeros_like(inputs, tf.int32), axis=2, batch_dims=2), zeros

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor needs."""
        return {**super().get_config(), "orders": self.orders}


@keras.saving.register_keras_serializable(package="invertnas")
class StackedCoupling(keras.layers.Layer):
    """Two-sided affine coupling (paper Eq. 4 and 5), with one trunk shared by s and t of each half.

    Forward: y1 = x1 exp(s2(x2)) + t2(x2);  y2 = x2 exp(s1(y1)) + t1(y1).
    Inverse: x2 = (y2 - t1(y1)) exp(-s1(y1));  x1 = (y1 - t2(x2)) exp(-s2(x2)).
    Here s = bound * tanh(raw), so exp(s) lies in [exp(-bound), exp(bound)].
    """

    def __init__(
        self,
        members: int,
        dim: int,
        hidden_layers: int,
        hidden: int,
        *,
        log_scale_bound: float = 1.0,
        head_scale: float = 1.0,
        matmul_dtype: str = "float32",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.matmul_dtype = matmul_dtype
        self.members, self.dim, self.hidden_layers, self.hidden = members, dim, hidden_layers, hidden
        self.log_scale_bound, self.head_scale, self.seed = log_scale_bound, head_scale, seed
        self.first = dim // 2
        self.rest = dim - self.first
        shape: dict[str, Any] = {"hidden_layers": hidden_layers, "hidden": hidden, "head_scale": head_scale}
        shape["matmul_dtype"] = matmul_dtype
        self.net1 = StackedMLP(members, 2 * self.rest, seed=2 * seed, name="net1", **shape)
        self.net2 = StackedMLP(members, 2 * self.first, seed=2 * seed + 1, name="net2", **shape)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build both subnets for their halves."""
        self.net1.build((self.members, None, self.first))
        self.net2.build((self.members, None, self.rest))
        self.built = True

    def call(self, inputs: tf.Tensor, inverse: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Transformed (K, B, D) features and log-determinants (K, B)."""
        part1, part2 = tf.split(inputs, [self.first, self.rest], axis=-1)
        if inverse:
            s1, t1 = self._scale_shift(self.net1, part1)
            part2 = (part2 - t1) * tf.exp(-s1)
            s2, t2 = self._scale_shift(self.net2, part2)
            part1 = (part1 - t2) * tf.exp(-s2)
        else:
            s2, t2 = self._scale_shift(self.net2, part2)
            part1 = part1 * tf.exp(s2) + t2
            s1, t1 = self._scale_shift(self.net1, part1)
            part2 = part2 * tf.exp(s1) + t1
        log_det = tf.reduce_sum(s1, axis=-1) + tf.reduce_sum(s2, axis=-1)
        return tf.concat([part1, part2], axis=-1), -log_det if inverse else log_det

    def _scale_shift(self, net: StackedMLP, half: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        raw, shift = tf.split(net(half), 2, axis=-1)
        return self.log_scale_bound * tf.tanh(raw), shift

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor needs."""
        names = ("members", "dim", "hidden_layers", "hidden", "log_scale_bound", "head_scale", "matmul_dtype", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
