"""End-to-end fine-tuning: the gradients of every term, the step of the GVAE, cold start, settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from invertnas.errors import ConfigError
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.model import GVAE
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.inn.flow import FlowEnsemble
from invertnas.inn.train import INNTrainer
from invertnas.predictor.finetune import EndToEndTrainer
from invertnas.predictor.latent_scale import LatentScale
from invertnas.predictor.predictor import PredictorConfig
from invertnas.spaces.spec import GraphBatch
from tests.helpers.fakes import TinySpace, cell, score

SPACE = TinySpace()
EVERY = [cell(*(2 + (number >> bit & 1) for bit in range(6))) for number in range(64)]
GRAPHS = SPACE.encode(EVERY)
GVAE_CONFIG = GVAEConfig(8, 7, latent_dim=4, gin_channels=(16,), blocks=1, model_dim=16, heads=1, feed_forward=8)
INN = INNConfig(32, 2, layers=1, hidden_layers=1, hidden=8)
TRAIN = INNTrainConfig(repeat=4, batch_size=16, initial_epochs=2, retrain_epochs=2, learning_rate=1e-2)
WEIGHTED, SEEDS = tf.constant(True), tf.constant([[3, 4], [5, 6]])
Arrays = list[np.ndarray]


def values(variables: Any) -> Arrays:
    return [np.array(variable.numpy()) for variable in variables]


def flat(arrays: Any) -> np.ndarray:
    return np.concatenate([np.ravel(array) for array in arrays])


def equal(left: Arrays, right: Arrays) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def finetuner(gvae: GVAE, members: int = 2, seed: int = 1, **changes: Any) -> EndToEndTrainer:
    """Latents shifted by 1 and divided by 2; `changes` to TRAIN, or `reverse`."""
    reverse, flow = changes.pop("reverse", True), FlowEnsemble.create(dataclasses.replace(INN, members=members), seed=2)
    inner = INNTrainer(flow, dataclasses.replace(TRAIN, **changes), seed=seed)
    return EndToEndTrainer(inner, gvae, LatentScale(np.ones(32), 2.0), learning_rate=1e-2, reverse=reverse)


def gradients(model: EndToEndTrainer, **changes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Of the ensemble and of the GVAE on 16 graphs, with changes to the training configuration."""
    kept = model.trainer.config
    model.trainer.config = dataclasses.replace(kept, **changes)
    weights = tf.ones((model.trainer.flow.config.members, 16))
    y = np.array([score(arch) for arch in EVERY[::4]], np.float32)
    _, ensemble, shared = model.gradients(*tensors(GRAPHS, 16), tf.constant(y), weights, SEEDS, WEIGHTED)
    model.trainer.config = kept
    return flat(ensemble), flat(shared)


