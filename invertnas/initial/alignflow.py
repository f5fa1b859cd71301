"""Initial set by AlignFlow: good cells of the reduced space, translated to the full one (paper section 3.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from invertnas.checks import Count, Share, check_fields
from invertnas.errors import SearchExhaustedError
from invertnas.initial.base import check_count
from invertnas.initial.ranking import Chosen, ScoredCells, UniqueBy, ranked
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec

Translate = Callable[[Sequence[ArchSpec]], Sequence[ArchSpec | None]]
Score = Callable[[Sequence[ArchSpec]], npt.NDArray[np.float64]]
Order = Literal["proxy", "sources"]


@dataclasses.dataclass(frozen=True)
class AlignFlowInitialConfig:
    """Settings of the AlignFlow strategy. The paper leaves them open.

    Attributes:
        proxy: name of the zero-cost proxy that ranks the reduced space (paper F.5: "nwot", for
            NAS-Bench-NLP "epsinas").
        order: which translations fill the set. "proxy": those that the proxy, asked again in the full
            space, puts first. "sources": those of the best cells of the reduced space, as they come. (The
            paper ranks the reduced space and mentions no second ranking.)
        sources: cells of the reduced space translated at a time, the best first, until enough
            valid different ones have come out; with "proxy" the ranking is among these. (The paper does
            not say how many it translates.)
        share: part of the scored cells that a trial sees, drawn by its seed; see `ProxyConfig`.
        unique_by: which translated cells count as different; see `ProxyConfig`.
    """

    proxy: str
    order: Order = "proxy"
    sources: Count = 400
    share: Share = 0.5
    unique_by: UniqueBy = "isomorphism"

    def __post_init__(self) -> None:
        check_fields(self)


class AlignFlowInitial:
    """Translations of the best-scored reduced cells; implements `InitialStrategy`.

    Args:
        cells: gives the scored cells of the reduced space; called on first use.
        translate: cells of the reduced space to cells of the full one, None where invalid.
        score: (M,) proxy scores of M cells of the full space, higher is better; of use with order "proxy".
        config: options.
    """

    name = "alignflow"

    def __init__(
        self, cells: Callable[[], ScoredCells], translate: Translate, score: Score, config: AlignFlowInitialConfig
    ) -> None:
        self._load, self._translate, self._score, self.config = cells, translate, score, config

    def choose(self, space: SearchSpace, count: int, seed: int) -> list[ArchSpec]:
        """The first `count` different valid translations in the configured order; errors as in `InitialStrategy`."""
        check_count(count)
        cells = self._load()
        order = ranked(cells.scores, self.config.share, seed)
        chosen = Chosen(space, self.config.unique_by)
        for start in range(0, len(order), self.config.sources):
            if len(chosen) >= count:
                break
            block = order[start : start + self.config.sources]
            translated = self._translate([cells.arch(int(index)) for index in block])
            for arch in self._ordered([arch for arch in translated if arch is not None], space):
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

    def _ordered(self, archs: list[ArchSpec], space: SearchSpace) -> list[ArchSpec]:
        """The cells of a block, each once; by the proxy those without a signal come last, and equal ones as found."""
        if self.config.order == "sources" or not archs:
            return archs
        distinct = list({space.identity(arch): arch for arch in archs}.values())
        return [distinct[index] for index in np.argsort(-self._score(distinct), kind="stable")]
