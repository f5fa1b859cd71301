"""Going down a list of scored cells: what the proxy and the AlignFlow strategy share."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec

UniqueBy = Literal["identity", "isomorphism"]


class ScoredCells(Protocol):
    """M scored architectures."""

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """(M,) scores of a zero-cost proxy, higher is better; -inf where the network has no signal."""
        ...

    def arch(self, index: int) -> ArchSpec:
        """The architecture of one score."""
        ...


def ranked(scores: npt.NDArray[np.float64], share: float, seed: int) -> npt.NDArray[np.intp]:
    """Indices of the cells a trial may see, best score first.

    Args:
        scores: (M,) scores; cells without a finite one are left out.
        share: part of the M cells drawn, uniformly and without repetition.
        seed: of the draw, which decides the order of equal scores too.

    Returns:
        (n,) indices, n <= share * M rounded, at least one drawn.
    """
    drawn = generator(seed, "initial-share").permutation(len(scores))[: max(1, round(share * len(scores)))]
    drawn = drawn[np.isfinite(scores[drawn])]
    return drawn[np.argsort(-scores[drawn], kind="stable")]


class Chosen:
    """The architectures chosen so far, no two alike.

    Args:
        space: names them.
        unique_by: by which name two are alike.
    """

    def __init__(self, space: SearchSpace, unique_by: UniqueBy) -> None:
        self._name = space.identity if unique_by == "identity" else space.isomorphism_class
        self._found: dict[str, ArchSpec] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, arch: ArchSpec) -> None:
        """Keep it, unless one like it has been chosen before."""
        self._found.setdefault(self._name(arch), arch)

    def first(self, count: int) -> list[ArchSpec]:
        """The `count` added first."""
        return list(self._found.values())[:count]
