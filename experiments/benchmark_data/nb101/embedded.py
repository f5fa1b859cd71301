"""The embedded NAS-Bench-101 table from start to end: test means, conversion, surrogate, labels and their quality."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.benchmark_data.nb101 import quality as nb101_quality
from experiments.benchmark_data.nb101.known import Known
from experiments.benchmark_data.nb101.labels import (
    Conversion,
    assemble,
    embedded_table,
    fit_conversion,
    fit_shift_to_test,
)
from experiments.benchmark_data.nb101.official_test import check_known
from experiments.benchmark_data.nb101.residual import SHARE, WINDOW, Residual
from experiments.benchmark_data.nb101.surrogate import FOLDS, TreeConfig, cross_fit, predict
from invertnas.seeding import generator

# A measured mean weighs so much in the loss; a mean converted from the highest of three runs weighs one.
MEAN_WEIGHT = 4.0
Accuracies = npt.NDArray[np.float64]


def build(
    codes: npt.NDArray[np.uint32], test: Accuracies, known: Known, sources: str, config: TreeConfig, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays of the table and the figures of its quality.

    Args:
        codes: (M,) all cells, ascending.
        test: (M,) their mean test accuracies.
        known: K measured cells.
        sources: checksums of the files the values come from.
        config, seed: of the surrogate; the seed also draws the residuals.

    Raises:
        DataMissingError: LightGBM cannot be imported.
        ArtefactError: known test means disagree with `test`.
    """
    rows = np.searchsorted(codes, known.codes)
    compared = check_known(test[rows], known.test_mean)
    known = dataclasses.replace(known, test_mean=test[rows])
    means = ~np.isnan(known.val_mean)
    shift = fit_shift_to_test(known.val_mean[means], known.test_mean[means])
    conversion = fit_conversion(known, shift)
    targets, used = _targets(known, conversion)
    weights = np.where(means, MEAN_WEIGHT, 1.0)
    fit = cross_fit(known.codes[used], targets[used], known.test_mean[used], weights[used], config, seed)
    held_out = np.full(len(known.codes), np.nan)
    held_out[used] = fit.held_out
    residual = Residual.of(held_out[means], known.val_mean[means])
    guesses = predict(fit.models, codes, test)
    labels = assemble(codes, residual.draw(guesses, generator(seed, "residual")), test, known, conversion)
    quality = {
        "model": f"mean of {FOLDS} LightGBM models, each fitted without a fifth of the cells",
        "lightgbm": importlib.metadata.version("lightgbm"),
        "config": dataclasses.asdict(config) | {"mean_weight": MEAN_WEIGHT},
        "seed": seed,
        **nb101_quality.held_out_quality(held_out, targets, known, test, residual, seed),
        "residual": {"share": SHARE, "window": WINDOW, "pairs": int(means.sum())},
        "conversion": dataclasses.asdict(conversion),
        "shift_to_test": dataclasses.asdict(shift),
        "test_means_compared": compared,
        "val_cells": nb101_quality.counts(labels.val_source),
        "test_cells": nb101_quality.counts(labels.test_source),
        "labels": nb101_quality.best_labels(labels),
    }
    return embedded_table(codes, labels, sources), quality


def _targets(known: Known, conversion: Conversion) -> tuple[Accuracies, npt.NDArray[np.bool_]]:
    """(K,) means of three validation runs, measured or converted from the highest, and where there is one."""
    targets = np.where(np.isnan(known.val_mean), conversion.mean(known.val_max), known.val_mean)
    return targets, ~np.isnan(targets)
