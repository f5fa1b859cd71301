"""What a search knows: architectures with an accuracy, those whose training failed, and those that are open."""

from __future__ import annotations

from collections.abc import Sequence

from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


class History:
    """Architectures by the space's identity, in the order in which they came.

    Args:
        space: gives the identities.

    Attributes:
        archs: the evaluated architectures.
        accuracies: their accuracies, fractions.
        failed: those whose training failed and that have no accuracy so far.
        open: those asked for and not told.
        tells: number of calls of `tell` so far.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self.archs: dict[str, ArchSpec] = {}
        self.accuracies: dict[str, float] = {}
        self.failed: dict[str, ArchSpec] = {}
        self.open: dict[str, ArchSpec] = {}
        self.tells = 0

    def __len__(self) -> int:
        """The number of evaluated architectures."""
        return len(self.accuracies)

    def __contains__(self, identity: str) -> bool:
        """Whether it has an accuracy."""
        return identity in self.accuracies

    @property
    def evaluated(self) -> tuple[str, ...]:
        """Identities with an accuracy, in the order of evaluation."""
        return tuple(self.accuracies)

    @property
    def count(self) -> int:
        """Architectures evaluated, failed or open."""
        return len(self.accuracies) + len(self.failed) + len(self.open)

    def known(self, identity: str) -> bool:
        """Whether it is evaluated, failed or open, so not to be asked for."""
        return identity in self.accuracies or identity in self.failed or identity in self.open

    def add(self, arch: ArchSpec, accuracy: float) -> str:
        """Record one evaluation (accuracy as a fraction) and return the identity."""
        identity = self._space.identity(arch)
        self.archs[identity], self.accuracies[identity] = arch, float(accuracy)
        self.failed.pop(identity, None)
        self.open.pop(identity, None)
        return identity

    def fail(self, arch: ArchSpec) -> None:
        """Record a failed training."""
        identity = self._space.identity(arch)
        self.failed.setdefault(identity, arch)
        self.open.pop(identity, None)

    def ranked(self) -> list[str]:
        """Evaluated identities from the highest accuracy to the lowest; the earlier first among equals."""
        return sorted(self.accuracies, key=lambda identity: -self.accuracies[identity])

    def best(self, identities: Sequence[str]) -> str:
        """The evaluated identity with the highest accuracy; the first among equals."""
        return max(identities, key=lambda identity: self.accuracies[identity])
