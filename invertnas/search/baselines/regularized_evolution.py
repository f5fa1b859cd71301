"""Regularised (aging) evolution (Real et al., 2019)."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

from invertnas.checks import Count, check_fields
from invertnas.search.baselines.base import Baseline
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


@dataclasses.dataclass(frozen=True)
class RegularizedEvolutionConfig:
    """Settings of regularised evolution; population and tournament as used on the benchmarks by naszilla.

    Attributes:
        population_size: P; the first P architectures are random.
        tournament_size: S; draws from the population, with replacement as in Real et al., Algorithm 1.
        max_repeats: children already evaluated in a row, after which a random architecture is asked for.

    Raises:
        ConfigError: if a number is not positive.
    """

    population_size: Count = 30
    tournament_size: Count = 10
    max_repeats: Count = 100

    def __post_init__(self) -> None:
        check_fields(self)


class RegularizedEvolution(Baseline):
    """Mutates the winner of a tournament once; the child joins and the oldest member dies.

    A child evaluated earlier joins with its known value and costs nothing. One architecture per
    ask, except for the initial population.

    Args:
        space: the search space.
        config: settings.
        seed: master seed.
    """

    method = "regularized_evolution"

    def __init__(
        self, space: SearchSpace, config: RegularizedEvolutionConfig = RegularizedEvolutionConfig(), *, seed: int
    ) -> None:
        super().__init__(space, config, seed=seed)
        self.config = config
        self._population: collections.deque[str] = collections.deque(maxlen=config.population_size)
        self._steps = 0

    @property
    def population(self) -> tuple[str, ...]:
        """Identities of the living, oldest first; an architecture may live more than once."""
        return tuple(self._population)

    def _propose(self) -> tuple[list[ArchSpec], dict[str, Any]]:
        missing = self.config.population_size - len(self._population)
        if missing > 0:
            return self._fresh(missing), {"phase": "init", "repeats": 0}
        for repeats in range(self.config.max_repeats):
            child = self._child()
            identity = self.space.identity(child)
            if identity not in self.history:
                return [child], {"phase": "evolve", "repeats": repeats}
            self._population.append(identity)
        return self._fresh(1), {"phase": "random", "repeats": self.config.max_repeats}

    def _child(self) -> ArchSpec:
        rng = self._rng("step", self._steps)
        self._steps += 1
        drawn = rng.integers(len(self._population), size=self.config.tournament_size)
        winner = self.history.best([self._population[index] for index in drawn])
        return self.space.mutate(self.history.archs[winner], rng)

    def _observe(self, identities: list[str]) -> None:
        self._population.extend(identities)

    def _extra(self) -> dict[str, Any]:
        return {"population": list(self._population), "steps": self._steps}

    def _restore(self, extra: dict[str, Any]) -> None:
        self._steps = int(extra["steps"])
        self._population = collections.deque(extra["population"], maxlen=self.config.population_size)
