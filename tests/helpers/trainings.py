"""Trainings that workers of other processes can import, and a search that asks for cells one after another."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from invertnas.errors import SearchExhaustedError
from invertnas.running import Measurement
from invertnas.spaces import ArchSpec, NASBench201Space

SPACE = NASBench201Space()
ALL = tuple(SPACE.all())
VALUE = {2: 0.6, 3: 1.0, 4: 0.2, 5: 0.75, 6: 0.0}


def score(arch: ArchSpec) -> float:
    """An accuracy without ties among similar cells; this module imports nothing heavy, as workers start with it."""
    return 0.3 + 0.08 * sum(VALUE[op] * (1 + place / 10) for place, op in enumerate(arch.ops[1:-1]))


@dataclasses.dataclass(frozen=True)
class Training:
    """Gives `score`, leaves a mark for every time it begins, and goes wrong where it is told to.

    Attributes:
        marks: folder in which every beginning is a line of one file per architecture; None for none.
        sleep_s: how long it takes.
        fails: strings of architectures whose training raises.
        diverges: whose value is not a number.
        kills: whose worker is killed, the first `deaths` times.
        deaths: see `kills`.
        slow: whose training takes ten times as long.
    """

    marks: Path | None = None
    sleep_s: float = 0.0
    fails: tuple[str, ...] = ()
    diverges: tuple[str, ...] = ()
    kills: tuple[str, ...] = ()
    deaths: int = 1
    slow: tuple[str, ...] = ()

    def __call__(self, arch: ArchSpec) -> Measurement:
        text = SPACE.to_string(arch)
        begun = 0 if self.marks is None else mark(self.marks, text)
        time.sleep(self.sleep_s * (10 if text in self.slow else 1))
        if text in self.fails:
            raise ValueError("out of memory")
        if text in self.kills and begun <= self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        value = float("nan") if text in self.diverges else score(arch)
        return Measurement(value, {"convolutions": float(sum(op in (2, 3) for op in arch.ops))}, {"text": text})


def mark(folder: Path, text: str) -> int:
    """Note that a training of an architecture begins; returns how many have."""
    path = folder / text.replace("|", "!")
    with path.open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    return len(path.read_text().splitlines())


def begun(folder: Path) -> dict[str, int]:
    """How often the training of each architecture was begun."""
    return {path.name.replace("!", "|"): len(path.read_text().splitlines()) for path in folder.iterdir()}


class ListSearch:
    """Asks for the cells of the space in order, three at a time; implements `invertnas.protocols.Optimizer`.

    Attributes:
        tells: what every call of `tell` got.
    """

    space, seed, batch = SPACE, 0, 3

    def __init__(self, cells: Iterable[ArchSpec] = ALL) -> None:
        self.cells, self.next = list(cells), 0
        self.open: list[ArchSpec] = []
        self.tells: list[list[tuple[str, float | None]]] = []

    def ask(self, count: int | None = None) -> list[ArchSpec]:
        if count is None and self.open:
            return list(self.open)
        new = self.cells[self.next : self.next + (count or self.batch)]
        if not new:
            raise SearchExhaustedError("no cell is left")
        self.next += len(new)
        self.open += new
        return new

    def tell(self, archs: Iterable[ArchSpec | str], accuracies: Iterable[float | None]) -> None:
        pairs = [
            (arch if isinstance(arch, str) else SPACE.to_string(arch), value) for arch, value in zip(archs, accuracies)
        ]
        assert pairs and not {text for text, _ in pairs} & {text for told in self.tells for text, _ in told}
        self.tells.append(pairs)
        told = {text for text, _ in pairs}
        self.open = [arch for arch in self.open if SPACE.to_string(arch) not in told]

    def save(self, folder: Any) -> None:
        state = {"next": self.next, "open": [SPACE.to_string(arch) for arch in self.open], "tells": self.tells}
        (Path(folder) / "state.json").write_text(json.dumps(state))

    def load(self, folder: Any) -> None:
        state = json.loads((Path(folder) / "state.json").read_text())
        self.next, self.open = state["next"], [SPACE.from_string(text) for text in state["open"]]
        self.tells = [[(text, value) for text, value in told] for told in state["tells"]]

    def diagnostics(self) -> list[dict[str, Any]]:
        return []

    @property
    def told(self) -> dict[str, float | None]:
        """All that was told, by string."""
        return {text: value for told in self.tells for text, value in told}
