"""Baselines: ask/tell rules, each method's own behaviour, exact resume, and the networks of BANANAS."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from invertnas.errors import ArtefactError, ConfigError, SearchExhaustedError
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
from invertnas.search.baselines.base import Baseline
from invertnas.spaces import ArchSpec, NASBench201Space
from tests.helpers.fakes import TinySpace

SPACE = NASBench201Space()
VALUE = {2: 0.6, 3: 1.0, 4: 0.2, 5: 0.75, 6: 0.0}
WEIGHT = (1.0, 0.83, 0.61, 1.27, 0.94, 1.12)
SMALL = BananasConfig(members=3, hidden_layers=2, width=8, epochs=20)


def score(arch: ArchSpec) -> float:
    """Smooth objective with one optimum: a weighted mean of the operations' values."""
    return sum(w * VALUE[op] for w, op in zip(WEIGHT, arch.ops[1:-1])) / sum(WEIGHT)


def rugged(arch: ArchSpec) -> float:
    """Objective with several local optima: equal successive operations pay."""
    cell = arch.ops[1:-1]
    return 0.5 * score(arch) + 0.1 * sum(a == b for a, b in zip(cell, cell[1:]))


METHODS: dict[str, Callable[..., Baseline]] = {
    "random": RandomSearch,
    "local": LocalSearch,
    "evolution": RegularizedEvolution,
    "bayesian": BayesianOptimization,
    "bananas": lambda space, seed: Bananas(space, SMALL, seed=seed),
}
every_method = pytest.mark.parametrize("make", METHODS.values(), ids=METHODS.keys())


def run(optimizer: Baseline, queries: int, objective: Callable[[ArchSpec], float] = score) -> list[str]:
    """Search until `queries` architectures are known; returns them in order."""
    while len(optimizer.history) < queries:
        archs, before = optimizer.ask(), len(optimizer.history)
        optimizer.tell(archs, [objective(arch) for arch in archs])
        assert len(optimizer.history) == before + len(archs), "only new architectures are asked for"
    return list(optimizer.history.evaluated)


@every_method
def test_asks_are_new_and_follow_the_seed(make: Callable[..., Baseline]) -> None:
    asked: list[str] = []
    optimizer = make(SPACE, seed=1)
    while len(asked) < 70:
        archs = optimizer.ask()
        assert archs and optimizer.ask() == archs, "an unanswered question is asked again"
        asked += [SPACE.identity(arch) for arch in archs]
        optimizer.tell(archs, [score(arch) for arch in archs])
    assert len(set(asked)) == len(asked)
    assert run(make(SPACE, seed=1), 70) == asked
    assert set(run(make(SPACE, seed=2), 70)[:10]).isdisjoint(asked[:10])
    records = optimizer.diagnostics()
    assert sum(record["asked"] for record in records) == len(asked)
    assert [record["round"] for record in records] == list(range(len(records)))


@every_method
@pytest.mark.parametrize("objective", [score, rugged])
def test_resume_is_exact(make: Callable[..., Baseline], objective: Any, tmp_path: Path) -> None:
    whole = make(TinySpace(), seed=5)
    expected = run(whole, 60, objective)
    optimizer = make(TinySpace(), seed=5)
    while len(optimizer.history) < 60:
        archs = optimizer.ask()
        optimizer.save(tmp_path)
        optimizer = make(TinySpace(), seed=5)
        optimizer.load(tmp_path)
        assert optimizer.ask() == archs, "a question saved unanswered stays open"
        optimizer.tell(archs, [objective(arch) for arch in archs])
        optimizer.save(tmp_path)
        optimizer = make(TinySpace(), seed=5)
        optimizer.load(tmp_path)
    assert list(optimizer.history.evaluated) == expected
    assert optimizer.history.accuracies == whole.history.accuracies
    strip = [[{**r, "seconds": 0} for r in o.diagnostics()] for o in (optimizer, whole)]
    assert strip[0] == strip[1]


@every_method
def test_small_space_is_exhausted_by_name(make: Callable[..., Baseline]) -> None:
    optimizer = make(TinySpace(), seed=0)
    assert len(set(run(optimizer, 64))) == 64
    for _ in range(2):
        with pytest.raises(SearchExhaustedError, match="64 evaluated"):
            optimizer.ask()


@pytest.mark.parametrize("make", [LocalSearch, RegularizedEvolution, BayesianOptimization, Bananas])
def test_beats_random_search_on_a_smooth_objective(make: Callable[..., Baseline]) -> None:
    seeds = range(1) if make in (Bananas, BayesianOptimization) else range(5)
    best = [max(make_run(make, seed)) for seed in seeds]
    assert min(best) > max(max(make_run(RandomSearch, seed)) for seed in seeds)


def make_run(make: Callable[..., Baseline], seed: int) -> list[float]:
    optimizer = make(SPACE, seed=seed)
    run(optimizer, 120)
    return list(optimizer.history.accuracies.values())


def test_load_refuses_other_settings_and_a_damaged_state_of_the_method(tmp_path: Path) -> None:
    run(optimizer := LocalSearch(SPACE, seed=0), 12)
    optimizer.save(tmp_path)
    with pytest.raises(ConfigError, match="saved with config.num_init=10; expected config.num_init=9"):
        LocalSearch(SPACE, LocalSearchConfig(num_init=9), seed=0).load(tmp_path)
    path = tmp_path / "optimizer.json"
    for name, other in (('"moves"', '"muves"'), ('"incumbent": "', '"incumbent": "no ')):
        before = path.read_text()
        path.write_text(before.replace(name, other))
        with pytest.raises(ArtefactError, match="damaged"):
            LocalSearch(SPACE, seed=0).load(tmp_path)
        path.write_text(before)


