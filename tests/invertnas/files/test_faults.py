"""Faults of files under every saved search: cut, foreign, missing, unwritable, full, killed between any two writes."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from invertnas.errors import InvertNASError, OutputError
from invertnas.files import io
from invertnas.search.ask_tell import AskTell
from tests.helpers import effort
from tests.helpers.searches import METHODS, Make, advance

every_method = pytest.mark.parametrize("make", METHODS.values(), ids=METHODS.keys())


class Killed(BaseException):
    """The process died."""


def state(search: AskTell) -> Any:
    history = search.history
    return dict(history.accuracies), dict(history.failed), dict(history.open), search._extra()


def saved(make: Make, folder: Path, questions: int = 2) -> AskTell:
    search = advance(make(3), questions)
    search.tell(search.ask()[:1], [None])
    search.save(folder)
    return search


def contents(path: Path) -> Iterator[tuple[str, bytes | None]]:
    """What may stand in place of a file: a name for it, and the bytes, None for no file."""
    whole = path.read_bytes()
    for size in sorted({0, 1, 7, len(whole) // 3, len(whole) // 2, len(whole) - 2}):
        yield f"cut to {size} bytes", whole[:size]
    yield "missing", None
    yield "zeros", bytes(len(whole))
    yield "noise", np.random.default_rng(0).bytes(len(whole))
    yield "one byte flipped", whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 0x15]) + whole[
        len(whole) // 2 + 1 :
    ]
    yield "another text", b'{"round": 3}'
    yield "a list", b"[]"
    yield "no UTF-8", b"\xff\xfe\x00{}"
    if path.suffix == ".json":
        content = json.loads(whole)
        for name in content:
            yield f"without {name}", json.dumps({key: content[key] for key in content if key != name}).encode()
            for value in (None, 7, "x", [], {}, [7], {"a": 1}, [["x"]], -1):
                yield f"{name} is {value!r}", json.dumps({**content, name: value}).encode()


@every_method
def test_any_file_of_a_saved_search_may_be_damaged(make: Make, tmp_path: Path) -> None:
    before, good = state(make(3)), state(saved(make, tmp_path / "good"))
    for path in sorted(file for file in (tmp_path / "good").rglob("*") if file.is_file()):
        for name, damaged in contents(path):
            folder = tmp_path / "bad"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(tmp_path / "good", folder)
            place = folder / path.relative_to(tmp_path / "good")
            place.unlink()
            if damaged is not None:
                place.write_bytes(damaged)
            search = make(3)
            effort.COUNTS["damaged files"] += 1
            try:
                search.load(folder)
            except InvertNASError as error:
                assert "\n" not in str(error), name
                assert state(search) == before, f"{name}: half of it was taken over"
            else:  # a change that says the same, or that cannot be told from a save
                assert len(state(search)) == len(good)
                search.ask()


def test_a_missing_surrogate_folder_is_named(tmp_path: Path) -> None:
    make = METHODS["invertnas"]
    saved(make, tmp_path)
    shutil.rmtree(next(tmp_path.glob("surrogate_*")))
    with pytest.raises(InvertNASError, match="is missing"):
        make(3).load(tmp_path)


FULL = OSError(errno.ENOSPC, "No space left on device")
READ_ONLY = PermissionError(errno.EACCES, "Permission denied")


@every_method
@pytest.mark.parametrize("fault", [FULL, READ_ONLY], ids=["full", "read-only"])
def test_what_cannot_be_written_is_named_and_the_save_before_stays(
    make: Make, fault: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = state(saved(make, tmp_path))
    later = advance(make(3), 3)
    for event in range(100):
        with monkeypatch.context() as patch:
            count = interrupt(patch, event, fault)
            try:
                later.save(tmp_path)
            except OutputError as error:
                assert "cannot write" in str(error) and "\n" not in str(error)
            else:
                assert count() <= event
                break
        assert state(loaded(make, tmp_path)) == first
    assert event > 2 and state(loaded(make, tmp_path)) == state(later)


@every_method
def test_killed_between_any_two_writes(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = state(saved(make, tmp_path))
    later = advance(make(3), 3)
    for event in range(100):
        effort.COUNTS["kills between writes"] += 1
        with monkeypatch.context() as patch:
            interrupt(patch, event, Killed())
            try:
                later.save(tmp_path)
            except Killed:
                pass
            else:
                break
        assert state(loaded(make, tmp_path)) in (first, state(later))
    assert event > 2 and state(loaded(make, tmp_path)) == state(later)


def loaded(make: Make, folder: Path) -> AskTell:
    search = make(3)
    search.load(folder)
    return search


def interrupt(patch: pytest.MonkeyPatch, event: int, fault: BaseException) -> Callable[[], int]:
    """Raise at the event-th step of writing (a folder, a temporary file, its bytes, its place); counts the steps."""
    steps = [0]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            steps[0] += 1
            if steps[0] == event + 1:
                raise fault
            return call(*args, **kwargs)

        return step

    patch.setattr(tempfile, "mkstemp", counted(tempfile.mkstemp))
    patch.setattr(np, "savez", counted(np.savez))
    for name in ("mkdir", "write_bytes", "chmod", "replace"):
        patch.setattr(Path, name, counted(getattr(Path, name)))
    return lambda: steps[0]


@pytest.mark.parametrize("place", ["/proc/invertnas", "file/inside"])
@every_method
def test_folders_that_cannot_be(make: Make, place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    folder = place if place.startswith("/") else tmp_path / place
    with pytest.raises(OutputError, match="cannot write .*choose a writable output folder"):
        make(3).save(folder)
    with pytest.raises(InvertNASError, match="found no|cannot be read"):
        make(3).load(folder)


def test_a_file_is_whole_or_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    io.write_json(tmp_path / "x.json", {"a": 1})
    for event in range(100):
        with monkeypatch.context() as patch:
            interrupt(patch, event, Killed())
            try:
                io.write_json(tmp_path / "x.json", {"a": 2})
            except Killed:
                assert io.read_json(tmp_path / "x.json") == {"a": 1}
            else:
                break
    assert io.read_json(tmp_path / "x.json") == {"a": 2} and 2 < event < 100
