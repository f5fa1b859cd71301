"""The compiled parts of training and inference, one set for each shape of ensemble in a process.

Weights, moments and data are arguments. So the graphs that one trainer built serve every other trainer of that
shape, whatever its seed, its labels and its loss weights.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.inn.losses import latent_mmd, rank_weights, regression_loss, reverse_loss
from invertnas.inn.maps import flow_map
from invertnas.stacked.adam import AdamState, apply_adam
from invertnas.stacked.compiled import Compiled
from invertnas.stacked.tape import Linear, LinearTape, linear

TERMS = ("reg", "rev", "latent", "total")
_FLOAT, _INT = tf.float32, tf.int32


class Factors(NamedTuple):
    """Numbers of the objective, as one tensor: `tf.constant(factors)`.

    Attributes:
        reg: alpha, factor of the regression loss.
        rev: beta, factor of the reverse loss.
        latent: gamma, factor of the latent MMD.
        kappa: smoothing of the rank weights.
        noise: standard deviation of the noise on y in the reverse loss.
        clip_norm: bound on each member's gradient norm.
    """

    reg: tf.Tensor | float
    rev: tf.Tensor | float
    latent: tf.Tensor | float
    kappa: tf.Tensor | float
    noise: tf.Tensor | float
    clip_norm: tf.Tensor | float

    @classmethod
    def of(cls, config: INNTrainConfig, noise: float | None = None) -> Factors:
        """Those of a configuration; `noise` in place of its own."""
        noise = config.target_noise if noise is None else noise
        weights = config.reg_weight, config.rev_weight, config.latent_weight
        return cls(*weights, config.kappa, noise, config.clip_norm)


class Batch(NamedTuple):
    """Labelled rows of one step.

    Attributes:
        x: (U, D) latents, shared by the members.
        y: (B,) targets.
        weights: (K, B) weights of the rows, e.g. of a bootstrap sample.
        places: (B,) row of `x` that each row of the batch stands for, None for the rows of `x` themselves. Rows
            of one latent share its forward pass.
    """

    x: tf.Tensor
    y: tf.Tensor
    weights: tf.Tensor
    places: tf.Tensor | None = None


class Network(NamedTuple):
    """Weights of an ensemble.

    Attributes:
        flat: its trainable variables, see `FlowEnsemble.parameters`.
        orders: (2, layers, K, D) permutations, see `flow_map`.
    """

    flat: Sequence[tf.Variable]
    orders: tf.Tensor | np.ndarray


def objective(
    config: INNConfig,
    network: Network,
    batch: Batch,
    factors: Factors,
    seed: tf.Tensor,
    weighted: tf.Tensor,
    *,
    blocks: int = 1,
    through: Linear = linear,
) -> dict[str, tf.Tensor]:
    """Loss terms of Eq. 2 (or Eq. 3 if `weighted`), each (K,).

    Args:
        config: architecture.
        network: weights.
        batch: rows.
        factors: of the terms.
        seed: (2,) int32, of z and of the noise on y. All members see the same z.
        weighted: scalar bool, rank weights on regression and reverse loss.
        blocks: inverse passes, each of a block of the rows, that may run side by side.
        through: does the linear maps.
    """
    y, members = batch.y, config.members
    x_all = tf.tile(batch.x[tf.newaxis], (members, 1, 1))
    output, _ = flow_map(config, *network, x_all, False, through)
    if batch.places is not None:
        x_all, output = tf.gather(x_all, batch.places, axis=1), tf.gather(output, batch.places, axis=1)
    y_all = tf.tile(y[tf.newaxis], (members, 1))
    ranked = tf.cond(weighted, lambda: batch.weights * rank_weights(y_all, factors.kappa), lambda: batch.weights)
    z = tf.random.stateless_normal((tf.size(y), config.dim - 1), seed)
    noisy = y + factors.noise * tf.random.stateless_normal(tf.shape(y), seed + [1, 0])
    pair = tf.tile(tf.concat([z, noisy[:, tf.newaxis]], axis=1)[tf.newaxis], (members, 1, 1))
    bounds = [tf.shape(pair)[1] * block // blocks for block in range(blocks + 1)] if blocks > 1 else [0, None]
    parts = [flow_map(config, *network, pair[:, a:b], True, through)[0] for a, b in zip(bounds, bounds[1:])]
    x_hat = parts[0] if blocks == 1 else tf.concat(parts, axis=1)
    prior = tf.concat([z, y[:, tf.newaxis]], axis=1)[tf.newaxis]
    terms = {
        "reg": regression_loss(y_all, output[..., -1], ranked),
        "rev": reverse_loss(x_all, x_hat, ranked),
        "latent": latent_mmd(output, prior),
    }
    terms["total"] = factors.reg * terms["reg"] + factors.rev * terms["rev"] + factors.latent * terms["latent"]
    return terms


def gradients(
    config: INNConfig, network: Network, batch: Batch, factors: Factors, seed: tf.Tensor, weighted: tf.Tensor
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Losses (terms, K) in the order of TERMS, and the gradient of each member's total."""
    tape = LinearTape(network.flat)
    with tape.recording():
        terms = objective(config, network, batch, factors, seed, weighted, through=tape.linear)
        # Members are independent, so the sum over members gives each its own gradient.
        total = tf.reduce_sum(terms["total"])
    return tf.stack([terms[name] for name in TERMS]), tape.gradients(total)


