"""The record of a run: one JSON object a line, appended and forced to the disk, never changed.

The file is the run: all else is rebuilt from it. Kinds of line, by the entry ``event``:

- ``start``: first line; the search's signature and the mode.
- ``ask``: a question; ``number``, ``archs`` in the space's notation, ``predicted``, ``count`` if so many were wanted.
- ``evaluation``: a finished training, the fields of `Evaluation`.
- ``lost``: an evaluation whose worker was lost; ``number``, ``arch``, ``error``.
- ``resume``, ``note``: that the run was taken up again, and what is to be known of it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import filelock

from invertnas.errors import ArtefactError, ConfigError, DataMissingError, OutputError
from invertnas.running.measurement import Evaluation, RunResult

FORMAT = 1
LOG_FILE, LOCK_FILE = "log.jsonl", "lock"
Event = dict[str, Any]


class RunLog:
    """The log of one run, held under a lock; use it as a context manager.

    Args:
        folder: folder of the run; None keeps the events in memory only.
        signature: what the search is; a log of another one is refused.

    Raises:
        OutputError: the folder cannot be written, or another process holds it.
        ArtefactError: the log is damaged.
        ConfigError: the log is of another search.
    """

    def __init__(self, folder: Path | None, signature: Mapping[str, Any]) -> None:
        self.folder, self.events = folder, list[Event]()
        self._lock: filelock.BaseFileLock | None = None
        self._file: int | None = None
        signature = json.loads(json.dumps(dict(signature)))
        if folder is not None:
            self._lock = _locked(folder)
            try:
                self._open(folder, signature)
            except BaseException:
                self.close()
                raise
        if not self.events:
            self.append({"event": "start", "format": FORMAT, **signature})

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, event: Event) -> None:
        """Add a line; when this returns it is on the disk. Raises OutputError if it cannot be written."""
        if self._file is not None:
            line = (json.dumps(event) + "\n").encode()
            try:
                if os.write(self._file, line) != len(line):
                    raise OSError(28, "the disk is full")
                os.fsync(self._file)
            except OSError as error:
                raise OutputError(
                    f"cannot append to {self.folder}/{LOG_FILE}: {error.strerror}; free some space and run again"
                ) from error
        self.events.append(event)

    def close(self) -> None:
        """Close the file and give the folder free."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._lock is not None:
            self._lock.release()

    def _open(self, folder: Path, signature: Mapping[str, Any]) -> None:
        path = folder / LOG_FILE
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            content = path.read_bytes()
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}; choose another folder") from error
        self.events, whole = _parse(path, content)
        if whole < len(content):
            os.ftruncate(self._file, whole)  # a line that was cut short when the process ended
        if self.events:
            _check_signature(path, self.events[0], signature)
        else:
            _sync_folder(folder)


def read_events(folder: Path) -> list[Event]:
    """All whole lines of a run's log. Raises DataMissingError without a log, ArtefactError for a damaged one."""
    path = folder / LOG_FILE
    if not path.is_file():
        raise DataMissingError(f"no {LOG_FILE} in {folder}; expected the folder of a run; name the one given as out")
    return _parse(path, path.read_bytes())[0]


def read_run(folder: Path) -> RunResult:
    """The finished trainings of a run, in the order in which they were asked for. Raises as `read_events`."""
    return RunResult(evaluations_of(read_events(folder)))


def evaluations_of(events: list[Event]) -> tuple[Evaluation, ...]:
    """The evaluations among the events, by number."""
    names = [field.name for field in dataclasses.fields(Evaluation)]
    try:
        found = [Evaluation(**{name: event[name] for name in names}) for event in events if _is(event, "evaluation")]
    except KeyError as error:
        raise ArtefactError(
            f"an evaluation of the log lacks {error}; expected the fields {', '.join(names)}"
        ) from error
    return tuple(sorted(found, key=lambda evaluation: evaluation.number))


def evaluation_event(evaluation: Evaluation) -> Event:
    """The line of an evaluation."""
    return {"event": "evaluation", **dataclasses.asdict(evaluation)}


def _is(event: Event, kind: str) -> bool:
    return event.get("event") == kind


def _parse(path: Path, content: bytes) -> tuple[list[Event], int]:
    """The events, and the length of the whole lines."""
    events, whole = list[Event](), 0
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        try:
            event = json.loads(line)
            if not isinstance(event, dict) or not line.endswith(b"\n"):
                raise ValueError("no whole object")
        except ValueError as error:
            if whole + len(line) == len(content):  # the last line: cut short
                break
            raise ArtefactError(
                f"{path} is damaged in line {number} ({error}); restore the file, or delete the line and run again"
            ) from error
        events.append(event)
        whole += len(line)
    return events, whole


def _check_signature(path: Path, start: Event, signature: Mapping[str, Any]) -> None:
    if not _is(start, "start") or start.get("format") != FORMAT:
        raise ArtefactError(f"{path} begins with {start}; expected a log of format {FORMAT}; choose another folder")
    different = [name for name, value in signature.items() if start.get(name) != value]
    if different:
        got = ", ".join(f"{name}={signature[name]!r} (in the log {start.get(name)!r})" for name in different)
        raise ConfigError(f"got {got}, but {path} is of another search; use the same settings or another folder")


def _locked(folder: Path) -> filelock.BaseFileLock:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / LOCK_FILE)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise OutputError(
            f"another process is running in {folder}; expected a folder of this run's own; wait for the other one or "
            "choose another folder"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}; choose a writable output folder") from error
    return lock


def _sync_folder(folder: Path) -> None:
    """Force the folder's entry of the new file to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
