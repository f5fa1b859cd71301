"""Several cells in one graph: splitting, joining, encoding them one by one, and what each GVAE is trained on."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.pretrain.gvae_settings import PRETRAINING, gvae_config, held_out, pretraining, training_graphs
from invertnas.errors import ConfigError, OutOfDomainError
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.model import GVAE
from invertnas.gvae.pretrained import reconstruction_metrics
from invertnas.spaces.nasbench301.space import NASBench301Space
from invertnas.spaces.spec import GraphBatch, join_cells, split_cells

SPACE = NASBench301Space()


def architectures(count: int) -> GraphBatch:
    rng = np.random.default_rng(0)
    return SPACE.encode([SPACE.sample(rng) for _ in range(count)])


@pytest.mark.parametrize(("name", "dim"), [("nasbench101", 112), ("nasbench201", 128), ("nasbench301", 352)])
def test_dimension_of_the_latent_is_the_papers(name: str, dim: int) -> None:
    entry = pretraining(name)
    assert gvae_config(entry, entry.space()).flat_dim == dim


def test_dimension_of_nasbench_nlp() -> None:
    entry = pretraining("nasbench_nlp")
    ours, paper = (gvae_config(entry, entry.space(), setting) for setting in ("fast", "paper"))
    assert ours.flat_dim == paper.flat_dim == 280
    assert (ours.node_positions, ours.kl_weight) == (True, 0.02)
    assert (paper.node_positions, paper.kl_weight) == (False, 0.16)


def test_unknown_space_is_refused() -> None:
    with pytest.raises(ConfigError, match="got space 'darts'; expected one of nasbench101"):
        pretraining("darts")


def test_cells_split_and_join() -> None:
    graphs = architectures(5)
    cells = split_cells(graphs, 2)
    assert cells.ops.shape == (10, 11, 10) and cells.adjacency.shape == (10, 11, 11)
    np.testing.assert_array_equal(cells.adjacency[3], graphs.adjacency[1, 11:, 11:])
    np.testing.assert_array_equal(cells.ops[2], graphs.ops[1, :11])
    ops, adjacency = join_cells(cells.ops.argmax(-1), cells.adjacency.astype(np.int64), 2)
    np.testing.assert_array_equal(ops, graphs.ops.argmax(-1))
    np.testing.assert_array_equal(adjacency, graphs.adjacency)


def test_graphs_that_are_no_cells_are_refused() -> None:
    graphs = architectures(1)
    with pytest.raises(OutOfDomainError, match="got graphs of 22 nodes; expected a multiple of 3"):
        split_cells(graphs, 3)
    graphs.adjacency[0, 3, 15] = 1.0
    with pytest.raises(OutOfDomainError, match="edge between two cells"):
        split_cells(graphs, 2)


def test_held_out_architectures_put_one_cell_of_each_kind_together() -> None:
    graphs = architectures(4)
    cells = split_cells(graphs, 2)
    joined = held_out(cells, np.array([5, 1, 0, 6, 2]), 2)  # normal cells 0, 2, 6; reduction cells 1, 5
    np.testing.assert_array_equal(joined.ops[0], graphs.ops[0])
    np.testing.assert_array_equal(joined.adjacency[1, :11, :11], graphs.adjacency[1, :11, :11])
    np.testing.assert_array_equal(joined.adjacency[1, 11:, 11:], graphs.adjacency[2, 11:, 11:])
    assert len(joined) == 2 and not joined.adjacency[:, :11, 11:].any()
    assert all(arch is not None for arch in SPACE.decode(joined.ops.argmax(-1), joined.adjacency.astype(np.int64)))


def test_the_gvae_embeds_and_decodes_each_cell_by_itself() -> None:
    config = GVAEConfig(num_nodes=11, num_ops=10, cells=2, latent_dim=3, gin_channels=(8, 3), blocks=1, feed_forward=8)
    both, one = GVAE.create(config), GVAE.create(GVAEConfig(**{**config.to_dict(), "cells": 1}))
    one.set_weights(both.get_weights())
    graphs = architectures(6)
    latents = both.encode(graphs)
    assert latents.shape == (6, config.flat_dim) == (6, 66)
    np.testing.assert_allclose(latents.reshape(12, 33), one.encode(split_cells(graphs, 2)), atol=1e-6)
    ops, adjacency = both.decode(latents)
    assert ops.shape == (6, 22) and adjacency.shape == (6, 22, 22)
    assert not adjacency[:, :11, 11:].any() and not adjacency[:, 11:, :11].any()
    metrics = reconstruction_metrics(both, SPACE, graphs)
    assert metrics["exact_reconstruction"] <= metrics["exact_cells"] < 1.0


def test_training_graphs_are_distinct_and_follow_the_seed() -> None:
    entry = PRETRAINING["nasbench201"]
    assert len(training_graphs(entry, entry.space(), 0)) == 15_625
    space, sampled = SPACE, PRETRAINING["nasbench301"]
    from experiments.pretrain.gvae_settings import _distinct

    first = _distinct(space, 20, 3, space.sample)
    assert [space.identity(a) for a in first] == [space.identity(a) for a in _distinct(space, 20, 3, space.sample)]
    assert len({space.identity(a) for a in first}) == 20 and sampled.fast.epochs < sampled.paper.epochs
