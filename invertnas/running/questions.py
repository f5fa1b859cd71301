"""What is asked and what is told: the search's side of a run, on line and when a log is replayed."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
import warnings
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from invertnas.errors import SearchExhaustedError
from invertnas.protocols import Optimizer
from invertnas.running.log import Event, RunLog
from invertnas.running.measurement import Evaluation
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec

STATES = "search"  # folder of saved states of the search; each is named by the events before it


class Job:
    """One architecture asked for.

    Attributes:
        number: place among all architectures asked for.
        question: number of its question.
        arch: the architecture.
        text: its string.
        predicted: what the search predicted.
        evaluation: once it is finished.
        attempts: how often it was begun.
    """

    def __init__(self, number: int, question: int, arch: ArchSpec, text: str, predicted: float | None) -> None:
        self.number, self.question, self.arch, self.text, self.predicted = number, question, arch, text, predicted
        self.evaluation: Evaluation | None = None
        self.attempts = 0


class Questions:
    """Asks a search, tells it in the order of the mode, and takes both up again from a log.

    Synchronous: a question is told when all of it is finished, in its own order, so nothing depends on which training
    ends first. Asynchronous: every training is told when it ends, and more is asked while others are open.

    Args:
        search: a search in the state it had when the run began.
        log: what happened so far; new questions are appended.
        synchronous: the mode.
        save_every_s: seconds between two saved states.
    """

    def __init__(self, search: Optimizer, log: RunLog, *, synchronous: bool, save_every_s: float) -> None:
        self.search, self.log, self.synchronous, self.save_every_s = search, log, synchronous, save_every_s
        self.space: SearchSpace = getattr(search, "space")
        self.jobs: list[Job] = []
        self.waiting: deque[Job] = deque()
        self._question: list[Job] = []  # of the last question, what is not told
        self._count = 0
        self._saved_at = time.monotonic()
        self._replay()

    def ask(self, count: int) -> None:
        """Ask for more, into `waiting`: the next question, or about `count` architectures while others are open.

        Raises:
            SearchExhaustedError: if the search has nothing more to ask.
        """
        wanted = None if self.synchronous or not self._question else count
        found = self._ask(wanted)
        if not found:
            raise SearchExhaustedError(
                f"the search asked for nothing new after {len(self.jobs)} trainings; lower the budget"
            )
        texts, predicted = [self.space.to_string(arch) for arch in found], self._predictions(found)
        event: Event = {"event": "ask", "number": self._count, "count": wanted, "archs": texts, "predicted": predicted}
        self.log.append(event)
        self._add(found, texts, predicted)
        self._save()

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        """Take a finished training, whose line is in the log, and tell it if it is its turn."""
        job.evaluation = evaluation
        if not self.synchronous:
            self._tell([job])
        elif all(each.evaluation is not None for each in self._question):
            self._tell(self._question)

    def tell_rest(self) -> None:
        """Tell what is finished of a question that the budget cuts off."""
        finished = [job for job in self._question if job.evaluation is not None]
        if finished:
            self._tell(finished)

    def _ask(self, wanted: int | None) -> list[ArchSpec]:
        open_ones = {self.space.identity(job.arch) for job in self._question}
        search: Any = self.search
        asked: list[ArchSpec] = search.ask() if wanted is None else search.ask(wanted)
        return [arch for arch in asked if self.space.identity(arch) not in open_ones]

    def _add(self, archs: Sequence[ArchSpec], texts: Sequence[str], predicted: Sequence[float | None]) -> None:
        added = [
            Job(len(self.jobs) + place, self._count, arch, text, value)
            for place, (arch, text, value) in enumerate(zip(archs, texts, predicted, strict=True))
        ]
        self._count += 1
        self.jobs += added
        self._question += added
        self.waiting += added

    def _tell(self, jobs: Sequence[Job]) -> None:
        values = [job.evaluation.value for job in jobs if job.evaluation is not None]
        self.search.tell([job.arch for job in jobs], values)
        told = {job.number for job in jobs}
        self._question = [job for job in self._question if job.number not in told]

    def _predictions(self, archs: Sequence[ArchSpec]) -> list[float | None]:
        """The fitted surrogate's values; None for searches without one, and before the first fit."""
        surrogate: Any = getattr(self.search, "surrogate", None)
        if surrogate is None or not self.search.diagnostics():
            return [None] * len(archs)
        means = [float(value) for value in surrogate.predict(archs)[0]]
        return [value if math.isfinite(value) else None for value in means]

    def _replay(self) -> None:
        """Load the last saved state, then ask and tell as the log says; what is not finished waits again."""
        finished = {event["number"]: event for event in self.log.events if event["event"] == "evaluation"}
        start, diverged = self._load(), False
        for place, event in enumerate(self.log.events):
            if event["event"] == "ask":
                diverged |= self._replay_ask(event, run=place >= start)
            elif event["event"] == "evaluation":
                self._replay_evaluation(event, run=place >= start)
        lost = [event["number"] for event in self.log.events if event["event"] == "lost"]
        for job in self.jobs:
            job.attempts = lost.count(job.number)
        self.waiting = deque(job for job in self.jobs if job.number not in finished)
        if diverged:
            note = "the search did not ask again what the log says it asked; it goes on from the values in the log"
            self.log.append({"event": "note", "text": note})
            warnings.warn(note, RuntimeWarning, stacklevel=2)

    def _replay_ask(self, event: Event, *, run: bool) -> bool:
        """Whether the search asked something else than the log says, which is then what counts."""
        archs = [self.space.from_string(text) for text in event["archs"]]
        asked = archs
        if run:
            with contextlib.suppress(SearchExhaustedError):
                asked = self._ask(event["count"])
        self._add(archs, event["archs"], event["predicted"])
        return [self.space.identity(arch) for arch in asked] != [self.space.identity(arch) for arch in archs]

    def _replay_evaluation(self, event: Event, *, run: bool) -> None:
        job = self.jobs[event["number"]]
        evaluation = Evaluation(**{name: value for name, value in event.items() if name != "event"})
        if run:
            self.finish(job, evaluation)
            return
        job.evaluation = evaluation  # told before the state was saved
        if not self.synchronous or all(each.evaluation is not None for each in self._question):
            told = {job.number} if not self.synchronous else {each.number for each in self._question}
            self._question = [each for each in self._question if each.number not in told]

    def _save(self) -> None:
        """Save the search's state, now and then, right after a question: then all that is finished is told."""
        if self.log.folder is None or time.monotonic() - self._saved_at < self.save_every_s:
            return
        states = self.log.folder / STATES
        final = states / str(len(self.log.events))
        temporary = states / f".{final.name}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        self.search.save(temporary)
        temporary.replace(final)
        for old in states.iterdir():
            if old != final:
                shutil.rmtree(old, ignore_errors=True)
        self._saved_at = time.monotonic()

    def _load(self) -> int:
        """Load the newest state that the log reaches; returns the number of events before it."""
        if self.log.folder is None:
            return 0
        numbers = [int(path.name) for path in (self.log.folder / STATES).glob("[0-9]*")]
        start = max((number for number in numbers if number <= len(self.log.events)), default=0)
        if start:
            self.search.load(self.log.folder / STATES / str(start))
        return start


def states_folder(folder: Path) -> Path:
    """Where a run keeps the states of its search."""
    return folder / STATES
