"""The embedded NAS-Bench-101 table from start to end: surrogate, conversion, labels and their quality."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.benchmark_data.nb101 import quality as nb101_quality
from experiments.benchmark_data.nb101.known import Known
from experiments.benchmark_data.nb101.labels import assemble, embedded_table, fit_conversion, fit_shift_to_test
from experiments.benchmark_data.nb101.surrogate import FOLDS, TreeConfig, cross_fit, predict
from invertnas.spaces.nasbench101.graph import canonical_masks, cell_code, labellings
from invertnas.spaces.nasbench101.space import MAX_NODES


def all_codes() -> npt.NDArray[np.uint32]:
    """(423624,) codes of all cells, ascending."""
    masks = [(mask, nodes) for nodes in range(2, MAX_NODES + 1) for mask in canonical_masks(nodes)]
    return np.array([cell_code(mask, labels) for mask, nodes in masks for labels in labellings(mask, nodes)], np.uint32)


def build(
    known: Known, source_sha256: str, config: TreeConfig, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays of the table and the figures of its quality. Raises DataMissingError without LightGBM."""
    codes = all_codes()
    trained = ~np.isnan(known.val_max)
    fit = cross_fit(known.codes[trained], known.val_max[trained], config, seed)
    held_out = np.full(len(known.codes), np.nan)
    held_out[trained] = fit.held_out
    pairs = ~np.isnan(known.val_mean) & ~np.isnan(known.test_mean)
    shift = fit_shift_to_test(known.val_mean[pairs], known.test_mean[pairs])
    conversion = fit_conversion(known, held_out, shift)
    guesses = predict(fit.models, codes)
    labels = assemble(codes, guesses, known, conversion, shift)
    # Test means of cells whose validation accuracy the surrogate has not seen in any form.
    unseen = ~trained & ~np.isnan(known.test_mean) & np.isnan(known.val_mean)
    guessed = guesses[np.searchsorted(codes, known.codes[unseen])]
    quality = {
        "model": f"mean of {FOLDS} LightGBM models, each fitted without a fifth of the cells",
        "lightgbm": importlib.metadata.version("lightgbm"),
        "config": dataclasses.asdict(config),
        "seed": seed,
        "validation": nb101_quality.ranges(fit.held_out, known.val_max[trained]),
        "test": nb101_quality.ranges(shift.test(conversion.mean(guessed)), known.test_mean[unseen]),
        "conversion": dataclasses.asdict(conversion),
        "shift_to_test": dataclasses.asdict(shift),
        "val_cells": nb101_quality.counts(labels.val_source),
        "test_cells": nb101_quality.counts(labels.test_source),
        "labels": nb101_quality.best_labels(labels),
    }
    return embedded_table(codes, labels, source_sha256), quality
