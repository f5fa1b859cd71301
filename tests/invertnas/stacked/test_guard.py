"""What training does with members whose losses or gradients are not finite, and at the paper's size."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.inn.flow import FlowEnsemble
from invertnas.inn.plan import Plan
from invertnas.inn.train import INNTrainer

FLOW = INNConfig(4, 3, layers=1, hidden_layers=1, hidden=8)
TRAIN = INNTrainConfig(repeat=4, batch_size=8, initial_epochs=3, retrain_epochs=2, learning_rate=1e-2)
Data = tuple[np.ndarray, np.ndarray]


def data(count: int = 10, seed: int = 0) -> Data:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 4)).astype(np.float32), rng.random(count, np.float32)


def trainer(**changes: Any) -> INNTrainer:
    return INNTrainer(FlowEnsemble.create(FLOW, seed=1), dataclasses.replace(TRAIN, **changes), seed=1)


@pytest.fixture(scope="module")
def traced() -> tuple[INNTrainer, dict[str, np.ndarray]]:
    model = trainer()
    return model, model.state()


@pytest.fixture
def model(traced: tuple[INNTrainer, dict[str, np.ndarray]]) -> Iterator[INNTrainer]:
    """A trainer as new, that was traced before."""
    shared, start = traced
    shared.load_state(start)
    yield shared
    shared.config = TRAIN


def weights(model: INNTrainer) -> list[np.ndarray]:
    return [variable.numpy() for variable in model.variables]


def poison(model: INNTrainer, member: int) -> None:
    """Finite weights whose outputs are not."""
    for variable in model.variables:
        value = variable.numpy()
        value[member] = 1e30
        variable.assign(value)


@pytest.mark.parametrize("validated", [False, True])
def test_sick_member_does_not_hold_back_the_others(validated: bool, model: INNTrainer) -> None:
    extra = data(5, seed=1) if validated else (None, None)
    start = model.state()
    model.fit(*data(), *extra)
    healthy = weights(model)
    model.load_state(start)
    poison(model, 1)
    before = weights(model)
    report = model.fit(*data(), *extra)
    assert report.skipped == [0, 15, 0]
    assert report.best_epoch >= 0 and math.isfinite(report.losses["total"])
    for old, new, other in zip(before, weights(model), healthy, strict=True):
        np.testing.assert_array_equal(new[[0, 2]], other[[0, 2]])
        np.testing.assert_array_equal(new[1], old[1])
        assert (new[0] != old[0]).any() and np.isfinite(new).all()


def test_member_that_falls_sick_returns_to_its_last_finite_weights(
    model: INNTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.config = dataclasses.replace(TRAIN, initial_epochs=4)
    seen, order = [], Plan.order

    def poison_before_the_third_pass(*arguments: Any) -> Any:
        seen.append(weights(model))  # seen[i]: before pass i
        if len(seen) == 3:
            poison(model, 2)
        return order(*arguments)

    monkeypatch.setattr(Plan, "order", poison_before_the_third_pass)
    report = model.fit(*data())
    assert (report.epochs, report.best_epoch, report.skipped) == (4, 3, [0, 0, 10])
    for index, value in enumerate(weights(model)):
        np.testing.assert_array_equal(value[2], seen[2][index][2])
        assert (value[:2] != seen[3][index][:2]).any()
        assert np.isfinite(value).all()


def test_non_finite_weights_are_never_kept(model: INNTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[np.ndarray]] = []

    def validate(*_: Any) -> np.ndarray:
        seen.append(weights(model))
        if len(seen) == 2:
            value = model.variables[0].numpy()
            value[0, 0, 0] = np.nan
            model.variables[0].assign(value)
        return np.array([4.0, 4.0, 4.0]) - float(len(seen))

    monkeypatch.setattr(model, "validate", validate)
    model.fit(*data(), *data(5, seed=1))
    for index, value in enumerate(weights(model)):
        np.testing.assert_array_equal(value[0], seen[0][index][0])
        np.testing.assert_array_equal(value[1:], seen[2][index][1:])


@pytest.mark.parametrize("warm", [True, False])
def test_never_finite_fit_keeps_the_weights_from_before(warm: bool, model: INNTrainer) -> None:
    x, y = data()
    model.initial = start = weights(model)
    model.fit(x, y)
    model.config = dataclasses.replace(TRAIN, warm_start=warm)
    expected = weights(model) if warm else start
    broken = np.full_like(y, np.nan)
    report = model.fit(x, broken, round_index=1)
    for mine, other in zip(weights(model), expected, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert report.best_epoch == -1 and report.val_total is None and report.skipped == [10, 10, 10]
    report = model.fit(x, y, x, broken, round_index=1)  # finite training, but no finite validation
    assert report.best_epoch == -1 and report.val_total is None
    for mine, other in zip(weights(model), expected, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_exploding_fit_ends_with_finite_weights(model: INNTrainer) -> None:
    x, y = data()
    report = model.fit(x, y * np.float32(1e6))
    assert report.skipped == [0, 0, 0] and report.best_epoch == 2  # no harm done, thanks to clipping
    assert all(np.isfinite(value).all() for value in weights(model))
    model = trainer(learning_rate=1e6, initial_epochs=6)
    start = weights(model)
    report = model.fit(x, y * np.float32(1e6))
    assert min(report.skipped) > 0
    assert all(np.isfinite(value).all() for value in weights(model))
    # The losses are not finite from the first pass on, so nothing is kept.
    assert report.best_epoch == -1
    for value, initial in zip(weights(model), start, strict=True):
        np.testing.assert_array_equal(value, initial)


def test_paper_sized_training_stays_invertible() -> None:
    flow = FlowEnsemble.create(INNConfig(128))
    config = INNTrainConfig(steps_per_epoch=3, batch_size=16, initial_epochs=1)
    model = INNTrainer(flow, config, seed=0)
    rng = np.random.default_rng(0)
    x, y = (0.1 * rng.normal(size=(16, 128))).astype(np.float32), rng.random(16).astype(np.float32)
    before = model.variables[0].numpy()
    report = model.fit(x, y)
    assert report.steps == 3 and report.skipped == [0] * 10
    assert (np.abs(model.variables[0].numpy() - before).max(axis=(1, 2)) > 1e-4).all()
    stacked = np.tile(x, (10, 1, 1))
    output, _ = flow(stacked)
    errors = np.abs(flow(output, inverse=True)[0] - stacked).max(axis=(1, 2))
    assert errors.shape == (10,) and errors.max() <= 1e-4
