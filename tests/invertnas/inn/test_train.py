"""Training of the INN ensemble: terms, independence of members, stopping, checkpoints, tracing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from invertnas.errors import ConfigError
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.inn.flow import FlowEnsemble
from invertnas.inn.losses import MMD_BANDWIDTHS
from invertnas.inn.train import INNTrainer
from invertnas.stacked.compiled import trace_counts
from tests.helpers import reference_losses as ref

FLOW = INNConfig(4, 3, layers=1, hidden_layers=1, hidden=8)
TRAIN = INNTrainConfig(repeat=4, batch_size=8, initial_epochs=3, retrain_epochs=2, learning_rate=1e-2)
TERMS = {"reg": "reg_weight", "rev": "rev_weight", "latent": "latent_weight"}
SEED = tf.constant([3, 4])
Weights = list[np.ndarray]


def data(count: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).astype(np.float32)
    return x, np.tanh(x @ [0.5, -0.3, 0.2, 0.1]).astype(np.float32)


def trainer(flow: INNConfig = FLOW, seed: int = 1, **changes: Any) -> INNTrainer:
    return INNTrainer(FlowEnsemble.create(flow, seed=seed), dataclasses.replace(TRAIN, **changes), seed=seed)


def weights(model: INNTrainer) -> Weights:
    return [variable.numpy() for variable in model.variables]


def equal(left: Weights, right: Weights) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.fixture(scope="module")
def traced() -> tuple[INNTrainer, dict[str, np.ndarray]]:
    """A trainer that is traced once, and its state at the start."""
    model = trainer()
    return model, model.state()


@pytest.fixture
def model(traced: tuple[INNTrainer, dict[str, np.ndarray]]) -> Iterator[INNTrainer]:
    """That trainer as new. (Batch size and loss weights are fixed in its trace.)"""
    shared, start = traced
    shared.load_state(start)
    yield shared
    shared.config, shared.seed = TRAIN, 1


def change(model: INNTrainer, **changes: Any) -> None:
    model.config = dataclasses.replace(TRAIN, **changes)


def terms(model: INNTrainer, weighted: bool = False, noise: float = 0.0) -> dict[str, tf.Tensor]:
    x, y = data()
    mask = tf.constant(np.random.default_rng(2).integers(0, 3, (model.flow.config.members, 10)), tf.float32)
    return model.terms(tf.constant(x), tf.constant(y), mask, SEED, tf.constant(weighted), noise)


@pytest.mark.parametrize("weighted", [False, True])
def test_terms_equal_references(weighted: bool, model: INNTrainer) -> None:
    x, y = data()
    mask = np.random.default_rng(2).integers(0, 3, (3, 10)).astype(np.float64)
    y_all, x_all = np.tile(y, (3, 1)), np.tile(x, (3, 1, 1))
    if weighted:
        mask *= ref.rank_weights(y_all.astype(np.float64), TRAIN.kappa)
    z = tf.random.stateless_normal((10, 3), SEED).numpy()
    prior = np.tile(np.concatenate([z, y[:, None]], axis=1), (3, 1, 1))
    output, x_hat = model.flow(x_all)[0].numpy(), model.flow(prior, inverse=True)[0].numpy()
    got = terms(model, weighted)
    expected = {
        "reg": ref.regression_loss(y_all, output[..., -1], mask),
        "rev": ref.reverse_loss(x_all, x_hat, mask),
        "latent": ref.mmd(output, prior, MMD_BANDWIDTHS),
    }
    expected["total"] = 5.0 * expected["reg"] + 1.0 * expected["rev"] + 10.0 * expected["latent"]
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-3, err_msg=name)


def test_each_term_changes_the_gradient(model: INNTrainer) -> None:
    def gradient(config: INNTrainConfig, name: str) -> np.ndarray:
        model.config = config
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(terms(model)[name])
        return np.concatenate([np.ravel(part) for part in tape.gradient(loss, model.variables)])

    total = gradient(TRAIN, "total")
    for term, weight in TERMS.items():
        own = gradient(TRAIN, term)
        nothing: dict[str, Any] = {weight: 0.0}
        without = gradient(dataclasses.replace(TRAIN, **nothing), "total")
        assert np.abs(own).max() > 1e-3, term
        own *= getattr(TRAIN, weight)
        assert np.linalg.norm(total - without - own) < 0.01 * np.linalg.norm(own), term


def test_target_noise_enters_the_reverse_term_only(model: INNTrainer) -> None:
    plain, noisy = terms(model), terms(model, noise=0.5)
    assert np.abs(plain["rev"] - noisy["rev"]).min() > 1e-3
    for name in ("reg", "latent"):
        np.testing.assert_array_equal(plain[name], noisy[name])


def test_training_reduces_the_loss(model: INNTrainer) -> None:
    change(model, initial_epochs=15)
    before = {name: float(np.mean(value)) for name, value in terms(model).items()}
    report = model.fit(*data())
    after = {name: float(np.mean(value)) for name, value in terms(model).items()}
    assert after["total"] < 0.8 * before["total"] and after["reg"] < 0.3 * before["reg"], (before, after)
    assert (report.epochs, report.steps, report.best_epoch, report.val_total) == (15, 75, 14, None)
    assert report.skipped == [0, 0, 0]
    assert report.losses["total"] == pytest.approx(
        5 * report.losses["reg"] + report.losses["rev"] + 10 * report.losses["latent"], rel=1e-4
    )


def test_stacked_training_equals_separate_trainings(model: INNTrainer) -> None:
    singles, single = [], trainer(dataclasses.replace(FLOW, members=1))
    start = single.state()
    for k in range(3):
        single.load_state(start)
        for mine, theirs in zip(single.variables, model.variables):
            mine.assign(theirs.numpy()[k : k + 1])
        single.fit(*data())
        singles.append(weights(single))
    before = weights(model)
    model.fit(*data())
    for index, value in enumerate(weights(model)):
        assert "bias" in model.variables[index].name or np.abs(value - before[index]).max() > 0.02
        for k in range(3):
            np.testing.assert_allclose(singles[k][index][0], value[k], atol=1e-5)


def test_one_trace_for_growing_label_counts(model: INNTrainer) -> None:
    change(model, initial_epochs=1, retrain_epochs=1)
    model.fit(*data(5), *data(2, seed=1))
    before = trace_counts()
    assert before["Engine._epoch"] >= 1
    for round_index, count in enumerate((6, 9, 17, 40)):
        model.fit(*data(count), *data(3 + round_index, seed=1), round_index=round_index)
    assert trace_counts() == before


def test_learning_rate_falls_to_its_final_value() -> None:
    """Where the gradient is constant and clipped, Adam moves a weight by the rate itself in every step."""
    model = trainer(initial_epochs=2, final_learning_rate=1e-3)
    plan = model.plan(10)
    rates = np.concatenate([now.rates(plan.steps) for now in plan.course()])
    expected = [1e-3 + 9e-3 * 0.5 * (1 + np.cos(np.pi * step / 10)) for step in range(10)]
    np.testing.assert_allclose(rates, expected, rtol=1e-4)
    x, y = (tf.constant(part) for part in data())
    ones, order = tf.ones((3, 10)), plan.order(0)
    for now, rate in zip(plan.course(), rates[:: plan.steps]):
        model.load_state(trainer().state())
        before = model.variables[1].numpy()
        model.steps(x, y, ones, order[:1], plan.noise_seed(0), now.span(plan.steps), False)
        moved = np.abs(model.variables[1].numpy() - before)  # the first step of Adam is the rate, whatever the gradient
        np.testing.assert_allclose(np.median(moved), rate, rtol=1e-2)


def test_order_is_made_of_full_sweeps(model: INNTrainer) -> None:
    plan = model.plan(10)
    order = plan.order(0)
    assert order.shape == (5, 8) and (np.bincount(order.ravel()) == 4).all()
    assert not np.array_equal(order, plan.order(1))
    change(model, steps_per_epoch=7)
    assert np.bincount(model.plan(10, 1).order(0).ravel()).sum() == 56


def test_early_stopping_keeps_each_members_best(model: INNTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    change(model, initial_epochs=50, initial_patience=2)
    scores = iter([[3, 3, 3], [1, 2, 2], [2, 1, 2], [5, 5, 1], [5, 5, 5]])
    seen: list[Weights] = []

    def validate(*_: Any) -> np.ndarray:
        seen.append(weights(model))
        return np.array(next(scores), np.float32)

    monkeypatch.setattr(model, "validate", validate)
    report = model.fit(*data(), *data(5, seed=1))
    assert (report.epochs, report.best_epoch) == (4, 1)  # means 3, 5/3, 5/3, 11/3: stops two behind the best
    assert report.val_total == pytest.approx(5 / 3)
    for index, value in enumerate(weights(model)):
        for member, epoch in enumerate((1, 2, 3)):
            np.testing.assert_array_equal(value[member], seen[epoch][index][member])
    assert not equal(seen[1], seen[3])


def test_validation_is_the_unweighted_total(model: INNTrainer) -> None:
    x, y = data(6, seed=1)
    got = model.validate(tf.constant(x), tf.constant(y), SEED)
    rows = np.tile(x, (TRAIN.repeat, 1)), np.tile(y, TRAIN.repeat)  # the engine shares their forward pass
    expected = model.terms(*rows, tf.ones((3, 24)), SEED, tf.constant(False), 0.0)["total"]
    np.testing.assert_allclose(got, expected, rtol=1e-4)
    report = model.fit(*data(), x, y)
    assert report.val_total is not None and np.isfinite(report.val_total)


class FakeEpoch:
    """Stands for a compiled pass: adds one to every variable and remembers its arguments."""

    def __init__(self, model: INNTrainer) -> None:
        self.model = model
        self.bootstraps: list[np.ndarray] = []
        self.weighted: list[bool] = []

    def __call__(self, *arguments: Any) -> np.ndarray:
        self.bootstraps.append(arguments[2].numpy())
        self.weighted.append(bool(arguments[-1]))
        for variable in (*self.model.variables, *self.model.adam.first):
            variable.assign_add(tf.ones_like(variable))
        return np.zeros((4, 3))


@pytest.fixture
def epoch(model: INNTrainer, monkeypatch: pytest.MonkeyPatch) -> FakeEpoch:
    fake = FakeEpoch(model)
    monkeypatch.setattr(model, "steps", fake)
    return fake


def test_a_later_round_takes_steps_for_its_new_labels(model: INNTrainer, epoch: FakeEpoch) -> None:
    def steps(count: int, round_index: int) -> int:
        report = model.fit(*data(count), round_index=round_index)
        return report.steps // report.epochs

    change(model, steps_per_epoch=40, steps_per_label=10)
    assert [steps(10, 0), steps(11, 1), steps(14, 2), steps(30, 3), steps(30, 4)] == [40, 10, 30, 40, 10]
    saved = model.state()
    model.seen = 0
    model.load_state(saved)  # a resumed search takes as many
    assert steps(32, 5) == 20
    change(model, steps_per_epoch=40)
    assert steps(33, 6) == 40 and "inn_seen" not in model.state()


def test_bootstrap_weights(model: INNTrainer, epoch: FakeEpoch) -> None:
    model.fit(*data(20))
    np.testing.assert_array_equal(epoch.bootstraps, np.ones((3, 3, 20)))
    change(model, bootstrap=True)
    model.fit(*data(20))
    model.fit(*data(20), round_index=1)
    first, again, _, later, _ = epoch.bootstraps[3:]
    assert first.shape == (3, 20) and (first.sum(axis=1) == 20).all() and (first == 0).any()
    assert not np.array_equal(first[0], first[1])  # every member draws its own
    np.testing.assert_array_equal(first, again)  # once per fit
    assert not np.array_equal(first, later)


def test_rank_weighting_starts_with_the_first_retraining(model: INNTrainer, epoch: FakeEpoch) -> None:
    model.fit(*data())
    model.fit(*data(), round_index=1)
    change(model, rank_weighted=False)
    model.fit(*data(), round_index=1)
    assert epoch.weighted == [False] * 3 + [True] * 2 + [False] * 2


def test_warm_and_cold_start() -> None:
    for warm, passes in ((True, 5), (False, 2)):
        model = trainer(warm_start=warm)
        start, fake = weights(model), FakeEpoch(model)
        model.steps = fake  # type: ignore[method-assign,assignment]
        model.fit(*data())
        model.fit(*data(), round_index=1)
        for first, value, initial in zip(model.adam.first, weights(model), start, strict=True):
            np.testing.assert_allclose(value, initial + passes, rtol=1e-5)
            assert (first.numpy() == passes).all()


def test_seeds(model: INNTrainer) -> None:
    start, fitted = model.state(), []
    for seed in (1, 1, 2):
        model.load_state(start)
        model.seed = seed
        model.fit(*data())
        fitted.append(weights(model))
    assert equal(fitted[0], fitted[1])
    assert not equal(fitted[0], fitted[2])


def test_state_continues_exactly(model: INNTrainer) -> None:
    model.fit(*data())
    saved = model.state()
    expected = model.fit(*data(14), round_index=1)
    other = trainer()
    other.load_state(saved)
    assert other.fit(*data(14), round_index=1) == expected
    assert equal(weights(other), weights(model))
    saved[f"inn_{len(saved) - 1}"][:] = 0.0  # without a moment the result is another one
    model.load_state(saved)
    model.fit(*data(14), round_index=1)
    assert not equal(weights(other), weights(model))


def test_load_state_of_another_network() -> None:
    state = trainer().state()
    with pytest.raises(ConfigError, match="inn_0 of shape"):
        trainer(dataclasses.replace(FLOW, hidden=9)).load_state(state)
    with pytest.raises(ConfigError, match=r"shape \(\)"):
        trainer(dataclasses.replace(FLOW, layers=3)).load_state(state)
    with pytest.raises(ConfigError, match="inn_0 of shape None"):
        trainer().load_state({})


def test_wrong_shapes(model: INNTrainer) -> None:
    x, y = data()
    for bad in ((x[:, :3], y), (x, y[:-1]), (x[0], y), (x, y[:, None]), (x[:0], y[:0])):
        for arguments in (bad, (x, y, *bad)):
            with pytest.raises(ConfigError, match="expected"):
                model.fit(*arguments)
