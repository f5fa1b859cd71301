"""Bayesian optimisation with a Gaussian process and expected improvement (Kandasamy et al., 2018)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from invertnas.checks import Count, Positive, check_fields, checked
from invertnas.gaussian_process import GaussianProcess, expected_improvement
from invertnas.search.baselines.base import Baseline, require
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec, FloatArray


@dataclasses.dataclass(frozen=True)
class BayesianConfig:
    """Settings of Bayesian optimisation; one architecture is asked for per round after the initial set.

    Attributes:
        num_init: random architectures at the start (naszilla: 10).
        parents: best evaluated architectures whose neighbours are candidates.
        mutations: unknown neighbours drawn of each.
        samples: random architectures drawn as further candidates.
        reaches: kernel reaches tried, in units of the mean squared distance of the evaluated encodings.
        noises: noise variances tried, as shares of the signal's.

    Raises:
        ConfigError: if a number is out of range.
    """

    num_init: Count = 10
    parents: Count = 5
    mutations: Count = 20
    samples: Count = 100
    reaches: tuple[Positive, ...] = (0.1, 0.3, 1.0, 3.0, 10.0)
    noises: tuple[Positive, ...] = (1e-4, 1e-2, 1.0)

    def __post_init__(self) -> None:
        check_fields(self)
        require(bool(self.reaches and self.noises), "no reaches or noises", "at least one of each")


class BayesianOptimization(Baseline):
    """Asks for the candidate with the largest expected improvement under a Gaussian process.

    An architecture is described by its one-hot operations and adjacency, a 0/1 vector, and the kernel falls
    exponentially in the number of entries in which two differ, as naszilla's does with its distance `adj`.
    (Kandasamy et al. compare networks by optimal transport and maximise the acquisition by evolution; their
    distance counts layers and units, which cells do not have.) Reach and noise are those of highest marginal
    likelihood, the process anew each round. Candidates are mutations of the best and random architectures.
    While some are open, the mean that the process predicts for them stands for their accuracies.

    Args:
        space: the search space.
        config: settings.
        seed: master seed.
    """

    method = "bayesian"

    def __init__(self, space: SearchSpace, config: BayesianConfig = BayesianConfig(), *, seed: int) -> None:
        self.config = checked(config, BayesianConfig, "config", "BayesianOptimization")
        super().__init__(space, config, seed=seed)

    def _choose(self, count: int | None) -> tuple[list[ArchSpec], dict[str, Any]]:
        config, history = self.config, self.history
        missing = self._missing(config.num_init, len(history), count)
        if missing or not len(history):
            return self._fresh(missing or 1), {"phase": "init"}
        candidates = self._candidates()
        if not candidates:
            return self._fresh(1), {"phase": "random", "candidates": 0}
        accuracies = np.array(list(history.accuracies.values()))
        process = self._process(accuracies)
        mean, std = process.predict(self._encode(candidates))
        gain = expected_improvement(mean, std, float(accuracies.max()))
        chosen = int(np.lexsort((mean, gain))[-1])  # of equal gains, as where all vanish, the highest mean
        fit = {"reach": process.reach, "noise": process.noise, "scale": process.scale}
        note = {"phase": "model", "candidates": len(candidates), "expected_improvement": float(gain[chosen]), **fit}
        return [candidates[chosen]], note

    def _process(self, accuracies: np.ndarray) -> GaussianProcess:
        config, history = self.config, self.history
        known = self._encode([history.archs[identity] for identity in history.evaluated])
        process = GaussianProcess.fit(known, accuracies, reaches=config.reaches, noises=config.noises)
        if not history.open:
            return process
        pending = self._encode(list(history.open.values()))
        believed = np.concatenate([accuracies, process.predict(pending)[0]])
        both = np.concatenate([known, pending])
        return GaussianProcess.fit(both, believed, reaches=config.reaches, noises=config.noises)

    def _candidates(self) -> list[ArchSpec]:
        """Unknown, distinct architectures: neighbours of the best, then random ones."""
        config, history, found = self.config, self.history, dict[str, ArchSpec]()
        rng = self._rng("candidates", history.count)
        for parent in history.ranked()[: config.parents]:
            options, limit = self.space.neighbours(history.archs[parent]), len(found) + config.mutations
            for index in rng.permutation(len(options)):
                if len(found) == limit:
                    break
                self._collect(options[index], found)
        for _ in range(config.samples):
            self._collect(self.space.sample(rng), found)
        return list(found.values())

    def _collect(self, arch: ArchSpec, found: dict[str, ArchSpec]) -> None:
        identity = self.space.identity(arch)
        if not self.history.known(identity):
            found.setdefault(identity, arch)

    def _encode(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """(B, N * F + N * N) one-hot operations and adjacency, side by side."""
        graphs = self.space.encode(archs)
        return np.concatenate([part.reshape(len(archs), -1) for part in (graphs.ops, graphs.adjacency)], axis=1)
