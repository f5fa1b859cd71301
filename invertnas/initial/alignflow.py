"""Initial set by AlignFlow: good cells of the reduced space, translated to the full one (paper section 3.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from invertnas.errors import ConfigError, SearchExhaustedError
from invertnas.initial.base import check_count
from invertnas.initial.ranking import Chosen, ScoredCells, UniqueBy, check_options, ranked
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec

Translate = Callable[[Sequence[ArchSpec]], Sequence[ArchSpec | None]]


@dataclasses.dataclass(frozen=True)
class AlignFlowInitialConfig:
    """What the paper leaves open is an option here.

    Attributes:
        proxy: name of the zero-cost proxy that ranks the reduced space (paper F.5: "nwot", for
            NAS-Bench-NLP "epsinas").
        sources: cells of the reduced space translated at a time, the best first, until enough
            valid different ones have come out. (The paper does not say how many it translates.)
        share: part of the scored cells that a trial sees, drawn by its seed; see `ProxyConfig`.
        unique_by: which translated cells count as different; see `ProxyConfig`.
    """

    proxy: str
    sources: int = 100
    share: float = 0.5
    unique_by: UniqueBy = "isomorphism"

    def __post_init__(self) -> None:
        check_options(self.share, self.unique_by)
        if self.sources < 1:
            raise ConfigError(f"got sources={self.sources}; expected at least 1")


class AlignFlowInitial:
    """Translations of the best-scored reduced cells; implements `InitialStrategy`.

    The set keeps the order of the sources: the paper does not rank the translated cells again.

    Args:
        cells: gives the scored cells of the reduced space; called on first use.
        translate: cells of the reduced space to cells of the full one, None where invalid.
        config: options.
    """

    name = "alignflow"

    def __init__(self, cells: Callable[[], ScoredCells], translate: Translate, config: AlignFlowInitialConfig) -> None:
        self._load, self._translate, self.config = cells, translate, config

    def choose(self, space: SearchSpace, count: int, seed: int) -> list[ArchSpec]:
        """The first `count` valid different translations; errors as in `InitialStrategy`."""
        check_count(count)
        cells = self._load()
        chosen = Chosen(space, self.config.unique_by)
        order = ranked(cells.scores, self.config.share, seed)
        for start in range(0, len(order), self.config.sources):
            if len(chosen) >= count:
                break
            block = order[start : start + self.config.sources]
            for arch in self._translate([cells.arch(int(index)) for index in block]):
                if arch is not None:
                    chosen.add(arch)
        if len(chosen) < count:
            raise SearchExhaustedError(
                f"got {len(chosen)} different valid cells of {space.name} from {len(order)} cells of the reduced "
                f"space; expected at least {count}: train AlignFlow again, or raise share (now {self.config.share})"
            )
        return chosen.first(count)

    def to_dict(self) -> dict[str, Any]:
        """Name and options."""
        return {"name": self.name, **dataclasses.asdict(self.config)}
