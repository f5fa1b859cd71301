"""Flows with several targets: attributes from unlabelled rows, refusals, independence, repeatability."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from invertnas.errors import ConfigError
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.inn.flow import FlowEnsemble
from invertnas.inn.train import INNTrainer
from invertnas.inn.vector import Unlabelled, VectorTrainer

FLOW = INNConfig(6, 2, layers=2, hidden_layers=1, hidden=16, head_scale=0.1, targets=3)
TRAIN = INNTrainConfig(
    rank_weighted=False, batch_size=32, steps_per_epoch=40, initial_epochs=5, retrain_epochs=1, pretrain_steps=200,
    learning_rate=1e-2,
)  # fmt: skip


def unlabelled(count: int = 200, seed: int = 0) -> Unlabelled:
    x = np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)
    return Unlabelled(x, np.tanh(x @ np.random.default_rng(9).normal(size=(6, 2))).astype(np.float32))


def accuracy(x: np.ndarray) -> np.ndarray:
    return np.sin(x[:, 0] + 0.5 * x[:, 3]).astype(np.float32)


def make(flow: INNConfig = FLOW, rows: Unlabelled | None = None, **changes: Any) -> VectorTrainer:
    config = dataclasses.replace(TRAIN, **changes)
    return VectorTrainer(FlowEnsemble.create(flow, seed=1), config, rows or unlabelled(), seed=1)


def outputs(trainer: VectorTrainer, x: np.ndarray) -> np.ndarray:
    tiled = tf.tile(tf.constant(x)[tf.newaxis], (trainer.flow.config.members, 1, 1))
    return trainer.flow(tiled)[0].numpy()


def test_attributes_are_learned_before_and_kept_beside_the_labels() -> None:
    trainer, new = make(), unlabelled(100, seed=1)
    start = ((outputs(trainer, new.x)[..., -3:-1] - new.attributes) ** 2).mean()
    trainer.pretrain()
    before = ((outputs(trainer, new.x)[..., -3:-1] - new.attributes) ** 2).mean()
    few = unlabelled(40, seed=2)
    report = trainer.fit_vector(few.x, few.attributes, accuracy(few.x), round_index=0)
    found = outputs(trainer, new.x)
    assert before < 0.2 * start and ((found[..., -3:-1] - new.attributes) ** 2).mean() < 0.3 * start
    wanted = accuracy(new.x)
    assert np.corrcoef(found[..., -1].mean(axis=0), wanted)[0, 1] > 0.5
    assert report["steps"] == 200 and set(report["losses"]) == {"reg", "attributes", "rev", "latent"}
    assert np.isfinite(list(report["losses"].values())).all() and report["skipped"] == [0, 0]


def test_the_weight_of_the_attributes_and_rounds() -> None:
    few = unlabelled(30, seed=2)
    errors = []
    for weight in (0.0, 1.0):
        trainer = make(attribute_weight=weight)
        assert trainer.fit_vector(few.x, few.attributes, accuracy(few.x), round_index=1)["steps"] == 40
        errors.append(((outputs(trainer, few.x)[..., -3:-1] - few.attributes) ** 2).mean())
    assert errors[1] < errors[0]


def test_repeatable_and_different_by_round() -> None:
    few, found = unlabelled(30, seed=2), []
    for number in (1, 1, 2):
        trainer = make()
        trainer.fit_vector(few.x, few.attributes, accuracy(few.x), round_index=number)
        found.append(outputs(trainer, few.x))
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 1e-4


def test_members_do_not_touch_each_other() -> None:
    few, both, spoiled = unlabelled(30, seed=2), make(), make()
    for variable in spoiled.variables:
        values = variable.numpy()
        values[1] *= 1.5
        variable.assign(values)
    for trainer in (both, spoiled):
        trainer.pretrain()
        trainer.fit_vector(few.x, few.attributes, accuracy(few.x), round_index=0)
    found = outputs(both, few.x), outputs(spoiled, few.x)
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4, atol=1e-4)
    assert np.abs(found[0][1] - found[1][1]).max() > 1e-3


def test_refusals() -> None:
    with pytest.raises(ConfigError, match=r"targets - 1 = 1 columns"):
        make(dataclasses.replace(FLOW, targets=2))
    with pytest.raises(ConfigError, match="expected one row for each"):
        make(rows=Unlabelled(unlabelled().x, unlabelled().attributes[:5]))
    for changes in ({"steps_per_epoch": None}, {"rank_weighted": True}, {"bootstrap": True}):
        with pytest.raises(ConfigError, match="with several targets"):
            make(**changes)
    with pytest.raises(ConfigError, match="got targets=6; expected fewer than dim=6"):
        dataclasses.replace(FLOW, targets=6)
    trainer = INNTrainer(FlowEnsemble.create(FLOW, seed=0), TRAIN, seed=0)
    with pytest.raises(ConfigError, match="got targets=3; expected 1"):
        trainer.fit(unlabelled().x, accuracy(unlabelled().x))
    with pytest.raises(ConfigError, match="expected"):
        make().fit_vector(
            np.zeros((0, 6), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, np.float32), round_index=0
        )


def test_one_target_is_trained_as_ever() -> None:
    """The number of targets is no part of a single-target flow: weights, training and outputs are bit-equal."""
    x, found = unlabelled(20).x, []
    for config in (
        INNConfig(6, 2, layers=2, hidden_layers=1, hidden=16),
        dataclasses.replace(FLOW, targets=1, head_scale=1.0),
    ):
        trainer = INNTrainer(FlowEnsemble.create(config, seed=3), dataclasses.replace(TRAIN, pretrain_steps=0), seed=3)
        trainer.fit(x, accuracy(x), round_index=0)
        found.append([variable.numpy() for variable in trainer.variables])
    for first, second in zip(*found):
        np.testing.assert_array_equal(first, second)