class Engine:
    """Training of ensembles of one shape in batches of one size; get it from `engine`.

    Args:
        config: architecture.
        batch_size: rows per step.

    Attributes:
        epoch: one pass of training. Variables: weights and `AdamState`. Tensors: x (n, D), y (n,), bootstrap (K, n),
            order (steps, B), seed (2,), span (see `Pass.span`), weighted, factors, orders. Returns losses (terms, K).
        validate: (K,) total losses. Variables: weights. Tensors: x (m, D), y (m,), rows (v,), seed, factors, orders.
        keep: copies the weights of the (K,) marked members to the second list, where finite; returns the copied ones.
        copy: copies the first list of variables to the second.
    """

    def __init__(self, config: INNConfig, batch_size: int) -> None:
        self.config, self.batch_size = config, batch_size
        data = tf.TensorSpec((None, config.dim)), tf.TensorSpec((None,))
        seed, factors = tf.TensorSpec((2,), _INT), tf.TensorSpec((len(Factors._fields),))
        orders = tf.TensorSpec((2, config.layers, config.members, config.dim), _INT)
        rows = tf.TensorSpec((config.members, None)), tf.TensorSpec((None, batch_size), _INT)
        step = seed, tf.TensorSpec((4,)), tf.TensorSpec((), tf.bool), factors, orders
        self.epoch = Compiled(self._epoch, (*data, *rows, *step))
        self.validate = Compiled(self._validate, (*data, tf.TensorSpec((None,), _INT), seed, factors, orders))
        self.keep = Compiled(_keep, (tf.TensorSpec((config.members,), tf.bool),))
        self.copy = Compiled(_copy, ())

    def _epoch(
        self,
        variables: tuple[list[tf.Variable], AdamState],
        x: tf.Tensor,
        y: tf.Tensor,
        bootstrap: tf.Tensor,
        order: tf.Tensor,
        seed: tf.Tensor,
        span: tf.Tensor,
        weighted: tf.Tensor,
        factors: tf.Tensor,
        orders: tf.Tensor,
    ) -> tf.Tensor:
        network, numbers = Network(variables[0], orders), Factors(*tf.unstack(factors))
        steps = tf.shape(order)[0]

        def step(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            rows = order[number]
            distinct, index = tf.unique(rows)
            labels = tf.gather(y, rows), tf.gather(bootstrap, rows, axis=1)
            batch = Batch(tf.gather(x, distinct), *labels, index)
            place = seed + tf.stack([0, number])
            losses, slopes = gradients(self.config, network, batch, numbers, place, weighted)
            # The rate stands behind the gradients: elsewhere TensorFlow's graph optimiser folds its constants
            # otherwise, and weights differ in the last digits.
            rate = learning_rate(span, number)
            apply_adam(variables[0], variables[1], slopes, rate, clip_norm=numbers.clip_norm)
            return number + 1, total + losses

        start = tf.constant(0), tf.zeros((len(TERMS), self.config.members))
        _, total = tf.while_loop(lambda number, _: number < steps, step, start, parallel_iterations=1)
        return total / tf.cast(steps, _FLOAT)

    def _validate(
        self,
        flat: list[tf.Variable],
        x: tf.Tensor,
        y: tf.Tensor,
        rows: tf.Tensor,
        seed: tf.Tensor,
        factors: tf.Tensor,
        orders: tf.Tensor,
    ) -> tf.Tensor:
        batch = Batch(x, tf.gather(y, rows), tf.ones((self.config.members, tf.size(rows))), rows)
        # The forward pass of the few distinct rows is short: the inverse one alone would hold a single core.
        network, numbers = Network(flat, orders), Factors(*tf.unstack(factors))
        return objective(self.config, network, batch, numbers, seed, tf.constant(False), blocks=2)["total"]


def learning_rate(span: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Rate of a step of a pass, see `Pass.span`."""
    done = (span[0] + tf.cast(step, _FLOAT)) / span[1]
    return span[2] + span[3] * (0.5 * (1.0 + tf.cos(math.pi * done)))


def _keep(variables: tuple[list[tf.Variable], list[tf.Variable]], better: tf.Tensor) -> tf.Tensor:
    for source in variables[0]:
        better &= tf.reduce_all(tf.math.is_finite(source), axis=list(range(1, len(source.shape))))
    for source, target in zip(*variables):
        mask = tf.reshape(better, [-1] + [1] * (len(source.shape) - 1))
        target.assign(tf.where(mask, source, target))
    return better


def _copy(variables: tuple[list[tf.Variable], list[tf.Variable]]) -> tf.Tensor:
    for source, target in zip(*variables):
        target.assign(source)
    return tf.constant(0)


class Inference:
    """Inference of ensembles of one shape; get it from `inference`. Variables: weights. Tensors: x, orders.

    Attributes:
        predict: (K, B) last outputs of (B, D) latents.
        invert: (K, B, D) latents of (B, D) pairs [z, y].
    """

    def __init__(self, config: INNConfig) -> None:
        self.config = config
        specs = tf.TensorSpec((None, config.dim)), tf.TensorSpec((2, config.layers, config.members, config.dim), _INT)
        self.predict, self.invert = Compiled(self._predict, specs), Compiled(self._invert, specs)

    def _predict(self, flat: list[tf.Variable], x: tf.Tensor, orders: tf.Tensor) -> tf.Tensor:
        return flow_map(self.config, flat, orders, self._tiled(x))[0][..., -1]

    def _invert(self, flat: list[tf.Variable], pair: tf.Tensor, orders: tf.Tensor) -> tf.Tensor:
        return flow_map(self.config, flat, orders, self._tiled(pair), True)[0]

    def _tiled(self, x: tf.Tensor) -> tf.Tensor:
        return tf.tile(x[tf.newaxis], (self.config.members, 1, 1))


@functools.lru_cache(maxsize=None)
def engine(config: INNConfig, batch_size: int) -> Engine:
    """The process' compiled training of that shape."""
    return Engine(config, batch_size)


@functools.lru_cache(maxsize=None)
def inference(config: INNConfig) -> Inference:
    """The process' compiled inference of that shape."""
    return Inference(config)
