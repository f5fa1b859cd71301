"""The compiled engine against the plainly written training step: equal gradients, losses and weights."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from experiments.speed.plain import PlainAdam, plain_gradients
from invertnas.errors import ConfigError
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.inn.engine import Batch
from invertnas.inn.flow import FlowEnsemble
from invertnas.inn.losses import latent_mmd
from invertnas.inn.train import INNTrainer
from invertnas.seeding import tf_seed
from invertnas.stacked.adam import scaled
from invertnas.stacked.tape import LinearTape

FLOW = INNConfig(6, 3, layers=2, hidden_layers=2, hidden=16)
TRAIN = INNTrainConfig(repeat=4, batch_size=8, initial_epochs=4, retrain_epochs=4, clip_norm=0.5)
SEED = tf.constant([3, 4])


def data(count: int = 10) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 6)).astype(np.float32), rng.random(count).astype(np.float32)


def changed(**changes: Any) -> INNConfig:
    return dataclasses.replace(FLOW, **changes)


def trainer(flow: INNConfig = FLOW, train: INNTrainConfig = TRAIN) -> INNTrainer:
    return INNTrainer(FlowEnsemble.create(flow, seed=1), train, seed=1)


def rows_of(order: np.ndarray, weights: np.ndarray) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    x, y = data()
    return tf.constant(x[order]), tf.constant(y[order]), tf.constant(weights[:, order])


@pytest.mark.parametrize("permutation", ["reverse", "random"])
@pytest.mark.parametrize("weighted", [False, True])
def test_shared_rows_and_joint_products_give_the_plain_gradients(permutation: str, weighted: bool) -> None:
    model = trainer(changed(permutation=permutation))
    order = np.array([7, 2, 7, 7, 0, 2, 9, 1])
    weights = np.random.default_rng(2).integers(0, 3, (3, 10)).astype(np.float32)
    rows = rows_of(order, weights)
    total, expected = plain_gradients(model, rows, SEED, tf.constant(weighted))
    distinct, index = tf.unique(order)
    batch = Batch(tf.gather(data()[0], distinct), rows[1], rows[2], index)
    losses, got = model.gradients(batch, SEED, tf.constant(weighted))
    np.testing.assert_allclose(losses[-1], total, rtol=1e-5)
    for left, right in zip(got, expected, strict=True):
        scale = float(tf.reduce_max(tf.abs(right)))
        np.testing.assert_allclose(left, right, atol=2e-5 * scale)


def test_a_whole_fit_equals_the_plain_one() -> None:
    engine, plain = trainer(), trainer()
    x, y = data()
    steps, ones = math.ceil(10 * TRAIN.repeat / TRAIN.batch_size), np.ones((3, 10), np.float32)
    adam = PlainAdam(plain.variables, 3, TRAIN.clip_norm)
    for round_index in (0, 1):
        engine.fit(x, y, round_index=round_index)
        weighted = tf.constant(round_index > 0)
        for epoch in range(4):
            seed = tf.constant(tf_seed(1, "inn-noise", round_index, epoch))
            for step, order in enumerate(plain.plan(10, round_index).order(epoch)):
                _, gradients = plain_gradients(plain, rows_of(order, ones), seed + [0, step], weighted)
                done = (epoch * steps + step) / (4 * steps)
                adam.apply(gradients, tf.constant(0.5 * TRAIN.learning_rate * (1 + math.cos(math.pi * done))))
    for left, right in zip(engine.variables, plain.variables, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-4)
    start = trainer().variables
    assert max(float(tf.reduce_max(tf.abs(a - b))) for a, b in zip(start, engine.variables)) > 1e-2


@pytest.mark.parametrize("repeat", [1, 4])
def test_validation_in_two_blocks_gives_the_loss_of_one(repeat: int) -> None:
    model, (x, y) = trainer(train=dataclasses.replace(TRAIN, repeat=repeat)), data(5)
    rows, labels = np.tile(x, (repeat, 1)), np.tile(y, repeat)
    whole = model.terms(rows, labels, tf.ones((3, len(labels))), SEED, tf.constant(False), noise=0.0)["total"]
    np.testing.assert_allclose(model.validate(tf.constant(x), tf.constant(y), SEED), whole, rtol=1e-5)


def test_gradients_below_the_bound_pass_untouched_and_others_are_scaled() -> None:
    values = [tf.random.stateless_normal((3, 4, 5), (0, 1)), tf.random.stateless_normal((3, 1, 5), (0, 2))]
    same = scaled(values, tf.ones(3))
    assert all(np.array_equal(a, b) for a, b in zip(same, values))
    scale = tf.constant([1.0, 0.5, 0.0])
    for got, value in zip(scaled(values, scale), values):
        np.testing.assert_array_equal(got, value * tf.reshape(scale, (3, 1, 1)))
    spoilt = [tf.where(tf.reshape([False, False, True], (3, 1, 1)), math.nan, v) for v in values]
    assert all(np.isfinite(got).all() for got in scaled(spoilt, scale))


def test_a_sample_shared_by_the_members_gives_the_same_mmd() -> None:
    samples = tf.random.stateless_normal((3, 7, 6), (0, 1), dtype=tf.float64)
    shared = tf.random.stateless_normal((1, 7, 6), (0, 2), dtype=tf.float64)
    np.testing.assert_allclose(latent_mmd(samples, shared), latent_mmd(samples, tf.tile(shared, (3, 1, 1))), rtol=1e-12)


def test_linear_tape_on_one_map_by_hand() -> None:
    x = tf.random.stateless_normal((2, 5, 3), (0, 1))
    kernel, bias = tf.Variable(tf.ones((2, 3, 4))), tf.Variable(tf.zeros((2, 1, 4)))
    tape = LinearTape([kernel, bias])
    with tape.recording():
        objective = tf.reduce_sum(tape.linear(x, kernel, bias) * 2.0) + tf.reduce_sum(tape.linear(-x, kernel, bias))
    gradients = tape.gradients(objective)
    column = tf.reduce_sum(x, axis=1)[:, :, tf.newaxis]
    np.testing.assert_allclose(gradients[0], tf.tile(column, (1, 1, 4)), rtol=1e-5)
    np.testing.assert_allclose(gradients[1], np.full((2, 1, 4), 15.0))


def test_bfloat16_products_stay_close_to_float32() -> None:
    exact, mixed = trainer(), trainer(changed(matmul_dtype="bfloat16"))
    x = tf.random.stateless_normal((3, 40, 6), (0, 1))
    output, _ = mixed.flow(x)
    assert output.dtype == tf.float32
    np.testing.assert_allclose(output, exact.flow(x)[0], rtol=2**-6, atol=0.05)  # the step of bfloat16 is 2^-8
    assert not np.array_equal(output, exact.flow(x)[0])
    np.testing.assert_allclose(mixed.flow(output, inverse=True)[0], x, atol=0.02)
    rows = rows_of(np.arange(8), np.ones((3, 10), np.float32))
    _, expected = plain_gradients(exact, rows, SEED, tf.constant(False))
    _, got = mixed.gradients(Batch(*rows, tf.range(8)), SEED, tf.constant(False))
    for left, right in zip(got, expected, strict=True):
        assert left.dtype == tf.float32
        assert float(tf.norm(left - right)) < 0.1 * float(tf.norm(right))


def test_unknown_matmul_dtype_is_refused() -> None:
    with pytest.raises(ConfigError, match="got matmul_dtype='float16'; expected 'float32' or 'bfloat16'"):
        changed(matmul_dtype="float16")
