"""Gaussian-process regression with a sum of kernels over groups of features, fitted by marginal likelihood."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import log_ndtr
from scipy.stats import norm

from invertnas.gaussian_process import Array, squared_distances

JITTER = 1e-6
SPREAD = 1.5  # standard deviation of the logarithm of each hyperparameter, before any label
START_NOISE = 0.01
NOISES = (1e-4, 1.0)
RANGE = 6.0  # the logarithm of a hyperparameter stays so near to its start
FAR_BELOW = -5.0  # from here on the improvement is computed by its expansion
Terms = tuple[tuple[int, ...], ...]
Blocks = Sequence[npt.NDArray[Any]]


def log_expected_improvement(mean: Array, std: Array, best: float) -> Array:
    """(B,) logarithm of the expected excess of N(mean, std^2) over `best`, finite where the excess underflows.

    Far below the best, the excess of a standard normal over -u is about its density there / u^2.

    Args:
        mean: (B,).
        std: (B,), positive.
        best: the value to exceed.
    """
    gap = (mean - best) / std
    near = np.maximum(gap, FAR_BELOW)
    exact = np.log(near * np.exp(log_ndtr(near)) + norm.pdf(near))
    tail = norm.logpdf(gap) - 2.0 * np.log(np.maximum(-gap, 1.0))
    result: Array = np.where(gap > FAR_BELOW, exact, tail) + np.log(std)
    return result


@dataclasses.dataclass(frozen=True)
class AdditiveProcess:
    """Posterior of f in y = c + f(x) + noise, where f has covariance sum over terms of w exp(-sum of d_b / r_b).

    A block b of features has squared distances d_b; scale it so that they are about 1 between random rows. A term is a
    set of blocks that must agree together; different terms add up, so what one of them says holds whatever the others
    are. Weights w, reaches r (one for each block of a term) and the noise maximise the marginal likelihood times
    log-normal priors; c is the generalised least-squares mean.

    Attributes:
        terms: the blocks of each term.
        blocks: (n, D_b) features of the labelled, block by block.
        logs: logarithms of w and r, term by term, then of the noise's variance.
        centre: c.
        factor: lower Cholesky factor (n, n) of the covariance with noise.
        weights: (n,) centred targets, solved with that covariance.
    """

    terms: Terms
    blocks: tuple[Array, ...]
    logs: Array
    centre: float
    factor: Array
    weights: Array

    @classmethod
    def fit(cls, blocks: Blocks, targets: Array, terms: Terms, *, iterations: int = 20) -> AdditiveProcess:
        """The process whose hyperparameters an L-BFGS search of so many iterations finds from fixed starts.

        Args:
            blocks: (n, D_b) features, block by block.
            targets: (n,), best of about unit variance.
            terms: numbers of the blocks of each term.
            iterations: at most so many.
        """
        known = tuple(np.asarray(block, np.float64) for block in blocks)
        distances = [squared_distances(block, block) for block in known]
        start = _start(terms)
        bounds = [*((log - RANGE, log + RANGE) for log in start[:-1]), tuple(np.log(NOISES))]
        problem = (distances, np.asarray(targets, np.float64), terms, start)
        options = {"maxiter": iterations}
        found = minimize(_loss, start, args=problem, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return cls._at(known, distances, problem[1], terms, found.x)

    @classmethod
    def _at(
        cls,
        blocks: tuple[Array, ...],
        distances: list[Array],
        targets: Array,
        terms: Terms,
        logs: Array,
    ) -> AdditiveProcess:
        covariance = np.sum(_kernels(distances, terms, logs), axis=0) + _nugget(logs) * np.eye(len(targets))
        factor = cholesky(covariance, lower=True)
        solved = cho_solve((factor, True), np.ones(len(targets)))
        centre = float(solved @ targets / solved.sum())
        return cls(terms, blocks, logs, centre, factor, cho_solve((factor, True), targets - centre))

    def predict(self, blocks: Blocks) -> tuple[Array, Array]:
        """Mean and standard deviation of c + f, each (B,), at features (B, D_b), block by block."""
        cross = self._cross(blocks)
        solved = solve_triangular(self.factor, cross.T, lower=True)
        variance = self.variance - (solved**2).sum(axis=0)
        return self.centre + cross @ self.weights, np.sqrt(np.maximum(variance, 1e-10))

    @property
    def variance(self) -> float:
        """Of f before any label: the sum of the terms' weights."""
        return float(sum(np.exp(self.logs[start]) for start in _offsets(self.terms)))

    def believing(self, blocks: Blocks) -> AdditiveProcess:
        """The process after its own mean was observed at (p, D_b) features; hyperparameters and c stay.

        Its mean is the same everywhere, and its uncertainty falls near these points (the "believer" of Ginsbourger et
        al., 2010), so that questions asked together differ.
        """
        known = tuple(np.concatenate([a, np.asarray(b, np.float64)]) for a, b in zip(self.blocks, blocks))
        cross = self._cross(blocks)
        targets = np.concatenate([self.factor @ (self.factor.T @ self.weights), cross @ self.weights])
        distances = [squared_distances(block, block) for block in known]
        covariance = np.sum(_kernels(distances, self.terms, self.logs), axis=0)
        factor = cholesky(covariance + _nugget(self.logs) * np.eye(len(targets)), lower=True)
        return dataclasses.replace(self, blocks=known, factor=factor, weights=cho_solve((factor, True), targets))

    def _cross(self, blocks: Blocks) -> Array:
        distances = [squared_distances(block, known) for block, known in zip(blocks, self.blocks)]
        total: Array = np.sum(_kernels(distances, self.terms, self.logs), axis=0)
        return total


