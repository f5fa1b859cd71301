"""The ask/tell contract of every method: pieces, own results, failures, asking for more, saving, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from invertnas.errors import ArtefactError, ConfigError, DataMissingError, OutOfDomainError, SearchExhaustedError
from invertnas.search.ask_tell import AskTell
from invertnas.spaces import ArchSpec
from tests.helpers.fakes import OPTIMUM, SPACE, TinySpace, cell, score, timeless
from tests.helpers.searches import METHODS, Make, advance, answer

every_method = pytest.mark.parametrize("make", METHODS.values(), ids=METHODS.keys())
at_each_phase = pytest.mark.parametrize("questions", [0, 1, 4])


def state(search: AskTell) -> Any:
    history = search.history
    return history.accuracies, history.failed, history.open, timeless(strip(search.diagnostics())), search._extra()


def strip(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def names(archs: list[ArchSpec]) -> set[str]:
    return {SPACE.identity(arch) for arch in archs}


@every_method
@at_each_phase
def test_a_question_is_told_in_pieces_and_the_rest_stays_open(make: Make, questions: int) -> None:
    search = advance(make(3), questions)
    asked = search.ask()
    answer(search, asked[:1])
    if asked[1:]:
        assert search.ask() == asked[1:] == search.ask()
        answer(search, asked[1:])
    assert state(search) == state(advance(make(3), questions + 1))
    assert search.ask() == advance(make(3), questions + 1).ask()


@every_method
@at_each_phase
def test_pieces_come_in_any_order(make: Make, questions: int) -> None:
    search = advance(make(3), questions)
    asked = search.ask()
    for arch in reversed(asked):
        answer(search, [arch])
    assert not search.history.open and {*asked} <= {*search.history.archs.values()}
    assert not names(search.ask()) & names(asked)


@every_method
@at_each_phase
def test_results_of_ones_own_count_and_leave_the_question_open(make: Make, questions: int) -> None:
    search = advance(make(3), questions)
    asked = search.ask() if questions else []
    own = [arch for arch in (OPTIMUM, cell(3, 3, 3, 3, 3, 2)) if arch not in asked]
    answer(search, own)
    assert {*own} <= {*search.history.archs.values()}
    if questions:
        assert search.ask() == asked
        answer(search, asked)
    later = [arch for _ in range(5) for arch in advance_once(search)]
    assert not names(later) & names(own)


def advance_once(search: AskTell) -> list[ArchSpec]:
    asked = search.ask()
    answer(search, asked)
    return asked


@every_method
@at_each_phase
def test_failures_teach_nothing_are_not_asked_again_and_may_be_mended(make: Make, questions: int) -> None:
    search = advance(make(3), questions)
    asked, evaluated = search.ask(), len(search.history)
    search.tell(asked, [None] * len(asked))
    assert len(search.history) == evaluated and {*search.history.failed.values()} == {*asked}
    if questions or not isinstance(search, METHODS_THAT_WAIT):
        later = [arch for _ in range(5) for arch in advance_once(search)]
        assert not names(later) & names(asked)
    answer(search, asked)
    assert not search.history.failed and {*asked} <= {*search.history.archs.values()}
    assert not names(search.ask()) & names(asked)


METHODS_THAT_WAIT = type(METHODS["invertnas"](0))  # where the whole initial set failed, it says so


@every_method
@at_each_phase
def test_more_can_be_asked_while_some_are_open(make: Make, questions: int) -> None:
    search = advance(make(3), questions)
    first = search.ask(2)
    second = search.ask(3)
    assert len(first) == 2 and len(second) == 3 and len(names(first + second)) == 5
    assert search.ask() == first + second
    answer(search, [second[1]])
    third = search.ask(1)
    assert search.ask() == [*first, second[0], second[2], *third]
    assert len(names(first + second + third)) == 6
    answer(search, search.ask())
    assert not search.history.open


@every_method
def test_eight_workers_that_never_wait_ask_nothing_twice(make: Make) -> None:
    search = make(5)
    running, seen = search.ask(8), 8
    while seen < 60:
        done = running.pop(seen * 7 % len(running))
        answer(search, [done], (done,) if seen % 9 == 0 else ())
        running += search.ask(1)
        seen += 1
        assert names(running) == {*search.history.open} and len(running) == 8
    history = search.history
    assert history.count == 60 and len({*history.accuracies, *history.failed, *history.open}) == 60


@every_method
def test_asking_for_more_ends_with_the_space(make: Make) -> None:
    search = make(0, TinySpace())
    answer(search, search.ask(5))
    asked = search.ask(100)
    assert len(asked) == len(names(asked)) == 59
    for _ in range(2):
        with pytest.raises(SearchExhaustedError):
            search.ask(1)
    assert search.ask() == asked
    answer(search, asked)
    with pytest.raises(SearchExhaustedError, match="64"):
        search.ask()


@every_method
@at_each_phase
def test_strings_and_generators_are_accepted(make: Make, questions: int) -> None:
    search, reference = advance(make(3), questions), advance(make(3), questions + 1)
    asked = search.ask()
    search.tell((SPACE.to_string(arch) for arch in asked), (score(arch) for arch in asked))
    assert state(search) == state(reference)


@every_method
@pytest.mark.parametrize(
    ("archs", "values", "error", "message"),
    [
        (lambda new, old: [new, new], [0.5, 0.5], OutOfDomainError, "is told twice"),
        (lambda new, old: [old], [0.5], OutOfDomainError, "is told twice"),
        (lambda new, old: [old], [None], OutOfDomainError, "is told twice"),
        (lambda new, old: [new, ArchSpec((0, 1), ((0, 1),))], [0.5, 0.5], OutOfDomainError, "of nasbench201"),
        (lambda new, old: [new, "no cell"], [0.5, 0.5], OutOfDomainError, "no NAS-Bench-201 cell"),
        (lambda new, old: [new, 7], [0.5, 0.5], OutOfDomainError, "got 7; expected an architecture"),
        (lambda new, old: SPACE.to_string(new), [0.5], ConfigError, "expected several architectures; pass a list"),
        (lambda new, old: new, [0.5], ConfigError, "expected several architectures; pass a list"),
        (lambda new, old: None, [0.5], ConfigError, "got None; expected several architectures"),
        (lambda new, old: [new], 0.5, ConfigError, "expected several accuracies; pass a list"),
        (lambda new, old: [new], [], ConfigError, "got 1 architectures with 0 accuracies"),
        (lambda new, old: [], [], ConfigError, "got 0 architectures with 0 accuracies"),
        (lambda new, old: [new], ["0.5"], ConfigError, "expected a fraction"),
        (lambda new, old: [new], [float("nan")], ConfigError, "expected a fraction"),
        (lambda new, old: [new], [73.2], ConfigError, "divide percent by 100"),
    ],
)
def test_wrong_answers_are_refused_and_nothing_is_taken(
    make: Make, archs: Callable[[ArchSpec, ArchSpec], Any], values: Any, error: type[Exception], message: str
) -> None:
    search = advance(make(3), 1)
    search.ask()
    before = state(search)
    with pytest.raises(error, match=message):
        search.tell(archs(search.ask()[0], next(iter(search.history.archs.values()))), values)
    assert state(search) == before


@every_method
@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_the_number_to_ask_for_is_checked(make: Make, count: Any) -> None:
    search = make(0)
    with pytest.raises(ConfigError, match="expected a whole number, at least 1"):
        search.ask(count)
    assert not search.history.open


@every_method
@at_each_phase
def test_a_search_saved_at_any_time_continues_exactly(make: Make, questions: int, tmp_path: Path) -> None:
    search = advance(make(3), questions)
    asked = search.ask(3)
    search.tell(asked[:2], [0.4, None])
    search.save(str(tmp_path))
    loaded = make(3)
    loaded.load(str(tmp_path))
    assert state(loaded) == state(search)
    for each in (search, loaded):
        answer(each, [OPTIMUM])
        each.ask(2)
        answer(each, each.ask()[::-1])
        advance(each, 2)
    assert state(loaded) == state(search)


@every_method
def test_saving_twice_into_one_folder_keeps_the_last(make: Make, tmp_path: Path) -> None:
    search = make(3)
    for _ in range(3):
        advance(search, 1)
        search.save(tmp_path)
    loaded = make(3)
    loaded.load(tmp_path)
    assert state(loaded) == state(search)
    assert len(list(tmp_path.glob("surrogate_*"))) <= 1


@every_method
@pytest.mark.parametrize("other", ["seed", "space", "method"])
def test_a_state_of_another_search_is_refused_whole(make: Make, other: str, tmp_path: Path) -> None:
    advance(make(3), 2).save(tmp_path)
    others = [each for each in METHODS.values() if each is not make]
    search = {"seed": make(4), "space": make(3, TinySpace()), "method": others[0](3)}[other]
    before = state(search)
    with pytest.raises(ConfigError, match=f"optimizer.json, saved with {other}.*=.*; expected {other}.*load it into"):
        search.load(tmp_path)
    assert state(search) == before


DAMAGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no evaluated": lambda state: state.pop("evaluated"),
    "no open": lambda state: state.pop("open"),
    "no extra": lambda state: state.pop("extra"),
    "no fingerprint": lambda state: state.pop("fingerprint"),
    "empty fingerprint": lambda state: state.update(fingerprint={}),
    "extra is a list": lambda state: state.update(extra=[1]),
    "records are numbers": lambda state: state.update(records=[1, 2]),
    "an accuracy in percent": lambda state: state["evaluated"][0].__setitem__(1, 55.0),
    "an accuracy of text": lambda state: state["evaluated"][0].__setitem__(1, "0.5"),
    "a row of one": lambda state: state["evaluated"].append(["|none~0|"]),
    "a number for a string": lambda state: state["open"].append(7),
    "twice": lambda state: state["evaluated"].append(state["evaluated"][0]),
    "failed and evaluated": lambda state: state["failed"].append(state["evaluated"][0][0]),
    "tells is text": lambda state: state.update(tells="many"),
    "older format": lambda state: state.update(format=1),
    "a list": lambda state: state.clear(),
}


@every_method
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_refused_whole(make: Make, damage: str, tmp_path: Path) -> None:
    advance(make(3), 2).save(tmp_path)
    path = tmp_path / "optimizer.json"
    content = json.loads(path.read_text())
    DAMAGES[damage](content)
    path.write_text(json.dumps(content))
    search = advance(make(3), 1)
    before = state(search)
    with pytest.raises(ArtefactError, match="optimizer.json"):
        search.load(tmp_path)
    assert state(search) == before


@every_method
def test_a_missing_state_is_named(make: Make, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataMissingError, match="found no .*optimizer.json"):
            make(3).load(folder)
    for wrong in (None, 3, ""):
        for call in (make(3).load, make(3).save):
            with pytest.raises(ConfigError, match="expected a path"):
                call(wrong)  # type: ignore[arg-type]


@every_method
@pytest.mark.parametrize("seed", [None, -1, 1.5, "0", True])
def test_a_seed_that_cannot_be_repeated_is_refused(make: Make, seed: Any) -> None:
    with pytest.raises(ConfigError, match="seed"):
        make(seed)


@every_method
@pytest.mark.parametrize("told", [6, 12, 40])
def test_everything_told_before_the_first_question_is_learnt_from(make: Make, told: int) -> None:
    search = make(2)
    answer(search, list(SPACE.all())[: 40 * 97 : 97][:told])
    assert len(search.history) == told
    extra = search._extra()
    if "train" in extra:  # of four in six train
        assert (len(extra["train"]), len(extra["val"])) == (told * 4 // 6, told - told * 4 // 6)
    if "population" in extra:
        best = sorted(search.history.accuracies.values())[-5:]
        assert sorted(search.history.accuracies[name] for name in extra["population"]) == best
    if "starts" in extra:
        assert search.history.accuracies[extra["incumbent"]] == max(search.history.accuracies.values())
    asked = search.ask()
    assert not names(asked) & {*search.history.accuracies}
    record = search.diagnostics()[-1] if search.diagnostics() else {"phase": "init"}
    assert record.get("phase") not in ("init", "start")
