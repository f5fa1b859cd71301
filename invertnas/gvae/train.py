"""Pretraining of the GVAE: compiled epochs, plateau schedule, early stopping, exact resume."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from invertnas.errors import ConfigError
from invertnas.files.io import sha256_arrays
from invertnas.gvae.config import GVAEConfig, GVAETrainConfig
from invertnas.gvae.model import CHUNK, GVAE
from invertnas.seeding import generator, tf_seed
from invertnas.spaces.spec import GraphBatch, IntArray
from invertnas.training import EpochTrainer, Progress

TERMS = ("node", "edge", "kl", "total")


@dataclasses.dataclass
class GVAEProgress(Progress):
    """Where training stands, with the schedule: the present rate, and epochs without improvement at it."""

    learning_rate: float = 1e-3
    plateau: int = 0


def split_indices(count: int, *, seed: int) -> tuple[IntArray, IntArray, IntArray]:
    """Random 80/10/10 split of `count` graphs into train, validation and test indices."""
    order = generator(seed, "split").permutation(count)
    first, second = int(0.8 * count), int(0.9 * count)
    return order[:first], order[first:second], order[second:]


class GVAETrainer(EpochTrainer):
    """Trains a GVAE on a set of graphs (paper section 3.1 and Appendix H).

    The monitored quantity is the total loss of Eq. 1 on the validation graphs, with inference
    statistics. The rate falls by `lr_factor` after `lr_patience` epochs without improvement;
    training ends after `stop_patience` such epochs or at `epochs`; the best weights are kept.

    Args:
        config: model hyperparameters.
        train: optimisation hyperparameters.
        graphs: all graphs, each one cell (see `invertnas.split_cells`); split inside by the seed.

    Raises:
        ConfigError: if the graphs are no cells of the configured shape, the training part holds less than one
            batch, or the validation part no graph.
    """

    def __init__(self, config: GVAEConfig, train: GVAETrainConfig, graphs: GraphBatch) -> None:
        self.config, self.train_config = config, train
        got, expected = graphs.ops.shape[1:], (config.num_nodes, config.num_ops)
        if got != expected:
            raise ConfigError(
                f"got graphs of (nodes, operations) {got}; expected single cells of {expected}: pass "
                "split_cells(graphs, space.num_cells), and num_nodes // num_cells of the space to GVAEConfig"
            )
        self.data_sha256 = sha256_arrays(graphs.ops, graphs.adjacency)
        self.train_index, self.val_index, self.test_index = split_indices(len(graphs), seed=train.seed)
        if len(self.train_index) < train.batch_size:
            raise ConfigError(
                f"got {len(self.train_index)} training graphs; expected at least one batch of {train.batch_size}"
            )
        if len(self.val_index) == 0:
            raise ConfigError(f"got {len(graphs)} graphs, none left to validate on; expected at least 6")
        self._ops, self._adjacency = tf.constant(graphs.ops), tf.constant(graphs.adjacency)
        self.model = GVAE.create(config, seed=train.seed)
        self.optimizer = keras.optimizers.Adam(train.learning_rate, global_clipnorm=train.clip_norm or None)
        self.optimizer.build(self.model.trainable_variables)
        self._begin(GVAEProgress(learning_rate=train.learning_rate))

    @property
    def finished(self) -> bool:
        """Whether the epochs or the patience are used up."""
        stalled = self.progress.epoch - 1 - self.progress.best_epoch
        return self.progress.epoch >= self.train_config.epochs or stalled >= self.train_config.stop_patience

    def _train(self) -> dict[str, float]:
        progress, seed = self.progress, self.train_config.seed
        order = generator(seed, "shuffle", progress.epoch).permutation(self.train_index)
        self.optimizer.learning_rate.assign(progress.learning_rate)
        train = self._train_epoch(tf.constant(order), tf.constant(tf_seed(seed, "noise", progress.epoch)))
        val = self._evaluate(tf.constant(self.val_index))
        losses = {name: float(value) for name, value in zip(TERMS, train.numpy())}
        return losses | {f"val_{name}": float(value) for name, value in zip(TERMS, val.numpy())}

    def _after(self, losses: dict[str, float]) -> None:
        """Count the epochs without improvement; after `lr_patience` of them the rate falls."""
        progress, cfg = self.progress, self.train_config
        progress.plateau = 0 if progress.best_epoch == progress.epoch else progress.plateau + 1
        if progress.plateau >= cfg.lr_patience:
            progress.learning_rate = max(progress.learning_rate * cfg.lr_factor, cfg.lr_min)
            progress.plateau = 0

    def _row(self, losses: dict[str, float]) -> dict[str, float]:
        return {"epoch": self.progress.epoch, "learning_rate": self.progress.learning_rate, **losses}

    @tf.function
    def _train_epoch(self, order: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
        size = self.train_config.batch_size
        steps = len(self.train_index) // size
        shape = (size, self.config.num_nodes, self.config.latent_dim)
        total = tf.zeros(len(TERMS))
        for step in tf.range(steps):
            index = order[step * size : (step + 1) * size]
            noise = tf.random.stateless_normal(shape, noise_seed + tf.stack([0, step]))
            total += self._step(index, noise)
        return total / steps

    @tf.autograph.experimental.do_not_convert
    def _step(self, index: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """One step on the graphs of an index; returns the losses."""
        inputs = [tf.gather(self._ops, index), tf.gather(self._adjacency, index)]
        with tf.GradientTape() as tape:
            terms = self.model.losses_of(inputs, noise, training=True)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(terms["total"], variables), variables)
        return tf.stack([terms[name] for name in TERMS])

    @tf.function
    def _evaluate(self, index: tf.Tensor) -> tf.Tensor:
        count, total = tf.size(index), tf.zeros(len(TERMS))
        for start in tf.range(0, count, CHUNK):
            rows = index[start : start + CHUNK]
            total += self._losses(rows) * tf.cast(tf.size(rows) / count, tf.float32)
        return total

    @tf.autograph.experimental.do_not_convert
    def _losses(self, index: tf.Tensor) -> tf.Tensor:
        """Losses of the graphs of an index, without noise."""
        inputs = [tf.gather(self._ops, index), tf.gather(self._adjacency, index)]
        terms = self.model.losses_of(inputs, None, training=False)
        return tf.stack([terms[name] for name in TERMS])

    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.optimizer.variables]

    def _identity(self) -> str:
        fixed: dict[str, Any] = dataclasses.asdict(self.train_config)
        fixed.pop("epochs")  # training may be prolonged
        return f"{self.config} {fixed} {self.data_sha256}"
