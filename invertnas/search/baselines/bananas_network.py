"""The ensemble of BANANAS: feed-forward networks stacked into one tensor program."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from invertnas.search.baselines.bananas_config import BananasConfig
from invertnas.seeding import generator
from invertnas.spaces.spec import FloatArray
from invertnas.stacked.adam import StackedAdam, apply_adam
from invertnas.stacked.compiled import Compiled
from invertnas.stacked.mlp import mlp

Array = npt.NDArray[Any]
INITIAL_CAPACITY = 256


@functools.lru_cache(maxsize=4)
def stacked_networks(num_features: int, config: BananasConfig) -> StackedNetworks:
    """One instance per shape and process: it keeps no parameters, only graphs that are slow to compile."""
    return StackedNetworks(num_features, config)


class StackedNetworks:
    """M independent multi-layer perceptrons of equal shape, trained side by side.

    All parameters form one (M, P) matrix, so one batched product serves a layer of all members and
    Adam (Kingma & Ba, 2015) is one operation. The training loop runs inside one
    graph, compiled for a fixed number of examples and padded up to it, so a growing data set costs
    no new compilation until the capacity (256) is full and doubles. Members differ in their initial
    weights (Glorot uniform, zero biases) and in their shuffles.

    Args:
        num_features: D, columns of the inputs.
        config: gives members, hidden_layers, width, epochs, fit_batch_size and Adam's settings.

    Attributes:
        traces: how often the training graph was built and compiled.
    """

    def __init__(self, num_features: int, config: BananasConfig) -> None:
        self.config = config
        self.traces = 0
        widths = [num_features, *[config.width] * config.hidden_layers, 1]
        self._shapes = [shape for fan in zip(widths, widths[1:]) for shape in (fan, (1, fan[1]))]
        self._matrix = tf.TensorSpec([config.members, sum(a * b for a, b in self._shapes)], tf.float32)
        inputs = tf.TensorSpec([None, num_features], tf.float32)
        self._apply = Compiled(lambda _, theta, x: self._forward(theta, x[None]), (self._matrix, inputs))
        self._theta = tf.Variable(tf.zeros(self._matrix.shape), trainable=False)
        self._adam = StackedAdam([self._theta], config.members)
        self._capacity = 0
        self._train: Compiled | None = None

    def fit(self, inputs: FloatArray, targets: FloatArray, *, seed: int, index: int) -> tuple[FloatArray, FloatArray]:
        """Train from scratch on n examples.

        Args:
            inputs: (n, D).
            targets: (n,).
            seed: master seed.
            index: distinguishes the fits of one search.

        Returns:
            The trained parameters (M, P), and the mean absolute error over each epoch (epochs, M), in the
            unit of the targets.
        """
        rngs = [generator(seed, "bananas/network", index, member) for member in range(self.config.members)]
        theta = np.stack([self._initial(rng) for rng in rngs])
        train = self._compiled(len(inputs))
        x = np.zeros((self._capacity, inputs.shape[1]), np.float32)
        y = np.zeros(self._capacity, np.float32)
        x[: len(inputs)], y[: len(inputs)] = inputs, targets
        rows, weights = self._batches(len(inputs), rngs)
        variables = self._theta, self._adam.moments
        trained, losses = train(
            variables, theta, x, y, *(self._padded(part) for part in (rows, weights)), np.int32(len(rows))
        )
        shares = weights[:, 0, :].astype(bool).sum(axis=1, keepdims=True) / len(inputs)
        weighted = (losses.numpy()[: len(rows)] * shares).reshape(self.config.epochs, -1, self.config.members)
        return trained.numpy(), weighted.sum(axis=1).astype(np.float32)

    def predict(self, theta: FloatArray, inputs: FloatArray) -> FloatArray:
        """(M, B) outputs for (M, P) parameters from `fit` and (B, D) inputs, in the unit of the targets."""
        outputs: FloatArray = self._apply((), theta, inputs).numpy()
        return outputs

    def _compiled(self, count: int) -> Compiled:
        """The training graph for at least `count` examples; the capacity doubles when it is too small."""
        if self._train is None or count > self._capacity:
            self._capacity = max(self._capacity, INITIAL_CAPACITY)
            while self._capacity < count:
                self._capacity *= 2
            batch = [self._max_steps, self.config.members, self.config.fit_batch_size]
            signature = [
                self._matrix,
                tf.TensorSpec([self._capacity, self._shapes[0][0]], tf.float32),
                tf.TensorSpec([self._capacity], tf.float32),
                tf.TensorSpec(batch, tf.int32),
                tf.TensorSpec(batch, tf.float32),
                tf.TensorSpec([], tf.int32),
            ]
            self._train = Compiled(self._train_loop, signature, jit=True)
        return self._train

    @property
    def _max_steps(self) -> int:
        return self.config.epochs * -(-self._capacity // self.config.fit_batch_size)

    def _padded(self, batches: Array) -> Array:
        """(steps, M, b) extended to the fixed number of steps of the graph."""
        return np.concatenate([batches, np.zeros((self._max_steps - len(batches), *batches.shape[1:]), batches.dtype)])

    def _initial(self, rng: np.random.Generator) -> FloatArray:
        """(P,) initial parameters of one member; odd entries of the shapes are biases."""
        parts = []
        for position, (rows, columns) in enumerate(self._shapes):
            limit = 0.0 if position % 2 else np.sqrt(6.0 / (rows + columns))
            parts.append(rng.uniform(-limit, limit, rows * columns))
        return np.concatenate(parts).astype(np.float32)

    def _batches(self, count: int, rngs: list[np.random.Generator]) -> tuple[Array, ...]:
        """(steps, M, b) example indices, and weights that average over the real ones of each batch."""
        config, size = self.config, self.config.fit_batch_size
        per_epoch = -(-count // size)
        shape = (config.epochs, config.members, per_epoch * size)
        rows: Array = np.zeros(shape, np.int32)
        weights: Array = np.zeros(shape, np.float32)
        real = np.minimum(size, count - size * np.arange(per_epoch))
        weights[..., :count] = np.repeat(1.0 / real, real)
        for member, rng in enumerate(rngs):
            rows[:, member, :count] = rng.permuted(np.tile(np.arange(count), (config.epochs, 1)), axis=1)
        blocks = (config.epochs, config.members, per_epoch, size)
        steps = (config.epochs * per_epoch, config.members, size)
        return tuple(part.reshape(blocks).swapaxes(1, 2).reshape(steps) for part in (rows, weights))

    def _forward(self, theta: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """(M, B) outputs of (M or 1, B, D) inputs."""
        parts = tf.split(theta, [rows * columns for rows, columns in self._shapes], axis=1)
        tensors = [tf.reshape(part, (-1, *shape)) for part, shape in zip(parts, self._shapes)]
        return tf.squeeze(mlp(x, list(zip(tensors[::2], tensors[1::2]))), axis=2)

    def _train_loop(
        self,
        variables: Any,
        theta: tf.Tensor,
        x: tf.Tensor,
        y: tf.Tensor,
        batches: tf.Tensor,
        weights: tf.Tensor,
        steps: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Trained parameters (M, P), and the loss of each step (max_steps, M), of which the first `steps` count.

        Args:
            variables: the parameters and Adam's state; both start anew.
            theta: (M, P) initial parameters.
            x: (capacity, D).
            y: (capacity,).
            batches: (max_steps, M, b) rows.
            weights: (max_steps, M, b) of the rows.
            steps: how many to run.
        """
        self.traces += 1
        config, (parameters, moments) = self.config, variables
        parameters.assign(theta)
        for variable in (moments.iteration, *moments.first, *moments.second):
            variable.assign(tf.zeros_like(variable))

        def step(number: tf.Tensor, losses: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            rows = batches[number]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                current = parameters.read_value()
                tape.watch(current)
                deviation = tf.abs(self._forward(current, tf.gather(x, rows)) - tf.gather(y, rows))
                loss = tf.reduce_sum(deviation * weights[number], axis=1)
            gradient = tape.gradient(loss, current)
            decays = config.beta_1, config.beta_2
            apply_adam([parameters], moments, [gradient], config.learning_rate, clip_norm=None, betas=decays)
            return number + 1, losses.write(number, loss)

        losses = tf.TensorArray(tf.float32, size=self._max_steps, element_shape=[config.members])
        # A condition on a tensor, not a range: XLA would compile anew for each number of steps.
        _, losses = tf.while_loop(lambda number, _: number < steps, step, (tf.constant(0), losses))
        return parameters.read_value(), losses.stack()
