"""Course of a fit: stages, patience, rates that reach the optimiser, and the presets' schedules."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from experiments.searches.ablations import SETTINGS as PRESETS
from experiments.searches.ablations import setting as preset
from invertnas.errors import ConfigError
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.inn.engine import learning_rate
from invertnas.inn.flow import FlowEnsemble
from invertnas.inn.schedule import Course
from invertnas.inn.train import INNTrainer
from invertnas.presets import completed

FLOW = INNConfig(4, 2, layers=1, hidden_layers=1, hidden=8)
COSINE = INNTrainConfig(repeat=1, batch_size=4, initial_epochs=6, retrain_epochs=4, initial_patience=2)
STAGES = dataclasses.replace(COSINE, schedule="two_stage", learning_rate=1e-2, final_learning_rate=1e-3)
LARGE = ("nasbench301", "nasbench_nlp")


def told(config: INNTrainConfig, losses: list[float], round_index: int = 0) -> tuple[list[float], Course]:
    """First rate of every pass run, where pass i has the loss `losses[i]` (the last for the rest)."""
    course, rates = Course(config, round_index), list[float]()
    for now in course:
        assert now.epoch == len(rates) == course.epochs - 1
        rates.append(now.first)
        course.tell(losses[min(now.epoch, len(losses) - 1)])
    return rates, course


def data(count: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    return x, np.tanh(x[:, 0])


def equal(left: INNTrainer, right: INNTrainer) -> bool:
    state = right.state()
    return all(np.array_equal(value, state[name]) for name, value in left.state().items())


@pytest.mark.parametrize(
    ("losses", "high", "low", "best"),
    [
        ([float(-i) for i in range(20)], 10, 10, 19),  # patience never runs out: half of the passes each
        ([3, 1, 2, 2, 2, 2], 4, 3, 1),  # two behind the best, then two behind the first of the second stage
        ([3, 1, 2, 2, 0, 5], 4, 3, 4),
        ([3, 1, 2, 2, 5, 0, 5], 4, 4, 5),
        ([1, 2, 2, 2, 2, 2], 3, 3, 0),
        ([math.inf], 3, 3, -1),
        ([math.nan], 3, 3, -1),
    ],
)
def test_a_stage_ends_when_its_patience_runs_out(losses: list[float], high: int, low: int, best: int) -> None:
    rates, course = told(dataclasses.replace(STAGES, initial_epochs=20), losses)
    assert rates == [1e-2] * high + [1e-3] * low
    assert (course.epochs, course.best_epoch) == (high + low, best)
    assert course.best == (losses[best] if best >= 0 else math.inf)


def test_cosine_is_one_stage() -> None:
    assert told(dataclasses.replace(COSINE, initial_epochs=20), [3, 1, 2, 2, 0])[1].epochs == 4
    rates = np.concatenate([now.rates(5) for now in Course(COSINE, 0)])[:15]  # nothing told: the patience runs out
    np.testing.assert_allclose(rates, 1e-3 * 0.5 * (1 + np.cos(np.pi * np.arange(15) / 30)), rtol=1e-12)


def test_later_rounds_have_passes_and_patience_of_their_own() -> None:
    changed = dataclasses.replace(STAGES, retrain_epochs=7, retrain_patience=1)
    assert told(changed, [float(-i) for i in range(7)], 1)[0] == [1e-2] * 4 + [1e-3] * 3
    assert told(changed, [1.0, 2.0], 1)[0] == [1e-2] * 2 + [1e-3] * 2
    with pytest.raises(ConfigError, match="got schedule='step'; expected 'cosine' or 'two_stage'"):
        dataclasses.replace(COSINE, schedule="step")  # type: ignore[arg-type]
    for wrong in ({"final_learning_rate": 0.0}, {"retrain_epochs": 1}):
        with pytest.raises(ConfigError, match="with schedule='two_stage'; expected"):
            dataclasses.replace(STAGES, **wrong)


@pytest.mark.parametrize("config", [STAGES, dataclasses.replace(COSINE, learning_rate=7e-3, final_learning_rate=3e-5)])
def test_a_step_takes_the_rate_of_its_pass(config: INNTrainConfig) -> None:
    for round_index in (0, 1):
        for now in Course(config, round_index):
            got = [float(learning_rate(tf.constant(now.span(3)), tf.constant(step))) for step in range(3)]
            np.testing.assert_allclose(got, now.rates(3), rtol=1e-5)


def test_the_second_stage_starts_from_the_best_and_a_checkpoint_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = (INNTrainer(FlowEnsemble.create(FLOW, seed=1), STAGES, seed=1) for _ in range(2))
    begun: list[np.ndarray] = []
    ended: list[np.ndarray] = []
    steps, scores = model.steps, iter([[1, 3], [2, 2], [9, 9], [9, 9], [9, 9], [9, 9]])

    def spied(*arguments: Any) -> Any:
        begun.append(model.variables[0].numpy())
        losses = steps(*arguments)
        ended.append(model.variables[0].numpy())
        return losses

    with monkeypatch.context() as patch:
        patch.setattr(model, "steps", spied)
        patch.setattr(model, "validate", lambda *_: np.array(next(scores), np.float32))
        report = model.fit(*data(), *data(5, seed=1))
    assert (report.epochs, report.steps, report.best_epoch, report.val_total) == (6, 18, 0, 2.0)
    np.testing.assert_array_equal(begun[2], ended[1])  # within a stage it goes on
    np.testing.assert_array_equal(begun[3], np.stack([ended[0][0], ended[1][1]]))  # each member's own best
    assert not np.array_equal(begun[3], ended[2])
    other.load_state(model.state())
    assert other.fit(*data(14), round_index=1) == model.fit(*data(14), round_index=1)
    assert equal(other, model)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_by_space(name: str) -> None:
    follows_paper = name in ("paper", "paper_blind", "thesis", "paper_bf16", "thesis_bf16")
    everywhere = follows_paper or name in ("fast_greedy", "fast_greedy_mean", "guided")
    picks = PRESETS[name].search.selection == "greedy" and not everywhere  # fast picks otherwise on two spaces
    assert preset(name, "nasbench201") == preset(name, "a space of one's own") == PRESETS[name]
    assert (preset(name, "nasbench101") != PRESETS[name]) == picks
    assert {preset(name, space).train.schedule for space in ("nasbench101", "nasbench201")} == {"cosine"}
    for space in LARGE:
        chosen, common = preset(name, space), PRESETS[name]
        assert (chosen != common) == (follows_paper or picks and space == "nasbench301")
        assert completed(chosen.to_dict()) == chosen.to_dict()
        older = chosen.to_dict()
        del older["train"]["schedule"]  # a record from before the field is one of the cosine
        assert (completed(older) == chosen.to_dict()) != follows_paper


@pytest.mark.parametrize("name", ["paper", "thesis_bf16"])
def test_settings_of_the_large_spaces(name: str) -> None:
    """Paper Tables 14 and 15."""
    for space, keep in zip(LARGE, (20, 30)):
        train, search = preset(name, space).train, preset(name, space).search
        assert (train.batch_size, train.repeat, train.schedule) == (32, 5, "two_stage")
        assert (train.learning_rate, train.final_learning_rate) == (1e-3, 1e-4)
        assert (train.initial_patience, train.retrain_patience) == (30, 30)
        assert min(train.initial_epochs, train.retrain_epochs) // 2 > 30  # so that it can run out
        assert (search.initial, search.keep) == (30, keep)
        assert train.rev_weight == PRESETS[name].train.rev_weight and preset(name, space).inn == PRESETS[name].inn
