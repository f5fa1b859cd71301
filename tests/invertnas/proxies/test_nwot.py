"""NWOT: kernels against the plain networks of `tests.helpers.proxy_networks`, and what a score may depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from invertnas.errors import ConfigError, OutOfDomainError
from invertnas.proxies import Proxy
from invertnas.proxies.networks import layers
from invertnas.proxies.networks.layers import CodeKernel
from invertnas.proxies.networks.nasbench101 import NB101Network, node_channels
from invertnas.proxies.networks.nasbench201 import NB201Network, live_ops
from invertnas.proxies.networks.nasbench301 import NB301Network
from invertnas.proxies.nwot import FULL, NWOT, SLIM, NWOTConfig, log_det
from invertnas.spaces import ArchSpec, NASBench101Space, NASBench201Space, NASBench301Space, NASBenchNLPSpace
from invertnas.spaces.nasbench301.cells import CELL_OPS
from tests.helpers.proxy_networks import nb101_kernel, nb201_kernel, nb301_kernel

NB101, NB201, NB301 = NASBench101Space(), NASBench201Space(), NASBench301Space()
TINY = NWOTConfig(channels=6, cells=1, batch=4, image_size=8, seed=3)
CONV1, CONV3, POOL, SKIP, NONE = 2, 3, 4, 5, 6
# A convolution into node 1, of which nothing comes out; beside it two convolutions, one after the other.
DEAD_END = (CONV3, CONV1, NONE, NONE, NONE, CONV3)


def samples(space: Any, count: int) -> list[ArchSpec]:
    rng = np.random.default_rng(5)
    return [space.sample(rng) for _ in range(count)]


def assert_same_kernel(found: Any, expected: Any) -> None:
    """Equal numbers of units, and codes equal but for inputs that rounding takes across zero."""
    assert (np.diag(found) == np.diag(expected)).all() and np.diag(expected)[0] > 1000
    assert np.abs(found - expected).max() <= 2e-4 * expected.max()


@pytest.mark.parametrize("cells", [1, 2])
def test_nb201_kernels_are_those_of_the_plain_networks(cells: int) -> None:
    config = NWOTConfig(channels=8, cells=cells, batch=4, image_size=8, seed=3)
    network = NB201Network(config)
    fixed = [(CONV3,) * 6, (POOL,) * 6, DEAD_END, (SKIP, NONE, SKIP, NONE, CONV1, POOL), (NONE,) * 6]
    for arch in [*map(NB201.from_cell_ops, fixed), *samples(NB201, 6)]:
        assert_same_kernel(network.kernel(arch), nb201_kernel(arch, config))


def test_nb101_kernels_are_those_of_the_plain_networks() -> None:
    config, texts = NWOTConfig(channels=8, cells=2, batch=4, image_size=8, seed=3), ["1 input output"]
    texts += ["111 input conv3x3-bn-relu output", "101 input maxpool3x3 output"]
    network = NB101Network(config)
    for arch in [*map(NB101.from_string, texts), *samples(NB101, 8)]:
        assert_same_kernel(network.kernel(arch), nb101_kernel(arch, config))


@pytest.mark.parametrize("dense_channels", [100, 0])
def test_nb301_kernels_are_those_of_the_plain_networks(monkeypatch: pytest.MonkeyPatch, dense_channels: int) -> None:
    monkeypatch.setattr(layers, "DENSE_CHANNELS", dense_channels)
    network = NB301Network(TINY)
    every_op = [[(0, op), (1, (op + 1) % 7), (0, (op + 2) % 7), (2, (op + 3) % 7)] for op in (0, 4)]
    cells = [cell + [(number, (number + op) % 7) for number in (0, 3, 1, 4)] for op, cell in enumerate(every_op)]
    assert {op for cell in cells for _, op in cell} == set(range(len(CELL_OPS)))
    for arch in [NB301.from_compact(cells), NB301.from_compact(cells[::-1]), *samples(NB301, 3)]:
        assert_same_kernel(network.kernel(arch), nb301_kernel(arch, TINY))


def test_nb301_of_eight_cells() -> None:
    config = NWOTConfig(channels=6, cells=2, batch=3, image_size=8, seed=1)
    arch = samples(NB301, 1)[0]
    assert_same_kernel(NB301Network(config).kernel(arch), nb301_kernel(arch, config))


def test_the_kernel_counts_agreeing_units() -> None:
    x = np.random.default_rng(0).normal(size=(5, 2, 3, 4)).astype(np.float32)
    x[0, 0, 0] = 0  # what is not above zero is off
    codes = CodeKernel(5)
    codes.add(layers.relu(x) - 0.0, 0)
    assert not codes.value.any()
    codes.add(layers.tf.constant(x), 3)
    flat = (x > 0).reshape(5, -1)
    agreeing = [[(one == other).sum() for other in flat] for one in flat]
    assert (codes.value == 3 * np.array(agreeing)).all()


def test_log_det() -> None:
    assert log_det(np.diag([2.0, 3.0])) == pytest.approx(np.log(6))
    for singular in (np.full((3, 3), 7.0), np.zeros((2, 2)), np.full((2, 2), np.nan), np.diag([1.0, np.inf])):
        assert log_det(singular) == -np.inf


def test_cells_without_a_way_through_have_no_signal() -> None:
    proxy = NWOT(NB201, TINY)
    closed, zeros = (NB201.from_cell_ops(ops) for ops in ((CONV3, NONE, NONE, NONE, NONE, CONV3), (NONE,) * 6))
    skips = NB201.from_cell_ops((SKIP,) * 6)
    assert proxy.score([closed, zeros, skips]).tolist()[:2] == [-np.inf, -np.inf]
    assert np.isfinite(proxy.score([skips])).all()


def test_dead_branches_do_not_count() -> None:
    proxy = NWOT(NB201, TINY)
    without = (NONE, CONV1, NONE, NONE, NONE, CONV3)
    unfed = (NONE, CONV1, CONV3, NONE, CONV1, CONV3)
    cells = [NB201.from_cell_ops(ops) for ops in (DEAD_END, without, unfed)]
    kernels = [NB201Network(TINY).kernel(cell) for cell in cells]
    assert all((kernel == kernels[0]).all() for kernel in kernels)
    assert len(set(proxy.score(cells).tolist())) == 1
    assert live_ops((NONE, SKIP, CONV1, NONE, CONV1, SKIP)) == (NONE, SKIP, NONE, NONE, NONE, SKIP)
    assert len({live_ops(arch.ops[1:-1]) for arch in NB201.all()}) == 9_445


def test_nodes_share_the_channels_of_a_nb101_cell() -> None:
    # 1 -> 3 and 2 -> 3 -> output, 4 -> output, so 1 and 2 are as wide as 3.
    arch = ArchSpec((1, 3, 2, 3, 4, 0), ((0, 1), (0, 2), (0, 4), (1, 3), (2, 3), (3, 5), (4, 5)))
    assert node_channels(arch, 13)[1:] == [7, 7, 7, 6, 13]


@pytest.mark.parametrize("space", [NB101, NB201, NB301], ids=lambda space: space.name)
def test_scores_depend_on_cell_and_seed_alone(space: Any) -> None:
    config = NWOTConfig(channels=6, cells=1, batch=6, image_size=8)
    archs = samples(space, 6)
    scores = NWOT(space, config).score(archs)
    assert scores.shape == (6,) and scores.dtype == np.float64 and len(set(scores.tolist())) > 3
    backwards = NWOT(space, config)
    assert (backwards.score(archs[::-1]) == scores[::-1]).all()
    assert (backwards.score(archs) == scores).all()
    other = NWOT(space, NWOTConfig(channels=6, cells=1, batch=6, image_size=8, seed=1)).score(archs)
    assert not (other[np.isfinite(other)] == scores[np.isfinite(other)]).any()
    assert NWOT(space, config).score([]).shape == (0,)


def test_isomorphic_nb101_cells_have_one_score() -> None:
    proxy = NWOT(NB101, TINY)
    cell = ArchSpec((1, 3, 2, 0), ((0, 1), (0, 2), (1, 3), (2, 3)))
    renumbered = ArchSpec((1, 2, 3, 0), ((0, 1), (0, 2), (1, 3), (2, 3)))
    idle = ArchSpec((1, 3, 2, 4, 0), ((0, 1), (0, 2), (0, 3), (1, 4), (2, 4)))
    assert len(set(proxy.score([cell, renumbered, idle]).tolist())) == 1


def test_foreign_architectures_and_settings_are_refused() -> None:
    for space, other in ((NB101, NB201), (NB201, NB301), (NB301, NB101)):
        proxy: Proxy = NWOT(space, TINY)
        assert isinstance(proxy, Proxy) and proxy.name == "nwot"
        with pytest.raises(OutOfDomainError):
            proxy.score(samples(other, 1))
    with pytest.raises(ConfigError, match="nasbench_nlp"):
        NWOT(NASBenchNLPSpace())
    good: dict[str, Any] = {"channels": 6, "cells": 1, "batch": 4, "image_size": 8}
    for change in ({"channels": 4}, {"channels": 7}, {"cells": 0}, {"batch": 1}, {"batch": 129}, {"image_size": 12}):
        with pytest.raises(ConfigError, match=next(iter(change))):
            NWOTConfig(**(good | change))
    assert set(SLIM) == set(FULL) == {"nasbench101", "nasbench201", "nasbench301"}
