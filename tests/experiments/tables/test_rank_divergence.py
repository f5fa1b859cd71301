"""Ranks, densities and the divergence, against slow references and known limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.tables.initial_sets.rank_divergence import (
    BANDWIDTH,
    BANDWIDTHS,
    GRID,
    TOP_SHARES,
    divergences,
    ideal_log_density,
    ideal_ranks,
    kl,
    log_density,
    ranks,
)
from invertnas.errors import ConfigError

UNIFORM = (np.arange(300) + 0.5) / 300


def slow_rank(value: float, reference: list[float]) -> float:
    better, equal = sum(other > value for other in reference), sum(other == value for other in reference)
    return (better + equal / 2) / len(reference)


def slow_density(x: float, points: list[float], h: float) -> float:
    images = [image for point in points for image in (point, -point, 2 - point)]
    return sum(math.exp(-0.5 * ((x - i) / h) ** 2) / (h * math.sqrt(2 * math.pi)) for i in images) / len(points)


def slow_kl(p: list[float], q: list[float], h: float) -> float:
    """By the mid-point rule on a grid of its own."""
    total, steps = 0.0, 3000
    for step in range(steps):
        x = (step + 0.5) / steps
        first, second = slow_density(x, p, h), slow_density(x, q, h)
        if first > 1e-250:
            total += first * math.log(first / second) / steps
    return total


def test_ranks_are_shares_of_better_ones() -> None:
    rng = np.random.default_rng(0)
    reference, values = rng.integers(0, 20, 200) / 20, np.append(rng.integers(-2, 23, 50) / 20, 0.512)
    expected = [slow_rank(value, reference.tolist()) for value in values]
    np.testing.assert_allclose(ranks(values, reference), expected, atol=1e-12)
    assert ranks(np.array([2.0, -1.0]), reference).tolist() == [0.0, 1.0]
    whole = ranks(reference, reference)
    assert whole.mean() == pytest.approx(0.5) and 0 < whole.min() < whole.max() < 1


@pytest.mark.parametrize(("values", "reference"), [([0.5], []), ([np.nan], [0.5]), ([0.5], [np.inf, 0.1])])
def test_ranks_of_what_cannot_be_ranked(values: list[float], reference: list[float]) -> None:
    with pytest.raises(ConfigError, match="expected finite ones"):
        ranks(np.array(values), np.array(reference))


@pytest.mark.parametrize("h", [0.02, 0.1])
def test_the_density_is_a_sum_of_reflected_kernels(h: float) -> None:
    points = np.random.default_rng(1).random(12) ** 3
    grid = np.array([0.0, 0.013, 0.2, 0.5, 0.77, 1.0])
    expected = [slow_density(x, points.tolist(), h) for x in grid]
    np.testing.assert_allclose(np.exp(log_density(points, h, grid)), expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("points", [np.zeros(1), np.ones(3), np.array([0.001, 0.4, 0.98])])
@pytest.mark.parametrize("h", BANDWIDTHS)
def test_densities_have_mass_one_and_are_finite_everywhere(points: np.ndarray, h: float) -> None:
    found = log_density(points, h)
    assert np.isfinite(found).all()
    assert np.trapezoid(np.exp(found), GRID) == pytest.approx(1.0, abs=1e-6)


def test_the_ideal_is_flat_over_the_best_and_nothing_elsewhere() -> None:
    density = np.exp(ideal_log_density(0.2, 0.005))
    np.testing.assert_allclose(density[GRID < 0.17], 5.0, rtol=1e-3)
    assert density[GRID > 0.24].max() < 1e-6 and ideal_ranks(0.2).mean() == pytest.approx(0.1)


@pytest.mark.parametrize("share", TOP_SHARES)
def test_the_divergence_is_that_of_a_slow_reference(share: float) -> None:
    rng = np.random.default_rng(2)
    sampled = 0.3 * rng.random(7)
    ideal = ((np.arange(40) + 0.5) / 40 * share).tolist()
    (found,) = divergences(sampled, [share], 0.05)
    assert found.ideal_from_sampled == pytest.approx(slow_kl(ideal, sampled.tolist(), 0.05), rel=2e-3)
    assert found.sampled_from_ideal == pytest.approx(slow_kl(sampled.tolist(), ideal, 0.05), rel=2e-3)


@pytest.mark.parametrize("share", TOP_SHARES)
def test_the_ideal_itself_has_divergence_zero(share: float) -> None:
    (found,) = divergences(ideal_ranks(share), [share])
    assert found.ideal_from_sampled == found.sampled_from_ideal == 0
    (half,) = divergences(ideal_ranks(share)[::2], [share])
    assert 0 <= half.ideal_from_sampled < 1e-4


def test_uniform_sampling_has_the_logarithm_of_the_share() -> None:
    """log(1 / q) as the bandwidth vanishes; what the module states at its own."""
    (sharp,) = divergences((np.arange(3000) + 0.5) / 3000, [0.2], 0.002)
    assert sharp.ideal_from_sampled == pytest.approx(math.log(5), abs=0.02)
    found = [d.ideal_from_sampled for d in divergences(UNIFORM)]
    assert [round(value, 1) for value in found] == [3.1, 2.9, 2.6]


def test_moving_away_from_the_best_increases_both_directions() -> None:
    ideal = ideal_ranks(0.05)[::5]
    moved = [divergences(ideal + shift, [0.05])[0] for shift in (0.0, 0.01, 0.03, 0.1, 0.3, 0.9)]
    for values in ([m.ideal_from_sampled for m in moved], [m.sampled_from_ideal for m in moved]):
        assert values == sorted(values) and len(set(values)) == len(values)


def test_moving_mass_away_increases_the_divergence() -> None:
    """Part after part of the cells goes from the best 5 % to anywhere."""
    ideal, rng = ideal_ranks(0.05)[::5], np.random.default_rng(3)
    elsewhere = rng.random(len(ideal))
    found = [divergences(np.append(ideal[n:], elsewhere[:n]), [0.05])[0].ideal_from_sampled for n in (0, 50, 100, 200)]
    assert found == sorted(found) and found[0] < 1e-4 and found[-1] > 2


def test_divergence_of_two_gaussians() -> None:
    """(m1 - m2)^2 / 2 h^2, far from the borders."""
    p, q = (log_density(np.array([at]), 0.03) for at in (0.45, 0.5))
    assert kl(p, q) == pytest.approx(0.05**2 / (2 * 0.03**2), rel=1e-6)


def test_what_is_no_rank_or_share_is_refused() -> None:
    for points in (np.empty(0), np.array([-0.1]), np.array([1.1])):
        with pytest.raises(ConfigError, match="expected ranks in 0..1"):
            log_density(points, BANDWIDTH)
    with pytest.raises(ConfigError, match="bandwidth above 0"):
        log_density(UNIFORM, 0.0)
    for share in (0.0, 1.1):
        with pytest.raises(ConfigError, match="expected above 0 and at most 1"):
            ideal_ranks(share)
