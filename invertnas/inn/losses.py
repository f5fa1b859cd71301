"""Loss terms of the INN ensemble as pure functions (paper Eq. 2 and 3; facts of the thesis code).

Shapes: K members, B batch, D features. Every term is per member (K,), so members stay independent.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

MMD_BANDWIDTHS = (0.05, 0.2, 0.9)  # thesis code; the paper states none


def rank_weights(y: tf.Tensor, kappa: float) -> tf.Tensor:
    """Weights of Eq. 3, 1 / (kappa * |B| + rank), where rank_i = |{j in B: y_j > y_i}|.

    Ties share a rank. The losses divide by the sum of the weights, which keeps the scale of the
    initial fit; Eq. 3 leaves that normalisation open.

    Args:
        y: (K, B) accuracies.
        kappa: smoothing; smaller is greedier.

    Returns:
        (K, B), positive.
    """
    better = tf.cast(y[:, tf.newaxis, :] > y[:, :, tf.newaxis], tf.float32)
    return 1.0 / (kappa * tf.cast(tf.shape(y)[1], tf.float32) + tf.reduce_sum(better, axis=2))


def weighted_mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Mean of (K, B) values under (K, B) non-negative weights -> (K,); 0 where all weights are 0."""
    return tf.math.divide_no_nan(tf.reduce_sum(values * weights, axis=1), tf.reduce_sum(weights, axis=1))


def regression_loss(y: tf.Tensor, y_hat: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weighted mean squared error of the predicted accuracy: three (K, B) tensors -> (K,)."""
    return weighted_mean(tf.square(y_hat - y), weights)


def reverse_loss(x: tf.Tensor, x_hat: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weighted mean squared error of the inverted latent, averaged over D.

    Args:
        x: (K, B, D) latents of the architectures.
        x_hat: (K, B, D) inverse of [random z, true y]. (With the predicted pair instead, as the
            paper's text can be read, the term is identically zero for an exact inverse.)
        weights: (K, B).

    Returns:
        (K,).
    """
    return weighted_mean(tf.reduce_mean(tf.square(x_hat - x), axis=-1), weights)


def latent_mmd(samples: tf.Tensor, others: tf.Tensor, bandwidths: Sequence[float] = MMD_BANDWIDTHS) -> tf.Tensor:
    """Squared maximum mean discrepancy between two samples, biased V-statistic.

    The kernel is a sum of inverse multiquadratics, sum_a a^2 / (a^2 + d^2). In more than about a
    hundred dimensions the bandwidths of the thesis code see only near-coincident rows.

    Args:
        samples: (K, B, D), e.g. [z_hat, y_hat].
        others: (K, B, D), or (1, B, D) if the members share it, e.g. [z, y] with z ~ N(0, I).
        bandwidths: values of a.

    Returns:
        (K,).
    """

    def kernel_mean(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        squares = tf.reduce_sum(a * a, -1)[:, :, tf.newaxis] + tf.reduce_sum(b * b, -1)[:, tf.newaxis, :]
        distance = tf.nn.relu(squares - 2.0 * tf.matmul(a, b, transpose_b=True))
        values = tf.add_n([width**2 / (width**2 + distance) for width in bandwidths])
        return tf.reduce_mean(values, axis=(1, 2))

    return kernel_mean(samples, samples) + kernel_mean(others, others) - 2.0 * kernel_mean(samples, others)
