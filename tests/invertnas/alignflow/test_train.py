"""Training of AlignFlow: one pass against plain steps, exact resume, early stopping, and what is learnt."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from invertnas.alignflow.config import AlignFlowConfig, AlignFlowTrainConfig
from invertnas.alignflow.losses import discriminator_loss, gaussian_nll, least_squares
from invertnas.alignflow.model import FULL, AlignFlow
from invertnas.alignflow.train import AlignFlowTrainer, Progress, split
from invertnas.errors import ArtefactError, ConfigError
from invertnas.seeding import tf_seed

CONFIG = AlignFlowConfig(4, layers=1, hidden=16, disc_hidden=16, disc_layers=1)
TRAIN = AlignFlowTrainConfig(batch_size=8, epochs=3, buffer=12, seed=5)
SHIFT = np.array([1.5, 0.0, -1.0, 0.5], np.float32)


def data(domain: int, count: int, seed: int = 0) -> np.ndarray:
    """Gaussian clouds; the full domain's is moved by SHIFT."""
    rng = np.random.default_rng((seed, domain))
    return (0.3 * (rng.normal(0, 0.5, (count, 4)) + SHIFT * (domain == FULL))).astype(np.float32)


def trainer(train: AlignFlowTrainConfig = TRAIN, config: AlignFlowConfig = CONFIG, seed: int = 0) -> AlignFlowTrainer:
    return AlignFlowTrainer(config, train, data(0, 25, seed), data(1, 60, seed))


@pytest.fixture(scope="module")
def trained() -> AlignFlowTrainer:
    """One uninterrupted training of three epochs."""
    done = trainer()
    done.run()
    return done


def plain_epoch(mine: AlignFlowTrainer, seed: np.ndarray) -> AlignFlow:
    """The same pass without compiled code: Keras' Adam and one tape per network."""
    train, model = mine.train_config, AlignFlow.create(CONFIG, seed=99)
    model.set_weights(mine.model.get_weights())
    flows, judges = model.flows.trainable_variables, model.discriminators.trainable_variables
    adams = keras.optimizers.Adam(1e-3, 0.9, 0.999), keras.optimizers.Adam(1e-3, 0.5, 0.999)
    for step, rows in enumerate(mine._order(0)):
        x = mine._noisy(rows, seed + np.array([0, step], np.int32))
        with tf.GradientTape() as tape:
            z, log_det = model.flows(x)
            fake, _ = model.flows(z[::-1], inverse=True)
            loss = tf.reduce_sum(least_squares(model.discriminators(fake), 1.0))
            loss += train.nll_weight * tf.reduce_sum(gaussian_nll(z, log_det))
        adams[0].apply(tape.gradient(loss, [v.value for v in flows]), flows)
        with tf.GradientTape() as tape:
            scores = model.discriminators(x), model.discriminators(tf.constant(fake.numpy()))
            loss = tf.reduce_sum(discriminator_loss(*scores))
        adams[1].apply(tape.gradient(loss, [v.value for v in judges]), judges)
    return model


def test_one_pass_equals_plain_alternating_steps() -> None:
    mine = trainer(dataclasses.replace(TRAIN, buffer=0, nll_weight=0.3))
    seed = np.array([3, 4], np.int32)
    expected = plain_epoch(mine, seed)
    before = mine.model.get_weights()
    mine._epoch(tf.constant(mine._order(0)), tf.constant(seed))
    moved = 0.0
    for got, want, old in zip(mine.model.get_weights(), expected.get_weights(), before, strict=True):
        np.testing.assert_allclose(got, want, atol=2e-5)
        moved = max(moved, np.abs(got - old).max())
    assert moved > 1e-3


def test_translation_moves_one_domain_onto_the_other() -> None:
    train = dataclasses.replace(TRAIN, batch_size=32, epochs=15, buffer=0, learning_rate=1e-2)
    reduced, full = data(0, 500), data(1, 400)
    model = AlignFlowTrainer(CONFIG, train, reduced, full).run()
    images, spread = model.translate(reduced), full.std(axis=0).mean()
    assert np.abs(reduced.mean(axis=0) - full.mean(axis=0)).max() > 2 * spread
    assert np.abs(images.mean(axis=0) - full.mean(axis=0)).max() < spread
    assert np.abs(np.log(images.std(axis=0) / full.std(axis=0))).max() < 0.7
    assert model.cycle_error(reduced) <= 1e-4


def test_losses_are_named_and_add_up(trained: AlignFlowTrainer) -> None:
    for row in trained.history:
        for kind in ("", "val_"):
            generator = row[f"{kind}gan"] + TRAIN.nll_weight * row[f"{kind}nll"]
            assert row[f"{kind}generator"] == pytest.approx(generator, rel=1e-4)
            assert row[f"{kind}total"] == pytest.approx(generator + row[f"{kind}discriminator"], rel=1e-4)
    assert trained.history[-1]["val_nll"] < trained.history[0]["val_nll"]


def test_best_weights_are_returned(trained: AlignFlowTrainer) -> None:
    losses = [row["val_total"] for row in trained.history]
    assert trained.progress.best_loss == min(losses)
    again = trainer()
    again.model.set_weights(trained.best)
    values = again._validate(tf.constant(again._held_out()), tf.constant(tf_seed(TRAIN.seed, "alignflow-val")))
    assert float(values[-1]) == pytest.approx(min(losses), rel=1e-5)


