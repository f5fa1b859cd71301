"""How good the embedded NAS-Bench-101 labels are: agreement on held-out cells, and what a search would meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from experiments.benchmark_data.nb101.known import Known
from experiments.benchmark_data.nb101.labels import IMPUTED, Labels
from experiments.benchmark_data.nb101.residual import SHARES, Residual
from invertnas.benchmarks.nasbench101.benchmark import SOURCES
from invertnas.seeding import generator

Accuracies = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
# Below this many cells did not train, for reasons that no feature shows; they make up most of the whole RMSE.
TRAINED = 0.85
BEST = (100, 1_000, 10_000)
DRAWS = 10


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


def ranges(predicted: Accuracies, measured: Accuracies, best: Bools) -> dict[str, dict[str, float]]:
    """`agreement` on all cells, on those that trained, and on those that `best` marks."""
    rows = {"all": np.ones(len(measured), bool), f"above {TRAINED:.0%}": measured > TRAINED, "best tenth": best}
    return {name: agreement(predicted[chosen], measured[chosen]) for name, chosen in rows.items()}


def held_out_quality(
    held_out: Accuracies, targets: Accuracies, known: Known, test: Accuracies, residual: Residual, seed: int
) -> dict[str, Any]:
    """How the imputation agrees with measured validation accuracies of cells it has not seen.

    The best tenth are the cells whose test accuracy is among the best tenth of the whole space.

    Args:
        held_out: (K,) predicted means without the residual.
        targets: (K,) means of three, measured or converted from the highest.
        known: K measured cells, with their test means.
        test: (M,) test means of the space.
        residual: what is added to a prediction.
        seed: of the draws.

    Returns:
        "validation": predictions against measured means; "converted": against means from the highest of three runs;
        "test_alone": the test accuracy against measured means; "by_share": Kendall's tau, mean over draws, of labels
        with a share of the residual with the measured validation and with the test accuracy; "measured_with_test":
        that of the measured validation accuracy with the test accuracy.
    """
    bar = np.quantile(test, 0.9)
    means = ~np.isnan(known.val_mean)
    maxima = ~np.isnan(known.val_max) & ~means
    measured, tested, guessed = known.val_mean[means], known.test_mean[means], held_out[means]
    best = tested >= bar
    draws = {share: [_draw(residual, guessed, seed, draw, share) for draw in range(DRAWS)] for share in SHARES}
    return {
        "validation": ranges(guessed, measured, best),
        "converted": ranges(held_out[maxima], targets[maxima], known.test_mean[maxima] >= bar),
        "test_alone": ranges(tested, measured, best),
        "by_share": {
            str(share): {
                "with_validation": _taus(labels, measured, best),
                "with_test": _taus(labels, tested, best),
            }
            for share, labels in draws.items()
        },
        "measured_with_test": _taus([measured], tested, best),
    }


def _draw(residual: Residual, guessed: Accuracies, seed: int, draw: int, share: float) -> Accuracies:
    return residual.draw(guessed, generator(seed, "residual_quality", draw), share)


def _taus(labels: Sequence[Accuracies], values: Accuracies, best: Bools) -> dict[str, float]:
    """Kendall's tau over all cells and over the best tenth, mean over the draws."""
    rows = {"all": np.ones(len(values), bool), "best tenth": best}
    return {
        name: float(np.mean([stats.kendalltau(one[chosen], values[chosen]).statistic for one in labels]))
        for name, chosen in rows.items()
    }


def counts(sources: npt.NDArray[np.uint8]) -> dict[str, int]:
    """Cells by what their label is."""
    return dict(zip(SOURCES, np.bincount(sources, minlength=len(SOURCES)).tolist()))


def best_labels(labels: Labels) -> dict[str, Any]:
    """Maxima, and how many of the best cells by validation carry a measured value.

    Were the measured cells no different from the others, their share would be the same among the best.
    """
    order = np.argsort(-labels.val, kind="stable")
    measured = labels.val_source[order] != IMPUTED
    return {
        "best_val": float(labels.val.max()),
        "best_val_of_imputed": float(labels.val[labels.val_source == IMPUTED].max()),
        "best_test": float(labels.test.max()),
        "measured_share": float(measured.mean()),
        "measured_share_of_best": {str(best): float(measured[:best].mean()) for best in BEST},
    }


def report(quality: dict[str, Any]) -> str:
    """The figures as a table for the terminal."""
    lines = [f"{'held-out cells':32s}{'cells':>8s}{'Kendall':>9s}{'Spearman':>10s}{'RMSE pp':>9s}{'median pp':>11s}"]
    for kind in ("validation", "converted", "test_alone"):
        for name, row in quality[kind].items():
            errors = f"{100 * row['rmse']:9.3f}{100 * row['median_error']:11.3f}"
            lines.append(
                f"{kind + ', ' + name:32s}{row['cells']:8d}{row['kendall_tau']:9.4f}{row['spearman']:10.4f}{errors}"
            )
    for share, row in quality["by_share"].items():
        pairs = ", ".join(
            f"{kind.replace('_', ' ')} {row[kind]['all']:.4f} / {row[kind]['best tenth']:.4f}" for kind in row
        )
        lines.append(f"share {share} of the residual: tau {pairs}")
    conversion, shift = quality["conversion"], quality["shift_to_test"]
    gaps = ", ".join(f"{100 * gap:.3f} at {knot:.0%}" for knot, gap in zip(conversion["knots"], conversion["gaps"]))
    lines += [
        f"measured with test: {quality['measured_with_test']}",
        f"mean of three = highest - gap, gap in pp {gaps}: RMSE {100 * conversion['rmse']:.3f} pp on "
        f"{conversion['direct']} cells; fitted on them and {conversion['by_test']} test means, without "
        f"{conversion['failed']} cells with a failed run",
        f"test from validation: RMSE {100 * shift['rmse']:.3f} pp on {shift['pairs']} cells",
        f"validation labels: {quality['val_cells']}; test labels: {quality['test_cells']}",
        f"best labels: {quality['labels']}",
    ]
    return "\n".join(lines)
