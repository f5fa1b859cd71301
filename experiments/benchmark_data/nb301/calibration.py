"""Calibration of NAS-Bench-301's embedded surrogate to official predictions, and how good it is.

Chosen is an affine map: it keeps the surrogate's ranking, so a search cannot gain from the map itself.
Two alternatives are measured beside it. A linear model that also counts operations has a smaller
held-out error, but a search leaves the range of the random architectures it was fitted on, and there
it adds up what it learned without bound: `local_maximum` and `upper_fifth` show by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from invertnas.benchmarks.nasbench301.surrogate import Cells
from invertnas.seeding import generator
from invertnas.spaces.nasbench301.cells import NUM_OPS
from invertnas.spaces.nasbench301.space import NASBench301Space
from invertnas.spaces.spec import ArchSpec

Array = npt.NDArray[np.float64]
Metrics = dict[str, Any]
# A fitted map from the network's percentages (R,) and the counts (R, 28) to percentages (R,).
Map = Callable[[Array, Array], Array]
Fit = Callable[[Array, Array, Array], Map]

FOLDS = 10
REPEATS = 5
RIDGE = 10.0
SEED = 0
DIGITS = 4


def counts(cells: Cells) -> Array:
    """(28,) how often each operation reads a cell input, and a block, in each of the two cells."""
    found = np.zeros((2, 2, NUM_OPS))
    for cell, pairs in enumerate(cells):
        for number, op in pairs:
            found[cell, int(number >= 2), op] += 1
    return found.ravel()


def affine_coefficients(raw: Array, official: Array) -> tuple[float, float]:
    """Least-squares (slope, intercept) of official = slope * raw + intercept."""
    slope = np.cov(raw, official, bias=True)[0, 1] / raw.var()
    return float(slope), float(official.mean() - slope * raw.mean())


def fit_affine(raw: Array, counted: Array, official: Array) -> Map:
    """The chosen map."""
    slope, intercept = affine_coefficients(raw, official)
    return lambda values, _: slope * values + intercept


def fit_isotonic(raw: Array, counted: Array, official: Array) -> Map:
    """Least-squares monotone steps, linear between the points, constant beyond them."""
    order = np.argsort(raw, kind="stable")
    levels = optimize.isotonic_regression(official[order]).x
    return lambda values, _: np.interp(values, raw[order], levels)


def fit_counts(raw: Array, counted: Array, official: Array) -> Map:
    """Linear in the network's value and the 28 counts, the latter with a ridge penalty."""
    means = raw.mean(), counted.mean(axis=0), official.mean()
    design = np.column_stack([raw - means[0], counted - means[1]])
    penalty = RIDGE * np.diag([0.0] + [1.0] * counted.shape[1])
    weights = np.linalg.solve(design.T @ design + penalty, design.T @ (official - means[2]))
    return lambda values, seen: means[2] + np.column_stack([values - means[0], seen - means[1]]) @ weights


FITS: Mapping[str, Fit] = {"affine": fit_affine, "isotonic": fit_isotonic, "affine_with_counts": fit_counts}


def metrics(predicted: Array, official: Array) -> Metrics:
    """RMSE, MAE and bias in percentage points, and rank correlations; None where all predictions are equal."""
    error = predicted - official
    constant = bool(np.ptp(predicted) == 0)
    return {
        "rmse_pp": float(np.sqrt(np.mean(error**2))),
        "mae_pp": float(np.abs(error).mean()),
        "bias_pp": float(error.mean()),
        "spearman": None if constant else float(stats.spearmanr(predicted, official).statistic),
        "kendall": None if constant else float(stats.kendalltau(predicted, official).statistic),
    }


def held_out(fit: Fit, raw: Array, counted: Array, official: Array) -> Metrics:
    """Metrics of predictions for rows left out of the fit: the mean over repeated cross-validations."""
    found = []
    for repeat in range(REPEATS):
        order = generator(SEED, "nb301_folds", repeat).permutation(len(raw))
        predicted = np.empty(len(raw))
        for fold in range(FOLDS):
            out = order[fold::FOLDS]
            kept = np.setdiff1d(order, out)
            predicted[out] = fit(raw[kept], counted[kept], official[kept])(raw[out], counted[out])
        found.append(metrics(predicted, official))
    columns = {name: [one[name] for one in found] for name in found[0]}
    return {name: None if None in values else float(np.mean(values)) for name, values in columns.items()}


def upper_fifth(fit: Fit, raw: Array, counted: Array, official: Array) -> Metrics:
    """Metrics on the fifth that the network ranks best, after a fit on the other four: a search's situation."""
    order = np.argsort(raw, kind="stable")
    kept, out = np.split(order, [len(order) * 4 // 5])
    return metrics(fit(raw[kept], counted[kept], official[kept])(raw[out], counted[out]), official[out])


def other_group(raw: Array, official: Array, groups: npt.NDArray[Any]) -> float:
    """RMSE in percentage points of the affine map fitted on all groups but one, over all rows."""
    predicted = np.empty(len(raw))
    for group in np.unique(groups):
        out = groups == group
        slope, intercept = affine_coefficients(raw[~out], official[~out])
        predicted[out] = slope * raw[out] + intercept
    return float(metrics(predicted, official)["rmse_pp"])


def local_maximum(percent: Callable[[Cells], float], fitted: Map, starts: int = 2) -> float:
    """The best percentage that steepest ascent finds from random architectures."""
    space = NASBench301Space()

    def value(arch: ArchSpec) -> float:
        cells = space.to_compact(arch)
        return float(fitted(np.array([percent(cells)]), counts(cells)[None])[0])

    best = -np.inf
    for start in range(starts):
        arch = space.sample(generator(SEED, "nb301_ascent", start))
        here = value(arch)
        while True:
            there, arch = max(((value(other), other) for other in space.neighbours(arch)), key=lambda pair: pair[0])
            if there <= here:
                break
            here = there
        best = max(best, here)
    return best


def calibrate(cells: list[Cells], official: Array, groups: npt.NDArray[Any], percent: Callable[[Cells], float]) -> Any:
    """Fit and quality of the calibration, as it stands in the JSON without the checksums.

    Args:
        cells: R architectures.
        official: (R,) official predictions in percent.
        groups: (R,) which of the two collections a row comes from.
        percent: the network.
    """
    raw = np.array([percent(one) for one in cells])
    counted = np.array([counts(one) for one in cells])
    slope, intercept = affine_coefficients(raw, official)
    measured = {
        name: {
            "held_out": held_out(fit, raw, counted, official),
            "upper_fifth_held_out": upper_fifth(fit, raw, counted, official),
            "local_maximum_percent": local_maximum(percent, fit(raw, counted, official)),
        }
        for name, fit in FITS.items()
    }
    report = {
        "rows": len(cells),
        "range_percent": [float(official.min()), float(official.max())],
        "network_uncalibrated": metrics(raw, official),
        **measured.pop("affine"),
        "other_group_rmse_pp": other_group(raw, official, groups),
        "not_used": measured,
    }
    return {"slope": round(slope, 6), "intercept": round(intercept, 6), "quality": rounded(report)}


def rounded(value: Any) -> Any:
    """Floats in nested dictionaries and lists with four digits, so that the JSON is the same on every machine."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, DIGITS) if isinstance(value, float) else value
