"""Baselines of the comparison, all behind the ask/tell protocol (TensorFlow is imported on first use)."""

from invertnas.search.baselines.bananas import Bananas
from invertnas.search.baselines.bananas_config import BananasConfig
from invertnas.search.baselines.bayesian import BayesianConfig, BayesianOptimization
from invertnas.search.baselines.local_search import LocalSearch, LocalSearchConfig
from invertnas.search.baselines.random_search import RandomSearch, RandomSearchConfig
from invertnas.search.baselines.regularized_evolution import RegularizedEvolution, RegularizedEvolutionConfig

__all__ = [
    "Bananas",
    "BananasConfig",
    "BayesianConfig",
    "BayesianOptimization",
    "LocalSearch",
    "LocalSearchConfig",
    "RandomSearch",
    "RandomSearchConfig",
    "RegularizedEvolution",
    "RegularizedEvolutionConfig",
]
