"""epsinas: its definition, what has no signal, and the networks it is computed from."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from invertnas.benchmarks.nasbench_nlp.benchmark import NASBenchNLPAnalysis
from invertnas.errors import ConfigError, DataMissingError, OutOfDomainError
from invertnas.proxies.base import Proxy
from invertnas.proxies.epsinas import EpsinasConfig, EpsinasNB201, EpsinasNLP, ImageEpsinasConfig, epsinas_score
from invertnas.proxies.networks.constant_nb201 import constant_output
from invertnas.spaces.nasbench201 import CELL_EDGES, OP_NAMES, NASBench201Space
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace
from invertnas.spaces.spec import ArchSpec

NLP, NB201 = NASBenchNLPSpace(), NASBench201Space()
SMALL = EpsinasConfig(batch=16, steps=10)
TINY = ImageEpsinasConfig(channels=2, cells=1, batch=5)


def nb201(*names: str) -> ArchSpec:
    return NB201.from_cell_ops([OP_NAMES.index(name) for name in names])


def test_score_is_the_definition() -> None:
    # Scaled: (NaN, 0.5, 1, 0.25) and (1, NaN, 0.5, 0.25); only the last two places have both.
    first, second = np.array([1.0, 3.0, 5.0, 2.0]), np.array([-1.0, -9.0, -5.0, -7.0])
    expected = np.mean([0.5, 0.0]) / np.mean([0.5, 1, 0.25, 1, 0.5, 0.25])
    assert epsinas_score(first, second) == pytest.approx(expected, rel=1e-12)
    assert epsinas_score(first.reshape(2, 2), second.reshape(2, 2)) == epsinas_score(first, second)
    assert epsinas_score(1e-3 * first + 8, 7e9 * second) == pytest.approx(expected, rel=1e-9)
    assert epsinas_score(first, first) == 0


@pytest.mark.parametrize(
    "outputs",
    [
        [3.0, 3.0, 3.0, 3.0],
        [3.0, 3.0, 3.0, 3.0 + 1e-14],
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 1e-40, 2e-40, 3e-40],
        [0.0, 1.0, 2.0, 1e39],
        [0.0, 1.0, 2.0, np.inf],
        [0.0, 1.0, 2.0, np.nan],
    ],
)
def test_no_signal_scores_minus_infinity(outputs: list[float]) -> None:
    other = np.arange(4.0)
    assert epsinas_score(np.array(outputs), other) == epsinas_score(other, np.array(outputs)) == -np.inf
    assert epsinas_score(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == -np.inf


@pytest.mark.parametrize("proxy", [EpsinasNLP(SMALL), EpsinasNB201(TINY)])
def test_proxies_keep_the_contract(proxy: EpsinasNLP | EpsinasNB201) -> None:
    space = NLP if isinstance(proxy, EpsinasNLP) else NB201
    rng = np.random.default_rng(5)
    archs = [space.sample(rng) for _ in range(12)]
    scores = proxy.score(archs)
    assert isinstance(proxy, Proxy) and proxy.name == "epsinas"
    assert scores.shape == (12,) and scores.dtype == np.float64 and not np.isnan(scores).any()
    assert np.isfinite(scores).sum() >= 5 and len(set(scores.tolist())) > 5
    assert np.array_equal(proxy.score(archs[::-1]), scores[::-1]) and proxy.score([]).shape == (0,)
    with pytest.raises(OutOfDomainError):
        proxy.score([archs[0], ArchSpec((1, 0), ((0, 1),))])


def test_nlp_score_depends_on_words_seed_and_not_on_node_order(tmp_path: Path) -> None:
    one = NLP.from_string("linear(x,h0);linear(x,h0);tanh(0);sigm(1);prod(2,3)->4")
    other = NLP.from_string("linear(x,h0);linear(x,h0);sigm(0);tanh(1);prod(2,3)->4")
    first, second = EpsinasNLP(SMALL).score([one, other])
    assert first == second > 0
    path = tmp_path / "ptb.train.txt"
    path.write_text("a b c d e f g\n" * 40, encoding="utf-8")
    seed = EpsinasConfig(batch=16, steps=10, seed=22)
    scores = {first, EpsinasNLP(seed).score([one])[0], EpsinasNLP(SMALL, path).score([one])[0]}
    assert len(scores) == 3
    with pytest.raises(DataMissingError):
        EpsinasNLP(SMALL, tmp_path / "none.txt")


def test_better_cells_score_higher() -> None:
    analysis = NASBenchNLPAnalysis()
    archs = analysis.logged()[::40]
    accuracy = np.array([analysis.test_accuracy(arch, "ptb") for arch in archs], np.float64)
    scores = EpsinasNLP(SMALL).score(archs)
    kept = np.isfinite(scores) & (accuracy > 0.92)  # cells whose run did not diverge
    ranks = [values[kept].argsort().argsort() for values in (scores, accuracy)]
    assert kept.sum() > 100 and np.corrcoef(ranks[0], ranks[1])[0, 1] > 0.25


def conv(maps: np.ndarray, weight: float, outputs: int, size: int, stride: int) -> np.ndarray:
    """(B, H', W', outputs) convolution with one weight for all, zeros outside, pixel by pixel."""
    batch, height, width, _ = maps.shape
    edge = size // 2
    padded = np.pad(maps, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    found = np.zeros((batch, height // stride, width // stride, outputs))
    for row, column in itertools.product(range(0, height, stride), range(0, width, stride)):
        window = padded[:, row : row + size, column : column + size]
        kernel = np.full((*window.shape[1:], outputs), weight)
        found[:, row // stride, column // stride] = np.einsum("bijc,ijco->bo", window, kernel)
    return found


def norm(maps: np.ndarray, weight: float) -> np.ndarray:
    mean, var = maps.mean(axis=(0, 1, 2)), maps.var(axis=(0, 1, 2))
    return weight * (maps - mean) / np.sqrt(var + 1e-5)


def relu_conv_norm(maps: np.ndarray, weight: float, outputs: int, size: int, stride: int = 1) -> np.ndarray:
    return norm(conv(np.maximum(maps, 0), weight, outputs, size, stride), weight)


def pool(maps: np.ndarray) -> np.ndarray:
    found = np.zeros_like(maps)
    for row, column in itertools.product(range(maps.shape[1]), range(maps.shape[2])):
        window = maps[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        found[:, row, column] = window.mean(axis=(1, 2))
    return found


def operation(name: str, maps: np.ndarray, weight: float, channels: int) -> np.ndarray:
    if name.startswith("nor_conv"):
        return relu_conv_norm(maps, weight, channels, int(name[-1]))
    return {"none": 0 * maps, "skip_connect": maps, "avg_pool_3x3": pool(maps)}[name]


def full_network(cell_ops: tuple[int, ...], pixels: np.ndarray, weight: float, channels: int) -> np.ndarray:
    """(B,) output with every channel, one cell per stage."""
    maps = norm(conv(pixels, weight, channels, 3, 1), weight)
    for stage in range(3):
        wide = channels * 2**stage
        if stage:
            inner = relu_conv_norm(relu_conv_norm(maps, weight, wide, 3, 2), weight, wide, 3)
            batch, height, width, depth = maps.shape
            means = maps.reshape(batch, height // 2, 2, width // 2, 2, depth).mean(axis=(2, 4))
            maps = inner + conv(means, weight, wide, 1, 1)
        nodes = [maps, *(np.zeros_like(maps) for _ in range(3))]
        for (source, target), op in zip(CELL_EDGES, cell_ops):
            nodes[target] = nodes[target] + operation(OP_NAMES[op], nodes[source], weight, wide)
        maps = nodes[3]
    means = np.maximum(norm(maps, weight), 0).mean(axis=(1, 2))
    return means @ np.full(means.shape[1], weight)


@pytest.mark.parametrize("weight", [0.01, 1.0])
@pytest.mark.parametrize(
    "names",
    [
        ("nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1", "none", "skip_connect", "nor_conv_3x3"),
        ("skip_connect", "none", "avg_pool_3x3", "nor_conv_1x1", "none", "nor_conv_1x1"),
    ],
)
def test_one_channel_equals_the_full_image_network(names: tuple[str, ...], weight: float) -> None:
    pixels = np.random.default_rng(1).normal(size=(3, 8, 8, 3))
    cell_ops = nb201(*names).ops[1:-1]
    found = constant_output(cell_ops, pixels.sum(axis=3), weight, channels=2, cells=1)
    full = full_network(cell_ops, pixels, weight, 2)
    assert np.ptp(full) > 1e-3 * np.abs(full).max()
    np.testing.assert_allclose(found, full, rtol=1e-7)


def test_images_without_signal_and_with() -> None:
    dead, convolutions, residual = (
        nb201(*["none"] * 6),
        nb201(*["nor_conv_3x3"] * 6),
        nb201("nor_conv_3x3", "none", "nor_conv_3x3", "skip_connect", "none", "nor_conv_3x3"),
    )
    scores = EpsinasNB201(ImageEpsinasConfig(channels=2, batch=5)).score([dead, convolutions, residual])
    assert scores[0] == scores[1] == -np.inf and np.isfinite(scores[2])


@pytest.mark.parametrize(
    "values",
    [
        {"weights": (1.0, 1.0)}, {"weights": (0.0, 1.0)}, {"weights": (2.0, 1.0)}, {"batch": 0}, {"steps": 0},
        {"embedding": 0}, {"widths": ()}, {"widths": (3, 0)}, {"seed": -1},
    ],
)  # fmt: skip
def test_config_refuses(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        EpsinasConfig(**values)


def test_image_config_refuses() -> None:
    refused: list[dict[str, Any]] = [
        {"weights": (1.0, 0.1)},
        {"channels": 0},
        {"cells": 0},
        {"batch": 2},
        {"batch": 129},
    ]
    for values in refused:
        with pytest.raises(ConfigError, match="expected"):
            ImageEpsinasConfig(**values)
