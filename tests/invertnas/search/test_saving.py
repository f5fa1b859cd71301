"""What a checkpoint of InvertNAS brings back, and which ones it refuses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from invertnas.errors import ArtefactError, ConfigError
from invertnas.search.config import CandidateConfig
from invertnas.search.optimizer import InvertNAS
from tests.helpers.fakes import OPTIMUM, SMALL_SEARCH, SPACE, FakeSurrogate, small_search
from tests.invertnas.search.test_answers import answer, state, step, surrogate, whole


@pytest.mark.parametrize("told", [0, 1])
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_a_question_saved_open_is_open_when_loaded(tmp_path: Path, rounds: int, told: int) -> None:
    search = whole(rounds)
    asked = search.ask()
    if told:
        search.tell(asked[:1], [None])
    search.save(tmp_path)
    restored = small_search(7)
    restored.load(tmp_path)
    assert restored.ask() == asked[told:] and not surrogate(restored).fits
    for each in (search, restored):
        answer(each, asked[told:])
    assert [step(restored) for _ in range(3)] == [step(search) for _ in range(3)]
    assert state(restored) == state(search)


def edit_state(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads((folder / "optimizer.json").read_text())
    change(content)
    (folder / "optimizer.json").write_text(json.dumps(content))


def test_a_checkpoint_of_an_older_format_is_refused_and_its_accuracies_are_good(tmp_path: Path) -> None:
    whole(1).save(tmp_path)
    edit_state(tmp_path, lambda content: content.pop("format"))
    with pytest.raises(ArtefactError, match="optimizer.json is of format None; expected 2; tell the accuracies"):
        small_search(7).load(tmp_path)


@pytest.mark.parametrize(
    ("other", "field"),
    [
        ({"batch": 3}, "config.batch"),
        ({"keep": 5}, "config.keep"),
        ({"selection": "ucb"}, "config.selection"),
        ({"candidates": CandidateConfig(wanted=13)}, "config.candidates.wanted"),
    ],
)
def test_every_field_must_be_the_saved_one(tmp_path: Path, other: dict[str, Any], field: str) -> None:
    whole(2).save(tmp_path)
    search = small_search(7, dataclasses.replace(SMALL_SEARCH, **other))
    with pytest.raises(ConfigError, match=f"saved with {field}=.*; expected {field}="):
        search.load(tmp_path)
    assert not search.history and not search.diagnostics()


def test_another_initial_set_is_refused(tmp_path: Path) -> None:
    given = SPACE.neighbours(OPTIMUM)
    InvertNAS(SPACE, FakeSurrogate(), SMALL_SEARCH, initial=given[:6], seed=7).save(tmp_path)
    for initial in (None, given[:7], given[5::-1]):
        with pytest.raises(ConfigError, match="saved with initial_sha256="):
            InvertNAS(SPACE, FakeSurrogate(), SMALL_SEARCH, initial=initial, seed=7).load(tmp_path)


def test_files_of_different_saves_are_refused(tmp_path: Path) -> None:
    search = whole(2)
    for name in ("first", "second"):
        search.save(tmp_path / name)
        step(search)
    late, early = (next((tmp_path / name).glob("*/fake.npz")) for name in ("second", "first"))
    parts = json.loads((tmp_path / "first" / "optimizer.json").read_text())["parts"]
    assert parts["folder"] == "surrogate_1" and set(parts["files"]) == {"fake.npz"}
    early.write_bytes(late.read_bytes())
    (early.parent / "notes.txt").write_text("of no concern")
    restored = small_search(7)
    with pytest.raises(ArtefactError, match="fake.npz is not the one of the save that wrote optimizer.json"):
        restored.load(tmp_path / "first")
    early.unlink()
    with pytest.raises(ArtefactError, match="fake.npz is missing"):
        restored.load(tmp_path / "first")
    assert len(restored.train) == 0 and not restored.diagnostics()


@pytest.mark.parametrize("folder", ["..", "/tmp", "surrogate_1/..", ""])
def test_the_surrogate_is_read_from_inside_the_folder_alone(tmp_path: Path, folder: str) -> None:
    whole(2).save(tmp_path)
    edit_state(tmp_path, lambda content: content["parts"].update(folder=folder))
    with pytest.raises(ArtefactError, match="optimizer.json is damaged"):
        small_search(7).load(tmp_path)


class Interrupted(FakeSurrogate):
    """Stops before its file, or after it."""

    late = False

    def save(self, folder: Path) -> None:
        if self.late:
            super().save(folder)
        raise KeyboardInterrupt


@pytest.mark.parametrize("late", [False, True])
def test_a_save_that_is_cut_short_leaves_the_one_before(tmp_path: Path, late: bool) -> None:
    search = whole(2)
    search.save(tmp_path)
    step(search)
    search.surrogate = Interrupted()
    search.surrogate.late = late
    with pytest.raises(KeyboardInterrupt):
        search.save(tmp_path)
    restored = small_search(7)
    restored.load(tmp_path)
    assert state(restored) == state(whole(2))
    restored.save(tmp_path)
    assert len(list(tmp_path.glob("surrogate_*"))) == 1


def test_saving_into_the_same_folder_again_is_fine(tmp_path: Path) -> None:
    search = small_search(7)
    for _ in range(3):
        search.save(tmp_path)
        step(search)
        search.save(tmp_path)
        search = small_search(7)
        search.load(tmp_path)
    assert state(search) == state(whole(3))


@pytest.mark.parametrize("place", ["evaluated", "open"])
def test_an_architecture_the_space_cannot_read_is_no_reason_to_delete(tmp_path: Path, place: str) -> None:
    search = whole(2)
    search.ask()
    search.save(tmp_path)
    entry = ["|none~0|", 0.5] if place == "evaluated" else "|none~0|"
    edit_state(tmp_path, lambda content: content[place].append(entry))
    with pytest.raises(ArtefactError, match="cannot read the architecture '.none~0.' .*keep the folder") as raised:
        small_search(7).load(tmp_path)
    assert "optimizer.json" in str(raised.value) and "delete" not in str(raised.value)
