"""The ask/tell contract, written once: a search method derives from `AskTell` and says what to propose."""

from __future__ import annotations

import abc
import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from invertnas.checks import checked_count, checked_path, checked_seed
from invertnas.errors import ConfigError, SearchExhaustedError
from invertnas.files.fingerprint import fingerprint
from invertnas.search import checkpoint
from invertnas.search.answers import checked_answers
from invertnas.search.history import History
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec

# A uniform sampler misses the last unknown architecture of n + 1 in 20 n draws with probability e^-20.
DRAWS_AT_LEAST = 100
DRAWS_PER_KNOWN = 20


def checked_space(space: SearchSpace) -> SearchSpace:
    """A search space. Raises ConfigError for anything else, its class too."""
    if isinstance(space, type) or not isinstance(space, SearchSpace):
        raise ConfigError(f"got space {space!r}; expected a SearchSpace; pass an instance, such as bench.space")
    return space


class AskTell(abc.ABC):
    """Questions, answers and saved state of every search method; implements `invertnas.protocols.Optimizer`.

    A method provides `_propose`. Where it keeps more than the history, it provides `_observe`, `_extra` and
    `_restore` too. Every random decision draws from a stream named by the method, the purpose and a counter, so no
    generator state is stored and a restored search continues exactly.

    Args:
        space: the search space.
        config: frozen dataclass of the method's settings.
        seed: master seed.
        initial: architectures the search was given to start from; part of its fingerprint.

    Attributes:
        history: what is evaluated, failed and open.
        fingerprint: method, space, seed, every field of the settings and a digest of the initial set, by dotted name.

    Raises:
        ConfigError: no search space, or a seed that is no whole number of at least 0.
    """

    method: ClassVar[str]

    def __init__(self, space: SearchSpace, config: Any, *, seed: int, initial: Sequence[ArchSpec] = ()) -> None:
        self.space, self.seed = checked_space(space), checked_seed(seed)
        self.history = History(space)
        self._records: list[dict[str, Any]] = []
        parts: dict[str, Any] = {"method": self.method, "seed": self.seed, "config": dataclasses.asdict(config)}
        parts["space"] = {name: getattr(space, name) for name in ("name", "op_names", "num_nodes", "num_cells")}
        parts["initial_sha256"] = checkpoint.digest(space.identity(arch) for arch in initial)
        self.fingerprint = fingerprint(parts)

    def ask(self, count: int | None = None) -> list[ArchSpec]:
        """What is open, the method's next question if nothing is; or `count` more, whatever is open.

        Without `count`, asking again before `tell` gives the same and changes nothing. With it, each call gives
        others, never asked before: a worker that is free need not wait for the rest. What is open counts as asked.

        Args:
            count: how many more to ask for; None for what is open.

        Returns:
            Distinct architectures, at least one; fewer than `count` only where the method finds no more.

        Raises:
            ConfigError: `count` is no whole number of at least 1.
            SearchExhaustedError: the method finds no architecture that is neither told nor open, or there is no
                accuracy to learn from.
            TrainingError: what the method fits came to nothing.
        """
        if count is None:
            return list(self.history.open.values()) or self._question(None)
        wanted, asked = checked_count(count, "count"), list[ArchSpec]()
        while len(asked) < wanted:
            try:
                asked += self._question(wanted - len(asked))
            except SearchExhaustedError:
                if not asked:
                    raise
                break
        return asked

    def tell(self, archs: Iterable[ArchSpec | str], accuracies: Iterable[float | None]) -> None:
        """Validation accuracies of any architectures of the space, asked for or not, in any pieces and order.

        What was asked for and is told is not open any longer. An architecture whose training failed, None, is
        neither learnt from nor asked again; an accuracy may follow.

        Args:
            archs: n architectures or strings of the space's notation, distinct and without an accuracy so far.
            accuracies: n fractions in [0, 1]; None for a training that failed.

        Raises:
            ConfigError: if lengths differ or are zero, or an accuracy is neither a fraction nor None.
            OutOfDomainError: if an architecture is not in the space, or told before, or twice. Nothing is taken
                over then, as with the other error.
        """
        told = checked_answers(self.space, self.history, archs, accuracies)
        for arch, value in told.values():
            if value is None:
                self.history.fail(arch)
            else:
                self.history.add(arch, value)
        self.history.tells += 1
        self._observe([identity for identity, (_, value) in told.items() if value is not None])

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the whole state, the open question included, at any time between two calls.

        A save that is cut short leaves the one before it in the same folder as it was.

        Raises:
            ConfigError: `folder` is no path.
            OutputError: it cannot be written.
        """
        place = checked_path(folder, "folder")
        state = {"fingerprint": self.fingerprint, **checkpoint.history_to_json(self.space, self.history)}
        state |= {"records": self._records, "extra": self._extra(), "parts": self._save_parts(place)}
        checkpoint.write_state(place, state)

    def load(self, folder: str | os.PathLike[str]) -> None:
        """Restore what `save` wrote; the search then continues as the saved one would have. All or nothing.

        Raises:
            ConfigError: `folder` is no path, or the state is of another method, space, seed, setting or initial set.
            DataMissingError: there is no saved state.
            ArtefactError: it is damaged, of an older format, or files of different saves are mixed.
        """
        place = checked_path(folder, "folder")
        state = checkpoint.read_state(place, self.fingerprint)
        before = dict(self.__dict__)
        try:
            with checkpoint.naming(place):
                self.history = checkpoint.history_from_json(self.space, state)
                self._records = [dict(record) for record in state["records"]]
                self._restore(dict(state["extra"]))
                self._load_parts(place, dict(state["parts"]))
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def diagnostics(self) -> list[dict[str, Any]]:
        """One JSON-ready record per round."""
        return [dict(record) for record in self._records]

    @abc.abstractmethod
    def _propose(self, count: int | None) -> list[ArchSpec]:
        """Distinct architectures that are not known to the history: at least one, at most `count` unless it is None.

        With None nothing is open, and their number is the method's own.
        """

    def _observe(self, identities: list[str]) -> None:
        """React to new accuracies, which are in the history already; there may be none."""

    def _extra(self) -> dict[str, Any]:
        """JSON-ready state beyond history and records."""
        return {}

    def _restore(self, extra: dict[str, Any]) -> None:
        """Set what `_extra` gave, by assignment alone. Raises LookupError, TypeError or ValueError if it is damaged."""

    def _save_parts(self, folder: Path) -> dict[str, Any]:
        """Write what the state file does not hold; returns a JSON-ready description of it."""
        return {}

    def _load_parts(self, folder: Path, parts: dict[str, Any]) -> None:
        """Read what `_save_parts` wrote, all or nothing."""

    def _question(self, count: int | None) -> list[ArchSpec]:
        archs = self._propose(count)
        self.history.open |= {self.space.identity(arch): arch for arch in archs}
        return archs

    def _rng(self, purpose: str, *index: int) -> np.random.Generator:
        return generator(self.seed, f"{self.method}/{purpose}", *index)

    def _fresh(self, count: int) -> list[ArchSpec]:
        """Up to `count` random architectures, unknown and distinct; at least one.

        Raises:
            SearchExhaustedError: if sampling finds no unknown architecture.
        """
        rng, found = self._rng("fresh", self.history.count), dict[str, ArchSpec]()
        while len(found) < count:
            arch = self._draw_unknown(rng, found)
            if arch is None:
                break
            found[self.space.identity(arch)] = arch
        if not found:
            raise SearchExhaustedError(
                f"got no architecture of {self.space.name} beyond the {len(self.history)} evaluated ones; expected "
                "a larger space; stop the search here or lower the budget"
            )
        return list(found.values())

    def _draw_unknown(self, rng: np.random.Generator, found: dict[str, ArchSpec]) -> ArchSpec | None:
        for _ in range(DRAWS_AT_LEAST + DRAWS_PER_KNOWN * (self.history.count + len(found))):
            arch = self.space.sample(rng)
            identity = self.space.identity(arch)
            if not self.history.known(identity) and identity not in found:
                return arch
        return None