def _offsets(terms: Terms) -> list[int]:
    """Where the hyperparameters of each term start."""
    sizes = [1 + len(term) for term in terms]
    return [sum(sizes[:index]) for index in range(len(terms))]


def _start(terms: Terms) -> Array:
    """Equal weights that add up to 1, reaches at which a term's blocks share one, and little noise."""
    logs = [[-np.log(len(terms)), *[np.log(len(term))] * len(term)] for term in terms]
    return np.array([*(log for term in logs for log in term), np.log(START_NOISE)])


def _nugget(logs: Array) -> float:
    return float(np.exp(logs[-1])) + JITTER


def _kernels(distances: Sequence[Array], terms: Terms, logs: Array) -> list[Array]:
    """The covariance of each term."""
    found = list[Array]()
    for term, start in zip(terms, _offsets(terms)):
        exponent = sum(distances[b] * np.exp(-logs[start + 1 + k]) for k, b in enumerate(term))
        found.append(np.exp(logs[start] - exponent))
    return found


def _loss(logs: Array, distances: list[Array], targets: Array, terms: Terms, start: Array) -> tuple[float, Array]:
    """Negative logarithm of likelihood times prior, up to a constant, and its gradient."""
    count, kernels = len(targets), _kernels(distances, terms, logs)
    try:
        factor = cholesky(np.sum(kernels, axis=0) + _nugget(logs) * np.eye(count), lower=True)
    except LinAlgError:
        return 1e6, np.zeros_like(logs)
    inverse = cho_solve((factor, True), np.eye(count))
    ones = inverse.sum(axis=1)
    solved = inverse @ (targets - ones @ targets / ones.sum())
    outer = 0.5 * (inverse - np.outer(solved, solved))  # derivative by the covariance
    slopes = list[float]()
    for term, offset, kernel in zip(terms, _offsets(terms), kernels):
        weighted = outer * kernel
        slopes.append(float(weighted.sum()))
        slopes += [float((weighted * distances[b]).sum() * np.exp(-logs[offset + 1 + k])) for k, b in enumerate(term)]
    slopes.append(float(np.trace(outer) * np.exp(logs[-1])))
    away = (logs - start) / SPREAD
    value = 0.5 * float(targets @ solved) + float(np.log(np.diag(factor)).sum()) + 0.5 * float(away @ away)
    return value, np.array(slopes) + away / SPREAD
