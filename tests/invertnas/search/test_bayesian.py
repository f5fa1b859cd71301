"""Bayesian optimisation: the Gaussian process against plain linear algebra, and what is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, spearmanr

from invertnas.gaussian_process import GaussianProcess, expected_improvement, squared_distances
from invertnas.search.baselines import BayesianConfig, BayesianOptimization
from invertnas.spaces import NASBench201Space, NASBench301Space
from tests.helpers.fakes import score

SPACE = NASBench201Space()
RNG = np.random.default_rng(0)
INPUTS, NEW = (RNG.integers(0, 2, (count, 12)).astype(np.float32) for count in (15, 40))
TARGETS = 0.9 - 0.02 * INPUTS[:, 0] + 0.05 * INPUTS[:, 1] * INPUTS[:, 2]


def covariance(process: GaussianProcess, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Slow: entry by entry, with the number of differing entries counted."""
    return np.array([[process.scale**2 * np.exp(-np.sum(x != y) / process.reach) for y in b] for x in a])


def fitted(reach: float = 1.0, noise: float = 0.01) -> GaussianProcess:
    return GaussianProcess.fit(INPUTS, TARGETS, reaches=(reach,), noises=(noise,))


def test_posterior_equals_the_textbook_formula() -> None:
    process = fitted()
    noisy = covariance(process, INPUTS, INPUTS) + 0.01 * process.scale**2 * np.eye(len(INPUTS))
    cross = covariance(process, NEW, INPUTS)
    mean, std = process.predict(NEW)
    np.testing.assert_allclose(mean, TARGETS.mean() + cross @ np.linalg.inv(noisy) @ (TARGETS - TARGETS.mean()))
    variance = process.scale**2 - np.diag(cross @ np.linalg.inv(noisy) @ cross.T)
    np.testing.assert_allclose(std, np.sqrt(variance), rtol=1e-6)
    assert process.reach == pytest.approx(squared_distances(INPUTS, INPUTS).mean())


def test_scale_and_grid_point_maximise_the_likelihood() -> None:
    def log_density(process: GaussianProcess, factor: float = 1.0) -> float:
        noisy = covariance(process, INPUTS, INPUTS) + process.noise * process.scale**2 * np.eye(len(INPUTS))
        return float(multivariate_normal(cov=factor * noisy).logpdf(TARGETS - TARGETS.mean()))

    grid = [(reach, noise) for reach in (0.1, 1.0, 5.0) for noise in (1e-3, 0.1)]
    each = [fitted(*point) for point in grid]
    for process in each:
        assert log_density(process) > max(log_density(process, 0.9), log_density(process, 1.1))
    densities = np.array([log_density(process) for process in each])
    evidences = np.array([process.evidence for process in each])
    np.testing.assert_allclose(densities - densities[0], evidences - evidences[0], atol=1e-8)
    chosen = GaussianProcess.fit(INPUTS, TARGETS, reaches=(0.1, 1.0, 5.0), noises=(1e-3, 0.1))
    assert chosen.evidence == evidences.max() > evidences.min()


def test_equal_targets_leave_nothing_to_expect() -> None:
    process = GaussianProcess.fit(INPUTS, np.full(len(INPUTS), 0.5), reaches=(1.0,), noises=(1e-4,))
    mean, std = process.predict(NEW)
    np.testing.assert_allclose(mean, 0.5)
    assert np.isfinite(expected_improvement(mean, std, 0.5)).all() and std.max() < 1e-9


def test_expected_improvement_is_the_mean_excess() -> None:
    mean, std = np.array([0.2, 0.5, 0.9]), np.array([0.3, 0.1, 0.2])
    draws = mean + std * np.random.default_rng(1).standard_normal((400_000, 3))
    np.testing.assert_allclose(expected_improvement(mean, std, 0.6), np.maximum(draws - 0.6, 0).mean(axis=0), atol=1e-3)


def test_process_predicts_cells_it_has_not_seen() -> None:
    optimizer = BayesianOptimization(SPACE, seed=0)
    rng = np.random.default_rng(0)
    archs = [SPACE.sample(rng) for _ in range(160)]
    inputs, values = optimizer._encode(archs), np.array([score(arch) for arch in archs])
    assert inputs.shape == (160, 8 * 7 + 8 * 8)
    process = GaussianProcess.fit(inputs[:60], values[:60], reaches=(0.3, 1.0, 3.0), noises=(1e-4, 1e-2))
    assert spearmanr(process.predict(inputs[60:])[0], values[60:])[0] > 0.9


@pytest.mark.parametrize("space", [SPACE, NASBench301Space()], ids=lambda space: space.name)
def test_asks_for_one_candidate_at_a_time_after_the_initial_set(space: NASBench201Space) -> None:
    config = BayesianConfig(parents=2, mutations=3, samples=4)
    optimizer = BayesianOptimization(space, config, seed=0)
    start = optimizer.ask()
    assert len(start) == config.num_init
    optimizer.tell(start, np.random.default_rng(0).uniform(0.5, 0.9, len(start)).tolist())
    for _ in range(5):
        history = optimizer.history
        near = [space.neighbours(history.archs[identity]) for identity in history.ranked()[:2]]
        candidates = optimizer._candidates()
        names = [space.identity(arch) for arch in candidates]
        assert len(set(names)) == len(names) and not set(names) & set(history.evaluated)
        assert all(arch in near[0] for arch in candidates[:3]) and all(arch in near[1] for arch in candidates[3:6])
        (arch,) = optimizer.ask()
        assert arch in candidates
        record = optimizer.diagnostics()[-1]
        assert record["phase"] == "model" and record["candidates"] == len(candidates) <= 10
        optimizer.tell([arch], [0.5])


def test_neighbours_that_are_known_are_passed_over() -> None:
    optimizer = BayesianOptimization(SPACE, BayesianConfig(num_init=1, parents=1, mutations=20, samples=1), seed=0)
    (start,) = optimizer.ask()
    optimizer.tell([start], [0.9])
    for arch in SPACE.neighbours(start)[:20]:
        optimizer.history.add(arch, 0.5)
    near = [arch for arch in optimizer._candidates() if arch in SPACE.neighbours(start)]
    assert set(near) == set(SPACE.neighbours(start)[20:])
