"""Loss terms of the GVAE as pure functions (paper Eq. 1)."""

from __future__ import annotations

import tensorflow as tf


def node_loss(ops: tf.Tensor, op_logits: tf.Tensor) -> tf.Tensor:
    """Operation cross-entropy, mean over B * N. A padded node (all-zero row) contributes 0.

    Args:
        ops: (B, N, F) one-hot.
        op_logits: (B, N, F).

    Returns:
        Scalar.
    """
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(ops, op_logits))


def edge_loss(adjacency: tf.Tensor, edge_logits: tf.Tensor) -> tf.Tensor:
    """Adjacency cross-entropy, mean over B * N * N entries of the directed adjacency.

    Args:
        adjacency: (B, N, N) in {0, 1}.
        edge_logits: (B, N, N, 2); class 1 is "edge".

    Returns:
        Scalar.
    """
    labels = tf.cast(adjacency, tf.int32)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, edge_logits))


def kl_loss(mean: tf.Tensor, log_var: tf.Tensor) -> tf.Tensor:
    """KL(N(mean, exp(log_var)) || N(0, I)): sum over L, mean over B * N.

    Args:
        mean: (B, N, L).
        log_var: (B, N, L).

    Returns:
        Scalar.
    """
    terms = 1.0 + log_var - tf.square(mean) - tf.exp(log_var)
    return -0.5 * tf.reduce_mean(tf.reduce_sum(terms, axis=-1))