def test_resume_equals_no_interruption(trained: AlignFlowTrainer, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    trainer(dataclasses.replace(TRAIN, epochs=2)).run(path)
    resumed, seen = trainer(), list[int]()
    resumed.run(path, lambda epoch, _: seen.append(epoch))
    assert resumed.seconds["wall"] > 0.0 and resumed.seconds["cpu"] > 0.0
    assert seen == [3] and resumed.history == trained.history and resumed.progress == trained.progress
    for mine, theirs in zip(resumed._variables(), trained._variables(), strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    for best, other in zip(resumed.best, trained.best, strict=True):
        np.testing.assert_array_equal(best, other)


def test_foreign_checkpoint(trained: AlignFlowTrainer, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    trained.save(path)
    others = (
        trainer(config=dataclasses.replace(CONFIG, hidden=8)),
        trainer(dataclasses.replace(TRAIN, nll_weight=0.5)),
        trainer(seed=1),
    )
    for other in others:
        with pytest.raises(ArtefactError, match="another configuration or data set"):
            other.run(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ArtefactError, match="cannot be read"):
        others[0].load(path)


def test_early_stopping() -> None:
    config = AlignFlowTrainConfig(epochs=50)  # at least 20 epochs, patience 10
    mine = trainer(dataclasses.replace(config, batch_size=8))
    cases = [((19, 0.0, 0), False), ((20, 0.0, 0), True), ((20, 0.0, 10), False), ((21, 0.0, 10), True)]
    for progress, finished in [*cases, ((49, 0.0, 48), False), ((50, 0.0, 49), True)]:
        mine.progress = Progress(*progress)
        assert mine.finished is finished, progress


def test_splits_and_orders() -> None:
    mine = trainer()
    for domain, count in ((0, 25), (1, 60)):
        train, val = split(count, seed=5, domain=domain)
        assert len(train) == int(0.8 * count) and sorted([*train, *val]) == list(range(count))
    order, held = mine._order(0), mine._held_out()
    assert order.shape == (6, 2, 8) and held.shape == (2, 12)
    assert not np.array_equal(order, mine._order(1))
    assert set(order[:, 0].ravel()) == set(mine.splits[0][0].tolist())  # the small domain, over and over
    full = order[:, 1].ravel() - 25
    assert len(set(full)) == 48 and set(full) <= set(mine.splits[1][0].tolist())  # the large one, once
    assert set(held[0]) == set(mine.splits[0][1].tolist())
    assert set(held[1] - 25) == set(mine.splits[1][1].tolist())


def test_standardisation() -> None:
    full = data(1, 60)
    full[:, 2] *= 1e-6  # a dead feature
    made = {}
    for kind in ("overall", "feature", "none"):
        train = dataclasses.replace(TRAIN, standardise=kind)
        made[kind] = AlignFlowTrainer(CONFIG, train, data(0, 25), full).model.standardise(full)
    assert made["overall"].mean() == pytest.approx(0.0, abs=1e-5)
    np.testing.assert_allclose(made["overall"] * full.std(), full - full.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(np.delete(made["feature"].std(axis=0), 2), 1.0, rtol=1e-4)
    assert made["feature"][:, 2].std() < 1e-3
    np.testing.assert_array_equal(made["none"], full)


def test_buffer_swaps_half_and_loses_nothing() -> None:
    mine = trainer()
    swaps = 0
    for step in range(50):
        fake = tf.random.stateless_normal((2, 8, 4), (step, 1))
        before = mine.buffer.numpy()
        shown = mine._remembered(fake, tf.constant([step, 2])).numpy()
        for domain in range(2):
            given = np.concatenate([before[domain], fake[domain]])
            left = np.concatenate([mine.buffer[domain], shown[domain]])
            np.testing.assert_array_equal(np.sort(left, axis=0), np.sort(given, axis=0))
        swaps += int((shown != fake.numpy()).all(axis=-1).sum())
    assert swaps == pytest.approx(0.5 * 50 * 16, abs=5 * math.sqrt(50 * 16 / 4))


def test_without_buffer_the_translations_themselves_are_shown() -> None:
    mine, fake = trainer(dataclasses.replace(TRAIN, buffer=0)), tf.ones((2, 8, 4))
    assert mine._remembered(fake, tf.constant([0, 0])) is fake


def test_clipping_bounds_the_step() -> None:
    free, clipped = (trainer(dataclasses.replace(TRAIN, clip_norm=norm)) for norm in (None, 1e-9))
    for mine in (free, clipped):
        AlignFlowTrainer._epoch.python_function(mine, tf.constant(mine._order(0)[:1]), tf.constant([1, 1]))
    gradients = [np.sqrt(sum(float(np.square(m).sum()) for m in mine.flow_adam.first)) for mine in (free, clipped)]
    assert gradients[0] > 1e-3 and gradients[1] <= 0.1 * math.sqrt(2) * 1e-9 * 1.01


def test_refused_data() -> None:
    with pytest.raises(ConfigError, match="expected .n, 4. of each"):
        AlignFlowTrainer(CONFIG, TRAIN, data(0, 25)[:, :3], data(1, 60))
    with pytest.raises(ConfigError, match=r"got \[9, 60\] latents"):
        AlignFlowTrainer(CONFIG, TRAIN, data(0, 9), data(1, 60))
