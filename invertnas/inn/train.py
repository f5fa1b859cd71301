"""Training of the INN ensemble: one compiled step for all members, whole epochs compiled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from invertnas.errors import ConfigError
from invertnas.inn.config import INNTrainConfig
from invertnas.inn.engine import TERMS, Batch, Engine, Factors, Network, engine, gradients, objective
from invertnas.inn.flow import FlowEnsemble
from invertnas.inn.plan import Plan
from invertnas.inn.schedule import FitReport, Pass
from invertnas.stacked.adam import StackedAdam

FloatArray = npt.NDArray[np.float32]


class INNTrainer:
    """Fits a FlowEnsemble to (latent, accuracy) pairs.

    Args:
        flow: a built ensemble; trained in place.
        config: objective and optimisation.
        seed: of shuffling, z, noise and bootstrap; every fit derives its own streams from it.
    """

    def __init__(self, flow: FlowEnsemble, config: INNTrainConfig, *, seed: int) -> None:
        self.flow, self.config, self.seed = flow, config, seed
        self.variables: list[tf.Variable] = flow.parameters
        self.initial = [variable.numpy() for variable in self.variables] if not config.warm_start else []
        self.adam = StackedAdam(self.variables, flow.config.members, config.clip_norm)
        self.best = [tf.Variable(variable, trainable=False) for variable in self.variables]
        self.seen = 0  # labels of the last fit

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
            ConfigError: for empty or mismatching data, or a flow of several targets.
        """
        if self.flow.config.targets > 1:
            raise ConfigError(f"got targets={self.flow.config.targets}; expected 1, or VectorTrainer.fit_vector")
        self._check(x, y)
        plan = self.plan(len(x), round_index)
        course, data = plan.course(), (tf.constant(x, tf.float32), tf.constant(y, tf.float32))
        bootstrap, validation = tf.constant(plan.bootstrap()), self._validation(plan, val_x, val_y)
        if plan.restarts:
            self.restart()
        self.engine.copy((self.variables, self.best))
        best = np.full(self.flow.config.members, math.inf)
        losses: npt.NDArray[np.floating[Any]] = np.zeros((len(TERMS), 1))
        for now in course:
            if now.begins_stage:
                self.engine.copy((self.best, self.variables))
            losses = self.run_pass(plan, now, *data, bootstrap)
            scores = self.validate(*validation) if validation else np.full_like(best, -now.epoch)
            finite = np.isfinite(losses[-1]) & np.isfinite(scores)
            better = finite & (scores < best)
            kept = self.engine.keep((self.variables, self.best), better).numpy() if better.any() else better
            best = np.where(kept, scores, best)
            course.tell(float(scores[finite].mean()) if finite.any() else math.inf)
        self.engine.copy((self.best, self.variables))
        self.seen = len(x)
        shown = losses[:, np.isfinite(losses[-1])] if np.isfinite(losses[-1]).any() else losses
        named = {name: float(value) for name, value in zip(TERMS, shown.mean(axis=1))}
        val_total = course.best if validation and math.isfinite(course.best) else None
        skipped = self.adam.skipped_steps()
        return FitReport(course.epochs, course.epochs * plan.steps, course.best_epoch, named, val_total, skipped)

    @property
    def engine(self) -> Engine:
        """The compiled parts, shared by all trainers of this shape and batch size."""
        return engine(self.flow.config, self.config.batch_size)

    def plan(self, count: int, round_index: int = 0) -> Plan:
        """Rows, weights and streams of a fit to `count` labels, as many more as the last fit had being new."""
        new = max(count - self.seen, 0) if self.seen else None
        return Plan(self.config, self.seed, self.flow.config.members, count, round_index, new)

    def run_pass(self, plan: Plan, now: Pass, x: tf.Tensor, y: tf.Tensor, bootstrap: tf.Tensor) -> FloatArray:
        """One pass over the labels; returns its mean losses (terms, K), in the order of TERMS."""
        return self.steps(
            x, y, bootstrap, plan.order(now.epoch), plan.noise_seed(now.epoch), now.span(plan.steps), plan.weighted
        )

    def steps(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        bootstrap: tf.Tensor,
        order: npt.NDArray[np.int32] | tf.Tensor,
        seed: npt.NDArray[np.int32] | tf.Tensor,
        span: FloatArray | tf.Tensor,
        weighted: bool | tf.Tensor,
    ) -> FloatArray:
        """Training steps on given rows; see `Engine.epoch` for the arguments."""
        factors = tf.constant(Factors.of(self.config), tf.float32)
        variables = self.variables, self.adam.moments
        rows = x, y, bootstrap, order
        losses: FloatArray = self.engine.epoch(
            variables, *rows, seed, span, weighted, factors, self.flow.orders
        ).numpy()
        return losses

    def validate(self, x: tf.Tensor, y: tf.Tensor, seed: npt.NDArray[np.int32] | tf.Tensor) -> FloatArray:
        """(K,) total losses over each row `repeat` times, each time with another z."""
        rows = np.arange(len(x) * self.config.repeat, dtype=np.int32) % len(x)
        factors = tf.constant(Factors.of(self.config, noise=0.0), tf.float32)
        scores: FloatArray = self.engine.validate(self.variables, x, y, rows, seed, factors, self.flow.orders).numpy()
        return scores

    def terms(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        weights: tf.Tensor,
        seed: tf.Tensor,
        weighted: tf.Tensor,
        noise: float,
        index: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Loss terms of Eq. 2 (or Eq. 3 if `weighted`), each (K,); see `invertnas.inn.engine.objective`."""
        batch, factors = Batch(x, y, weights, index), Factors.of(self.config, noise)
        return objective(self.flow.config, self._network, batch, factors, seed, weighted)

    def gradients(self, batch: Batch, seed: tf.Tensor, weighted: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Losses (terms, K) and the gradient of each of `variables`, as a step takes them."""
        return gradients(self.flow.config, self._network, batch, Factors.of(self.config), seed, weighted)

    @property
    def _network(self) -> Network:
        return Network(self.variables, self.flow.orders)

    def _validation(self, plan: Plan, x: FloatArray | None, y: FloatArray | None) -> Sequence[tf.Tensor]:
        """Arguments of `validate`, among them one seed of z for all passes."""
        if x is None or y is None:
            return ()
        self._check(x, y)
        return tf.constant(x, tf.float32), tf.constant(y, tf.float32), tf.constant(plan.validation_seed())

    def restart(self) -> None:
        """Return to the initial weights (of a trainer without warm start) and forget Adam's moments."""
        for source, target in zip(self.initial, self.variables):
            target.assign(source)
        self.adam.reset()

    def state(self) -> dict[str, np.ndarray]:
        """Named arrays of weights and optimiser, for a checkpoint."""
        values = [*self.variables, *self.adam.state]
        arrays = {f"inn_{index}": value.numpy() for index, value in enumerate(values)}
        return arrays if self.config.steps_per_label is None else arrays | {"inn_seen": np.array(self.seen)}

    def load_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore `state`. Raises ConfigError if the shapes are another network's."""
        variables = [*self.variables, *self.adam.state]
        for index, variable in enumerate(variables):
            value = arrays.get(f"inn_{index}")
            if value is None or tuple(value.shape) != tuple(variable.shape):
                got = None if value is None else value.shape
                raise ConfigError(f"got array inn_{index} of shape {got}; expected {tuple(variable.shape)}")
            variable.assign(value)
        self.seen = int(arrays.get("inn_seen", 0))

    def _check(self, x: FloatArray, y: FloatArray) -> None:
        dim = self.flow.config.dim
        if x.ndim != 2 or x.shape[1] != dim or y.shape != (len(x),) or len(x) == 0:
            raise ConfigError(f"got latents {x.shape} with targets {y.shape}; expected (n, {dim}) and (n,), n > 0")
