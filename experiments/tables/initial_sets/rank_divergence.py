"""How close an initial set is to the best architectures of a space: a KL divergence of ranks (paper section 4.2).

The paper gives neither formula nor units, so here is ours in full.

Rank. Within a fixed reference (all cells of NAS-Bench-101 and -201; elsewhere a seeded random sample, see
`experiments.tables.initial_sets.reference`), an architecture with validation accuracy a has rank
r = (#{better} + #{equal} / 2) / M in [0, 1]: 0 is best, and uniform sampling gives uniform ranks.

Densities. The *sampled* density is that of the ranks of the initial sets of all trials together; the *ideal* one
is uniform over the best share q, that is, over [0, q], for q = 1 %, 3 % and 5 %. Both are smoothed by the same
estimate: Gaussian kernels with standard deviation h = 0.02 (in ranks) at every point, reflected at 0 and at
1, so that no mass leaves [0, 1]. The ideal's points are 1,000 equally spaced ones. One bandwidth for both, and
not one from the data: equal sets of ranks then have divergence 0, whatever they are.

Divergence. KL(ideal || sampled) = integral over [0, 1] of p_ideal log(p_ideal / p_sampled), in nats, by the
trapezoid rule on 2,001 equally spaced ranks. This direction asks whether the set covers where the best are,
and it is the one reported. The other one, KL(sampled || ideal), asks whether anything lies elsewhere: it grows with the
square of a bad rank over h, so that it measures the bandwidth, and one bad cell outweighs the rest. Both
are computed, and for h = 0.01 and 0.05 too.

Uniform sampling has log(1 / q) less the smoothing: 3.1, 2.9 and 2.6 at h = 0.02. The paper's values for random
sampling are 0.0001 to 0.09, so they are on another scale, and only the order of the strategies can be compared.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from invertnas.errors import ConfigError

FloatArray = npt.NDArray[np.float64]
BANDWIDTH = 0.02
BANDWIDTHS = (0.01, BANDWIDTH, 0.05)
TOP_SHARES = (0.01, 0.03, 0.05)
GRID = np.linspace(0.0, 1.0, 2001)
IDEAL_POINTS = 1000
_CHUNK = 256  # ranks of the grid whose kernels are held at a time


@dataclasses.dataclass(frozen=True)
class Divergence:
    """Both directions, in nats."""

    ideal_from_sampled: float
    sampled_from_ideal: float


def ranks(values: FloatArray, reference: FloatArray) -> FloatArray:
    """(n,) ranks in [0, 1] of accuracies within the (M,) accuracies of a reference; 0 is best.

    Raises:
        ConfigError: the reference is empty, or a value is not finite.
    """
    if not len(reference) or not (np.isfinite(values).all() and np.isfinite(reference).all()):
        raise ConfigError(f"got {len(values)} values and {len(reference)} of a reference; expected finite ones")
    ordered = np.sort(reference)
    not_better = np.searchsorted(ordered, values, side="right")
    worse = np.searchsorted(ordered, values, side="left")
    better, equal = len(ordered) - not_better, not_better - worse
    return np.asarray((better + 0.5 * equal) / len(ordered), np.float64)


def log_density(points: FloatArray, bandwidth: float, grid: FloatArray = GRID) -> FloatArray:
    """(G,) logarithm of the reflected Gaussian kernel estimate of (n,) ranks; finite everywhere.

    Raises:
        ConfigError: no points, some outside [0, 1], or a bandwidth that is not positive.
    """
    if not len(points) or points.min() < 0 or points.max() > 1 or bandwidth <= 0:
        raise ConfigError(f"got {len(points)} points, bandwidth {bandwidth}; expected ranks in 0..1, bandwidth above 0")
    images = np.concatenate([points, -points, 2.0 - points])
    sums = [_log_kernels(part, images, bandwidth) for part in np.array_split(grid, max(1, len(grid) // _CHUNK))]
    return np.asarray(np.concatenate(sums) - np.log(len(points) * bandwidth * np.sqrt(2.0 * np.pi)))


def _log_kernels(grid: FloatArray, images: FloatArray, bandwidth: float) -> FloatArray:
    """Logarithm of the sum of all kernels, each of height 1, without underflow far from every point."""
    exponents = -0.5 * ((grid[:, None] - images) / bandwidth) ** 2
    highest = exponents.max(axis=1, keepdims=True)
    return np.asarray(highest[:, 0] + np.log(np.exp(exponents - highest).sum(axis=1)))


def ideal_ranks(share: float) -> FloatArray:
    """Equally spaced ranks of the best `share`. Raises ConfigError for a share outside (0, 1]."""
    if not 0 < share <= 1:
        raise ConfigError(f"got a share of {share}; expected above 0 and at most 1")
    return np.asarray((np.arange(IDEAL_POINTS) + 0.5) / IDEAL_POINTS * share)


def kl(log_p: FloatArray, log_q: FloatArray, grid: FloatArray = GRID) -> float:
    """KL(p || q) in nats of two log-densities on a grid, by the trapezoid rule."""
    return float(np.trapezoid(np.exp(log_p) * (log_p - log_q), grid))


@functools.lru_cache(maxsize=32)
def ideal_log_density(share: float, bandwidth: float) -> FloatArray:
    """(G,) log-density of the best `share` on `GRID`, read-only."""
    density = log_density(ideal_ranks(share), bandwidth)
    density.setflags(write=False)
    return density


def divergences(
    sampled: FloatArray, shares: Sequence[float] = TOP_SHARES, bandwidth: float = BANDWIDTH
) -> list[Divergence]:
    """Divergence between the (n,) ranks of a sample and each best share; see the module."""
    q = log_density(sampled, bandwidth)
    ideals = [ideal_log_density(share, bandwidth) for share in shares]
    return [Divergence(kl(p, q), kl(q, p)) for p in ideals]
