"""Training of AlignFlow: compiled epochs of alternating steps, early stopping, exact resume."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from invertnas.alignflow.config import AlignFlowConfig, AlignFlowTrainConfig
from invertnas.alignflow.losses import discriminator_loss, gaussian_nll, least_squares
from invertnas.alignflow.model import FULL, AlignFlow
from invertnas.errors import ConfigError
from invertnas.files.io import sha256_arrays
from invertnas.seeding import generator, tf_seed
from invertnas.spaces.spec import FloatArray, IntArray
from invertnas.stacked.adam import UNBOUNDED, StackedAdam
from invertnas.stacked.tape import Linear, LinearTape, linear
from invertnas.training import EpochTrainer, Progress

TERMS = ("gan", "nll", "generator", "discriminator", "total")
DISCRIMINATOR_BETAS = (0.5, 0.999)  # Table 11
DEAD = 1e-2  # smallest spread of a single feature, as a share of the overall one


def split(count: int, *, seed: int, domain: int) -> tuple[IntArray, IntArray]:
    """Random 80/20 split of a domain's latents into training and validation rows."""
    order = generator(seed, "alignflow-split", domain).permutation(count)
    return order[: int(0.8 * count)], order[int(0.8 * count) :]


class AlignFlowTrainer(EpochTrainer):
    """Trains AlignFlow on latents of the reduced and of the full space.

    Each step moves the flows once, then the discriminators once. Flows: least-squares GAN loss of the
    translations in both directions plus lambda times the negative log-likelihood of both domains.
    Discriminators: least squares on data and on translations, which are not differentiated. A pass sees
    the larger domain once and the smaller one as often as it takes.

    The monitored quantity is the sum of both losses on the validation latents. (It includes lambda * NLL.)

    Args:
        config: architecture.
        train: objective and optimisation.
        reduced: (n, D) GVAE latents of domain A.
        full: (m, D) GVAE latents of domain B.

    Raises:
        ConfigError: shapes disagree, or a training part holds less than one batch.
    """

    def __init__(
        self, config: AlignFlowConfig, train: AlignFlowTrainConfig, reduced: FloatArray, full: FloatArray
    ) -> None:
        self.config, self.train_config = config, train
        domains = (reduced, full)
        if any(x.ndim != 2 or x.shape[1] != config.dim for x in domains):
            raise ConfigError(f"got latents {reduced.shape} and {full.shape}; expected (n, {config.dim}) of each")
        self.data_sha256 = sha256_arrays(*domains)
        self.splits = [split(len(x), seed=train.seed, domain=d) for d, x in enumerate(domains)]
        if min(len(rows) for rows, _ in self.splits) < train.batch_size:
            raise ConfigError(
                f"got {[len(x) for x in domains]} latents; expected 80 % of each to fill a batch of {train.batch_size}"
            )
        self.model = AlignFlow.create(config, seed=train.seed)
        self._fit_scale(full)
        self._data = tf.constant(np.concatenate([self.model.standardise(x) for x in domains]), tf.float32)
        self._offset = len(reduced)  # of the full space's rows in the data
        self._make_optimizers()
        self._begin(Progress())

    def _fit_scale(self, full: FloatArray) -> None:
        kind, overall = self.train_config.standardise, full.std()
        if kind == "none":
            return
        self.model.shift.assign(full.mean(axis=0))
        scale = np.maximum(full.std(axis=0), DEAD * overall) if kind == "feature" else np.full(len(full[0]), overall)
        self.model.scale.assign(scale)

    def _make_optimizers(self) -> None:
        clip = self.train_config.clip_norm or UNBOUNDED
        self.flow_variables = self.model.flows.parameters
        self.disc_variables = [variable for pair in self.model.discriminators.pairs for variable in pair]
        self.flow_adam = StackedAdam(self.flow_variables, 2, clip)
        self.disc_adam = StackedAdam(self.disc_variables, 2, clip, DISCRIMINATOR_BETAS)
        size = self.train_config.buffer
        start = [self._data[: min(size, self._offset)], self._data[self._offset :][:size]]
        self.buffer = tf.Variable(tf.zeros((2, size, self.config.dim)), trainable=False)
        if size:
            repeated = [tf.gather(x, tf.range(size) % len(x)) for x in start]
            self.buffer.assign(self.model(tf.stack(repeated))[2])

    @property
    def finished(self) -> bool:
        """Whether the epochs or the patience are used up."""
        stalled = self.progress.epoch - 1 - self.progress.best_epoch
        early = self.progress.epoch >= self.train_config.min_epochs and stalled >= self.train_config.patience
        return early or self.progress.epoch >= self.train_config.epochs

    def _train(self) -> dict[str, float]:
        epoch, seed = self.progress.epoch, self.train_config.seed
        noise_seed = tf.constant(tf_seed(seed, "alignflow-noise", epoch))
        train = self._epoch(tf.constant(self._order(epoch)), noise_seed).numpy()
        val = self._validate(tf.constant(self._held_out()), tf.constant(tf_seed(seed, "alignflow-val"))).numpy()
        losses = {name: float(value) for name, value in zip(TERMS, train)}
        return losses | {f"val_{name}": float(value) for name, value in zip(TERMS, val)}

    def _order(self, epoch: int) -> np.ndarray:
        """(steps, 2, B) rows of the data: shuffled sweeps over both training parts."""
        size = self.train_config.batch_size
        count = max(len(rows) for rows, _ in self.splits) // size * size
        parts = []
        for domain, (rows, _) in enumerate(self.splits):
            rng = generator(self.train_config.seed, "alignflow-shuffle", domain, epoch)
            sweeps = np.concatenate([rng.permutation(rows) for _ in range(-(-count // len(rows)))])
            parts.append(sweeps[:count].reshape(-1, size) + self._offset * (domain == FULL))
        return np.stack(parts, axis=1).astype(np.int32)

    def _held_out(self) -> np.ndarray:
        """(2, n) rows of the validation latents, those of the smaller domain repeated."""
        count = max(len(rows) for _, rows in self.splits)
        parts = [np.resize(rows, count) + self._offset * (d == FULL) for d, (_, rows) in enumerate(self.splits)]
        return np.stack(parts).astype(np.int32)

    def _noisy(self, rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        x = tf.gather(self._data, rows)
        return x + self.train_config.noise * tf.random.stateless_normal(tf.shape(x), seed)

    def _generator_terms(self, x: tf.Tensor, through: Linear = linear) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Losses (2,) of the flows, and the translations (2, B, D)."""
        z, log_det, translated, scores = self.model.translations(x, through)
        terms = {"gan": least_squares(scores, 1.0), "nll": gaussian_nll(z, log_det)}
        terms["generator"] = terms["gan"] + self.train_config.nll_weight * terms["nll"]
        return terms, translated

    def _discriminator_terms(self, x: tf.Tensor, fake: tf.Tensor, through: Linear = linear) -> tf.Tensor:
        scores = self.model.judge(tf.concat([x, fake], axis=1), through)
        real, translated = tf.split(scores, 2, axis=1)
        return discriminator_loss(real, translated)

    @tf.function(input_signature=[tf.TensorSpec((None, 2, None), tf.int32), tf.TensorSpec((2,), tf.int32)])
    def _epoch(self, order: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        rate, total = tf.constant(self.train_config.learning_rate), tf.zeros(len(TERMS))
        order = tf.ensure_shape(order, (None, 2, self.train_config.batch_size))
        steps = tf.shape(order)[0]
        for step in tf.range(steps):
            total += self._step(order[step], seed + tf.stack([0, step]), seed + tf.stack([1, step]), rate)
        return total / tf.cast(steps, tf.float32)

    @tf.autograph.experimental.do_not_convert
    def _step(self, rows: tf.Tensor, noise_seed: tf.Tensor, memory_seed: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        """One step of the flows, then one of the discriminators; returns the losses (5,)."""
        x = self._noisy(rows, noise_seed)
        tape = LinearTape(self.flow_variables)
        with tape.recording():
            terms, fake = self._generator_terms(x, tape.linear)
            objective = tf.reduce_sum(terms["generator"])
        self.flow_adam.apply(tape.gradients(objective), rate)
        fake = self._remembered(fake, memory_seed)
        tape = LinearTape(self.disc_variables)
        with tape.recording():
            terms["discriminator"] = self._discriminator_terms(x, tf.stop_gradient(fake), tape.linear)
            objective = tf.reduce_sum(terms["discriminator"])
        self.disc_adam.apply(tape.gradients(objective), rate)
        return self._summary(terms)

    @tf.function(input_signature=[tf.TensorSpec((2, None), tf.int32), tf.TensorSpec((2,), tf.int32)], autograph=False)
    def _validate(self, rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        x = self._noisy(rows, seed)
        terms, fake = self._generator_terms(x)
        terms["discriminator"] = self._discriminator_terms(x, fake)
        return self._summary(terms)

    @staticmethod
    def _summary(terms: dict[str, tf.Tensor]) -> tf.Tensor:
        """(5,) losses summed over the domains, in the order of TERMS."""
        sums = {name: tf.reduce_sum(value) for name, value in terms.items()}
        sums["total"] = sums["generator"] + sums["discriminator"]
        return tf.stack([sums[name] for name in TERMS])

    def _remembered(self, fake: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Each (2, B, D) translation or, with probability 1/2, an earlier one whose place it takes."""
        size, batch = self.train_config.buffer, self.train_config.batch_size
        if not size:
            return fake
        slots = tf.argsort(tf.random.stateless_uniform((size,), seed))[:batch]
        swap = tf.random.stateless_uniform((2, batch, 1), seed + [2, 0]) < 0.5
        old = tf.gather(self.buffer, slots, axis=1)
        kept = tf.transpose(tf.where(swap, fake, old), (1, 0, 2))
        content = tf.tensor_scatter_nd_update(tf.transpose(self.buffer, (1, 0, 2)), slots[:, tf.newaxis], kept)
        self.buffer.assign(tf.transpose(content, (1, 0, 2)))
        return tf.where(swap, old, fake)

    def _variables(self) -> list[tf.Variable]:
        return [*self.flow_variables, *self.disc_variables, *self.flow_adam.state, *self.disc_adam.state, self.buffer]

    def _identity(self) -> str:
        fixed: dict[str, Any] = self.train_config.to_dict()
        fixed.pop("epochs")  # training may be prolonged
        return f"{self.config} {fixed} {self.data_sha256}"
