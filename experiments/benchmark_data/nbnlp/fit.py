"""Training and judging the surrogate of NAS-Bench-NLP; needs LightGBM; no flags here."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from experiments.benchmark_data.nbnlp.data import Runs
from invertnas.benchmarks.nasbench_nlp.features import feature_names, features, x11_encoding
from invertnas.benchmarks.nasbench_nlp.surrogate import DIVERGED_LOSS, OFFSET, Forest, losses
from invertnas.errors import ArtefactError, DataMissingError
from invertnas.seeding import generator
from invertnas.spaces.nasbench_nlp import cell as nlp_cell
from invertnas.spaces.nasbench_nlp.cell import MAX_INNER, Cell

FOLDS = 5
MEMBERS = 3
# Training targets stop at the loss of a network that knows word frequencies only: 9 % of runs learn no more.
CAP = 6.6
SETTINGS = {
    "num_leaves": 63, "min_data_in_leaf": 5, "learning_rate": 0.04, "bagging_fraction": 0.7, "bagging_freq": 1,
    "feature_fraction": 0.3, "lambda_l2": 1.0, "verbosity": -1, "num_threads": 1, "deterministic": True,
    "force_col_wise": True, "max_bin": 255,
}  # fmt: skip
ROUNDS = 450
DIVERGENCE_ROUNDS = 250
Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Samples:
    """Distinct cells with what is to be predicted.

    Attributes:
        cells: C cells; those that fit are canonical, larger ones as listed.
        rows: (C, K) features.
        loss: (C,) mean validation loss of completed runs in nats, NaN if there is none.
        label: (C,) mean over all runs as the benchmark gives it, diverged ones at `DIVERGED_LOSS`.
        diverged: (C,) whether more than half of the runs diverged.
        fits: (C,) whether the cell is in the search space.
    """

    cells: tuple[Cell, ...]
    rows: Array
    loss: Array
    label: Array
    diverged: npt.NDArray[np.bool_]
    fits: npt.NDArray[np.bool_]


def samples(runs: Runs) -> Samples:
    """Runs of equal cells joined, with features; larger cells train the surrogate too."""
    keys = [nlp_cell.canonical(cell) if len(cell.ops) <= MAX_INNER else cell for cell in runs.cells]
    number = {cell: index for index, cell in enumerate(dict.fromkeys(keys))}
    of_run = np.array([number[cell] for cell in keys])
    total = np.bincount(of_run)
    val = runs.val.astype(np.float64)
    completed = ~np.isnan(val)
    count = np.bincount(of_run, completed)
    with np.errstate(invalid="ignore"):
        loss = np.bincount(of_run, np.where(completed, val, 0)) / np.where(count > 0, count, np.nan)
    capped = np.minimum(np.nan_to_num(val, nan=DIVERGED_LOSS), DIVERGED_LOSS)
    return Samples(
        tuple(number),
        np.stack([features(cell) for cell in number]),
        loss,
        np.bincount(of_run, capped) / total,
        count * 2 < total,
        np.array([len(cell.ops) <= MAX_INNER for cell in number]),
    )


def lightgbm() -> Any:
    """The package. Raises DataMissingError without it."""
    try:
        return importlib.import_module("lightgbm")
    except ImportError as error:
        raise DataMissingError(
            f"training the surrogate needs LightGBM ({error}); run `pip install lightgbm`"
        ) from error


def fit(data: Samples, train: npt.NDArray[np.bool_], *, seed: int, scale: float = 1.0) -> list[Any]:
    """LightGBM boosters on the samples marked in `train` (C,): `MEMBERS` for the loss, one for divergence.

    Args:
        data: all samples.
        train: which to use.
        seed: of the members; each has its own.
        scale: of the numbers of trees, for quick trials.
    """
    package = lightgbm()
    known = train & ~np.isnan(data.loss)
    target = np.log(np.minimum(data.loss[known], CAP) - OFFSET)
    boosters = [
        package.train(
            SETTINGS | {"objective": "regression", "seed": seed + member},
            package.Dataset(data.rows[known], target, params={"verbosity": -1}),
            max(2, round(ROUNDS * scale)),
        )
        for member in range(MEMBERS)
    ]
    divergence = package.train(
        SETTINGS | {"objective": "binary", "seed": seed + MEMBERS},
        package.Dataset(data.rows[train], data.diverged[train].astype(float), params={"verbosity": -1}),
        max(2, round(DIVERGENCE_ROUNDS * scale)),
    )
    return [*boosters, divergence]


def forest(boosters: list[Any]) -> Forest:
    """The trees of boosters as arrays, exactly."""
    feature: list[int] = []
    value: list[float] = []
    skip: list[int] = []
    roots: list[int] = []
    model: list[int] = []

    def add(node: dict[str, Any]) -> None:
        here = len(feature)
        leaf = "leaf_value" in node
        if not leaf and (node["decision_type"] != "<=" or node["missing_type"] != "None"):
            raise ArtefactError(f"got a split {node}; expected a number compared with a threshold")
        feature.append(-1 if leaf else node["split_feature"])
        value.append(node["leaf_value"] if leaf else node["threshold"])
        skip.append(0)
        if not leaf:
            add(node["left_child"])
            skip[here] = len(feature) - here
            add(node["right_child"])

    for index, booster in enumerate(boosters):
        for tree in booster.dump_model()["tree_info"]:
            roots.append(len(feature))
            model.append(index)
            add(tree["tree_structure"])
    return Forest(
        np.array(feature, np.int16),
        np.array(value),
        np.array(skip, np.int32),
        np.array(roots),
        np.array(model, np.uint8),
    )


def pack_forest(trees: Forest, source_sha256: str) -> dict[str, np.ndarray]:
    """Arrays of the surrogate's file."""
    return dataclasses.asdict(trees) | {"names": np.array(feature_names()), "source_sha256": np.array(source_sha256)}


