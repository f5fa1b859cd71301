"""What all baselines share: one record per question, whatever the method."""

from __future__ import annotations

import abc
import dataclasses
import json
import time
from typing import Any

from invertnas.errors import ConfigError
from invertnas.search.ask_tell import AskTell
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


def require(condition: bool, got: str, expected: str) -> None:
    """Raise ConfigError with a uniform message unless `condition` holds."""
    if not condition:
        raise ConfigError(f"got {got}; expected {expected}; change the configuration")


class Baseline(AskTell):
    """Common part of the baselines: a method provides `_choose`, see `invertnas.search.ask_tell.AskTell`.

    Args:
        space: the search space.
        config: frozen dataclass of the method's settings.
        seed: master seed.

    Attributes:
        settings: the settings as JSON gives them back.
    """

    def __init__(self, space: SearchSpace, config: Any, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        self.settings: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))

    @abc.abstractmethod
    def _choose(self, count: int | None) -> tuple[list[ArchSpec], dict[str, Any]]:
        """What `_propose` returns, and a JSON-ready note for the diagnostics."""

    def _propose(self, count: int | None) -> list[ArchSpec]:
        """With a record: round, architectures evaluated before and asked, method's notes, seconds."""
        started, evaluated = time.perf_counter(), len(self.history)
        archs, note = self._choose(count)
        record = {"round": len(self._records), "evaluated": evaluated, "asked": len(archs)}
        self._records.append(record | note | {"seconds": time.perf_counter() - started})
        return archs

    def _missing(self, wanted: int, have: int, count: int | None) -> int:
        """How many random architectures of a start are still to be asked for, at most `count`."""
        missing = max(wanted - have - len(self.history.open), 0)
        return missing if count is None else min(missing, count)
