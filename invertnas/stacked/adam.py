"""Adam with one fused kernel per stacked tensor, per-member clipping and a guard against NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf


class StackedAdam:
    """Adam (beta 0.9, 0.999, eps 1e-7) on tensors whose first axis is the member.

    Each member's gradient is clipped to a global norm of its own. A member whose gradient is not
    finite adds nothing to the step: its gradient is set to zero, so only momentum moves it, and the
    event is counted.

    Args:
        variables: trainable variables of shape (K, ...).
        members: K.
        clip_norm: bound on each member's global gradient norm.
    """

    BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7

    def __init__(self, variables: Sequence[tf.Variable], members: int, clip_norm: float) -> None:
        self.variables, self.members, self.clip_norm = list(variables), members, clip_norm
        self.first = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.second = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.iteration = tf.Variable(0.0, trainable=False)
        self.skipped = tf.Variable(tf.zeros(members, tf.int32), trainable=False)

    @property
    def state(self) -> list[tf.Variable]:
        """Every variable a checkpoint must hold."""
        return [self.iteration, self.skipped, *self.first, *self.second]

    def reset(self) -> None:
        """Forget the moments; the count of skipped steps stays."""
        for variable in (self.iteration, *self.first, *self.second):
            variable.assign(tf.zeros_like(variable))

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """One step, inside or outside a `tf.function`."""
        square = tf.add_n([self._square(g) for g in gradients])
        finite = tf.math.is_finite(square)
        scale = tf.where(finite, self.clip_norm / tf.maximum(tf.sqrt(square), self.clip_norm), 0.0)
        self.skipped.assign_add(tf.cast(~finite, tf.int32))
        step = self.iteration.assign_add(1.0)
        betas = {"beta1": tf.constant(self.BETA_1), "beta2": tf.constant(self.BETA_2)}
        powers = {f"{name}_power": tf.pow(beta, step) for name, beta in betas.items()}
        shared = {**betas, **powers, "epsilon": tf.constant(self.EPSILON), "lr": learning_rate}
        moments = zip(self.variables, self.first, self.second, self._scaled(gradients, scale))
        for variable, first, second, gradient in moments:
            tf.raw_ops.ResourceApplyAdam(var=variable.handle, m=first.handle, v=second.handle, grad=gradient, **shared)

    def _square(self, gradient: tf.Tensor) -> tf.Tensor:
        """(K,) squared norms: one pass over memory that keeps no squares (a product of rows is four times as slow)."""
        return tf.square(tf.math.reduce_euclidean_norm(gradient, axis=list(range(1, len(gradient.shape)))))

    def _scaled(self, gradients: Sequence[tf.Tensor], scale: tf.Tensor) -> list[tf.Tensor]:
        """Each member's gradient times its scale; the pass over memory is saved where every scale is 1."""

        def by(product: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> list[tf.Tensor]:
            ranks = {len(gradient.shape) for gradient in gradients}
            scales = {rank: tf.reshape(scale, [self.members] + [1] * (rank - 1)) for rank in ranks}
            return [product(gradient, scales[len(gradient.shape)]) for gradient in gradients]

        def clipped() -> list[tf.Tensor]:  # a scale of 0 stands for a gradient that is not finite
            return tf.cond(tf.reduce_all(scale > 0.0), lambda: by(tf.multiply), lambda: by(tf.math.multiply_no_nan))

        return tf.cond(tf.reduce_all(scale >= 1.0), lambda: list(gradients), clipped)

    def skipped_steps(self) -> list[int]:
        """Steps each member sat out because its gradient was not finite."""
        return [int(count) for count in np.asarray(self.skipped)]
