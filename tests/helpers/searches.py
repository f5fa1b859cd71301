"""Every search method, small and fast, by name: what tests of the common contract are run over."""

from __future__ import annotations

from collections.abc import Callable

from invertnas.search.ask_tell import AskTell
from invertnas.search.baselines import (
    Bananas,
    BananasConfig,
    BayesianConfig,
    BayesianOptimization,
    LocalSearch,
    LocalSearchConfig,
    RandomSearch,
    RandomSearchConfig,
    RegularizedEvolution,
    RegularizedEvolutionConfig,
)
from invertnas.spaces import ArchSpec, NASBench201Space
from tests.helpers.fakes import SPACE, score, small_search

Make = Callable[..., AskTell]  # (seed, space) -> a search


def _random(seed: int, space: NASBench201Space = SPACE) -> AskTell:
    return RandomSearch(space, RandomSearchConfig(batch_size=3), seed=seed)


def _local(seed: int, space: NASBench201Space = SPACE) -> AskTell:
    return LocalSearch(space, LocalSearchConfig(num_init=4), seed=seed)


def _evolution(seed: int, space: NASBench201Space = SPACE) -> AskTell:
    return RegularizedEvolution(space, RegularizedEvolutionConfig(population_size=5, tournament_size=3), seed=seed)


def _bayesian(seed: int, space: NASBench201Space = SPACE) -> AskTell:
    small = BayesianConfig(num_init=4, mutations=4, samples=8, reaches=(1.0,), noises=(1e-2,))
    return BayesianOptimization(space, small, seed=seed)


def _bananas(seed: int, space: NASBench201Space = SPACE) -> AskTell:
    small = BananasConfig(num_init=4, batch_size=3, candidates=8, members=2, hidden_layers=1, width=4, epochs=2)
    return Bananas(space, small, seed=seed)


METHODS: dict[str, Make] = {
    "random": _random,
    "local": _local,
    "evolution": _evolution,
    "bayesian": _bayesian,
    "bananas": _bananas,
    "invertnas": lambda seed, space=SPACE: small_search(seed, space=space),
}


def answer(search: AskTell, archs: list[ArchSpec], failed: tuple[ArchSpec, ...] = ()) -> None:
    """Tell the scores of some architectures, None for those that failed."""
    search.tell(archs, [None if arch in failed else score(arch) for arch in archs])


def advance(search: AskTell, questions: int) -> AskTell:
    """The search after so many whole questions."""
    for _ in range(questions):
        answer(search, search.ask())
    return search
