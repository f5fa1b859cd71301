"""Loss terms of the GVAE against loop references, and their part in the gradient."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.losses import edge_loss, kl_loss, node_loss
from invertnas.gvae.model import GVAE
from tests.helpers import reference_losses as ref

CONFIG = GVAEConfig(
    5, 4, latent_dim=3, gin_channels=(6, 6), gin_mlp_hidden=1, blocks=1, model_dim=8, heads=2, feed_forward=6
)
WEIGHTS = {"node": "node_weight", "edge": "edge_weight", "kl": "kl_weight"}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def graphs(rng: np.random.Generator, count: int = 6) -> list[tf.Tensor]:
    """Random graphs whose last node is padding in every other one."""
    ops = np.eye(4, dtype=np.float32)[rng.integers(0, 4, (count, 5))]
    adjacency = np.triu(rng.integers(0, 2, (count, 5, 5)), 1).astype(np.float32)
    ops[::2, -1], adjacency[::2, :, -1] = 0.0, 0.0
    return [tf.constant(ops), tf.constant(adjacency)]


def test_node_loss_equals_reference(rng: np.random.Generator) -> None:
    ops, _ = graphs(rng)
    logits = rng.normal(size=ops.shape).astype(np.float32)
    assert float(node_loss(ops, logits)) == pytest.approx(ref.node_loss(ops.numpy(), logits), rel=1e-5)


def test_padded_node_adds_nothing(rng: np.random.Generator) -> None:
    ops = np.eye(4, dtype=np.float32)[rng.integers(0, 4, (2, 5))]
    ops[:, 3:] = 0.0
    logits = rng.normal(size=ops.shape).astype(np.float32)
    other = logits.copy()
    other[:, 3:] += rng.normal(size=(2, 2, 4)).astype(np.float32)
    assert float(node_loss(ops, logits)) == pytest.approx(float(node_loss(ops, other)), rel=1e-6)
    present = float(node_loss(ops[:, :3], logits[:, :3]))
    assert float(node_loss(ops, logits)) == pytest.approx(present * 3 / 5, rel=1e-5)


def test_edge_loss_equals_reference(rng: np.random.Generator) -> None:
    _, adjacency = graphs(rng)
    logits = rng.normal(size=(*adjacency.shape, 2)).astype(np.float32)
    assert float(edge_loss(adjacency, logits)) == pytest.approx(ref.edge_loss(adjacency.numpy(), logits), rel=1e-5)


def test_edge_loss_is_of_the_directed_graph() -> None:
    adjacency = np.zeros((1, 2, 2), np.float32)
    adjacency[0, 0, 1] = 1.0
    logits = np.zeros((1, 2, 2, 2), np.float32)
    logits[..., 0] = 20.0
    logits[0, 0, 1] = (0.0, 20.0)
    assert float(edge_loss(adjacency, logits)) < 1e-6
    assert float(edge_loss(adjacency.transpose(0, 2, 1), logits)) == pytest.approx(10.0, rel=1e-4)


def test_kl_loss_equals_reference_and_is_zero_at_the_prior(rng: np.random.Generator) -> None:
    mean, log_var = rng.normal(size=(2, 4, 5, 3)).astype(np.float32)
    assert float(kl_loss(mean, log_var)) == pytest.approx(ref.kl_loss(mean, log_var), rel=1e-5)
    assert float(kl_loss(np.zeros_like(mean), np.zeros_like(mean))) == 0.0


def test_kl_loss_by_hand() -> None:
    # One node, two numbers: m = (1, 0), sd = (1, e): 1/2 + (e^2 - 1)/2 - 1.
    value = float(kl_loss(np.array([[[1.0, 0.0]]], np.float32), np.array([[[0.0, 2.0]]], np.float32)))
    assert value == pytest.approx(0.5 + (math.e**2 - 1) / 2 - 1, rel=1e-6)


def test_each_term_changes_the_gradient(rng: np.random.Generator) -> None:
    inputs, noise = graphs(rng), tf.constant(rng.normal(size=(6, 5, 3)), tf.float32)
    model = GVAE.create(CONFIG, seed=1)

    def gradient(config: GVAEConfig, name: str) -> np.ndarray:
        model.config = config
        with tf.GradientTape() as tape:
            loss = model.losses_of(inputs, noise, training=True)[name]
        parts = tape.gradient(loss, [v.value for v in model.trainable_variables], unconnected_gradients="zero")
        return np.concatenate([np.ravel(part) for part in parts])

    total = gradient(CONFIG, "total")
    for term, weight in WEIGHTS.items():
        own = gradient(CONFIG, term)
        nothing: dict[str, Any] = {weight: 0.0}
        without = gradient(dataclasses.replace(CONFIG, **nothing), "total")
        assert np.abs(own).max() > 1e-4, term
        np.testing.assert_allclose(total - without, getattr(CONFIG, weight) * own, atol=1e-5, err_msg=term)


def test_total_is_the_weighted_sum(rng: np.random.Generator) -> None:
    config = dataclasses.replace(CONFIG, node_weight=2.0, edge_weight=3.0, kl_weight=5.0)
    terms = GVAE.create(config).losses_of(graphs(rng), None, training=False)
    expected = 2.0 * float(terms["node"]) + 3.0 * float(terms["edge"]) + 5.0 * float(terms["kl"])
    assert float(terms["total"]) == pytest.approx(expected, rel=1e-6)
