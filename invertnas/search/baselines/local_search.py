"""Local search (White et al., 2021b, "Exploring the loss landscape in neural architecture search")."""

from __future__ import annotations

import dataclasses
from typing import Any

from invertnas.checks import Count, check_fields, checked
from invertnas.search.baselines.base import Baseline
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


@dataclasses.dataclass(frozen=True)
class LocalSearchConfig:
    """Settings of local search; the defaults are those of naszilla unless noted.

    Attributes:
        num_init: random architectures at the start; the best of them is the first incumbent.
        num_restart: random architectures drawn at each restart; the best of them is the next
            incumbent. naszilla draws `num_init` again, which spends ten queries a restart.
        full_neighbourhood: evaluate all neighbours and move to the best, instead of moving to the
            first better one.

    Raises:
        ConfigError: if a number is not positive.
    """

    num_init: Count = 10
    num_restart: Count = 1
    full_neighbourhood: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


class LocalSearch(Baseline):
    """Hill climbing over one-edit neighbours in random order, restarted at each local optimum.

    Neighbours evaluated earlier are not asked for again: their known values count, so a step to a
    known better neighbour costs nothing. Equal accuracy is no improvement. One architecture per
    ask, except for the random starts; results told before the first descent count as starts. While
    open neighbours decide on the next step, who asks for more gets a random architecture.

    Args:
        space: the search space.
        config: settings.
        seed: master seed.
    """

    method = "local_search"

    def __init__(self, space: SearchSpace, config: LocalSearchConfig = LocalSearchConfig(), *, seed: int) -> None:
        self.config = checked(config, LocalSearchConfig, "config", "LocalSearch")
        super().__init__(space, config, seed=seed)
        self._incumbent: str | None = None
        self._starts: list[str] = []
        self._optima: list[str] = []
        self._moves = 0

    @property
    def incumbent(self) -> str | None:
        """Identity of the architecture whose neighbours are evaluated; None between descents."""
        return self._incumbent

    @property
    def local_optima(self) -> tuple[str, ...]:
        """Identities of the local optima reached so far, in order."""
        return tuple(self._optima)

    def _choose(self, count: int | None) -> tuple[list[ArchSpec], dict[str, Any]]:
        while self._incumbent is not None:
            unknown, better, waiting = self._scan(self._incumbent)
            if unknown is not None:
                return [unknown], self._note("climb")
            if better is None and waiting:
                return self._fresh(1), self._note("random")
            if better is None:
                self._optima.append(self._incumbent)
            self._moves += 1
            self._incumbent = better
        missing = self._missing(self._wanted, len(self._starts), count)
        return self._fresh(missing or count or 1), self._note("start")

    @property
    def _wanted(self) -> int:
        """Random architectures of this start."""
        return self.config.num_restart if self._optima else self.config.num_init

    def _scan(self, incumbent: str) -> tuple[ArchSpec | None, str | None, bool]:
        """The next neighbour to evaluate, or else the one to move to, or else neither; and whether some are open."""
        history, limit = self.history, self.history.accuracies[incumbent]
        neighbours = self.space.neighbours(history.archs[incumbent])
        better, waiting = list[str](), False
        for index in self._rng("order", self._moves).permutation(len(neighbours)):
            identity = self.space.identity(neighbours[index])
            if not history.known(identity):
                return neighbours[index], None, waiting
            waiting = waiting or identity in history.open
            if identity in history and history.accuracies[identity] > limit:
                better.append(identity)
                if not self.config.full_neighbourhood:
                    break
        return None, history.best(better) if better else None, waiting

    def _observe(self, identities: list[str]) -> None:
        if self._incumbent is not None:
            return
        self._starts += identities
        if len(self._starts) >= self._wanted:
            self._incumbent, self._starts = self.history.best(self._starts), []

    def _note(self, phase: str) -> dict[str, Any]:
        value = None if self._incumbent is None else self.history.accuracies[self._incumbent]
        return {"phase": phase, "incumbent": value, "moves": self._moves, "restarts": len(self._optima)}

    def _extra(self) -> dict[str, Any]:
        return {
            "incumbent": self._incumbent,
            "starts": self._starts,
            "optima": self._optima,
            "moves": self._moves,
        }

    def _restore(self, extra: dict[str, Any]) -> None:
        incumbent, starts, optima = extra["incumbent"], list(extra["starts"]), list(extra["optima"])
        for identity in (*starts, *optima, *(() if incumbent is None else (incumbent,))):
            self.history.accuracies[identity]  # KeyError for one that was never evaluated
        self._incumbent, self._starts, self._optima, self._moves = incumbent, starts, optima, int(extra["moves"])
