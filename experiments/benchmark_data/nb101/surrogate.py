"""The surrogate of NAS-Bench-101: gradient-boosted trees on the features of a cell and its test accuracy, cross-fitted.

The trees predict how much -log(1 - validation accuracy) differs from -log(1 - test accuracy). The logarithm spreads
the good cells apart. Huber's loss limits the weight of the few cells that failed to train (10 % accuracy) for
reasons no feature shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from experiments.benchmark_data.nb101.features import features, unpack
from invertnas.errors import DataMissingError
from invertnas.seeding import generator, seed_sequence

FOLDS = 5
CHUNK = 50_000
Accuracies = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class TreeConfig:
    """LightGBM settings; see its documentation for the meaning of each.

    Found by hand: with 15 leaves, 300 rounds or twice the features the held-out Kendall tau differs by 0.001.
    """

    rounds: int = 400
    num_leaves: int = 31
    learning_rate: float = 0.03
    feature_fraction: float = 0.15
    bagging_fraction: float = 0.8
    bagging_freq: int = 1
    min_data_in_leaf: int = 20
    lambda_l2: float = 1.0
    alpha: float = 0.02


class Model(Protocol):
    """What is used of a fitted `lightgbm.Booster`."""

    def predict(self, data: npt.NDArray[np.float32]) -> Any: ...


def to_score(accuracy: Accuracies) -> Accuracies:
    """-log(1 - accuracy)."""
    return -np.log1p(-accuracy)


def to_accuracy(score: Accuracies) -> Accuracies:
    """Inverse of `to_score`."""
    return -np.expm1(-score)


def inputs_of(codes: npt.NDArray[np.uint32], test: Accuracies) -> npt.NDArray[np.float32]:
    """(M, F + 1) features of (M,) cells and the score of their test accuracies."""
    return np.column_stack([features(unpack(codes)), to_score(test).astype(np.float32)])


def fit_trees(
    inputs: npt.NDArray[np.float32], targets: Accuracies, weights: Accuracies, config: TreeConfig, seed: int
) -> Model:
    """Trees that predict (B,) targets from (B, F) inputs. Raises DataMissingError without LightGBM."""
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
    data = lightgbm.Dataset(inputs, targets, weight=weights, free_raw_data=True)
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
    codes: npt.NDArray[np.uint32],
    accuracies: Accuracies,
    test: Accuracies,
    weights: Accuracies,
    config: TreeConfig,
    seed: int,
    folds: int = FOLDS,
) -> CrossFit:
    """Fit `folds` models, each without one fold.

    Args:
        codes: (K,) cell codes.
        accuracies: (K,) validation accuracies.
        test: (K,) test accuracies.
        weights: (K,) weights of the cells in the loss.
        config, seed: of the trees; the seed also deals the folds.
        folds: number of models.
    """
    inputs, base = inputs_of(codes, test), to_score(test)
    targets = to_score(accuracies) - base
    fold = generator(seed, "folds").permutation(len(codes)) % folds
    held_out = np.empty(len(codes))
    models = []
    for number in range(folds):
        rest = fold != number
        own = int(seed_sequence(seed, "trees", number).generate_state(1)[0]) >> 1  # LightGBM takes 31 bits
        model = fit_trees(inputs[rest], targets[rest], weights[rest], config, own)
        held_out[~rest] = to_accuracy(base[~rest] + np.asarray(model.predict(inputs[~rest])))
        models.append(model)
    return CrossFit(models, fold, held_out)


def predict(models: Sequence[Model], codes: npt.NDArray[np.uint32], test: Accuracies) -> Accuracies:
    """(M,) validation accuracies for (M,) cell codes and test accuracies, from the mean of the models' scores."""
    result = np.empty(len(codes))
    for start in range(0, len(codes), CHUNK):
        part = slice(start, start + CHUNK)
        inputs = inputs_of(codes[part], test[part])
        shift = np.mean([np.asarray(model.predict(inputs)) for model in models], axis=0)
        result[part] = to_accuracy(to_score(test[part]) + shift)
    return result
