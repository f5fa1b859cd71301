"""Training of flows x -> [z, a, y] whose output holds attributes a beside the accuracy y.

Attributes are known of architectures without a label, so they train the flow before the first accuracy is told, and
go on training it beside the few labels.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from invertnas.errors import ConfigError
from invertnas.inn.config import INNTrainConfig
from invertnas.inn.flow import FlowEnsemble
from invertnas.inn.losses import latent_mmd, reverse_loss
from invertnas.inn.train import FloatArray, INNTrainer
from invertnas.seeding import generator, tf_seed
from invertnas.stacked.tape import Linear, LinearTape

_MATRIX, _VECTOR, _SEED = tf.TensorSpec((None, None)), tf.TensorSpec((None,)), tf.TensorSpec((2,), tf.int32)
_ROWS = tf.TensorSpec((None, None), tf.int32)


@dataclasses.dataclass(frozen=True)
class Unlabelled:
    """Architectures without an accuracy.

    Attributes:
        x: (m, D) latents.
        attributes: (m, A), each of about zero mean and unit variance.
    """

    x: FloatArray
    attributes: FloatArray


class VectorTrainer(INNTrainer):
    """Fits a FlowEnsemble with `config.targets` > 1: the last outputs are A = targets - 1 attributes and the accuracy.

    The objective is Eq. 2 with the vector in place of the accuracy: `reg_weight` times the squared error of the
    accuracy on labelled rows, `attribute_weight` times that of the attributes, on labelled and as many unlabelled
    rows, `rev_weight` times the reverse loss of [z, a, y] and `latent_weight` times the MMD of [z, a, y]. Every row
    weighs the same.

    Args:
        flow: a built ensemble; trained in place.
        config: objective and optimisation; `steps_per_epoch` times the epochs is the number of steps.
        unlabelled: architectures that train the attributes.
        seed: of shuffling and z.

    Raises:
        ConfigError: a setting has no effect here, or the attributes are not as many as the flow has.
    """

    def __init__(self, flow: FlowEnsemble, config: INNTrainConfig, unlabelled: Unlabelled, *, seed: int) -> None:
        super().__init__(flow, config, seed=seed)
        self.count = flow.config.targets - 1
        if unlabelled.attributes.shape != (len(unlabelled.x), self.count) or not len(unlabelled.x) or not self.count:
            raise ConfigError(
                f"got attributes {unlabelled.attributes.shape} of {len(unlabelled.x)} architectures; expected one row "
                f"for each and targets - 1 = {self.count} columns, at least one; set INNConfig.targets"
            )
        if config.steps_per_epoch is None or config.rank_weighted or config.bootstrap or config.schedule != "cosine":
            raise ConfigError(
                "got steps_per_epoch=None, rank_weighted, bootstrap or another schedule with several targets; expected "
                "steps_per_epoch, schedule='cosine' and neither of the others, which one target has"
            )
        self._x, self._a = tf.constant(unlabelled.x, tf.float32), tf.constant(unlabelled.attributes, tf.float32)

    def pretrain(self) -> float:
        """`pretrain_steps` steps on the attributes of unlabelled rows; the last step's loss, of all members."""
        rng, size = generator(self.seed, "inn-pretraining"), self.config.batch_size
        rows = rng.integers(0, len(self._x), (self.config.pretrain_steps, size), np.int32)
        return float(self._pretrain(tf.constant(rows))) if len(rows) else float("nan")

    def fit_vector(self, x: FloatArray, attributes: FloatArray, y: FloatArray, *, round_index: int) -> dict[str, Any]:
        """Train on n labelled rows for `initial_epochs` (round 0) or `retrain_epochs` times `steps_per_epoch` steps.

        Args:
            x: (n, D) latents.
            attributes: (n, A).
            y: (n,) targets.
            round_index: 0 for the initial fit.

        Returns:
            Steps, and the last step's losses, means over members.

        Raises:
            ConfigError: for empty or mismatching data.
        """
        self._check(x, y)
        epochs = self.config.retrain_epochs if round_index else self.config.initial_epochs
        steps, rng = epochs * (self.config.steps_per_epoch or 0), generator(self.seed, "inn-vector", round_index)
        rows = rng.integers(0, len(x), (steps, self.config.batch_size), np.int32)
        free = rng.integers(0, len(self._x), rows.shape, np.int32)
        data = [tf.constant(part, tf.float32) for part in (x, attributes, y)]
        seed = tf.constant(tf_seed(self.seed, "inn-vector-noise", round_index))
        losses = self._fit(*data, tf.constant(rows), tf.constant(free), seed).numpy()
        named = dict(zip(("reg", "attributes", "rev", "latent"), losses.tolist()))
        return {"steps": steps, "losses": named, "skipped": self.adam.skipped_steps()}

    def _rate(self, step: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        """Half a cosine from the first to the last learning rate."""
        low, high = self.config.final_learning_rate, self.config.learning_rate
        return low + (high - low) * 0.5 * (1.0 + tf.cos(np.pi * tf.cast(step, tf.float32) / tf.cast(steps, tf.float32)))

    def _error(self, outputs: tf.Tensor, attributes: tf.Tensor) -> tf.Tensor:
        """(K,) mean squared errors of the attributes."""
        return tf.reduce_mean(tf.square(outputs[..., -1 - self.count : -1] - attributes), axis=(1, 2))

    @tf.function(input_signature=(_ROWS,))
    def _pretrain(self, order: tf.Tensor) -> tf.Tensor:
        loss, steps = tf.constant(0.0), tf.shape(order)[0]
        for step in tf.range(steps):
            loss = self._attribute_step(order[step], step, steps)
        return loss

    @tf.autograph.experimental.do_not_convert  # the tape must see every product
    def _attribute_step(self, rows: tf.Tensor, step: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        x, attributes = tf.gather(self._x, rows), tf.gather(self._a, rows)
        tape = LinearTape(self.variables)
        with tape.recording():
            error = self._error(self.flow.transform(self._tiled(x), through=tape.linear)[0], attributes)
            objective = self.config.attribute_weight * tf.reduce_sum(error)
        self.adam.apply(tape.gradients(objective), self._rate(step, steps))
        return tf.reduce_mean(error)

    @tf.function(input_signature=(_MATRIX, _MATRIX, _VECTOR, _ROWS, _ROWS, _SEED))
    def _fit(
        self, x: tf.Tensor, a: tf.Tensor, y: tf.Tensor, order: tf.Tensor, free: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        losses, steps = tf.zeros(4), tf.shape(order)[0]
        x, a = tf.ensure_shape(x, (None, self.flow.config.dim)), tf.ensure_shape(a, (None, self.count))
        for step in tf.range(steps):
            losses = self._label_step((x, a, y), order[step], free[step], seed + tf.stack([0, step]), step, steps)
        return losses

    @tf.autograph.experimental.do_not_convert  # the tape must see every product
    def _label_step(
        self,
        data: tuple[tf.Tensor, ...],
        rows: tf.Tensor,
        others: tf.Tensor,
        seed: tf.Tensor,
        step: tf.Tensor,
        steps: tf.Tensor,
    ) -> tf.Tensor:
        labelled = tuple(tf.gather(part, rows) for part in data)
        unlabelled = tf.gather(self._x, others), tf.gather(self._a, others)
        tape = LinearTape(self.variables)
        with tape.recording():
            terms, total = self._terms(labelled, unlabelled, seed, tape.linear)
            objective = tf.reduce_sum(total)
        self.adam.apply(tape.gradients(objective), self._rate(step, steps))
        return tf.reduce_mean(terms, axis=1)

    def _terms(
        self, labelled: tuple[tf.Tensor, ...], unlabelled: tuple[tf.Tensor, ...], seed: tf.Tensor, through: Linear
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(4, K) loss terms and their weighted (K,) sum."""
        cfg, (x, a, y) = self.config, labelled
        outputs, _ = self.flow.transform(self._tiled(tf.concat([x, unlabelled[0]], axis=0)), through=through)
        count = tf.shape(y)[0]
        mine = outputs[:, :count]
        z = tf.random.stateless_normal((count, self.flow.config.dim - 1 - self.count), seed)
        noisy = y + cfg.target_noise * tf.random.stateless_normal(tf.shape(y), seed + [1, 0])
        inverse, _ = self.flow.transform(self._tiled(tf.concat([z, a, noisy[:, tf.newaxis]], axis=1)), True, through)
        weights = tf.ones((self.flow.config.members, count))
        terms = tf.stack(
            [
                tf.reduce_mean(tf.square(mine[..., -1] - y), axis=1),
                self._error(outputs, tf.concat([a, unlabelled[1]], axis=0)),
                reverse_loss(self._tiled(x), inverse, weights),
                latent_mmd(mine, tf.concat([z, a, y[:, tf.newaxis]], axis=1)[tf.newaxis]),
            ]
        )
        factors = [cfg.reg_weight, cfg.attribute_weight, cfg.rev_weight, cfg.latent_weight]
        return terms, tf.tensordot(tf.constant(factors, tf.float32), terms, axes=1)

    def _tiled(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.tile(rows[tf.newaxis], (self.flow.config.members, 1, 1))
