"""Adam with one fused kernel per stacked tensor, per-member clipping and a guard against NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

BETAS, EPSILON = (0.9, 0.999), 1e-7
UNBOUNDED = 1e30  # a gradient norm that clips nothing


class AdamState(NamedTuple):
    """What Adam keeps of K stacked networks.

    Attributes:
        iteration: steps taken, a float scalar.
        skipped: (K,) steps that a member sat out because its gradient was not finite.
        first: first moments, one for each variable.
        second: second moments.
    """

    iteration: tf.Variable
    skipped: tf.Variable
    first: list[tf.Variable]
    second: list[tf.Variable]


def apply_adam(
    variables: Sequence[tf.Variable],
    state: AdamState,
    gradients: Sequence[tf.Tensor],
    learning_rate: tf.Tensor | float,
    *,
    clip_norm: tf.Tensor | float | None = UNBOUNDED,
    betas: tuple[float, float] = BETAS,
) -> None:
    """One step of Adam (Kingma & Ba, 2015; epsilon 1e-7 as in Keras), inside or outside a `tf.function`.

    Each member's gradient is clipped to a global norm of its own. A member whose gradient is not
    finite adds nothing to the step: its gradient is set to zero, so only momentum moves it, and the
    event is counted.

    Args:
        variables: trainable variables of shape (K, ...), changed in place.
        state: moments and counts, changed in place.
        gradients: one for each variable.
        learning_rate: step size.
        clip_norm: bound on each member's global gradient norm; None takes gradients as they are, finite or not.
        betas: decay of first and second moments.
    """
    if clip_norm is not None:
        gradients = _clipped(state, gradients, clip_norm)
    step = state.iteration.assign_add(1.0)
    decays = {"beta1": tf.constant(betas[0]), "beta2": tf.constant(betas[1])}
    powers = {f"{name}_power": tf.pow(beta, step) for name, beta in decays.items()}
    shared = {**decays, **powers, "epsilon": tf.constant(EPSILON), "lr": learning_rate}
    for variable, first, second, gradient in zip(variables, state.first, state.second, gradients):
        tf.raw_ops.ResourceApplyAdam(var=variable.handle, m=first.handle, v=second.handle, grad=gradient, **shared)


def _clipped(state: AdamState, gradients: Sequence[tf.Tensor], clip_norm: tf.Tensor | float) -> Sequence[tf.Tensor]:
    """Each member's gradient clipped, or zero where it is not finite, which is counted."""
    square = tf.add_n([_square(gradient) for gradient in gradients])
    finite = tf.math.is_finite(square)
    scale = tf.where(finite, clip_norm / tf.maximum(tf.sqrt(square), clip_norm), 0.0)
    state.skipped.assign_add(tf.cast(~finite, tf.int32))
    return scaled(gradients, scale)


def _square(gradient: tf.Tensor) -> tf.Tensor:
    """(K,) squared norms: one pass over memory that keeps no squares (a product of rows is four times as slow)."""
    return tf.square(tf.math.reduce_euclidean_norm(gradient, axis=list(range(1, len(gradient.shape)))))


def scaled(gradients: Sequence[tf.Tensor], scale: tf.Tensor) -> list[tf.Tensor]:
    """Each member's gradient times its (K,) scale; the pass over memory is saved where every scale is 1."""

    def by(product: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> list[tf.Tensor]:
        ranks = {len(gradient.shape) for gradient in gradients}
        scales = {rank: tf.reshape(scale, [-1] + [1] * (rank - 1)) for rank in ranks}
        return [product(gradient, scales[len(gradient.shape)]) for gradient in gradients]

    def clipped() -> list[tf.Tensor]:  # a scale of 0 stands for a gradient that is not finite
        return tf.cond(tf.reduce_all(scale > 0.0), lambda: by(tf.multiply), lambda: by(tf.math.multiply_no_nan))

    return tf.cond(tf.reduce_all(scale >= 1.0), lambda: list(gradients), clipped)


class StackedAdam:
    """`apply_adam` with a state of its own.

    Args:
        variables: trainable variables of shape (K, ...).
        members: K.
        clip_norm: bound on each member's global gradient norm.
        betas: decay of first and second moments.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        members: int,
        clip_norm: float = UNBOUNDED,
        betas: tuple[float, float] = BETAS,
    ) -> None:
        self.variables, self.members, self.clip_norm, self.betas = list(variables), members, clip_norm, betas
        moments = [[tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables] for _ in BETAS]
        counts = tf.Variable(0.0, trainable=False), tf.Variable(tf.zeros(members, tf.int32), trainable=False)
        self.moments = AdamState(*counts, *moments)

    @property
    def iteration(self) -> tf.Variable:
        """Steps taken."""
        return self.moments.iteration

    @property
    def first(self) -> list[tf.Variable]:
        """First moments."""
        return self.moments.first

    @property
    def second(self) -> list[tf.Variable]:
        """Second moments."""
        return self.moments.second

    @property
    def state(self) -> list[tf.Variable]:
        """Every variable a checkpoint must hold."""
        return [self.moments.iteration, self.moments.skipped, *self.moments.first, *self.moments.second]

    def reset(self) -> None:
        """Forget the moments; the count of skipped steps stays."""
        for variable in (self.moments.iteration, *self.moments.first, *self.moments.second):
            variable.assign(tf.zeros_like(variable))

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor | float) -> None:
        """One step, inside or outside a `tf.function`."""
        apply_adam(self.variables, self.moments, gradients, learning_rate, clip_norm=self.clip_norm, betas=self.betas)

    def skipped_steps(self) -> list[int]:
        """Steps each member sat out because its gradient was not finite."""
        return [int(count) for count in np.asarray(self.moments.skipped)]
