"""The additive Gaussian process against scikit-learn, numerical gradients and numerical integrals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Kernel, WhiteKernel

from invertnas.gaussian_process import squared_distances
from invertnas.predictor.process import JITTER, AdditiveProcess, _loss, _start, log_expected_improvement

TERMS = ((0,), (1, 2))
WIDTHS = (3, 2, 1)
IGNORED = 1e6  # length scale of a feature that a kernel does not see


def data(count: int, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    blocks = [rng.normal(size=(count, width)) / np.sqrt(2 * width) for width in WIDTHS]
    return blocks, np.sin(3 * blocks[0][:, 0]) + blocks[1].sum(axis=1) * blocks[2][:, 0] + 0.1 * rng.normal(size=count)


def reference(process: AdditiveProcess, targets: np.ndarray) -> GaussianProcessRegressor:
    """scikit-learn's process with the same covariance: exp(-d / r) has the squared length scale r / 2."""
    kernel: Kernel = WhiteKernel(np.exp(process.logs[-1]) + JITTER, "fixed")
    logs = iter(process.logs)
    for term in TERMS:
        weight, scales = np.exp(next(logs)), {block: np.sqrt(np.exp(next(logs)) / 2) for block in term}
        lengths = np.repeat([scales.get(block, IGNORED) for block in range(len(WIDTHS))], WIDTHS)
        kernel += ConstantKernel(weight, "fixed") * RBF(lengths, "fixed")
    model = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
    return model.fit(np.concatenate(process.blocks, axis=1), targets - process.centre)


def test_predictions_are_those_of_scikit_learn() -> None:
    (blocks, targets), (new, _) = data(25), data(9, seed=1)
    process = AdditiveProcess.fit(blocks, targets, TERMS)
    mean, std = process.predict(new)
    model = reference(process, targets)
    wanted, with_noise = model.predict(np.concatenate(new, axis=1), return_std=True)
    np.testing.assert_allclose(mean, wanted + process.centre, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(std**2 + np.exp(process.logs[-1]) + JITTER, with_noise**2, rtol=1e-6)


def test_gradient_and_evidence() -> None:
    blocks, targets = data(15)
    distances, start = [squared_distances(block, block) for block in blocks], _start(TERMS)
    logs = start + np.random.default_rng(2).normal(size=start.shape)
    problem = distances, targets, TERMS, start
    np.testing.assert_allclose(
        _loss(logs, *problem)[1], approx_fprime(logs, lambda at: _loss(at, *problem)[0]), rtol=1e-4, atol=1e-4
    )
    fitted, other = AdditiveProcess.fit(blocks, targets, TERMS), AdditiveProcess.fit(
        blocks, targets, TERMS, iterations=1
    )
    assert _loss(fitted.logs, *problem)[0] < _loss(other.logs, *problem)[0] < _loss(start, *problem)[0]


def test_what_tells_nothing_loses_its_weight() -> None:
    rng = np.random.default_rng(3)
    useful, useless = rng.normal(size=(60, 2)) / 2, rng.normal(size=(60, 6)) / np.sqrt(12)
    process = AdditiveProcess.fit([useful, useless], np.sin(4 * useful[:, 0]), ((0,), (1,)))
    assert np.exp(process.logs[0]) > 5 * np.exp(process.logs[2])


def test_believing_keeps_the_mean_and_lowers_the_uncertainty_there() -> None:
    (blocks, targets), (new, _) = data(25), data(9, seed=1)
    process = AdditiveProcess.fit(blocks, targets, TERMS)
    later = process.believing([block[:2] for block in new])
    before, after = process.predict(new), later.predict(new)
    np.testing.assert_allclose(after[0], before[0], rtol=1e-6, atol=1e-8)
    assert (after[1] <= before[1] + 1e-9).all() and (after[1][:2] < 0.6 * before[1][:2]).all()


@pytest.mark.parametrize("gap", [-4.0, -1.0, 0.0, 2.0])
def test_expected_improvement_is_its_integral(gap: float) -> None:
    mean, std, best = 0.3 + 0.2 * gap, 0.2, 0.3
    wanted, _ = quad(lambda y: (y - best) * norm.pdf(y, mean, std), best, mean + 12 * std, epsabs=1e-14)
    found = log_expected_improvement(np.array([mean]), np.array([std]), best)
    np.testing.assert_allclose(found, np.log(wanted), rtol=1e-4)


def test_far_below_the_best_the_improvement_still_ranks() -> None:
    found = log_expected_improvement(np.linspace(-60, -4.9, 50), np.ones(50), 0.0)
    assert np.isfinite(found).all() and (np.diff(found) > 0).all()


def test_a_repeated_row_is_no_error() -> None:
    blocks, targets = data(8)
    doubled = [np.concatenate([block, block]) for block in blocks]
    process = AdditiveProcess.fit(doubled, np.concatenate([targets, targets]), TERMS)
    assert np.isfinite(np.concatenate(process.predict(blocks))).all()
