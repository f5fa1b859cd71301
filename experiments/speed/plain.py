"""The training step of the INN ensemble written plainly: the yardstick that the compiled engine must equal.

Every row runs through the flow for itself, the tape differentiates the weights directly, every member's
gradient is multiplied by its clipping factor, and Adam is spelt out. `make bench` times it beside the
engine, and tests compare the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

    from invertnas.inn.train import INNTrainer

Rows = tuple["tf.Tensor", "tf.Tensor", "tf.Tensor"]  # latents (B, D), targets (B,), weights (K, B)


def plain_gradients(
    trainer: INNTrainer, rows: Rows, seed: tf.Tensor, weighted: tf.Tensor
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Total loss (K,) and the gradient of each of `trainer.variables`."""
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(trainer.variables)
        total = trainer.terms(*rows, seed, weighted, noise=trainer.config.target_noise)["total"]
        objective = tf.reduce_sum(total)
    return total, tape.gradient(objective, trainer.variables)


class PlainAdam:
    """Adam on stacked tensors with a clipping factor for each member, operation by operation.

    Args:
        variables: of shape (K, ...); updated in place.
        members: K.
        clip_norm: bound on each member's global gradient norm.
    """

    def __init__(self, variables: Sequence[tf.Variable], members: int, clip_norm: float) -> None:
        import tensorflow as tf

        self.variables, self.members, self.clip_norm = list(variables), members, clip_norm
        self.first = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.second = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.steps = tf.Variable(0.0, trainable=False)

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """One step."""
        import tensorflow as tf

        axes = [list(range(1, len(g.shape))) for g in gradients]
        norm = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(g), axis=a) for g, a in zip(gradients, axes)]))
        step = self.steps.assign_add(1.0)
        rate = learning_rate * tf.sqrt(1.0 - tf.pow(0.999, step)) / (1.0 - tf.pow(0.9, step))
        for variable, first, second, gradient in zip(self.variables, self.first, self.second, gradients):
            factor = self.clip_norm / tf.maximum(norm, self.clip_norm)
            clipped = gradient * tf.reshape(factor, [self.members] + [1] * (len(gradient.shape) - 1))
            first.assign(0.9 * first + 0.1 * clipped)
            second.assign(0.999 * second + 0.001 * tf.square(clipped))
            variable.assign_sub(rate * first / (tf.sqrt(second) + 1e-7))