@pytest.mark.parametrize("full", [False, True])
def test_local_search_climbs_to_optima_and_restarts(full: bool) -> None:
    optimizer = LocalSearch(SPACE, LocalSearchConfig(full_neighbourhood=full), seed=3)
    first = optimizer.ask()
    assert len(first) == 10
    optimizer.tell(first, [rugged(arch) for arch in first])
    run(optimizer, 400, rugged)
    history, optima = optimizer.history, optimizer.local_optima
    assert len(optima) >= 2
    for identity in optima:
        values = [rugged(arch) for arch in SPACE.neighbours(history.archs[identity])]
        assert max(values) <= history.accuracies[identity]
        assert all(SPACE.identity(arch) in history for arch in SPACE.neighbours(history.archs[identity]))
    records = optimizer.diagnostics()
    assert records[1]["incumbent"] == max(map(rugged, first))
    for before, after in itertools.pairwise(records[1:]):
        assert (after["phase"] == "start") == (after["restarts"] > before["restarts"])
        if after["phase"] == before["phase"] == "climb":
            assert after["incumbent"] > before["incumbent"] or after["moves"] == before["moves"]


def test_local_search_leaves_a_plateau_and_shuffles_each_neighbourhood() -> None:
    optimizer = LocalSearch(SPACE, LocalSearchConfig(num_init=1), seed=0)
    run(optimizer, 76, lambda arch: 0.5)
    assert len(optimizer.local_optima) >= 2, "equal neighbours are no improvement"
    orders = []
    asked = list(optimizer.history.evaluated)
    for optimum in optimizer.local_optima[:2]:
        names = [SPACE.identity(arch) for arch in SPACE.neighbours(optimizer.history.archs[optimum])]
        first = asked.index(optimum) + 1
        orders.append([names.index(name) for name in asked[first:][:20] if name in names])
    assert len(orders[0]) == len(orders[1]) == 20 and orders[0] != orders[1]


def test_local_search_moves_at_the_first_or_at_the_best_improvement() -> None:
    for full in (False, True):
        optimizer = LocalSearch(SPACE, LocalSearchConfig(num_init=1, full_neighbourhood=full), seed=0)
        run(optimizer, 1)
        start = optimizer.history.evaluated[0]
        neighbours = SPACE.neighbours(optimizer.history.archs[start])
        while optimizer.incumbent == start:
            run(optimizer, len(optimizer.history) + 1)
            optimizer.ask()
        told = list(optimizer.history.accuracies.values())[1:]
        better = [value for value in told if value > score(optimizer.history.archs[start])]
        assert optimizer.incumbent is not None
        if full:
            assert len(told) == len(neighbours)
            assert optimizer.history.accuracies[optimizer.incumbent] == max(map(score, neighbours))
        else:
            assert len(told) < len(neighbours) and better == told[-1:]


def test_evolution_ages_out_the_oldest() -> None:
    config = RegularizedEvolutionConfig(population_size=6, tournament_size=3)
    optimizer = RegularizedEvolution(TinySpace(), config, seed=0)
    run(optimizer, 6)
    assert optimizer.population == optimizer.history.evaluated
    repeats = []
    while len(optimizer.history) < 50:
        before = optimizer.population
        run(optimizer, len(optimizer.history) + 1)
        dead = 1 + optimizer.diagnostics()[-1]["repeats"]
        repeats.append(dead - 1)
        after = optimizer.population
        assert len(after) == 6 and after[-1] == optimizer.history.evaluated[-1]
        assert after[:-dead] == before[dead:]
        assert set(after) <= set(before) | set(optimizer.history.evaluated)
    assert 0 in repeats and max(repeats) > 0


def test_evolution_mutates_the_winner_and_gives_up_on_repeats() -> None:
    config = RegularizedEvolutionConfig(population_size=4, tournament_size=200, max_repeats=3)
    optimizer = RegularizedEvolution(TinySpace(), config, seed=0)
    phases = set()
    while len(optimizer.history) < 64:
        before = optimizer.population
        archs = optimizer.ask()
        record = optimizer.diagnostics()[-1]
        phases.add(record["phase"])
        if record["phase"] == "evolve" and record["repeats"] == 0:
            winner = optimizer.history.archs[optimizer.history.best(before)]
            assert archs[0] in TinySpace().neighbours(winner)
        optimizer.tell(archs, [score(arch) for arch in archs])
    assert phases == {"init", "evolve", "random"}


@pytest.mark.parametrize(
    ("config", "change"),
    [
        (RandomSearchConfig, {"batch_size": 0}),
        (LocalSearchConfig, {"num_restart": 0}),
        (RegularizedEvolutionConfig, {"tournament_size": 0}),
        (BananasConfig, {"members": 0}),
        (BananasConfig, {"beta_2": 1.0}),
        (BananasConfig, {"candidates": 9}),
        (BayesianConfig, {"mutations": 0}),
        (BayesianConfig, {"noises": (1.0, 0.0)}),
        (BayesianConfig, {"reaches": ()}),
    ],
)
def test_configurations_are_checked(config: Any, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        config(**change)


def test_import_is_light() -> None:
    code = "import sys, invertnas.search.baselines; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode == 0
