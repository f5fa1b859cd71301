"""What all baselines share: the history of evaluations, the ask/tell checks and the saved state."""

from __future__ import annotations

import abc
import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from invertnas.errors import ArtefactError, ConfigError, OutOfDomainError, SearchExhaustedError
from invertnas.files.io import read_json, write_json
from invertnas.search.answers import checked_answers
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec

STATE_FILE = "optimizer.json"
STATE_FORMAT = 1
# A uniform sampler misses the last unknown architecture of n + 1 in 20 n draws with probability e^-20.
DRAWS_AT_LEAST = 100
DRAWS_PER_KNOWN = 20


def require(condition: bool, got: str, expected: str) -> None:
    """Raise ConfigError with a uniform message unless `condition` holds."""
    if not condition:
        raise ConfigError(f"got {got}; expected {expected}; change the configuration")


class History:
    """Evaluated architectures in order, with their accuracies, keyed by the space's identity.

    Args:
        space: gives the identities.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self.archs: dict[str, ArchSpec] = {}
        self.accuracies: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self.accuracies)

    def __contains__(self, identity: str) -> bool:
        return identity in self.accuracies

    @property
    def evaluated(self) -> tuple[str, ...]:
        """Identities in the order of evaluation."""
        return tuple(self.accuracies)

    def add(self, arch: ArchSpec, accuracy: float) -> str:
        """Record one evaluation (accuracy as a fraction) and return the identity."""
        identity = self._space.identity(arch)
        self.archs[identity], self.accuracies[identity] = arch, float(accuracy)
        return identity

    def ranked(self) -> list[str]:
        """Identities from the highest accuracy to the lowest; the earlier evaluated first among equals."""
        return sorted(self.accuracies, key=lambda identity: -self.accuracies[identity])

    def best(self, identities: Sequence[str]) -> str:
        """The identity with the highest accuracy; the first among equals."""
        return max(identities, key=lambda identity: self.accuracies[identity])


class Baseline(abc.ABC):
    """Common part of the baselines; implements `invertnas.protocols.Optimizer`.

    A method provides `_propose` and, where it keeps more than the history, `_observe`, `_extra` and
    `_restore`. Every random decision draws from a stream named by the method, the purpose and a
    counter, so no generator state is stored and a restored optimiser continues exactly.

    Args:
        space: the search space.
        config: frozen dataclass of the method's settings.
        seed: master seed.
    """

    method: ClassVar[str]

    def __init__(self, space: SearchSpace, config: Any, *, seed: int) -> None:
        self.space = space
        self.settings: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
        self.seed = seed
        self.history = History(space)
        self._pending: list[ArchSpec] = []
        self._records: list[dict[str, Any]] = []

    def ask(self) -> list[ArchSpec]:
        """Architectures to evaluate next; the same ones again until they are told.

        Raises:
            SearchExhaustedError: if every architecture of the space has been evaluated.
        """
        if not self._pending:
            start = time.perf_counter()
            self._pending, note = self._propose()
            record = {"round": len(self._records), "evaluated": len(self.history), "asked": len(self._pending)}
            self._records.append(record | note | {"seconds": time.perf_counter() - start})
        return list(self._pending)

    def tell(self, archs: Sequence[ArchSpec], accuracies: Sequence[float | None]) -> None:
        """Record validation accuracies of the architectures last asked for, or of some of them.

        Args:
            archs: n architectures of the last `ask`, distinct.
            accuracies: n fractions in [0, 1]; None is refused.

        Raises:
            ConfigError: if lengths differ, or an accuracy is no fraction.
            OutOfDomainError: if an architecture was not asked for.
        """
        values = [value for value in checked_answers(archs, accuracies) if value is not None]
        if len(values) < len(archs):
            raise ConfigError(
                f"got accuracy None; expected fractions, as {self.method!r} cannot learn that a training failed; "
                "leave the architecture out or tell 0.0"
            )
        open_ones = {self.space.identity(arch) for arch in self._pending}
        for arch in archs:
            if self.space.identity(arch) not in open_ones:
                raise OutOfDomainError(
                    f"got {arch}, which was not asked for (or is told twice); expected architectures of the "
                    "last ask(); pass those on to tell()"
                )
            open_ones.remove(self.space.identity(arch))
        self._pending = []
        self._observe([self.history.add(arch, accuracy) for arch, accuracy in zip(archs, values)])

    def save(self, folder: Path) -> None:
        """Write `optimizer.json` into `folder`. Raises OutputError if that is impossible."""
        name = self.space.to_string
        content = {
            "format": STATE_FORMAT,
            **self._signature(),
            "evaluated": [[name(self.history.archs[key]), value] for key, value in self.history.accuracies.items()],
            "pending": [name(arch) for arch in self._pending],
            "extra": self._extra(),
            "records": self._records,
        }
        write_json(folder / STATE_FILE, content)

    def load(self, folder: Path) -> None:
        """Restore what `save` wrote.

        Raises:
            ArtefactError: if the file is missing, damaged, or of another method, space, seed or configuration.
        """
        path = folder / STATE_FILE
        if not path.is_file():
            raise ArtefactError(f"found no {path}; expected a state written by save(); start a new search instead")
        content = read_json(path)
        expected = {"format": STATE_FORMAT, **self._signature()}
        found = {key: content.get(key) for key in expected} if isinstance(content, dict) else {}
        if found != expected:
            raise ArtefactError(
                f"{path} belongs to {found}; expected {expected}; use the same settings or a new folder"
            )
        try:
            history = History(self.space)
            for text, accuracy in content["evaluated"]:
                history.add(self.space.from_string(text), accuracy)
            pending = [self.space.from_string(text) for text in content["pending"]]
            self._restore(content["extra"])
            self.history, self._pending, self._records = history, pending, list(content["records"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArtefactError(f"{path} is damaged ({error!r}); delete it and start again") from error

    def diagnostics(self) -> list[dict[str, Any]]:
        """One record per ask: round, architectures evaluated before and asked, method's notes, seconds."""
        return [dict(record) for record in self._records]

    @abc.abstractmethod
    def _propose(self) -> tuple[list[ArchSpec], dict[str, Any]]:
        """Unknown architectures (at least one) and a JSON-ready note for the diagnostics."""

    def _observe(self, identities: list[str]) -> None:
        """React to new evaluations, which are in the history already."""

    def _extra(self) -> dict[str, Any]:
        """JSON-ready state beyond the history."""
        return {}

    def _restore(self, extra: dict[str, Any]) -> None:
        """Set what `_extra` gave."""

    def _signature(self) -> dict[str, Any]:
        return {"method": self.method, "space": self.space.name, "seed": self.seed, "config": self.settings}

    def _rng(self, purpose: str, *index: int) -> np.random.Generator:
        return generator(self.seed, f"{self.method}/{purpose}", *index)

    def _fresh(self, count: int) -> list[ArchSpec]:
        """Up to `count` random architectures, unknown and distinct; at least one.

        Raises:
            SearchExhaustedError: if sampling finds no unknown architecture.
        """
        rng = self._rng("fresh", len(self.history))
        seen: set[str] = set()
        found: list[ArchSpec] = []
        while len(found) < count:
            arch = self._draw_unknown(rng, seen)
            if arch is None:
                break
            seen.add(self.space.identity(arch))
            found.append(arch)
        if not found:
            raise SearchExhaustedError(
                f"got no architecture of {self.space.name} beyond the {len(self.history)} evaluated ones; expected "
                "a larger space; stop the search here or lower the budget"
            )
        return found

    def _draw_unknown(self, rng: np.random.Generator, seen: set[str]) -> ArchSpec | None:
        for _ in range(DRAWS_AT_LEAST + DRAWS_PER_KNOWN * (len(self.history) + len(seen))):
            arch = self.space.sample(rng)
            identity = self.space.identity(arch)
            if identity not in self.history and identity not in seen:
                return arch
        return None
