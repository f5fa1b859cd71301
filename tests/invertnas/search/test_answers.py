"""What InvertNAS may be told, and in which pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from invertnas.errors import ConfigError, OutOfDomainError, SearchExhaustedError, TrainingError
from invertnas.protocols import FloatArray, Labelled, Optimizer
from invertnas.search.baselines import RandomSearch, RandomSearchConfig
from invertnas.search.config import CandidateConfig, SearchConfig
from invertnas.search.optimizer import InvertNAS
from invertnas.spaces import ArchSpec
from tests.helpers.fakes import (
    OPTIMUM,
    SMALL_SEARCH,
    SPACE,
    FakeSurrogate,
    Replies,
    TinySpace,
    cell,
    score,
    small_search,
    timeless,
)

INITIAL = [cell(4, 4, 4, 4, 4, 4), cell(5, 5, 5, 5, 5, 5)]
TRIPLES = RandomSearchConfig(batch_size=3)


def answer(search: Optimizer, archs: Sequence[ArchSpec], failed: Sequence[ArchSpec] = ()) -> None:
    search.tell(archs, [None if arch in failed else score(arch) for arch in archs])


def step(search: InvertNAS) -> list[ArchSpec]:
    archs = search.ask()
    answer(search, archs)
    return archs


def state(search: InvertNAS) -> Any:
    return search.train, search.val, timeless(search.diagnostics())


def surrogate(search: InvertNAS) -> FakeSurrogate:
    assert isinstance(search.surrogate, FakeSurrogate)
    return search.surrogate


class Favouring(FakeSurrogate):
    """Expects the most of one architecture."""

    def __init__(self, favourite: ArchSpec, replies: Replies) -> None:
        super().__init__(replies=replies)
        self.favourite = favourite

    def predict(self, archs: Sequence[ArchSpec]) -> tuple[FloatArray, FloatArray]:
        mean = np.array([arch == self.favourite for arch in archs], np.float32)
        return mean, np.stack([mean, mean])


def whole(rounds: int, seed: int = 7) -> InvertNAS:
    """A search after `rounds` questions, each told at once."""
    search = small_search(seed)
    for _ in range(rounds):
        step(search)
    return search


@pytest.mark.parametrize("pieces", [(1, 1, 1, 1, 1, 1), (4, 2), (2, 0, 4)])
def test_the_initial_set_may_be_told_in_pieces(pieces: tuple[int, ...]) -> None:
    search, rest = small_search(7), small_search(7).ask()
    for size in pieces:
        assert search.ask() == rest
        if size:
            answer(search, rest[:size])
        rest = rest[size:]
    assert not surrogate(search).fits
    assert state(search) == state(whole(1)) and len(search.val) == 2
    asked = [step(search) for _ in range(3)]
    reference = whole(1)
    assert asked == [step(reference) for _ in range(3)]
    assert state(search) == state(reference)
    assert [index for _, _, index in surrogate(search).fits] == [0, 1, 2]


def test_equal_accuracies_are_ranked_as_they_were_told() -> None:
    search, archs = small_search(7), small_search(7).ask()
    for arch, value in zip(archs, (0.5, 0.7, 0.5, 0.5, 0.7, 0.5)):
        search.tell([arch], [value])
    assert search.train.archs == tuple(archs[i] for i in (1, 4, 0, 2)) and search.val.archs == (archs[3], archs[5])


def test_a_later_question_may_be_told_in_pieces() -> None:
    search, reference = whole(2), whole(2)
    for _ in range(3):
        first, second = search.ask()
        answer(search, [first])
        assert search.ask() == [second]
        answer(search, [second])
        assert [first, second] == step(reference)
    assert state(search) == state(reference)


def test_asking_again_asks_the_same_and_fits_nothing() -> None:
    search = whole(2)
    first = search.ask()
    before = surrogate(search).weights.copy(), len(surrogate(search).fits)
    asked = search.ask()
    assert asked == first and len(search.diagnostics()) == 2
    np.testing.assert_array_equal(surrogate(search).weights, before[0])
    assert len(surrogate(search).fits) == before[1]
    asked.clear()
    assert search.ask() == first


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01, 94.3, "high", [0.5]])
@pytest.mark.parametrize("rounds", [0, 2])
@pytest.mark.parametrize("make", [small_search, lambda seed: RandomSearch(SPACE, TRIPLES, seed=seed)])
def test_an_accuracy_that_is_no_fraction_is_refused(make: Callable[[int], Any], rounds: int, value: Any) -> None:
    search = make(7)
    for _ in range(rounds):
        step(search)
    archs = search.ask()
    with pytest.raises(ConfigError, match="expected a fraction in .0, 1.; divide percent by 100"):
        search.tell(archs[:2], [0.5, value])
    assert search.ask() == archs
    search.tell(archs[:2], [np.float32(0.5), 1])


def test_mismatched_lengths_are_refused() -> None:
    search = small_search(7)
    archs = search.ask()
    for told, values in ((archs, [0.5] * 5), (archs[:1], [0.5, 0.6]), ([], [])):
        with pytest.raises(ConfigError, match=f"got {len(told)} architectures with {len(values)} accuracies"):
            search.tell(told, values)
    assert len(search.train) == 0 and search.ask() == archs
    for count in (1, 3):
        with pytest.raises(ConfigError, match=f"got 2 architectures with {count} accuracies"):
            Labelled().extend(archs[:2], [0.5] * count)


@pytest.mark.parametrize("rounds", [1, 3])
def test_architectures_told_twice_or_of_elsewhere_are_refused(rounds: int) -> None:
    search = whole(rounds)
    new, known = search.ask(), [*search.train.archs, *search.val.archs]
    before = state(search)
    stranger = ArchSpec((0, 2, 1), ((0, 1), (1, 2)))
    for wrong in ([new[0], new[0]], [new[0], known[0]], [known[-1]], [search.val.archs[0]]):
        with pytest.raises(OutOfDomainError, match="which is told twice; expected .*without an accuracy"):
            search.tell(wrong, [0.5] * len(wrong))
    with pytest.raises(OutOfDomainError, match="expected an architecture of nasbench201, .*from_string"):
        search.tell([new[0], stranger], [0.5, 0.5])
    assert state(search) == before and search.ask() == new


def test_results_of_ones_own_join_and_leave_the_question_open() -> None:
    search, own = whole(2), [OPTIMUM, cell(3, 3, 3, 3, 3, 2)]
    asked = search.ask()
    answer(search, own)
    assert search.ask() == asked and search.train.archs[-2:] == tuple(own)
    assert asked == step(search)
    answer(search, [cell(3, 3, 3, 3, 2, 3)])  # while nothing is open
    later = [arch for _ in range(6) for arch in step(search)]
    assert not {*later} & {*own, cell(3, 3, 3, 3, 2, 3)}
    assert [entry["round"] for entry in search.diagnostics()] == list(range(8))


def test_results_of_ones_own_count_as_initial_before_the_first_question() -> None:
    search, own = small_search(7), [OPTIMUM, cell(3, 3, 3, 3, 3, 2)]
    answer(search, own)
    assert search.ask() == small_search(7).ask()[:4]
    step(search)
    assert search.train.archs[0] == OPTIMUM and (len(search.train), len(search.val)) == (4, 2)
    search.ask()
    assert [index for _, _, index in surrogate(search).fits] == [0]


def test_failed_trainings_teach_nothing_and_are_not_asked_again(tmp_path: Path) -> None:
    search = small_search(0, space=TinySpace())
    failed = [*search.ask()[1:3]]
    answer(search, search.ask(), failed)
    assert not {*failed} & {*search.train.archs, *search.val.archs} and (len(search.train), len(search.val)) == (4, 0)
    asked: list[ArchSpec] = []
    with pytest.raises(SearchExhaustedError, match="after 64 queries"):
        for number in range(100):
            archs = search.ask()
            failed += archs[: number % 2]
            answer(search, archs, failed)
            asked += archs
            (tmp_path / str(number)).mkdir()
            search.save(tmp_path / str(number))
            search = small_search(0, space=TinySpace())
            search.load(tmp_path / str(number))
    assert len(asked) == len(set(asked)) == 64 - 6 and len(failed) > 10
    labelled = [*search.train.archs, *search.val.archs]
    assert not {*failed} & {*labelled} and len(labelled) == 64 - len(failed)


def test_failed_trainings_stay_out_where_classes_are_told_apart() -> None:
    """A failed architecture keeps the isomorphic ones away as well, as a queried one does."""
    classes: dict[str, ArchSpec] = {}
    pairs = ((classes.setdefault(SPACE.isomorphism_class(arch), arch), arch) for arch in SPACE.all())
    failed, twin = next(pair for pair in pairs if pair[0] != pair[1])
    config = SearchConfig(2, 2, 1, candidates=CandidateConfig(wanted=1, max_retries=1, unique_by="isomorphism"))
    for told, expected in (([failed], [OPTIMUM]), ([], [twin])):
        search = InvertNAS(SPACE, Favouring(twin, replies=[[OPTIMUM, twin]]), config, initial=INITIAL, seed=0)
        search.tell([*INITIAL, *told], [0.5, 0.6, *([None] * len(told))])
        assert search.ask() == expected


def test_failures_of_all_the_initial_set_are_named_and_can_be_mended() -> None:
    search = small_search(7)
    archs = search.ask()
    search.tell(archs, [None] * 6)
    for _ in range(2):
        with pytest.raises(SearchExhaustedError, match="all 6 trainings .*failed; .*mend the training and tell"):
            search.ask()
    answer(search, archs)  # trained again
    assert state(search) == state(whole(1))
    assert search.ask() == whole(1).ask()


def test_a_question_that_fails_altogether_is_followed_by_another() -> None:
    search = whole(2)
    first, before = search.ask(), search.train
    search.tell(first, [None, None])
    second = search.ask()
    assert search.train == before and not {*first} & {*second} and surrogate(search).fits[-1][2] == 2


class Failing(FakeSurrogate):
    """A surrogate whose next fit comes to nothing."""

    failing = True

    def fit(self, train: Labelled, val: Labelled, *, round_index: int) -> dict[str, Any]:
        if self.failing:
            raise TrainingError("got no finite loss; expected one; lower learning_rate")
        return super().fit(train, val, round_index=round_index)


def test_a_fit_that_came_to_nothing_reaches_the_user_and_loses_nothing() -> None:
    surrogate = Failing()
    search = InvertNAS(SPACE, surrogate, SMALL_SEARCH, seed=7)
    step(search)
    for count in (None, 2):
        with pytest.raises(TrainingError, match="no finite loss"):
            search.ask(count)
    assert len(search.history) == 6 and not search.history.open and not search.diagnostics()
    surrogate.failing = False
    assert search.ask() == whole(1).ask() and len(search.diagnostics()) == 1
