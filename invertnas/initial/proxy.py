"""Initial set by a zero-cost proxy alone: the best-scored cells of the full space (paper section 4.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from invertnas.checks import Share, check_fields
from invertnas.errors import SearchExhaustedError
from invertnas.initial.base import check_count
from invertnas.initial.ranking import Chosen, ScoredCells, UniqueBy, ranked
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


@dataclasses.dataclass(frozen=True)
class ProxyConfig:
    """Settings of the proxy strategy. The paper leaves them open.

    Attributes:
        proxy: name of the zero-cost proxy (paper F.5: "nwot", for NAS-Bench-NLP "epsinas").
        share: part of the scored cells that a trial sees, drawn by its seed. The best of all scored
            cells (share 1) are the same in every trial, but for the order of equal scores; the paper does
            not say how its trials differ. With a half, two trials share half of what they choose.
        unique_by: "isomorphism" takes one cell of each isomorphism class, "identity" all of different
            names. Copies of a network have nearly equal scores, so that without it few networks
            would fill the set. (The paper does not say.)
    """

    proxy: str
    share: Share = 0.5
    unique_by: UniqueBy = "isomorphism"

    def __post_init__(self) -> None:
        check_fields(self)


class ProxyInitial:
    """The best-scored cells; implements `InitialStrategy`.

    Args:
        cells: gives the scored cells of the full space; called on first use.
        config: options.
    """

    name = "proxy"

    def __init__(self, cells: Callable[[], ScoredCells], config: ProxyConfig) -> None:
        self._load, self.config = cells, config

    def choose(self, space: SearchSpace, count: int, seed: int) -> list[ArchSpec]:
        """The first `count` of the ranking; errors as in `InitialStrategy`."""
        check_count(count)
        cells = self._load()
        chosen = Chosen(space, self.config.unique_by)
        for index in ranked(cells.scores, self.config.share, seed):
            if len(chosen) == count:
                break
            chosen.add(cells.arch(int(index)))
        if len(chosen) < count:
            raise SearchExhaustedError(
                f"got {len(chosen)} different cells of {space.name} scored by {self.config.proxy}; expected at least "
                f"{count}: score more of them, or raise share (now {self.config.share})"
            )
        return chosen.first(count)

    def to_dict(self) -> dict[str, Any]:
        """Name and options."""
        return {"name": self.name, **dataclasses.asdict(self.config)}
