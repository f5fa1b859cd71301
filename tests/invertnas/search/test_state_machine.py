"""Every method under arbitrary sequences of ask, tell, save, load and kill, against a model of three sets."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from invertnas.errors import InvertNASError, OutOfDomainError, SearchExhaustedError
from invertnas.search import checkpoint
from invertnas.search.ask_tell import AskTell
from invertnas.search.baselines import Bananas
from invertnas.spaces import ArchSpec
from tests.helpers import effort
from tests.helpers.fakes import TinySpace, cell
from tests.helpers.searches import METHODS

SPACE = TinySpace()
VALUES = st.one_of(st.none(), st.floats(0, 1), st.sampled_from([0, 1, 0.5]))


class Killed(BaseException):
    """The process died."""


class SearchMachine(RuleBasedStateMachine):
    """A search, and what a user who keeps a log book would know of it."""

    method = "random"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.search: AskTell = METHODS[self.method](1, SPACE)
        self.labelled: dict[str, float] = {}
        self.failed: set[str] = set()
        self.open: list[str] = []
        self.saved: tuple[dict[str, float], set[str], list[str]] | None = None
        effort.COUNTS["searches"] += 1

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def _asked(self, archs: list[ArchSpec]) -> list[str]:
        names = [SPACE.to_string(arch) for arch in archs]
        known = {*self.labelled, *self.failed, *self.open}
        assert archs and len({*names}) == len(names) and not known & {*names}, "something is asked twice"
        return names

    @rule()
    def ask(self) -> None:
        try:
            archs = self.search.ask()
        except SearchExhaustedError:
            assert not self.open and (len(self.labelled) + len(self.failed) == 64 or not self.labelled)
            return
        if self.open:
            assert [SPACE.to_string(arch) for arch in archs] == self.open
        else:
            self.open = self._asked(archs)
        assert [SPACE.to_string(arch) for arch in self.search.ask()] == self.open

    @rule(count=st.integers(1, 9))
    def ask_for_more(self, count: int) -> None:
        try:
            names = self._asked(self.search.ask(count))
        except SearchExhaustedError:
            known = len(self.labelled) + len(self.failed) + len(self.open)
            assert known == 64 or not (self.labelled or self.open)
            return
        assert len(names) <= count
        self.open += names

    @precondition(lambda self: self.open)
    @rule(data=st.data(), as_text=st.booleans())
    def tell_some_of_the_open_ones(self, data: Any, as_text: bool) -> None:
        names = data.draw(st.lists(st.sampled_from(self.open), min_size=1, max_size=6, unique=True))
        self._tell(names, [data.draw(VALUES) for _ in names], as_text)

    @rule(data=st.data(), count=st.integers(1, 3))
    def tell_results_of_ones_own(self, data: Any, count: int) -> None:
        drawn = {SPACE.to_string(cell(*data.draw(st.tuples(*[st.sampled_from((2, 3))] * 6)))) for _ in range(count)}
        new = sorted(drawn - {*self.labelled})
        if new:
            self._tell(new, [data.draw(VALUES) for _ in new], False)

    @precondition(lambda self: self.failed)
    @rule(data=st.data(), value=VALUES)
    def tell_a_failed_one_again(self, data: Any, value: float | None) -> None:
        self._tell([data.draw(st.sampled_from(sorted(self.failed)))], [value], True)

    def _tell(self, names: list[str], values: list[float | None], as_text: bool) -> None:
        self.search.tell(names if as_text else (SPACE.from_string(name) for name in names), iter(values))
        for name, value in zip(names, values):
            self.open = [other for other in self.open if other != name]
            if value is None:
                self.failed.add(name)
            else:
                self.failed.discard(name)
                self.labelled[name] = value

    @precondition(lambda self: self.labelled)
    @rule(data=st.data())
    def tell_twice(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.labelled)))
        with pytest.raises(OutOfDomainError, match="told twice"):
            self.search.tell([*self.open[:1], name], [0.5] * len([*self.open[:1], name]))

    @rule(value=st.sampled_from([float("nan"), -0.1, 1.1, "0.5", [0.5], object()]), number=st.integers(0, 3))
    def tell_nonsense(self, value: Any, number: int) -> None:
        choices: list[Any] = [["no cell"], [None], self.open[:1] or [7], ["no cell", "no cell"]]
        archs = choices[number]
        with pytest.raises(InvertNASError, match="got .*expected"):
            self.search.tell(archs, [value])

    @rule()
    def save(self) -> None:
        self.search.save(self.folder)
        self.saved = dict(self.labelled), set(self.failed), list(self.open)

    @rule(writes=st.integers(0, 1))
    def die_while_saving(self, writes: int) -> None:
        """Before or after the surrogate's files are written; the state file is not."""
        original = checkpoint.write_json
        checkpoint.write_json = _die
        try:
            self.search.save(self.folder)
        except Killed:
            pass
        finally:
            checkpoint.write_json = original
        if self.saved is not None:
            self.load()

    @precondition(lambda self: self.saved is not None)
    @rule()
    def load(self) -> None:
        """The process dies and another one goes on from the last save."""
        assert self.saved is not None
        self.search = METHODS[self.method](1, SPACE)
        self.search.load(str(self.folder))
        labelled, failed, is_open = self.saved
        self.labelled, self.failed, self.open = dict(labelled), set(failed), list(is_open)

    @rule(count=st.integers(1, 4))
    def a_copy_goes_the_same_way(self, count: int) -> None:
        self.save()
        twin = METHODS[self.method](1, SPACE)
        twin.load(self.folder)
        assert twin._extra() == self.search._extra()
        try:
            expected = twin.ask(count)
        except SearchExhaustedError:
            with pytest.raises(SearchExhaustedError):
                self.search.ask(count)
            return
        assert self.search.ask(count) == expected
        self.open += self._asked(expected)

    @rule(other=st.sampled_from(sorted(METHODS)))
    def another_search_refuses_it(self, other: str) -> None:
        self.save()
        stranger = METHODS[other](1 if other != self.method else 2, SPACE)
        with pytest.raises(InvertNASError, match="got .*expected"):
            stranger.load(self.folder)
        assert stranger.history.count == 0

    @invariant()
    def the_search_knows_what_the_log_book_says(self) -> None:
        history = self.search.history
        effort.COUNTS["states of searches"] += 1
        assert history.accuracies == self.labelled
        assert {*history.failed} == self.failed and [*history.open] == self.open
        assert all(type(record) is dict for record in self.search.diagnostics())


def _die(*_: Any, **__: Any) -> None:
    raise Killed


def _machine(name: str) -> type[SearchMachine]:
    return type(f"{name.title()}Machine", (SearchMachine,), {"method": name})


def _errors(self: Bananas, candidates: Any) -> tuple[dict[str, Any], np.ndarray]:
    """In place of the networks' predictions: two members that count operations."""
    counts = np.array([[arch.ops.count(2), arch.ops.count(3)] for arch in candidates], float).T
    return {}, counts


def _run(name: str, effort_of: settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bananas, "_predict", _errors)
    run_state_machine_as_test(_machine(name), settings=effort_of)


@pytest.mark.parametrize("name", METHODS)
def test_any_sequence_of_calls(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(name, effort.FIXED, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_any_longer_sequence_of_calls(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(name, effort.LONG, monkeypatch)
