"""Gaussian-process regression, exact, by Cholesky factors."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.stats import norm

Array = npt.NDArray[np.float64]


def squared_distances(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Array:
    """(n, m) squared Euclidean distances of (n, D) and (m, D): of 0/1 vectors, the number of entries that differ."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.maximum((a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * a @ b.T, 0.0)


def expected_improvement(mean: Array, std: Array, best: float) -> Array:
    """(B,) expected excess of N(mean, std^2) over `best` (Jones et al., 1998); std is positive."""
    gap = mean - best
    improvement: Array = gap * norm.cdf(gap / std) + std * norm.pdf(gap / std)
    return improvement


@dataclasses.dataclass(frozen=True)
class GaussianProcess:
    """Posterior of f in y = c + f(x) + noise, where f has covariance s^2 exp(-|a - b|^2 / r).

    Rasmussen & Williams (2006), Algorithm 2.1 and Equation 2.30.

    Attributes:
        inputs: (n, D).
        centre: c, the mean of the targets.
        reach: r.
        noise: variance of the noise as a share of s^2.
        scale: s.
        factor: lower Cholesky factor (n, n) of exp(-|a - b|^2 / r) + noise * I.
        weights: (n,) the centred targets, solved with that covariance.
        evidence: logarithm of the marginal likelihood, up to a constant.
    """

    inputs: npt.NDArray[Any]
    centre: float
    reach: float
    noise: float
    scale: float
    factor: Array
    weights: Array
    evidence: float

    @classmethod
    def fit(
        cls, inputs: npt.NDArray[Any], targets: Array, *, reaches: Sequence[float], noises: Sequence[float]
    ) -> GaussianProcess:
        """The process of highest marginal likelihood on a grid; s^2 is the best one in closed form at each point.

        Args:
            inputs: (n, D).
            targets: (n,).
            reaches: of r, in units of the mean squared distance of the inputs.
            noises: shares of s^2.
        """
        distances = squared_distances(inputs, inputs)
        typical = max(float(distances.mean()), 1.0)
        grid = itertools.product((typical * reach for reach in reaches), noises)
        return max((cls._at(inputs, targets, distances, *point) for point in grid), key=lambda each: each.evidence)

    @classmethod
    def _at(
        cls, inputs: npt.NDArray[Any], targets: Array, distances: Array, reach: float, noise: float
    ) -> GaussianProcess:
        n, centre = len(targets), float(targets.mean())
        factor = cholesky(np.exp(-distances / reach) + noise * np.eye(n), lower=True)
        weights = cho_solve((factor, True), targets - centre)
        variance = max(float((targets - centre) @ weights) / n, np.finfo(np.float64).tiny)
        evidence = -0.5 * n * np.log(variance) - float(np.log(np.diag(factor)).sum())
        return cls(inputs, centre, reach, noise, float(np.sqrt(variance)), factor, weights, float(evidence))

    def predict(self, inputs: npt.NDArray[Any]) -> tuple[Array, Array]:
        """Mean and standard deviation of c + f, each (B,), at (B, D) inputs, in the unit of the targets."""
        cross = np.exp(-squared_distances(inputs, self.inputs) / self.reach)
        explained = (solve_triangular(self.factor, cross.T, lower=True) ** 2).sum(axis=0)
        return self.centre + cross @ self.weights, self.scale * np.sqrt(np.maximum(1.0 - explained, 1e-12))
