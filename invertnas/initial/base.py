"""What an initial strategy is, and the one that needs nothing: random samples."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from invertnas.errors import ConfigError
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


@runtime_checkable
class InitialStrategy(Protocol):
    """Chooses the architectures a search starts from. No strategy sees an accuracy.

    Attributes:
        name: short name used in paths and tables: "random", "proxy" or "alignflow".
    """

    @property
    def name(self) -> str: ...

    def choose(self, space: SearchSpace, count: int, seed: int) -> list[ArchSpec]:
        """`count` architectures of the space, no two with the same identity, best first if ranked.

        The same seed gives the same list.

        Raises:
            ConfigError: `count` is not positive.
            DataMissingError, ArtefactError: what the strategy reads is missing or damaged.
            SearchExhaustedError: fewer than `count` can be found.
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """The settings, JSON-ready, with the strategy's name under "name"."""
        ...


class RandomInitial:
    """Distinct samples by `SearchSpace.sample`; implements `InitialStrategy`, without SearchExhaustedError."""

    name = "random"

    def choose(self, space: SearchSpace, count: int, seed: int) -> list[ArchSpec]:
        """`count` distinct samples, or all that 1,000 * count draws hold."""
        check_count(count)
        rng, found = generator(seed, "initial"), dict[str, ArchSpec]()
        for _ in range(1000 * count):
            if len(found) == count:
                break
            arch = space.sample(rng)
            found.setdefault(space.identity(arch), arch)
        return list(found.values())

    def to_dict(self) -> dict[str, Any]:
        """Nothing but the name."""
        return {"name": self.name}


def check_count(count: int) -> None:
    """Raise ConfigError unless an initial set of that size makes sense."""
    if count < 1:
        raise ConfigError(f"got an initial set of {count} architectures; expected at least 1")
