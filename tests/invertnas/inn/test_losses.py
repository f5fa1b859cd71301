"""Loss terms and optimiser of the INN ensemble against loop references and by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from invertnas.inn.losses import MMD_BANDWIDTHS, latent_mmd, rank_weights, regression_loss, reverse_loss, weighted_mean
from invertnas.stacked.adam import StackedAdam
from tests.helpers import reference_losses as ref

K, B, D = 3, 7, 4


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(6)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def weights(rng: np.random.Generator) -> np.ndarray:
    """Bootstrap-like counts; the last member has none."""
    values = rng.integers(0, 3, (K, B)).astype(np.float32)
    values[-1] = 0.0
    return values


def test_rank_weights_by_hand() -> None:
    y = tf.constant([[0.3, 0.9, 0.3, 0.9, 0.1], [1.0, 1.0, 1.0, 1.0, 1.0]])
    expected = [[1 / 2.5, 1 / 0.5, 1 / 2.5, 1 / 0.5, 1 / 4.5], [2.0] * 5]  # kappa |B| = 0.5; ties share a rank
    np.testing.assert_allclose(rank_weights(y, 0.1), expected, rtol=1e-6)


@pytest.mark.parametrize("kappa", [0.01, 1.0])
def test_rank_weights_equal_reference(kappa: float, rng: np.random.Generator) -> None:
    y = rng.integers(0, 5, (K, B)).astype(np.float32)
    np.testing.assert_allclose(rank_weights(y, kappa), ref.rank_weights(y, kappa), rtol=1e-5)


def test_weighted_terms_equal_reference(rng: np.random.Generator) -> None:
    y, y_hat, w = normal(rng, K, B), normal(rng, K, B), weights(rng)
    x, x_hat = normal(rng, K, B, D), normal(rng, K, B, D)
    np.testing.assert_allclose(weighted_mean(y, w), ref.weighted_mean(y, w), rtol=1e-4)
    np.testing.assert_allclose(regression_loss(y, y_hat, w), ref.regression_loss(y, y_hat, w), rtol=1e-4)
    np.testing.assert_allclose(reverse_loss(x, x_hat, w), ref.reverse_loss(x, x_hat, w), rtol=1e-4)
    assert float(regression_loss(y, y_hat, w)[-1]) == float(reverse_loss(x, x_hat, w)[-1]) == 0.0


def test_mmd_equals_reference(rng: np.random.Generator) -> None:
    a, b = 0.3 * normal(rng, K, B, D), 0.3 * normal(rng, K, B, D) + 0.2
    np.testing.assert_allclose(latent_mmd(a, b), ref.mmd(a, b, (0.05, 0.2, 0.9)), rtol=1e-3)
    np.testing.assert_allclose(latent_mmd(a, b, (2.0,)), ref.mmd(a, b, (2.0,)), rtol=1e-3)
    assert MMD_BANDWIDTHS == (0.05, 0.2, 0.9)


def test_mmd_is_zero_for_equal_samples_and_grows_with_distance(rng: np.random.Generator) -> None:
    a = normal(rng, K, B, D)
    np.testing.assert_allclose(latent_mmd(a, a), 0.0, atol=1e-5)
    np.testing.assert_allclose(latent_mmd(a, a[:, ::-1]), 0.0, atol=1e-5)  # an order of rows does not matter
    near, far = latent_mmd(a, a + 0.1).numpy(), latent_mmd(a, a + 1.0).numpy()
    assert (near > 0.01).all() and (far > near).all()


def stacked(rng: np.random.Generator) -> list[np.ndarray]:
    return [normal(rng, K, 2, 3), normal(rng, K, 1, 3)]


def make(values: list[np.ndarray], clip_norm: float) -> StackedAdam:
    return StackedAdam([tf.Variable(value) for value in values], K, clip_norm)


def step(adam: StackedAdam, gradients: list[np.ndarray], rate: float = 0.01) -> None:
    adam.apply([tf.constant(gradient) for gradient in gradients], tf.constant(rate))


def test_adam_equals_reference_with_clipping_per_member(rng: np.random.Generator) -> None:
    values = stacked(rng)
    adam, clip = make(values, 2.0), 2.0
    expected = [
        [(v[k].astype(np.float64), np.zeros(v.shape[1:]), np.zeros(v.shape[1:])) for v in values] for k in range(K)
    ]
    for number in range(1, 6):
        gradients = stacked(rng)
        gradients[0][1] *= 50.0  # only the second member is far beyond the bound
        gradients[0][2] *= 0.01
        gradients[1][2] *= 0.01
        step(adam, gradients)
        for k in range(K):
            clipped = ref.clip_by_norm([g[k].astype(np.float64) for g in gradients], clip)
            moved = zip(expected[k], clipped)
            expected[k] = [ref.adam_step(v, g, m, s, number, 0.01) for (v, m, s), g in moved]
    for index, variable in enumerate(adam.variables):
        for k in range(K):
            np.testing.assert_allclose(variable.numpy()[k], expected[k][index][0], atol=1e-6)
            np.testing.assert_allclose(adam.second[index].numpy()[k], expected[k][index][2], rtol=1e-4, atol=1e-9)
    assert float(adam.iteration) == 5.0 and adam.skipped_steps() == [0, 0, 0]


def test_adam_equals_keras_without_clipping(rng: np.random.Generator) -> None:
    values = stacked(rng)
    adam, theirs = make(values, 1e9), [keras.Variable(value) for value in values]
    optimizer = keras.optimizers.Adam(0.03)
    for _ in range(5):
        gradients = stacked(rng)
        step(adam, gradients, 0.03)
        optimizer.apply([tf.constant(gradient) for gradient in gradients], theirs)
    for mine, other, start in zip(adam.variables, theirs, values):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), atol=1e-6)
        assert np.abs(mine.numpy() - start).max() > 0.05


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
def test_poisoned_gradient_touches_only_its_member(poison: float, rng: np.random.Generator) -> None:
    values = stacked(rng)
    sick, healthy = make(values, 5.0), make(values, 5.0)
    for number in range(4):
        gradients = stacked(rng)
        step(healthy, gradients)
        if number in (1, 2):
            gradients[1][1, 0, 0] = poison  # 1e30 is finite, but its square is not
        step(sick, gradients)
    assert sick.skipped_steps() == [0, 2, 0]
    assert healthy.skipped_steps() == [0, 0, 0]
    for mine, other in zip(sick.state[2:] + sick.variables, healthy.state[2:] + healthy.variables):
        assert np.isfinite(mine.numpy()).all()
        np.testing.assert_array_equal(mine.numpy()[[0, 2]], other.numpy()[[0, 2]])
        assert np.abs(mine.numpy()[1] - other.numpy()[1]).max() > 0


def test_first_step_with_a_nan_leaves_the_member_in_place(rng: np.random.Generator) -> None:
    values, gradients = stacked(rng), stacked(rng)
    gradients[0][0] = np.nan
    adam = make(values, 5.0)
    step(adam, gradients)
    for variable, value in zip(adam.variables, values):
        np.testing.assert_array_equal(variable.numpy()[0], value[0])
        assert (variable.numpy()[1:] != value[1:]).all()


def test_reset_forgets_the_moments_but_not_the_count(rng: np.random.Generator) -> None:
    values, gradients = stacked(rng), stacked(rng)
    adam, fresh = make(values, 5.0), make(values, 5.0)
    gradients[0][0] = np.nan
    step(adam, gradients)
    for variable, value in zip(adam.variables, values):
        variable.assign(value)
    adam.reset()
    gradients = stacked(rng)
    step(adam, gradients)
    step(fresh, gradients)
    for mine, other in zip(adam.variables, fresh.variables):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
    assert adam.skipped_steps() == [1, 0, 0]
