"""The flow as pure functions of its weights: the same mathematics for layers, for training and for inference.

Notation: K members, B batch, D features; (x1, x2), (y1, y2) halves of input and output; s log-scale; t shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from invertnas.inn.config import INNConfig
from invertnas.stacked.mlp import Pairs, mlp
from invertnas.stacked.tape import Linear, linear


class Coupling(NamedTuple):
    """Weights of one two-sided coupling: those of the subnet on the first half, and on the second."""

    net1: Pairs
    net2: Pairs


def couplings(config: INNConfig, flat: Sequence[Any]) -> list[Coupling]:
    """The trainable variables of a flow, in their order, as weights of its layers."""
    pairs = list(zip(flat[::2], flat[1::2]))
    depth = config.hidden_layers + 1
    starts = range(0, 2 * depth * config.layers, 2 * depth)
    return [Coupling(pairs[start : start + depth], pairs[start + depth : start + 2 * depth]) for start in starts]


def permute(x: tf.Tensor, order: tf.Tensor | None) -> tf.Tensor:
    """(K, B, D) features in another order: (K, D) indices, or None to reverse them."""
    if order is None:
        return tf.reverse(x, (-1,))
    return tf.gather(x, order[:, tf.newaxis, :] + tf.zeros_like(x, tf.int32), axis=2, batch_dims=2)


def couple(
    config: INNConfig, weights: Coupling, x: tf.Tensor, inverse: bool = False, through: Linear = linear
) -> tuple[tf.Tensor, tf.Tensor]:
    """Two-sided affine coupling (paper Eq. 4 and 5) of (K, B, D) features; see `StackedCoupling`.

    Returns:
        (K, B, D), and the sum (K, B) of the log-scales: the log-determinant of the forward direction.
    """
    first = config.dim // 2
    part1, part2 = tf.split(x, [first, config.dim - first], axis=-1)

    def scale_shift(pairs: Pairs, half: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        raw, shift = tf.split(mlp(half, pairs, matmul_dtype=config.matmul_dtype, through=through), 2, axis=-1)
        return config.log_scale_bound * tf.tanh(raw), shift

    if inverse:
        s1, t1 = scale_shift(weights.net1, part1)
        part2 = (part2 - t1) * tf.exp(-s1)
        s2, t2 = scale_shift(weights.net2, part2)
        part1 = (part1 - t2) * tf.exp(-s2)
    else:
        s2, t2 = scale_shift(weights.net2, part2)
        part1 = part1 * tf.exp(s2) + t2
        s1, t1 = scale_shift(weights.net1, part1)
        part2 = part2 * tf.exp(s1) + t1
    return tf.concat([part1, part2], axis=-1), tf.reduce_sum(s1, axis=-1) + tf.reduce_sum(s2, axis=-1)


def flow_map(
    config: INNConfig,
    flat: Sequence[Any],
    orders: tf.Tensor,
    x: tf.Tensor,
    inverse: bool = False,
    through: Linear = linear,
) -> tuple[tf.Tensor, tf.Tensor]:
    """K flows of `layers` times (permutation, two-sided coupling).

    Args:
        config: architecture.
        flat: the trainable variables of a `FlowEnsemble`, or tensors in their place, in their order.
        orders: (2, layers, K, D) permutations and their inverses; not read with permutation "reverse".
        x: (K, B, D).
        inverse: direction.
        through: does the linear maps, `linear` or a tape's.

    Returns:
        (K, B, D) and the log-determinant (K, B) of that direction.
    """
    total = tf.zeros(tf.shape(x)[:2])
    layers = list(enumerate(couplings(config, flat)))
    for index, weights in reversed(layers) if inverse else layers:
        order = None if config.permutation == "reverse" else orders[int(inverse), index]
        if not inverse:
            x = permute(x, order)
        x, log_scale = couple(config, weights, x, inverse, through)
        if inverse:
            x = permute(x, order)
        total += log_scale
    return x, -total if inverse else total
