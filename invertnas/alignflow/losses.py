"""Loss terms of AlignFlow as pure functions, each per domain (Grover et al., 2020; reference code).

Shapes: two domains, B batch, D features.
"""

from __future__ import annotations

import math

import tensorflow as tf


def gaussian_nll(z: tf.Tensor, log_det: tf.Tensor) -> tf.Tensor:
    """Mean negative log-likelihood in nats under a standard normal prior, summed over the D features.

    Args:
        z: (2, B, D) images of the data.
        log_det: (2, B) log-determinants of data -> z.

    Returns:
        (2,).
    """
    log_prior = -0.5 * tf.reduce_sum(tf.square(z) + math.log(2.0 * math.pi), axis=-1)
    return -tf.reduce_mean(log_prior + log_det, axis=-1)


def least_squares(scores: tf.Tensor, target: float) -> tf.Tensor:
    """Mean squared distance of (2, B, 1) discriminator outputs from 1 ("real") or 0 ("fake") -> (2,)."""
    return tf.reduce_mean(tf.square(scores - target), axis=(1, 2))


def discriminator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Half the least-squares losses of real and translated latents: two (2, B, 1) -> (2,)."""
    return 0.5 * (least_squares(real, 1.0) + least_squares(fake, 0.0))
