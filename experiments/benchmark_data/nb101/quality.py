"""How good the embedded NAS-Bench-101 labels are: agreement on held-out cells, and what a search would meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from experiments.benchmark_data.nb101.labels import SURROGATE, Labels
from invertnas.benchmarks.nasbench101.benchmark import SOURCES

Accuracies = npt.NDArray[np.float64]
# Below this many cells did not train, for reasons that no feature shows; they make up most of the whole RMSE.
TRAINED = 0.85
BEST = (100, 1_000, 10_000)


def agreement(predicted: Accuracies, measured: Accuracies) -> dict[str, float]:
    """Rank correlations and errors (as fractions) of (K,) predictions."""
    error = np.abs(predicted - measured)
    return {
        "cells": len(measured),
        "kendall_tau": float(stats.kendalltau(predicted, measured).statistic),
        "spearman": float(stats.spearmanr(predicted, measured).statistic),
        "rmse": float(np.sqrt((error**2).mean())),
        "median_error": float(np.median(error)),
    }


def ranges(predicted: Accuracies, measured: Accuracies) -> dict[str, dict[str, float]]:
    """`agreement` on all cells, on those that trained, and on the tenth that measured best."""
    rows = {
        "all": np.ones(len(measured), bool),
        f"above {TRAINED:.0%}": measured > TRAINED,
        "best tenth": measured >= np.quantile(measured, 0.9),
    }
    return {name: agreement(predicted[chosen], measured[chosen]) for name, chosen in rows.items()}


def counts(sources: npt.NDArray[np.uint8]) -> dict[str, int]:
    """Cells by what their label is."""
    return dict(zip(SOURCES, np.bincount(sources, minlength=len(SOURCES)).tolist()))


def best_labels(labels: Labels) -> dict[str, Any]:
    """Maxima, and how many of the best cells by validation carry a measured value.

    Were the measured cells no different from the others, their share would be the same among the best; it is
    higher, since a measured value keeps the deviations that a prediction averages out.
    """
    order = np.argsort(-labels.val, kind="stable")
    measured = labels.val_source[order] != SURROGATE
    return {
        "best_val": float(labels.val.max()),
        "best_val_of_surrogate": float(labels.val[labels.val_source == SURROGATE].max()),
        "best_test": float(labels.test.max()),
        "measured_share": float(measured.mean()),
        "measured_share_of_best": {str(best): float(measured[:best].mean()) for best in BEST},
    }


def report(quality: dict[str, Any]) -> str:
    """The figures as a table for the terminal."""
    head = f"{'held-out cells':32s}{'cells':>8s}{'Kendall':>9s}{'Spearman':>10s}{'RMSE pp':>9s}{'median pp':>11s}"
    lines = [head]
    for kind in ("validation", "test"):
        for name, row in quality[kind].items():
            errors = f"{100 * row['rmse']:9.3f}{100 * row['median_error']:11.3f}"
            lines.append(
                f"{kind + ', ' + name:32s}{row['cells']:8d}{row['kendall_tau']:9.4f}{row['spearman']:10.4f}{errors}"
            )
    conversion, shift = quality["conversion"], quality["shift_to_test"]
    gaps = ", ".join(f"{100 * gap:.3f} at {knot:.0%}" for knot, gap in zip(conversion["knots"], conversion["gaps"]))
    lines += [
        f"mean of three = highest - gap, gap in pp {gaps}: RMSE {100 * conversion['rmse']:.3f} pp on "
        f"{conversion['direct']} cells; fitted on them and {conversion['by_test']} test means, without "
        f"{conversion['failed']} cells with a failed run",
        f"slope of the gap on the surplus {conversion['surplus_slope']:.3f} "
        f"+- {conversion['surplus_slope_error']:.3f}, not used",
        f"test from validation: RMSE {100 * shift['rmse']:.3f} pp on {shift['pairs']} cells",
        f"validation labels: {quality['val_cells']}; test labels: {quality['test_cells']}",
        f"best labels: {quality['labels']}",
    ]
    return "\n".join(lines)
