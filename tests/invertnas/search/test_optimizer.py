"""The ask/tell search: initial set, split, selection, convergence, exact resume."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from invertnas.errors import ArtefactError, ConfigError, SearchExhaustedError
from invertnas.protocols import FloatArray, Optimizer, Surrogate
from invertnas.search.config import CandidateConfig, SearchConfig
from invertnas.search.optimizer import InvertNAS
from invertnas.spaces import ArchSpec
from tests.helpers.fakes import OPTIMUM, SMALL_SEARCH, SPACE, FakeSurrogate, TinySpace, score, small_search

PAPER = SearchConfig(initial=30, keep=20, batch=5)


def step(search: Optimizer) -> list[ArchSpec]:
    """One round; returns what was asked."""
    archs = search.ask()
    search.tell(archs, [score(arch) for arch in archs])
    return archs


def without_times(rounds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in entry.items() if not key.endswith("_s")} for entry in rounds]


class FixedPredictions(FakeSurrogate):
    """Two members whose mean and spread depend on the position of an architecture in the pool."""

    def __init__(self, mean: Sequence[float], spread: Sequence[float]) -> None:
        super().__init__(replies=[[SPACE.from_cell_ops([6, 6, 6, 6, 6, op]) for op in range(2, 7)]] * 9)
        self.mean, self.spread = np.array(mean, np.float32), np.array(spread, np.float32)
        self.asked: list[ArchSpec] = []

    def predict(self, archs: Sequence[ArchSpec]) -> tuple[FloatArray, FloatArray]:
        self.asked = list(archs)
        return self.mean, np.stack([self.mean - self.spread, self.mean + self.spread])


def picks(mean: Sequence[float], spread: Sequence[float], seed: int = 0, **fields: Any) -> list[int]:
    """Pool positions chosen by the first round after the initial set."""
    candidates = CandidateConfig(wanted=5)
    config = SearchConfig(initial=4, keep=4, batch=2, candidates=candidates, **fields)
    surrogate = FixedPredictions(mean, spread)
    initial = [SPACE.from_cell_ops([2, 2, 2, 2, 2, op]) for op in range(2, 6)]
    search = InvertNAS(SPACE, surrogate, config, initial=initial, seed=seed)
    step(search)
    return [surrogate.asked.index(arch) for arch in search.ask()]


def test_the_initial_set_is_distinct_and_seeded() -> None:
    first = [SPACE.identity(arch) for arch in small_search(3, PAPER).ask()]
    assert len(set(first)) == len(first) == 30
    assert first == [SPACE.identity(arch) for arch in small_search(3, PAPER).ask()]
    assert set(first) != {SPACE.identity(arch) for arch in small_search(4, PAPER).ask()}


def test_initial_sampling_skips_repeats_in_a_small_space() -> None:
    config = SearchConfig(initial=60, keep=60, batch=2)
    archs = small_search(0, config, TinySpace()).ask()
    assert len({SPACE.identity(arch) for arch in archs}) == len(archs) == 60


def test_asking_twice_before_tell_gives_the_same_initial_set() -> None:
    search = small_search(0)
    assert search.ask() == search.ask()


def test_a_given_initial_set_is_used_in_order_without_repeats() -> None:
    archs = SPACE.neighbours(OPTIMUM)
    given = [archs[5], archs[5], archs[1], archs[9], archs[0], archs[2], archs[3], archs[4]]
    search = InvertNAS(SPACE, FakeSurrogate(), SMALL_SEARCH, initial=given, seed=0)
    assert search.ask() == [archs[5], archs[1], archs[9], archs[0], archs[2], archs[3]]


def test_a_too_small_initial_set_is_refused() -> None:
    archs = SPACE.neighbours(OPTIMUM)[:5]
    with pytest.raises(ConfigError, match="got 5 distinct initial architectures; expected at least 6"):
        InvertNAS(SPACE, FakeSurrogate(), SMALL_SEARCH, initial=[*archs, archs[0]], seed=0)


def test_the_best_twenty_train_and_the_other_ten_validate() -> None:
    search = small_search(0, PAPER)
    asked = step(search)
    ranked = sorted((score(arch) for arch in asked), reverse=True)
    assert sorted(search.train.accuracies, reverse=True) == ranked[:20]
    assert sorted(search.val.accuracies, reverse=True) == ranked[20:]
    assert {*search.train.archs, *search.val.archs} == set(asked)
    assert [score(arch) for arch in search.train.archs] == list(search.train.accuracies)


def test_later_labels_join_the_training_set_and_fits_count_rounds() -> None:
    search = small_search(0, PAPER)
    step(search)
    validation = search.val
    later = [step(search) for _ in range(3)]
    assert search.val == validation and len(search.train) == 20 + 15
    assert list(search.train.archs[20:]) == [arch for archs in later for arch in archs]
    assert isinstance(search.surrogate, FakeSurrogate)
    assert [(len(train), len(val), index) for train, val, index in search.surrogate.fits] == [
        (20, 10, 0),
        (25, 10, 1),
        (30, 10, 2),
    ]


def test_keeping_all_leaves_no_validation_set() -> None:
    search = small_search(0, dataclasses.replace(PAPER, keep=30))
    step(search)
    assert (len(search.train), len(search.val)) == (30, 0)


def test_validation_architectures_are_not_asked_again() -> None:
    search = small_search(1, dataclasses.replace(SMALL_SEARCH, keep=1))
    asked = [SPACE.identity(arch) for _ in range(12) for arch in step(search)]
    assert len(set(asked)) == len(asked) == 6 + 11 * 2


def test_greedy_takes_the_highest_predictions_first() -> None:
    assert picks([0.1, 0.9, 0.3, 0.8, 0.2], [1, 0, 1, 0, 1]) == [1, 3]


def test_equal_predictions_keep_the_order_of_the_pool() -> None:
    assert picks([0.5] * 5, [0] * 5) == [0, 1]


def test_ucb_adds_the_spread_of_the_members() -> None:
    mean, spread = [0.1, 0.9, 0.3, 0.8, 0.2], [0.0, 0.0, 0.65, 0.0, 0.69]
    assert picks(mean, spread, selection="ucb") == [2, 1]
    assert picks(mean, spread, selection="ucb", explore=2.0) == [2, 4]
    assert picks(mean, spread, selection="ucb", explore=0.0) == [1, 3]


def test_by_members_each_pick_is_the_best_of_another_member() -> None:
    mean, spread = [0.1, 0.9, 0.3, 0.8, 0.2], [0.9, 0.0, 0.0, 0.0, 0.0]  # best of the members: 1, and 0 before 1
    assert {tuple(picks(mean, spread, seed=seed, selection="members")) for seed in range(8)} == {(1, 0), (0, 1)}
    assert picks(mean, [0] * 5, selection="members") == [1, 3]
    broken = [np.nan] * 4 + [0.0]
    assert picks([0.1, 0.9, 0.3, 0.8, np.nan], broken, selection="members")[0] == 1  # nobody is sound: by the mean
    assert picks([-0.1, -0.9, -0.3, -0.8, np.nan], [np.nan] * 5, selection="members") == [0, 2]


def test_thompson_draws_within_the_spread() -> None:
    mean = [0.1, 0.9, 0.3, 0.8, 0.2]
    assert picks(mean, [1] * 5, selection="thompson", explore=0.0) == [1, 3]
    assert picks(mean, [0] * 5, selection="thompson") == [1, 3]
    wide = [tuple(picks(mean, [5] * 5, selection="thompson", seed=seed)) for seed in range(8)]
    assert len(set(wide)) > 2
    assert wide[0] == tuple(picks(mean, [5] * 5, selection="thompson", seed=0))


class FixedImprovements(FixedPredictions):
    """Expected improvements are the means, by half where another one is pending at an even distance in the pool."""

    def improvement(self, archs: Sequence[ArchSpec], pending: Sequence[ArchSpec] = ()) -> FloatArray:
        self.asked, places = list(archs), [archs.index(arch) for arch in pending if arch in archs]
        self.pending = [*getattr(self, "pending", []), list(pending)]
        near = [any((place - row) % 2 == 0 for place in places) for row in range(len(archs))]
        return np.where(near, 0.5 * self.mean, self.mean)[: len(archs)].astype(np.float32)


def test_by_improvement_picks_heed_those_before_and_those_open() -> None:
    surrogate = FixedImprovements([0.9, 0.5, 0.8, np.nan, 0.7], [0] * 5)
    candidates = CandidateConfig(wanted=5, max_retries=1)
    config = SearchConfig(initial=4, keep=4, batch=2, selection="ei", candidates=candidates)
    initial = [SPACE.from_cell_ops([2, 2, 2, 2, 2, op]) for op in range(2, 6)]
    search = InvertNAS(SPACE, surrogate, config, initial=initial, seed=0)
    step(search)
    first = search.ask()
    assert [surrogate.asked.index(arch) for arch in first] == [0, 1]  # the one at 2 counts half beside the one at 0
    assert surrogate.pending == [[], first[:1]]
    surrogate.mean = np.array([0.1, 0.2, 0.3], np.float32)
    assert len(search.ask(1)) == 1 and surrogate.pending[-1] == first


def test_predictions_that_are_not_numbers_come_last() -> None:
    assert picks([np.nan, 0.1, np.nan, 0.2, np.nan], [0] * 5) == [3, 1]


def test_the_search_finds_the_optimum_of_a_smooth_function() -> None:
    for seed in range(3):
        search = small_search(seed)
        assert OPTIMUM not in search.ask()
        asked = [arch for _ in range(1 + 42) for arch in step(search)]
        assert len(set(asked)) == 6 + 84
        assert OPTIMUM in asked


def test_diagnostics_hold_one_record_per_round() -> None:
    search = small_search(0)
    for _ in range(4):
        step(search)
    rounds = search.diagnostics()
    assert [entry["round"] for entry in rounds] == [0, 1, 2]
    assert {"decoded", "validity", "uniqueness", "novelty", "fit", "fit_s", "candidates_s"} <= set(rounds[0])
    assert all(0 <= entry["novel"] <= entry["unique"] <= entry["valid"] <= entry["decoded"] for entry in rounds)
    assert json.loads(json.dumps(rounds)) == rounds
    rounds.clear()
    assert len(search.diagnostics()) == 3


def test_a_restored_search_continues_as_the_original(tmp_path: Path) -> None:
    whole, rounds = small_search(7), 6
    asks: list[list[ArchSpec]] = []
    for index in range(rounds):
        asks.append(step(whole))
        (tmp_path / str(index)).mkdir()
        whole.save(tmp_path / str(index))
    for index in range(rounds):
        restored = small_search(7)
        restored.load(tmp_path / str(index))
        assert [step(restored) for _ in range(rounds - index - 1)] == asks[index + 1 :]
        assert without_times(restored.diagnostics()) == without_times(whole.diagnostics())
        assert (restored.train, restored.val) == (whole.train, whole.val)


def test_forgetting_the_surrogate_would_change_the_search(tmp_path: Path) -> None:
    """The check above can fail: the state of the surrogate matters."""
    whole = small_search(7)
    for _ in range(3):
        step(whole)
    whole.save(tmp_path)
    restored = small_search(7)
    restored.load(tmp_path)
    assert isinstance(restored.surrogate, FakeSurrogate)
    restored.surrogate.weights[:] = 0.0
    step(whole)
    step(restored)
    assert whole.diagnostics()[-1]["fit"] != restored.diagnostics()[-1]["fit"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"round": 1, "tr',
        "[]",
        "null",
        '{"format": 2}',
        '{"format": 2, "fingerprint": []}',
    ],
)
def test_a_damaged_state_is_refused(tmp_path: Path, text: str) -> None:
    search = small_search(0)
    step(search)
    search.save(tmp_path)
    (tmp_path / "optimizer.json").write_text(text)
    with pytest.raises(ArtefactError, match="optimizer.json"):
        small_search(0).load(tmp_path)


def test_a_damaged_surrogate_file_is_refused(tmp_path: Path) -> None:
    search = small_search(0)
    step(search)
    search.save(tmp_path)
    (path,) = tmp_path.glob("*/fake.npz")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ArtefactError, match="fake.npz"):
        small_search(0).load(tmp_path)


def test_an_exhausted_space_ends_the_search() -> None:
    search = small_search(0, space=TinySpace())
    asked: list[ArchSpec] = []
    with pytest.raises(SearchExhaustedError, match="after 64 queries"):
        for _ in range(100):
            asked += step(search)
    assert len(asked) == len(set(asked)) == 64


def test_the_stand_in_fulfils_the_protocol() -> None:
    surrogate: Surrogate = FakeSurrogate()
    optimizer: Optimizer = small_search(0)
    assert callable(surrogate.invert) and callable(optimizer.ask)
