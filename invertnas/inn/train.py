"""Training of the INN ensemble: one compiled step for all members, whole epochs compiled."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from invertnas.errors import ConfigError
from invertnas.inn.config import INNTrainConfig
from invertnas.inn.flow import FlowEnsemble
from invertnas.inn.losses import latent_mmd, rank_weights, regression_loss, reverse_loss
from invertnas.inn.schedule import Course, FitReport
from invertnas.seeding import generator, tf_seed
from invertnas.stacked.adam import StackedAdam
from invertnas.stacked.tape import LinearTape

FloatArray = npt.NDArray[np.float32]
TERMS = ("reg", "rev", "latent", "total")
_EPOCH = (  # one trace for every number of labels and steps
    tf.TensorSpec((None, None)),  # x
    tf.TensorSpec((None,)),  # y
    tf.TensorSpec((None, None)),  # bootstrap
    tf.TensorSpec((None, None), tf.int32),  # order
    tf.TensorSpec((2,), tf.int32),  # seed
    tf.TensorSpec((4,)),  # span, see `Pass.span`
    tf.TensorSpec((), tf.bool),  # weighted
)


class INNTrainer:
    """Fits a FlowEnsemble to (latent, accuracy) pairs.

    Args:
        flow: a built ensemble; trained in place.
        config: objective and optimisation.
        seed: of shuffling, z, noise and bootstrap; every fit derives its own streams from it.
    """

    def __init__(self, flow: FlowEnsemble, config: INNTrainConfig, *, seed: int) -> None:
        self.flow, self.config, self.seed = flow, config, seed
        self.variables: list[tf.Variable] = [variable.value for variable in flow.trainable_variables]
        self.initial = [variable.numpy() for variable in self.variables] if not config.warm_start else []
        self.adam = StackedAdam(self.variables, flow.config.members, config.clip_norm)
        self.best = [tf.Variable(variable, trainable=False) for variable in self.variables]

    def fit(
        self,
        x: FloatArray,
        y: FloatArray,
        val_x: FloatArray | None = None,
        val_y: FloatArray | None = None,
        *,
        round_index: int = 0,
    ) -> FitReport:
        """Train on n labelled latents.

        With validation data, each member keeps the weights of its own best validation loss, and
        a stage of the schedule stops after the patience, counted on the mean over members. Without,
        all passes are run and each member keeps its last finite weights. A member whose losses are
        never finite keeps the weights it had before, and the others are not affected. A second stage
        starts from the weights the first one kept.

        Args:
            x: (n, D) latents.
            y: (n,) targets.
            val_x: (m, D) or None.
            val_y: (m,) or None.
            round_index: 0 for the initial fit (Eq. 2), above for retraining (Eq. 3).

        Raises:
            ConfigError: for empty or mismatching data.
        """
        self._check(x, y)
        course, steps = Course(self.config, round_index), self._steps(len(x))
        data = [*self._tensors(x, y), tf.constant(self._bootstrap(len(x), round_index))]
        weighted = tf.constant(self.config.rank_weighted and round_index > 0)
        validation = self._validation(val_x, val_y)
        if round_index > 0 and not self.config.warm_start:
            self._restart()
        self._copy(self.variables, self.best)
        best = np.full(self.flow.config.members, math.inf)
        losses = np.zeros((len(TERMS), 1))
        for now in course:
            if now.begins_stage:
                self._copy(self.best, self.variables)
            order = self._order(len(x), steps, round_index, now.epoch)
            seed = tf.constant(tf_seed(self.seed, "inn-noise", round_index, now.epoch))
            losses = self._epoch(*data, tf.constant(order), seed, tf.constant(now.span(steps)), weighted).numpy()
            scores = self._validate(*validation).numpy() if validation else np.full_like(best, -now.epoch)
            finite = np.isfinite(losses[-1]) & np.isfinite(scores)
            better = finite & (scores < best)
            kept = self._keep(tf.constant(better)).numpy() if better.any() else better
            best = np.where(kept, scores, best)
            course.tell(float(scores[finite].mean()) if finite.any() else math.inf)
        self._copy(self.best, self.variables)
        shown = losses[:, np.isfinite(losses[-1])] if np.isfinite(losses[-1]).any() else losses
        named = {name: float(value) for name, value in zip(TERMS, shown.mean(axis=1))}
        val_total = course.best if validation and math.isfinite(course.best) else None
        skipped = self.adam.skipped_steps()
        return FitReport(course.epochs, course.epochs * steps, course.best_epoch, named, val_total, skipped)

    def _steps(self, count: int) -> int:
        """Steps per pass of a fit to `count` labels."""
        return self.config.steps_per_epoch or math.ceil(count * self.config.repeat / self.config.batch_size)

    def _validation(self, x: FloatArray | None, y: FloatArray | None) -> list[tf.Tensor]:
        """Arguments of `_validate`, among them one seed of z for all passes."""
        if x is None or y is None:
            return []
        self._check(x, y)
        return [*self._tensors(x, y), tf.constant(tf_seed(self.seed, "inn-validation"))]

    def state(self) -> dict[str, np.ndarray]:
        """Named arrays of weights and optimiser, for a checkpoint."""
        values = [*self.variables, *self.adam.state]
        return {f"inn_{index}": value.numpy() for index, value in enumerate(values)}

    def load_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore `state`. Raises ConfigError if the shapes are another network's."""
        variables = [*self.variables, *self.adam.state]
        for index, variable in enumerate(variables):
            value = arrays.get(f"inn_{index}")
            if value is None or tuple(value.shape) != tuple(variable.shape):
                got = None if value is None else value.shape
                raise ConfigError(f"got array inn_{index} of shape {got}; expected {tuple(variable.shape)}")
            variable.assign(value)

    def _check(self, x: FloatArray, y: FloatArray) -> None:
        dim = self.flow.config.dim
        if x.ndim != 2 or x.shape[1] != dim or y.shape != (len(x),) or len(x) == 0:
            raise ConfigError(f"got latents {x.shape} with targets {y.shape}; expected (n, {dim}) and (n,), n > 0")

    @staticmethod
    def _tensors(x: FloatArray, y: FloatArray) -> list[tf.Tensor]:
        return [tf.constant(x, tf.float32), tf.constant(y, tf.float32)]

    def _restart(self) -> None:
        self._copy(self.initial, self.variables)
        self.adam.reset()

    @staticmethod
    def _copy(sources: list[tf.Variable] | list[FloatArray], targets: list[tf.Variable]) -> None:
        for source, target in zip(sources, targets):
            target.assign(source)

    @tf.function(autograph=False)
    def _keep(self, better: tf.Tensor) -> tf.Tensor:
        """Copy the weights of the (K,) marked members to `best`, where finite; returns the copied members."""
        for source in self.variables:
            better &= tf.reduce_all(tf.math.is_finite(source), axis=list(range(1, len(source.shape))))
        for source, target in zip(self.variables, self.best):
            mask = tf.reshape(better, [-1] + [1] * (len(source.shape) - 1))
            target.assign(tf.where(mask, source, target))
        return better

    def _bootstrap(self, count: int, round_index: int) -> FloatArray:
        members = self.flow.config.members
        if not self.config.bootstrap:
            return np.ones((members, count), np.float32)
        rng = generator(self.seed, "inn-bootstrap", round_index)
        draws = rng.multinomial(count, np.full(count, 1.0 / count), size=members)
        return draws.astype(np.float32)

    def _order(self, count: int, steps: int, round_index: int, epoch: int) -> npt.NDArray[np.int32]:
        """(steps, B) row numbers: shuffled sweeps over the repeated labels, the last batch filled up."""
        size = self.config.batch_size
        rng = generator(self.seed, "inn-shuffle", round_index, epoch)
        rows = np.tile(np.arange(count, dtype=np.int32), self.config.repeat)
        sweeps = math.ceil(steps * size / len(rows))
        order = np.concatenate([rng.permutation(rows) for _ in range(sweeps)])
        return order[: steps * size].reshape(steps, size)

    @tf.function(input_signature=_EPOCH)
    def _epoch(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        bootstrap: tf.Tensor,
        order: tf.Tensor,
        seed: tf.Tensor,
        span: tf.Tensor,
        weighted: tf.Tensor,
    ) -> tf.Tensor:
        cfg, inn = self.config, self.flow.config
        x, order = tf.ensure_shape(x, (None, inn.dim)), tf.ensure_shape(order, (None, cfg.batch_size))
        data, total, steps = (x, y, bootstrap), tf.zeros((len(TERMS), inn.members)), tf.shape(order)[0]
        for step in tf.range(steps):
            place = seed + tf.stack([0, step]), span, tf.cast(step, tf.float32)
            total += self._step(data, order[step], *place, weighted)
        return total / tf.cast(steps, tf.float32)

    @tf.autograph.experimental.do_not_convert  # without a loop inside there is nothing to convert; it took a third
    def _step(
        self,
        data: tuple[tf.Tensor, ...],
        rows: tf.Tensor,
        seed: tf.Tensor,
        span: tf.Tensor,
        step: tf.Tensor,
        weighted: tf.Tensor,
    ) -> tf.Tensor:
        """One step on the (B,) rows of x, y and bootstrap; returns the losses.

        The rate is written here, after the gradients: elsewhere TensorFlow's graph optimiser folds its constants
        otherwise, and weights differ in the last digits.
        """
        x, y, bootstrap = data
        distinct, index = tf.unique(rows)
        batch = tf.gather(x, distinct), tf.gather(y, rows), tf.gather(bootstrap, rows, axis=1), index
        losses, gradients = self._gradients(batch, seed, weighted)
        done = (span[0] + step) / span[1]
        rate = 0.5 * (1.0 + tf.cos(math.pi * done))
        self.adam.apply(gradients, span[2] + span[3] * rate)
        return losses

    def _gradients(
        self, batch: tuple[tf.Tensor, ...], seed: tf.Tensor, weighted: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        x, y, weights, index = batch
        tape = LinearTape(self.variables)
        with tape.recording():
            terms = self.terms(x, y, weights, seed, weighted, noise=self.config.target_noise, index=index)
            # Members are independent, so the sum over members gives each its own gradient.
            objective = tf.reduce_sum(terms["total"])
        return tf.stack([terms[name] for name in TERMS]), tape.gradients(objective)

    def terms(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        weights: tf.Tensor,
        seed: tf.Tensor,
        weighted: tf.Tensor,
        noise: float,
        index: tf.Tensor | None = None,
        blocks: int = 1,
    ) -> dict[str, tf.Tensor]:
        """Loss terms of Eq. 2 (or Eq. 3 if `weighted`), each (K,).

        Args:
            x: (U, D) latents, shared by the members.
            y: (B,) targets.
            weights: (K, B) weights of the rows, e.g. of a bootstrap sample.
            seed: (2,) int32, of z and of the noise on y. All members see the same z.
            weighted: scalar bool, rank weights on regression and reverse loss.
            noise: standard deviation of the noise on y in the reverse direction.
            index: (B,) row of `x` that each row of the batch stands for, None for the rows of `x`
                themselves. Rows of one latent share its forward pass.
            blocks: inverse passes, each of a block of the rows, that may run side by side.
        """
        cfg, members = self.config, self.flow.config.members
        x_all = tf.tile(x[tf.newaxis], (members, 1, 1))
        output, _ = self.flow(x_all)
        if index is not None:
            x_all, output = tf.gather(x_all, index, axis=1), tf.gather(output, index, axis=1)
        y_all = tf.tile(y[tf.newaxis], (members, 1))
        weights = tf.cond(weighted, lambda: weights * rank_weights(y_all, cfg.kappa), lambda: weights)
        z = tf.random.stateless_normal((tf.size(y), self.flow.config.dim - 1), seed)
        noisy = y + noise * tf.random.stateless_normal(tf.shape(y), seed + [1, 0])
        pair = tf.tile(tf.concat([z, noisy[:, tf.newaxis]], axis=1)[tf.newaxis], (members, 1, 1))
        x_hat = self._inverse(pair, blocks)
        prior = tf.concat([z, y[:, tf.newaxis]], axis=1)[tf.newaxis]
        terms = {
            "reg": regression_loss(y_all, output[..., -1], weights),
            "rev": reverse_loss(x_all, x_hat, weights),
            "latent": latent_mmd(output, prior),
        }
        terms["total"] = (
            cfg.reg_weight * terms["reg"] + cfg.rev_weight * terms["rev"] + cfg.latent_weight * terms["latent"]
        )
        return terms

    def _inverse(self, pair: tf.Tensor, blocks: int) -> tf.Tensor:
        if blocks == 1:
            return self.flow(pair, inverse=True)[0]
        bounds = [tf.shape(pair)[1] * block // blocks for block in range(blocks + 1)]
        return tf.concat([self.flow(pair[:, a:b], inverse=True)[0] for a, b in zip(bounds, bounds[1:])], axis=1)

    @tf.function(input_signature=_EPOCH[:2] + (tf.TensorSpec((2,), tf.int32),), autograph=False)
    def _validate(self, x: tf.Tensor, y: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """(K,) total losses over each row `repeat` times, each time with another z."""
        x = tf.ensure_shape(x, (None, self.flow.config.dim))
        index = tf.range(tf.shape(x)[0] * self.config.repeat) % tf.shape(x)[0]
        y, weights = tf.gather(y, index), tf.ones((self.flow.config.members, tf.size(index)))
        # The forward pass of the few distinct rows is short: the inverse one alone would hold a single core.
        return self.terms(x, y, weights, seed, tf.constant(False), noise=0.0, index=index, blocks=2)["total"]
