"""What a checkpoint of InvertNAS brings back, and which ones it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from invertnas.errors import ArtefactError
from invertnas.protocols import Labelled
from tests.helpers.fakes import small_search
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


@pytest.mark.parametrize("rounds", [1, 3])
def test_checkpoints_of_before_continue_as_they_did(tmp_path: Path, rounds: int) -> None:
    search = whole(rounds)
    search.save(tmp_path)
    edit_state(tmp_path, lambda content: [content.pop(name) for name in ("open", "failed", "files")])
    restored = small_search(7)
    restored.load(tmp_path)
    assert [step(restored) for _ in range(3)] == [step(search) for _ in range(3)]
    assert state(restored) == state(search)


def test_a_checkpoint_of_before_with_a_round_counted_by_pieces_gets_its_initial_fit(tmp_path: Path) -> None:
    whole(1).save(tmp_path)
    edit_state(tmp_path, lambda content: content.update(round=5))
    restored = small_search(7)
    restored.load(tmp_path)
    assert restored.ask() == whole(1).ask() and surrogate(restored).fits[0][2] == 0


def test_files_of_different_saves_are_refused(tmp_path: Path) -> None:
    search = whole(2)
    for name in ("first", "second"):
        search.save(tmp_path / name)
        step(search)
    late, early = (tmp_path / name / "fake.npz" for name in ("second", "first"))
    assert set(json.loads((tmp_path / "first" / "optimizer.json").read_text())["files"]) == {"fake.npz"}
    early.write_bytes(late.read_bytes())
    (tmp_path / "first" / "notes.txt").write_text("of no concern")
    restored = small_search(7)
    with pytest.raises(ArtefactError, match="fake.npz is not the one of the save that wrote optimizer.json"):
        restored.load(tmp_path / "first")
    early.unlink()
    with pytest.raises(ArtefactError, match="fake.npz is missing"):
        restored.load(tmp_path / "first")
    assert len(restored.train) == 0 and not restored.diagnostics()


def test_saving_into_the_same_folder_again_is_fine(tmp_path: Path) -> None:
    search = small_search(7)
    for _ in range(3):
        search.save(tmp_path)
        step(search)
        search.save(tmp_path)
        search = small_search(7)
        search.load(tmp_path)
    assert state(search) == state(whole(3))


@pytest.mark.parametrize("place", ["train", "open"])
def test_an_architecture_the_space_cannot_read_is_no_reason_to_delete(tmp_path: Path, place: str) -> None:
    search = whole(2)
    search.ask()
    search.save(tmp_path)
    entry = ["|none~0|", 0.5] if place == "train" else "|none~0|"
    edit_state(tmp_path, lambda content: content[place].append(entry))
    with pytest.raises(ArtefactError, match="cannot read the architecture '.none~0.' .*keep the folder") as raised:
        small_search(7).load(tmp_path)
    assert "optimizer.json" in str(raised.value) and "delete" not in str(raised.value)


def test_saving_never_pairs_labels_wrongly(tmp_path: Path) -> None:
    search = whole(1)
    search.train = Labelled(search.train.archs, search.train.accuracies[1:])
    with pytest.raises(ValueError, match="zip"):
        search.save(tmp_path)
    assert not (tmp_path / "optimizer.json").exists()
