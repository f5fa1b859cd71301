"""The baselines with their published settings on each search space."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from invertnas.errors import ConfigError
from invertnas.protocols import Optimizer
from invertnas.search import baselines
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import MACRO, NB101, NB301, NBNLP


class _Baseline(NamedTuple):
    """Its optimiser, and its settings unless it has none worth storing."""

    optimizer: Any
    config: Any = None


BASELINES = {
    "random": _Baseline(baselines.RandomSearch),
    "local_search": _Baseline(baselines.LocalSearch, baselines.LocalSearchConfig),
    "evolution": _Baseline(baselines.RegularizedEvolution, baselines.RegularizedEvolutionConfig),
    "bayesian": _Baseline(baselines.BayesianOptimization, baselines.BayesianConfig),
    "bananas": _Baseline(baselines.Bananas, baselines.BananasConfig),
}
# Columns of BANANAS' truncated path encoding: all paths of up to so many operations, as naszilla has them for
# NAS-Bench-101 (three) and -201 (two, the default). For the other two it has none; with seeds from 100 on, up to three
# operations ended highest on NAS-Bench-301, on NAS-Bench-NLP up to two and three were level.
_PATHS = {
    NB101.name: {"cutoff": 1 + 3 + 9 + 27, "shortest_path": 0},
    NB301.name: {"cutoff": 7 + 49 + 343},
    NBNLP.name: {"cutoff": 7 + 49},
    MACRO.name: {"cutoff": 3},  # one operation a layer, see its `paths`
}


def settings_of(method: str, space: str) -> dict[str, Any]:
    """A baseline's settings on the space of that name, as result files hold them; none for random search.

    Raises:
        ConfigError: for an unknown name.
    """
    if method not in BASELINES:
        raise ConfigError(f"got baseline {method!r}; expected one of {', '.join(BASELINES)}")
    config = BASELINES[method].config
    changed = _PATHS.get(space, {}) if method == "bananas" else {}
    return {} if config is None else dataclasses.asdict(config(**changed))


def build_baseline(method: str, space: SearchSpace, seed: int) -> tuple[Optimizer, dict[str, Any]]:
    """The optimiser and its settings. Raises ConfigError for an unknown name."""
    chosen, (optimizer, config) = settings_of(method, space.name), BASELINES[method]
    return optimizer(space, *(() if config is None else (config(**chosen),)), seed=seed), chosen
