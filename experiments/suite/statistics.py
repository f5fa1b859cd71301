"""Comparing methods over tasks and seeds: average ranks with Friedman and Nemenyi, and paired Wilcoxon tests."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 0.05
Values = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Methods on blocks, a block being a task with a seed.

    Attributes:
        blocks: number of blocks that every method has.
        ranks: average rank of each method, 1 the best; equal regrets share their mean rank.
        friedman_p: probability of such ranks were all methods alike.
        critical_difference: average ranks further apart differ at `LEVEL` (Nemenyi).
        wilcoxon_p: two-sided, of the paired regrets of each two methods; 1 where all are equal.
        wins: for each two methods, shares of blocks in which the first, and the second, has the lower regret.
    """

    blocks: int
    ranks: Mapping[str, float]
    friedman_p: float
    critical_difference: float
    wilcoxon_p: Mapping[tuple[str, str], float]
    wins: Mapping[tuple[str, str], tuple[float, float]]


def compare(regrets: Mapping[str, Values]) -> Comparison | None:
    """Compare (B,) regrets of K methods on the same blocks; None for fewer than three methods or two blocks."""
    names, table = list(regrets), np.array(list(regrets.values()))
    if len(names) < 3 or table.shape[1] < 2:
        return None
    ranks = stats.rankdata(table, axis=0).mean(axis=1)
    alike = bool((table == table[0]).all())
    pairs = list(itertools.combinations(names, 2))
    return Comparison(
        table.shape[1],
        dict(zip(names, ranks.tolist())),
        1.0 if alike else float(stats.friedmanchisquare(*table).pvalue),
        critical_difference(len(names), table.shape[1]),
        {pair: wilcoxon_p(regrets[pair[0]], regrets[pair[1]]) for pair in pairs},
        {pair: _wins(regrets[pair[0]], regrets[pair[1]]) for pair in pairs},
    )


def critical_difference(methods: int, blocks: int) -> float:
    """Nemenyi's critical difference of average ranks at `LEVEL` (Demsar, 2006, JMLR 7, section 3.2.2)."""
    quantile = stats.studentized_range.ppf(1 - LEVEL, methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * blocks)))


def wilcoxon_p(first: Values, second: Values) -> float:
    """Two-sided p of the signed-rank test on pairs; ties are ranked and split (Pratt would drop their ranks)."""
    difference = first - second
    if not difference.any():
        return 1.0
    return float(stats.wilcoxon(difference, zero_method="zsplit", method="approx").pvalue)


def _wins(first: Values, second: Values) -> tuple[float, float]:
    return float((first < second).mean()), float((second < first).mean())
