"""End-to-end fine-tuning: the GVAE trained together with the INN ensemble (thesis, section "Fine-tune INN")."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from invertnas.errors import ConfigError
from invertnas.gvae.losses import edge_loss, kl_loss, node_loss
from invertnas.gvae.model import GVAE
from invertnas.inn.engine import TERMS as INN_TERMS
from invertnas.inn.schedule import Pass
from invertnas.inn.train import INNTrainer
from invertnas.predictor.latent_scale import LatentScale
from invertnas.spaces.spec import FloatArray, GraphBatch, split_cells

GVAE_TERMS = ("node", "edge", "kl", "gvae")
_GRAPHS = (tf.TensorSpec((None, None, None, None)), tf.TensorSpec((None, None, None, None)))  # operations, adjacency
_EPOCH = (  # one trace for every number of labels and steps
    *_GRAPHS,
    tf.TensorSpec((None,)),  # y
    tf.TensorSpec((None, None)),  # bootstrap
    tf.TensorSpec((None, None), tf.int32),  # order
    tf.TensorSpec((2, 2), tf.int32),  # seeds of the INN and of the GVAE
    tf.TensorSpec((None, 2)),  # rates of the INN and of the GVAE
    tf.TensorSpec((), tf.bool),  # weighted
)
_VALIDATE = (*_GRAPHS, tf.TensorSpec((None,)), tf.TensorSpec((None,), tf.int32), tf.TensorSpec((2,), tf.int32))


class EndToEndTrainer:
    """Fits a GVAE and a FlowEnsemble together to (graph, accuracy) pairs.

    Each step encodes its batch, scales the latents by a fixed affine map and takes the ensemble's
    losses on them. Every member's weights get the gradient they would get from those latents alone,
    in the ensemble's own Adam. The GVAE gets one step of another Adam on its own loss (Eq. 1,
    factor 1) plus the *mean* over members of the ensemble's loss, so its step does not grow with K.

    Choices the texts leave open: batch normalisation uses inference statistics, which stay those of
    the pretraining (a batch repeats few graphs, and prediction uses them too); scale and offset of the
    normalisation are trained. The latent that the decoder gets is sampled, the ensemble's is the mean.
    A step of the GVAE whose gradient is not finite has none (only momentum moves it) and is counted, so
    a member that stays broken leaves the GVAE as it is.

    Args:
        trainer: of the ensemble; its weights, Adam, objective, schedule and seed are used.
        gvae: trained in place; hand over a copy if another predictor uses it.
        latent_scale: from the GVAE's latents to the ensemble's inputs; it stays as it is.
        learning_rate: Adam step of the GVAE at the start of a fit; it falls as the ensemble's.
        reverse: whether the reverse loss trains the encoder, too.
    """

    def __init__(
        self, trainer: INNTrainer, gvae: GVAE, latent_scale: LatentScale, *, learning_rate: float, reverse: bool
    ) -> None:
        self.trainer, self.gvae, self.learning_rate, self.reverse = trainer, gvae, learning_rate, reverse
        self._latent_scale = latent_scale
        self._watched = [variable.value for variable in gvae.trainable_variables]
        self.optimizer = keras.optimizers.Adam(learning_rate)
        self.optimizer.build(gvae.trainable_variables)
        self.skipped = tf.Variable(0, trainable=False)
        self._state = [*(v.value for v in (*gvae.variables, *self.optimizer.variables)), self.skipped]
        self._initial = [] if trainer.config.warm_start else [variable.numpy() for variable in self._state[:-1]]
        self._trained = [*trainer.variables, *self._watched]
        self._best = [tf.Variable(variable, trainable=False) for variable in self._trained]

    def fit(
        self,
        graphs: GraphBatch,
        y: FloatArray,
        val_graphs: GraphBatch | None = None,
        val_y: FloatArray | None = None,
        *,
        round_index: int = 0,
    ) -> dict[str, Any]:
        """Train on n labelled graphs.

        With validation data, all weights return to the pass of the best validation loss (the mean of
        the members' losses plus that of the GVAE), and a stage of the schedule stops after the patience.
        Members are not kept apart as in the frozen mode, since all were trained with one encoder.

        Args:
            graphs: n encoded architectures.
            y: (n,) targets.
            val_graphs: m encoded architectures or None.
            val_y: (m,) or None.
            round_index: 0 for the initial fit (Eq. 2), above for retraining (Eq. 3).

        Returns:
            What `FitReport.to_dict` holds, with the GVAE's losses and its count of skipped steps.

        Raises:
            ConfigError: for empty or mismatching data.
        """
        trainer, data = self.trainer, self._tensors(graphs, y)
        plan = trainer.plan(len(y), round_index)
        course, steps, weighted = plan.course(), plan.steps, tf.constant(plan.weighted)
        bootstrap = tf.constant(plan.bootstrap())
        validation = self._validation(val_graphs, val_y)
        trainer.seen = len(y)
        if plan.restarts:
            self._restart()
        losses = np.zeros(0)
        for now in course:
            if now.begins_stage and validation and course.best_epoch >= 0:
                _copy(self._best, self._trained)
            order = tf.constant(plan.order(now.epoch))
            seeds = tf.constant([plan.noise_seed(now.epoch, part) for part in ("inn", "gvae")])
            rates = tf.constant(self._rates(steps, now))
            losses = self._epoch(*data, bootstrap, order, seeds, rates, weighted).numpy()
            if course.tell(float(self._validate(*validation)) if validation else -now.epoch) and validation:
                _copy(self._trained, self._best)
        if validation and course.best_epoch >= 0:
            _copy(self._best, self._trained)
        return {
            "epochs": course.epochs,
            "steps": course.epochs * steps,
            "best_epoch": course.best_epoch,
            "losses": {name: float(value) for name, value in zip((*INN_TERMS, *GVAE_TERMS), losses)},
            "val_total": course.best if validation and math.isfinite(course.best) else None,
            "skipped": trainer.adam.skipped_steps(),
            "gvae_skipped": int(self.skipped.numpy()),
        }

    def losses(self, ops: tf.Tensor, adjacency: tf.Tensor, seed: tf.Tensor | None) -> tuple[tf.Tensor, dict[str, Any]]:
        """Scaled latents (B, D) of a batch, and the GVAE's loss terms as scalars (`gvae` is Eq. 1).

        Args:
            ops: (B, cells, N, F).
            adjacency: (B, cells, N, N), directed.
            seed: (2,) int32 of the noise on the decoded latent, or None to decode the mean.
        """
        cfg = self.gvae.config
        inputs = [tf.reshape(ops, (-1, cfg.num_nodes, cfg.num_ops)), tf.reshape(adjacency, (-1, *[cfg.num_nodes] * 2))]
        shape = (tf.shape(inputs[0])[0], cfg.num_nodes, cfg.latent_dim)
        noise = None if seed is None else tf.random.stateless_normal(shape, seed)
        op_logits, edge_logits, mean, log_var = self.gvae(inputs, noise=noise, training=False)
        node, edge, kl = node_loss(inputs[0], op_logits), edge_loss(inputs[1], edge_logits), kl_loss(mean, log_var)
        total = cfg.node_weight * node + cfg.edge_weight * edge + cfg.kl_weight * kl
        latents = self._latent_scale.to_inn(tf.reshape(mean, (-1, cfg.flat_dim)))
        return latents, {"node": node, "edge": edge, "kl": kl, "gvae": total}

    def gradients(
        self,
        ops: tf.Tensor,
        adjacency: tf.Tensor,
        y: tf.Tensor,
        weights: tf.Tensor,
        seeds: tf.Tensor,
        weighted: tf.Tensor,
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
        """Losses in the order of the report, gradients of the ensemble, gradients of the GVAE.

        Args:
            ops: (B, cells, N, F).
            adjacency: (B, cells, N, N).
            y: (B,) targets.
            weights: (K, B) weights of the rows.
            seeds: (2, 2) int32, of the INN's and of the GVAE's noise.
            weighted: scalar bool, rank weights.
        """
        trainer = self.trainer
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(self._watched)
            x, own = self.losses(ops, adjacency, seeds[1])
        with tf.GradientTape(watch_accessed_variables=False, persistent=not self.reverse) as inner:
            inner.watch([x, *trainer.variables])
            terms = trainer.terms(x, y, weights, seeds[0], weighted, noise=trainer.config.target_noise)
            total, reverse = tf.reduce_sum(terms["total"]), trainer.config.rev_weight * tf.reduce_sum(terms["rev"])
        at_latents, *ensemble = inner.gradient(total, [x, *trainer.variables])
        if not self.reverse:
            at_latents -= inner.gradient(reverse, x)
        share = at_latents / trainer.flow.config.members
        shared = outer.gradient([own["gvae"], x], self._watched, output_gradients=[tf.ones(()), share])
        means = [_finite_mean(terms[name], tf.math.is_finite(terms["total"])) for name in INN_TERMS]
        return tf.stack(means + [own[name] for name in GVAE_TERMS]), ensemble, shared

    def state(self) -> dict[str, np.ndarray]:
        """Named arrays of the GVAE and its optimiser, for a checkpoint; the ensemble's are apart."""
        return {f"gvae_{index}": variable.numpy() for index, variable in enumerate(self._state)}

    def load_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore `state`. Raises ConfigError if the shapes are another GVAE's."""
        for index, variable in enumerate(self._state):
            value = arrays.get(f"gvae_{index}")
            if value is None or tuple(value.shape) != tuple(variable.shape):
                got = None if value is None else value.shape
                raise ConfigError(f"got array gvae_{index} of shape {got}; expected {tuple(variable.shape)}")
            variable.assign(value)

    def _rates(self, steps: int, now: Pass) -> FloatArray:
        """(steps, 2) Adam steps of ensemble and GVAE, in a fixed ratio."""
        rates = now.rates(steps)
        ratio = self.learning_rate / self.trainer.config.learning_rate
        return np.stack([rates, rates * ratio], axis=1).astype(np.float32)

    def _restart(self) -> None:
        self.trainer.restart()
        for variable, value in zip(self._state, self._initial):
            variable.assign(value)

    def _tensors(self, graphs: GraphBatch, y: FloatArray) -> list[tf.Tensor]:
        """Operations (n, cells, N, F), adjacency (n, cells, N, N) and targets."""
        if len(y) == 0 or y.shape != (len(graphs),):
            raise ConfigError(f"got {len(graphs)} graphs with targets {y.shape}; expected (n,) of n > 0 graphs")
        cells = split_cells(graphs, self.gvae.config.cells)
        parts = (part.reshape(len(y), -1, *part.shape[1:]) for part in (cells.ops, cells.adjacency))
        return [*(tf.constant(part, tf.float32) for part in parts), tf.constant(y, tf.float32)]

    def _validation(self, graphs: GraphBatch | None, y: FloatArray | None) -> list[tf.Tensor]:
        """Arguments of `_validate`: each row once for every repeat, and one seed of z for all passes."""
        if graphs is None or y is None:
            return []
        rows = np.tile(np.arange(len(y), dtype=np.int32), self.trainer.config.repeat)
        seed = self.trainer.plan(len(y)).validation_seed()
        return [*self._tensors(graphs, y), tf.constant(rows), tf.constant(seed)]

    @tf.function(input_signature=_EPOCH)
    def _epoch(
        self,
        ops: tf.Tensor,
        adjacency: tf.Tensor,
        y: tf.Tensor,
        bootstrap: tf.Tensor,
        order: tf.Tensor,
        seeds: tf.Tensor,
        rates: tf.Tensor,
        weighted: tf.Tensor,
    ) -> tf.Tensor:
        order = tf.ensure_shape(order, (None, self.trainer.config.batch_size))
        total, steps = tf.zeros(len(INN_TERMS) + len(GVAE_TERMS)), tf.shape(order)[0]
        for step in tf.range(steps):
            rows = order[step]
            graphs = tf.gather(ops, rows), tf.gather(adjacency, rows)
            labels = tf.gather(y, rows), tf.gather(bootstrap, rows, axis=1)
            total += self._step((*graphs, *labels, seeds + tf.stack([0, step]), weighted), rates[step])
        return total / tf.cast(steps, tf.float32)

    @tf.autograph.experimental.do_not_convert
    def _step(self, batch: tuple[tf.Tensor, ...], rates: tf.Tensor) -> tf.Tensor:
        """One step with the arguments of `gradients`; returns the losses."""
        losses, ensemble, shared = self.gradients(*batch)
        self.trainer.adam.apply(ensemble, rates[0])
        self._apply(shared, rates[1])
        return losses

    def _apply(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor) -> None:
        norm = tf.linalg.global_norm(gradients)
        finite, bound = tf.math.is_finite(norm), self.trainer.config.clip_norm
        factor = tf.where(finite, bound / tf.maximum(norm, bound), 0.0)
        self.skipped.assign_add(tf.cast(~finite, tf.int32))
        self.optimizer.learning_rate.assign(rate)
        clipped = [tf.math.multiply_no_nan(gradient, factor) for gradient in gradients]
        self.optimizer.apply(clipped, self.gvae.trainable_variables)

    @tf.function(input_signature=_VALIDATE, autograph=False)
    def _validate(
        self, ops: tf.Tensor, adjacency: tf.Tensor, y: tf.Tensor, rows: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        """Mean of the members' finite losses plus that of the GVAE; NaN if no member's is finite."""
        x, own = self.losses(ops, adjacency, None)
        weights = tf.ones((self.trainer.flow.config.members, tf.size(rows)))
        x, y = tf.gather(x, rows), tf.gather(y, rows)
        totals = self.trainer.terms(x, y, weights, seed, tf.constant(False), noise=0.0)["total"]
        return _finite_mean(totals, tf.math.is_finite(totals)) + own["gvae"]


def copy_gvae(gvae: GVAE) -> GVAE:
    """A model of its own with the same weights."""
    copy = GVAE.create(gvae.config, seed=gvae.seed)
    copy.set_weights(gvae.get_weights())
    return copy


def _copy(sources: Sequence[tf.Variable], targets: Sequence[tf.Variable]) -> None:
    for source, target in zip(sources, targets):
        target.assign(source)


def _finite_mean(values: tf.Tensor, finite: tf.Tensor) -> tf.Tensor:
    """Mean of the (K,) values of the marked members; NaN if there is none."""
    return tf.reduce_sum(tf.where(finite, values, 0.0)) / tf.reduce_sum(tf.cast(finite, tf.float32))
