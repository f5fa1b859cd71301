"""Parameters and multiply-adds of networks: those that the benchmarks publish, and those of the Keras models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from invertnas.benchmarks.nasbench201 import NASBench201Analysis
from invertnas.errors import ConfigError, OutOfDomainError
from invertnas.networks import build_keras, count_parameters, network_cost
from invertnas.spaces import NASBench101Space, NASBench201Space, NASBench301Space, NASBenchNLPSpace
from invertnas.spaces.spec import ArchSpec

NB101, NB201, NB301, NLP = NASBench101Space(), NASBench201Space(), NASBench301Space(), NASBenchNLPSpace()
CIFAR = (32, 32, 3)
PUBLISHED = json.loads((Path(__file__).parent / "published_parameters.json").read_text(encoding="utf-8"))
# DARTS_V2 as printed in the authors' repository, whose training script logs 3.349342 MB of parameters for 20 cells of
# 36 channels on CIFAR-10, and 528 M multiply-adds in the paper's comparison tables.
DARTS_V2 = (
    [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1)]
    + [("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)],
    (2, 3, 4, 5),
    [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1)]
    + [("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)],
    (2, 3, 4, 5),
)


def samples(space: Any, count: int, seed: int = 5) -> list[ArchSpec]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def test_nb201_has_the_published_parameters() -> None:
    analysis = NASBench201Analysis()
    published = analysis.table("cifar10")["params"]
    for index in np.random.default_rng(0).choice(len(published), 500, replace=False).tolist():
        assert network_cost(NB201, analysis.arch(index), CIFAR, 10).parameters == published[index]


def test_nb201_has_the_published_multiply_adds() -> None:
    """The release prints "FLOP=184.73 M, Params=1.289 MB" for the cell with index 9930."""
    cost = network_cost(NB201, NASBench201Analysis().arch(9930), CIFAR, 10)
    assert round(cost.multiply_adds / 1e6, 2) == 184.73 and round(cost.parameters / 1e6, 3) == 1.289


def test_nb101_has_the_published_parameters() -> None:
    cells = PUBLISHED["nasbench101"]["cells"]
    assert len(cells) == 500
    for code, parameters in cells:
        assert network_cost(NB101, NB101.from_code(code), CIFAR, 10).parameters == parameters


def test_nlp_has_the_published_parameters() -> None:
    cells = PUBLISHED["nasbench_nlp"]["cells"]
    assert len(cells) == 500
    for text, parameters in cells:
        assert network_cost(NLP, text, (35,), 10_000).parameters == parameters


def test_darts_has_the_published_counts() -> None:
    cost = network_cost(NB301, NB301.from_genotype(DARTS_V2), CIFAR, 10, channels=36, cells=20)
    assert cost.parameters == 3_349_342 and round(cost.multiply_adds / 1e6) == 528


@pytest.mark.parametrize("space", [NB201, NB101, NB301], ids=lambda space: space.name)
def test_a_keras_model_has_the_parameters_that_are_counted(space: Any) -> None:
    for arch in samples(space, 4):
        sizes = {"channels": 6, "cells": 3}
        model = build_keras(space, arch, (9, 12, 2), 5, seed=0, **sizes)
        assert count_parameters(model) == network_cost(space, arch, (9, 12, 2), 5, **sizes).parameters
        assert model.output_shape == (None, 5)


def test_a_language_model_has_the_parameters_that_are_counted() -> None:
    for arch in samples(NLP, 4):
        sizes = {"channels": 6, "cells": 2, "embedding": 4}
        model = build_keras(NLP, arch, (3,), 9, seed=0, **sizes)
        assert count_parameters(model) == network_cost(NLP, arch, (3,), 9, **sizes).parameters


@pytest.mark.slow
@pytest.mark.parametrize("space", [NB201, NB101, NB301, NLP], ids=lambda space: space.name)
def test_full_keras_models_have_the_parameters_that_are_counted(space: Any) -> None:
    shape, classes = ((35,), 10_000) if space is NLP else (CIFAR, 10)
    for arch in samples(space, 40):
        model = build_keras(space, arch, shape, classes, seed=0)
        assert count_parameters(model) == network_cost(space, arch, shape, classes).parameters


def test_pruning_leaves_out_what_the_output_does_not_depend_on() -> None:
    dead_end = NB201.from_cell_ops((3, 2, 6, 6, 6, 3))  # a 3x3 convolution into node 1, of which nothing comes out
    kept, pruned = (network_cost(NB201, dead_end, CIFAR, 10, prune=prune) for prune in (False, True))
    assert kept.parameters - pruned.parameters == 5 * sum(9 * c * c + 2 * c for c in (16, 32, 64))
    assert kept.multiply_adds - pruned.multiply_adds == 5 * 9 * 3 * (16 * 32) ** 2


def test_every_pixel_of_a_convolution_counts() -> None:
    arch = NB201.from_cell_ops((6,) * 5 + (3,))
    small, large = (network_cost(NB201, arch, (size, 8, 1), 2, channels=1, cells=1) for size in (8, 16))
    assert small.parameters == large.parameters
    head = 4 * 2  # the classifier's, which pixels do not change
    assert 2 * (small.multiply_adds - head) == large.multiply_adds - head


@pytest.mark.parametrize(
    ("space", "shape", "changes", "message"),
    [
        (NB201, (32, 32), {}, r"got input_shape \(32, 32\); expected \(height, width, channels\)"),
        (NLP, CIFAR, {}, r"got input_shape \(32, 32, 3\); expected \(steps,\)"),
        (NB201, (3, 32, 3), {}, r"got input_shape\[0\]=3; expected a whole number, at least 4"),
        (NB201, (32, 32, 1.0), {}, r"got input_shape\[2\]=1.0"),
        (NB201, CIFAR, {"channels": 0}, "got channels=0; expected a whole number, at least 1"),
        (NB201, CIFAR, {"channels": True}, "got channels=True"),
        (NB101, CIFAR, {"channels": 4}, "got channels=4; expected a whole number, at least 5"),
        (NB301, CIFAR, {"cells": 2}, "got cells=2; expected a whole number, at least 3"),
        (NLP, (9,), {"embedding": 0}, "got embedding=0"),
        (NB101, CIFAR, {"prune": True}, "got the setting 'prune' for nasbench101; expected no further settings"),
        (NLP, (9,), {"prune": True}, "got the setting 'prune' for nasbench_nlp; expected embedding"),
    ],
)
def test_what_cannot_be_is_refused(space: Any, shape: Any, changes: dict[str, Any], message: str) -> None:
    arch = samples(space, 1)[0]
    for make in (network_cost, lambda *given, **named: build_keras(*given, seed=0, **named)):
        with pytest.raises(ConfigError, match=message):
            make(space, arch, shape, 10, **changes)


def test_other_spaces_and_architectures_are_refused() -> None:
    class Own(NASBench201Space):
        name = "own"

    with pytest.raises(ConfigError, match="got space 'own', which has no network here; expected one of nasbench201"):
        network_cost(Own(), NB201.from_cell_ops((2,) * 6), CIFAR, 10)
    for space, arch in ((NB201, samples(NB101, 1)[0]), (NB101, samples(NB301, 1)[0]), (NB301, samples(NLP, 1)[0])):
        with pytest.raises(OutOfDomainError):
            network_cost(space, arch, CIFAR, 10)
    with pytest.raises(OutOfDomainError):
        network_cost(NLP, "nonsense", (3,), 10)
    with pytest.raises(ConfigError, match="got classes=0"):
        network_cost(NB201, NB201.from_cell_ops((2,) * 6), CIFAR, 0)
