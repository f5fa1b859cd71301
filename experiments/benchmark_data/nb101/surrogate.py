"""The surrogate of NAS-Bench-101: gradient-boosted trees on the features of a cell, cross-fitted.

The trees predict -log(1 - accuracy), which spreads the good cells apart, under Huber's loss, since a few
cells failed to train (10 % accuracy) for reasons no feature shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from experiments.benchmark_data.nb101.features import features, unpack
from invertnas.errors import DataMissingError
from invertnas.seeding import generator

FOLDS = 5
CHUNK = 50_000
Accuracies = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class TreeConfig:
    """LightGBM settings; see its documentation for the meaning of each.

    Found by hand on one split: with half the features or 31 leaves the held-out Kendall tau differs by 0.001.
    """

    rounds: int = 1_500
    num_leaves: int = 15
    learning_rate: float = 0.05
    feature_fraction: float = 0.3
    bagging_fraction: float = 0.8
    bagging_freq: int = 1
    min_data_in_leaf: int = 10
    lambda_l2: float = 1.0
    alpha: float = 0.3


class Model(Protocol):
    """What is used of a fitted `lightgbm.Booster`."""

    def predict(self, data: npt.NDArray[np.float32]) -> Any: ...


def to_score(accuracy: Accuracies) -> Accuracies:
    """-log(1 - accuracy)."""
    return -np.log1p(-accuracy)


def to_accuracy(score: Accuracies) -> Accuracies:
    """Inverse of `to_score`."""
    return -np.expm1(-score)


def fit_trees(inputs: npt.NDArray[np.float32], accuracies: Accuracies, config: TreeConfig, seed: int) -> Model:
    """Trees that predict `to_score(accuracies)` from (B, F) inputs. Raises DataMissingError without LightGBM."""
    try:
        import lightgbm
    except ImportError as error:
        raise DataMissingError(
            f"fitting the surrogate needs LightGBM ({error}); run `pip install invertnas[surrogates]`"
        ) from error
    settings = dataclasses.asdict(config)
    rounds = settings.pop("rounds")
    fixed = {
        "objective": "huber",
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
        "seed": seed,
    }
    data = lightgbm.Dataset(inputs, to_score(accuracies), free_raw_data=True)
    model: Model = lightgbm.train(settings | fixed, data, num_boost_round=rounds)
    return model


@dataclasses.dataclass(frozen=True)
class CrossFit:
    """A surrogate whose every known cell was predicted by a model that had not seen it.

    Attributes:
        models: one per fold.
        folds: (K,) fold of each known cell.
        held_out: (K,) accuracy predicted by the model of its fold.
    """

    models: Sequence[Model]
    folds: npt.NDArray[np.int64]
    held_out: Accuracies


def cross_fit(
    codes: npt.NDArray[np.uint32], accuracies: Accuracies, config: TreeConfig, seed: int, folds: int = FOLDS
) -> CrossFit:
    """Fit `folds` models on (K,) cell codes and accuracies, each without one fold."""
    inputs = features(unpack(codes))
    fold = generator(seed, "folds").permutation(len(codes)) % folds
    held_out = np.empty(len(codes))
    models = []
    for number in range(folds):
        rest = fold != number
        models.append(fit_trees(inputs[rest], accuracies[rest], config, seed + number))
        held_out[~rest] = to_accuracy(models[-1].predict(inputs[~rest]))
    return CrossFit(models, fold, held_out)


def predict(models: Sequence[Model], codes: npt.NDArray[np.uint32]) -> Accuracies:
    """(M,) mean of the models' accuracies for (M,) cell codes."""
    result = np.empty(len(codes))
    for start in range(0, len(codes), CHUNK):
        part = slice(start, start + CHUNK)
        inputs = features(unpack(codes[part]))
        result[part] = np.mean([to_accuracy(np.asarray(model.predict(inputs))) for model in models], axis=0)
    return result
