"""Regularised (aging) evolution (Real et al., 2019)."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

from invertnas.checks import Count, check_fields, checked
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
    ask, except for the initial population. Results told before the first child belong to the initial
    population: the best of them, in the order in which they were told.

    Args:
        space: the search space.
        config: settings.
        seed: master seed.
    """

    method = "regularized_evolution"

    def __init__(
        self, space: SearchSpace, config: RegularizedEvolutionConfig = RegularizedEvolutionConfig(), *, seed: int
    ) -> None:
        self.config = checked(config, RegularizedEvolutionConfig, "config", "RegularizedEvolution")
        super().__init__(space, config, seed=seed)
        self._population: collections.deque[str] = collections.deque(maxlen=config.population_size)
        self._steps = 0

    @property
    def population(self) -> tuple[str, ...]:
        """Identities of the living, oldest first; an architecture may live more than once."""
        return tuple(self._population)

    def _choose(self, count: int | None) -> tuple[list[ArchSpec], dict[str, Any]]:
        missing = self._missing(self.config.population_size, len(self._population), count)
        if missing or not self._population:
            return self._fresh(missing or 1), {"phase": "init", "repeats": 0}
        for repeats in range(self.config.max_repeats):
            child = self._child()
            identity = self.space.identity(child)
            if not self.history.known(identity):
                return [child], {"phase": "evolve", "repeats": repeats}
            if identity in self.history:
                self._population.append(identity)
        return self._fresh(1), {"phase": "random", "repeats": self.config.max_repeats}

    def _child(self) -> ArchSpec:
        rng = self._rng("step", self._steps)
        self._steps += 1
        drawn = rng.integers(len(self._population), size=self.config.tournament_size)
        winner = self.history.best([self._population[index] for index in drawn])
        return self.space.mutate(self.history.archs[winner], rng)

    def _observe(self, identities: list[str]) -> None:
        if self._steps:
            self._population.extend(identities)
            return
        best = set(self.history.ranked()[: self.config.population_size])
        self._population.clear()
        self._population.extend(identity for identity in self.history.evaluated if identity in best)

    def _extra(self) -> dict[str, Any]:
        return {"population": list(self._population), "steps": self._steps}

    def _restore(self, extra: dict[str, Any]) -> None:
        population, self._steps = list(extra["population"]), int(extra["steps"])
        for identity in population:
            self.history.accuracies[identity]  # KeyError for one that was never evaluated
        self._population = collections.deque(population, maxlen=self.config.population_size)
