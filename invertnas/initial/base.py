"""What an initial strategy is, and the one that needs nothing: random samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from invertnas.errors import ConfigError
from invertnas.seeding import generator
from invertnas.spaces.accept import accepted_all
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


@runtime_checkable
class InitialStrategy(Protocol):
    """Chooses the architectures a search starts from. No strategy sees an accuracy.

    Attributes:
        name: short name used in paths and tables: "random", "proxy", "alignflow" or "given".
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


class GivenInitial:
    """Architectures of your own; implements `InitialStrategy`, the seed without effect.

    Args:
        archs: architectures of the space, the first ones are used.
    """

    name = "given"

    def __init__(self, archs: Sequence[ArchSpec]) -> None:
        self.archs = tuple(archs)

    @classmethod
    def of(cls, space: SearchSpace, archs: Iterable[ArchSpec | str]) -> GivenInitial:
        """From architectures or their strings. Raises ConfigError, OutOfDomainError for what is not of the space."""
        return cls(accepted_all(space, archs))

    def choose(self, space: SearchSpace, count: int, seed: int) -> list[ArchSpec]:
        """The first `count` different ones. Raises ConfigError if there are fewer."""
        check_count(count)
        found = list({space.identity(arch): arch for arch in self.archs}.values())
        if len(found) < count:
            raise ConfigError(f"got {len(found)} distinct initial architectures; expected at least {count}: add some")
        return found[:count]

    def to_dict(self) -> dict[str, Any]:
        """The name and how many there are."""
        return {"name": self.name, "count": len(self.archs)}


def check_count(count: int) -> None:
    """Raise ConfigError unless an initial set of that size makes sense."""
    if count < 1:
        raise ConfigError(f"got an initial set of {count} architectures; expected at least 1")