def tensors(graphs: GraphBatch, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    step = len(graphs) // count
    return tf.constant(graphs.ops[::step, np.newaxis]), tf.constant(graphs.adjacency[::step, np.newaxis])


@pytest.fixture(scope="module")
def built() -> tuple[GVAE, Arrays]:
    """A random GVAE and its weights."""
    model = GVAE.create(GVAE_CONFIG, seed=3)
    return model, values(model.variables)


@pytest.fixture
def gvae(built: tuple[GVAE, Arrays]) -> Iterator[GVAE]:
    """The same, as new."""
    model, start = built
    yield model
    model.config = GVAE_CONFIG
    for variable, value in zip(model.variables, start, strict=True):
        variable.assign(value)


def test_every_ensemble_term_reaches_the_encoder_alone(gvae: GVAE) -> None:
    model = finetuner(gvae)
    encoder = sum(int(np.prod(v.shape)) for v in gvae.encoder.trainable_variables)
    total, nothing = gradients(model), {"reg_weight": 0.0, "rev_weight": 0.0, "latent_weight": 0.0}
    own_loss = gradients(model, **nothing)[1]
    for name in nothing:
        alone = gradients(model, **(nothing | {name: getattr(TRAIN, name)}))[1] - own_loss
        assert np.abs(alone[:encoder]).max() > 1e-4, name
        assert np.abs(alone[encoder:]).max() < 1e-6, name
        rest = gradients(model, **{name: 0.0})[1]
        np.testing.assert_allclose(total[1] - rest, alone, atol=1e-4 * np.abs(total[1]).max(), err_msg=name)


@pytest.mark.parametrize(("name", "reaches_decoder"), [("node", True), ("edge", True), ("kl", False)])
def test_every_gvae_term_reaches_the_encoder(gvae: GVAE, name: str, reaches_decoder: bool) -> None:
    off: dict[str, Any] = {f"{other}_weight": 0.0 for other in ("node", "edge", "kl") if other != name}
    gvae.config = dataclasses.replace(GVAE_CONFIG, **off)
    ensemble, shared = gradients(finetuner(gvae), reg_weight=0.0, rev_weight=0.0, latent_weight=0.0)
    encoder = sum(int(np.prod(v.shape)) for v in gvae.encoder.trainable_variables)
    assert np.abs(ensemble).max() == 0.0
    assert np.abs(shared[:encoder]).max() > 1e-5
    assert (np.abs(shared[encoder:]).max() > 1e-5) == reaches_decoder


def test_gradients_by_hand(gvae: GVAE) -> None:
    """Against one tape over everything: the ensemble's own gradient, and that of GVAE loss + mean of the members."""
    model, config = finetuner(gvae), TRAIN
    inputs, y = tensors(GRAPHS, 16), tf.constant(np.linspace(0, 1, 16), tf.float32)
    noise = tf.random.stateless_normal((16, 8, 4), SEEDS[1])
    weights = tf.ones((2, 16))
    watched = [variable.value for variable in gvae.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        own = gvae.losses_of([part[:, 0] for part in inputs], noise, training=False)["total"]
        mean, _ = gvae.encoder([part[:, 0] for part in inputs], training=False)
        x = (tf.reshape(mean, (16, 32)) - 1.0) / 2.0
        members = model.trainer.terms(x, y, weights, SEEDS[0], WEIGHTED, noise=config.target_noise)["total"]
        everything, summed = own + tf.reduce_mean(members), tf.reduce_sum(members)
    losses, ensemble, shared = model.gradients(*inputs, y, weights, SEEDS, WEIGHTED)
    np.testing.assert_allclose(flat(shared), flat(tape.gradient(everything, watched)), atol=1e-5)
    np.testing.assert_allclose(flat(ensemble), flat(tape.gradient(summed, model.trainer.variables)), atol=1e-5)
    np.testing.assert_allclose([losses[3], losses[-1]], [tf.reduce_mean(members), own], rtol=1e-5)


def test_equal_members_move_the_gvae_as_one(gvae: GVAE) -> None:
    one, two = finetuner(gvae, members=1), finetuner(gvae, members=2)
    for single, double in zip(one.trainer.variables, two.trainer.variables, strict=True):
        double.assign(np.concatenate([single.numpy()] * 2))
    expected = gradients(one)[1]
    np.testing.assert_allclose(gradients(two)[1], expected, atol=1e-5 * np.abs(expected).max())


def test_the_reverse_loss_may_spare_the_encoder(gvae: GVAE) -> None:
    """The rule of the thesis' code."""
    everything, spared = finetuner(gvae), finetuner(gvae, reverse=False)
    ensemble, shared = gradients(spared)
    np.testing.assert_allclose(ensemble, gradients(everything)[0], atol=1e-6)
    np.testing.assert_allclose(shared, gradients(everything, rev_weight=0.0)[1], atol=1e-5)
    assert np.abs(shared - gradients(everything)[1]).max() > 1e-3


def test_cells_are_embedded_one_by_one() -> None:
    config = dataclasses.replace(GVAE_CONFIG, cells=2)
    gvae, rng = GVAE.create(config, seed=3), np.random.default_rng(0)
    ops = np.eye(7, dtype=np.float32)[rng.integers(0, 7, (5, 16))]
    adjacency = np.zeros((5, 16, 16), np.float32)
    for block in (slice(0, 8), slice(8, 16)):
        adjacency[:, block, block] = np.triu(rng.integers(0, 2, (5, 8, 8)), 1)
    flow = FlowEnsemble.create(dataclasses.replace(INN, dim=64))
    model = EndToEndTrainer(
        INNTrainer(flow, TRAIN, seed=0), gvae, LatentScale(np.ones(64), 2.0), learning_rate=1e-2, reverse=True
    )
    graphs = GraphBatch(ops, adjacency)
    first, second, _ = model._tensors(graphs, np.zeros(5, np.float32))
    latents, _ = model.losses(first, second, None)
    np.testing.assert_allclose(latents, (gvae.encode(graphs) - 1.0) / 2.0, atol=1e-6)


def test_a_step_of_the_gvae_is_that_of_adam(gvae: GVAE) -> None:
    model = finetuner(gvae)
    before, bound = flat(values(gvae.trainable_variables)), TRAIN.clip_norm
    given = [tf.fill(variable.shape, 1000.0) for variable in gvae.trainable_variables]
    model._apply(given, tf.constant(0.02))
    np.testing.assert_allclose(flat(values(gvae.trainable_variables)), before - 0.02, atol=1e-5)
    first = flat(values(model.optimizer.variables)[2::2])  # behind iteration and rate, in turn with the second moment
    assert len(first) == len(before)
    assert np.linalg.norm(first) == pytest.approx(0.1 * bound, rel=1e-3)  # 1 - beta 1 of the clipped gradient


def test_cold_start(gvae: GVAE, monkeypatch: pytest.MonkeyPatch) -> None:
    model = finetuner(gvae, warm_start=False)
    monkeypatch.setattr(model, "_epoch", lambda *_: tf.zeros(8))  # a round ends with what it starts from
    start, variables = values(model._trained), [gvae.trainable_variables[1], model.trainer.variables[0]]
    for variable in variables:
        variable.assign(tf.zeros(variable.shape))
    model.fit(GRAPHS, np.zeros(64, np.float32), round_index=0)
    assert not any(variable.numpy().any() for variable in variables)
    model.fit(GRAPHS, np.zeros(64, np.float32), round_index=1)
    assert equal(values(model._trained), start)


def test_wrong_settings(gvae: GVAE) -> None:
    with pytest.raises(ConfigError, match="got finetune='partial'; expected 'frozen' or 'end_to_end'"):
        PredictorConfig(finetune="partial")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="got gvae_learning_rate=0.0"):
        PredictorConfig(gvae_learning_rate=0.0)
    for graphs, y in ((GRAPHS, np.zeros(3, np.float32)), (SPACE.encode([]), np.zeros(0, np.float32))):
        with pytest.raises(ConfigError, match="expected"):
            finetuner(gvae).fit(graphs, y)
