"""AlignFlow's settings, losses and model: exact cycles, what a translation is, agreement with plain code."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from invertnas.alignflow.config import AlignFlowConfig, AlignFlowTrainConfig
from invertnas.alignflow.losses import discriminator_loss, gaussian_nll, least_squares
from invertnas.alignflow.model import FULL, REDUCED, AlignFlow
from invertnas.errors import ConfigError
from invertnas.inn.flow import FlowEnsemble

CONFIG = AlignFlowConfig(7, layers=3, hidden=16, disc_hidden=8, disc_layers=2)


def shaken(config: AlignFlowConfig = CONFIG) -> AlignFlow:
    """A model far from the identity, with a scale of its own."""
    model, rng = AlignFlow.create(config, seed=3), np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(variable.numpy() + rng.normal(0, 0.1, variable.shape).astype(np.float32))
    model.shift.assign(rng.normal(size=config.dim))
    model.scale.assign(rng.uniform(0.05, 2.0, config.dim))
    return model


@pytest.fixture(scope="module")
def model() -> AlignFlow:
    return shaken()


def latents(model: AlignFlow, count: int = 40, seed: int = 0) -> np.ndarray:
    standard = np.random.default_rng(seed).normal(size=(count, model.config.dim))
    return (standard * model.scale.numpy() + model.shift.numpy()).astype(np.float32)


@pytest.mark.parametrize(
    "changes",
    [{"dim": 1}, {"layers": 0}, {"hidden": 0}, {"disc_hidden": 0}, {"disc_layers": 0}, {"log_scale_bound": 0.0}],
)
def test_config_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        dataclasses.replace(CONFIG, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 0},
        {"patience": 0},
        {"nll_weight": -1.0},
        {"noise": -0.1},
        {"learning_rate": 0.0},
        {"standardise": "both"},
        {"buffer": 31},
        {"clip_norm": 0.0},
    ],
)
def test_train_config_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        AlignFlowTrainConfig(**changes)


def test_the_papers_settings_are_the_defaults() -> None:
    config, train = AlignFlowConfig(128), AlignFlowTrainConfig()
    assert (config.layers, config.hidden, config.disc_layers, config.disc_hidden) == (4, 128, 3, 128)
    assert (train.learning_rate, train.batch_size, train.min_epochs, train.patience) == (1e-3, 32, 20, 10)


def test_config_survives_json() -> None:
    assert AlignFlowConfig.from_dict(CONFIG.to_dict()) == CONFIG
    with pytest.raises(ConfigError, match="unheard"):
        AlignFlowConfig.from_dict({**CONFIG.to_dict(), "unheard": 1})
    with pytest.raises(ConfigError, match="no dim"):
        AlignFlowConfig.from_dict({})


def test_nll_equals_the_density() -> None:
    rng = np.random.default_rng(0)
    z, log_det = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5))
    expected = np.zeros(2)
    for domain in range(2):
        for row in range(5):
            density = math.prod(math.exp(-0.5 * v**2) / math.sqrt(2 * math.pi) for v in z[domain, row])
            expected[domain] -= (math.log(density) + log_det[domain, row]) / 5
    np.testing.assert_allclose(gaussian_nll(tf.constant(z), tf.constant(log_det)), expected, rtol=1e-9)


def test_least_squares_losses() -> None:
    real, fake = np.array([[[1.0], [0.5]], [[0.0], [2.0]]]), np.array([[[0.0], [1.0]], [[-2.0], [0.0]]])
    np.testing.assert_allclose(least_squares(tf.constant(fake), 1.0), [0.5, 5.0])
    np.testing.assert_allclose(discriminator_loss(tf.constant(real), tf.constant(fake)), [0.3125, 1.5])


def test_cycle_is_exact(model: AlignFlow) -> None:
    x = latents(model)
    for source in (REDUCED, FULL):
        there = model.translate(x, 1 - source)
        assert np.abs(model.standardise(there) - model.standardise(x)).max() > 0.5  # no identity
        np.testing.assert_allclose(model.translate(there, source), x, atol=1e-3)
        assert model.cycle_error(x, source) <= 1e-3
    assert model.cycle_error(x[:0]) == 0.0


def test_a_broken_inverse_shows_in_the_cycle_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = shaken()
    way = model.translate
    monkeypatch.setattr(model, "translate", lambda x, target: way(x, target) + 0.5 * model.scale.numpy())
    assert model.cycle_error(latents(model)) > 0.4


@pytest.mark.parametrize("target", [REDUCED, FULL])
def test_translation_is_one_flow_behind_the_inverse_of_the_other(model: AlignFlow, target: int) -> None:
    singles = []
    for domain in range(2):
        single = FlowEnsemble.create(dataclasses.replace(CONFIG.flows(), members=1))
        single.set_weights([value[domain : domain + 1] for value in model.flows.get_weights()])
        singles.append(single)
    x = latents(model, 6)
    z, _ = singles[1 - target](model.standardise(x)[np.newaxis].astype(np.float32))
    expected, _ = singles[target](z, inverse=True)
    np.testing.assert_allclose(
        model.translate(x, target), expected[0] * model.scale.numpy() + model.shift.numpy(), atol=1e-4
    )


def test_call_translates_both_ways_at_once(model: AlignFlow) -> None:
    first, second = (model.standardise(latents(model, 5, seed)).astype(np.float32) for seed in (1, 2))
    z, log_det, translated, scores = model(np.stack([first, second]))
    assert z.shape == translated.shape == (2, 5, 7) and log_det.shape == (2, 5) and scores.shape == (2, 5, 1)
    np.testing.assert_allclose(translated[FULL], model._translate(first, FULL), atol=1e-5)
    np.testing.assert_allclose(translated[REDUCED], model._translate(second, REDUCED), atol=1e-5)
    np.testing.assert_array_equal(scores, model.discriminators(translated))


def test_the_first_translation_is_nearly_the_identity() -> None:
    model = AlignFlow.create(CONFIG, seed=1)
    x = latents(model)
    assert np.abs(model.translate(x) - x).max() < 0.2 < np.abs(shaken().translate(x) - x).max()
    z, _ = model.flows(np.stack([x, x]))
    assert not np.array_equal(z[0], z[1])  # the members' weights differ


def test_same_seed_same_model() -> None:
    first, again, other = (AlignFlow.create(CONFIG, seed=seed) for seed in (4, 4, 5))
    for mine, theirs in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert not np.array_equal(first.flows.trainable_variables[0], other.flows.trainable_variables[0])
    same = AlignFlow.from_config(first.get_config())
    assert (same.config, same.seed) == (first.config, first.seed)