def cross_validate(data: Samples, *, seed: int, scale: float = 1.0, folds: int = FOLDS) -> dict[str, Any]:
    """Quality on held-out cells of the search space; runs of one cell are always in the same fold.

    Args:
        data: samples; cells too large for the space train in every fold and are never held out.
        seed: of folds and members.
        scale: of the numbers of trees.
        folds: number of parts.

    Returns:
        What `nasbench_nlp_quality.json` holds; losses in nats.
    """
    fold = generator(seed, "nbnlp folds").integers(folds, size=len(data.cells))
    raw = np.full((len(data.cells), MEMBERS + 1), np.nan)
    baseline = np.full(len(data.cells), np.nan)
    for index in range(folds):
        held = data.fits & (fold == index)
        raw[held] = forest(fit(data, ~held, seed=seed, scale=scale)).raw(data.rows[held])
        baseline[held] = _x11_baseline(data, held, seed, scale)
    held = data.fits
    predicted = losses(raw[held])
    label, completed = data.label[held], ~data.diverged[held]
    open_gate = OFFSET + np.exp(raw[held, :-1].mean(axis=1))
    return {
        "held_out": f"{folds}-fold cross-validation over distinct cells of at most 12 nodes",
        "completed": agreement(predicted[completed], label[completed]),
        "completed_without_divergence_model": agreement(open_gate[completed], label[completed]),
        "all": agreement(predicted, label),
        "x11_encoding_completed": agreement(baseline[held][completed], label[completed]),
        "divergence": _divergence(raw[held, -1], data.diverged[held]),
    }


def _x11_baseline(data: Samples, held: npt.NDArray[np.bool_], seed: int, scale: float) -> Array:
    """Losses by one model of the same kind on NAS-Bench-X11's 185 numbers, trained on cells that fit."""
    package = lightgbm()
    encoded = np.array([x11_encoding(cell) if fits else [0] * 185 for cell, fits in zip(data.cells, data.fits)], float)
    known = data.fits & ~held & ~np.isnan(data.loss)
    target = np.log(np.minimum(data.loss[known], CAP) - OFFSET)
    dataset = package.Dataset(encoded[known], target, params={"verbosity": -1})
    booster = package.train(
        SETTINGS | {"objective": "regression", "seed": seed}, dataset, max(2, round(ROUNDS * scale))
    )
    return OFFSET + np.exp(booster.predict(encoded[held]))


def agreement(predicted: Array, label: Array) -> dict[str, float]:
    """Rank correlations and errors of (n,) losses, over the whole range and within the best tenth of labels."""
    best = label <= np.quantile(label, 0.1)
    found: dict[str, float] = {"cells": float(len(label))}
    for name, part in (("", np.ones(len(label), bool)), ("best_tenth_", best)):
        found |= {
            f"{name}kendall_tau": float(stats.kendalltau(predicted[part], label[part]).statistic),
            f"{name}spearman": float(stats.spearmanr(predicted[part], label[part]).statistic),
            f"{name}rmse": float(np.sqrt(np.mean((predicted[part] - label[part]) ** 2))),
            f"{name}median_error": float(np.median(np.abs(predicted[part] - label[part]))),
        }
    return {name: round(value, 4) for name, value in found.items()}


def _divergence(raw: Array, diverged: npt.NDArray[np.bool_]) -> dict[str, float]:
    rank = stats.rankdata(raw)
    positive = int(diverged.sum())
    area = (rank[diverged].sum() - positive * (positive + 1) / 2) / max(1, positive * (len(raw) - positive))
    return {
        "share": round(float(diverged.mean()), 4),
        "found": round(float((raw[diverged] > 0).mean()), 4),
        "false_alarms": round(float((raw[~diverged] > 0).mean()), 4),
        "area_under_curve": round(float(area), 4),
    }
