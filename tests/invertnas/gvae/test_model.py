"""Layers and model of the GVAE: shapes, weights, serialisation, and what the encoder sees."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from invertnas.gvae import model as model_module
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.decoder import Decoder, TransformerBlock, positional_encoding
from invertnas.gvae.encoder import Encoder, GINLayer
from invertnas.gvae.model import GVAE
from invertnas.spaces.spec import GraphBatch

# Keras 3 implements __array__ without NumPy 2's `copy`, which saving weights runs into.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
CONFIG = GVAEConfig(
    5, 4, latent_dim=3, gin_channels=(6, 6), gin_mlp_hidden=2, blocks=1, model_dim=8, heads=2, feed_forward=7
)
STATES = tf.constant(np.random.default_rng(1).normal(size=(2, 5, 8)), tf.float32)
LATENT = tf.constant(np.random.default_rng(2).normal(size=(2, 5, 3)), tf.float32)


def graphs(count: int = 4, seed: int = 0) -> GraphBatch:
    rng = np.random.default_rng(seed)
    ops = np.eye(4, dtype=np.float32)[rng.integers(0, 4, (count, 5))]
    return GraphBatch(ops, np.triu(rng.integers(0, 2, (count, 5, 5)), 1).astype(np.float32))


def inputs(batch: GraphBatch) -> list[tf.Tensor]:
    return [tf.constant(batch.ops), tf.constant(batch.adjacency)]


def disturb(model: Any, seed: int = 5) -> Any:
    """Move every weight, so that a copy cannot agree by starting from the same seed."""
    rng = np.random.default_rng(seed)
    values = [w * rng.uniform(0.8, 1.2, w.shape) + rng.uniform(0.01, 0.05, w.shape) for w in model.get_weights()]
    model.set_weights([value.astype(np.float32) for value in values])
    return model


def flat(output: Any) -> list[np.ndarray]:
    return [np.asarray(part) for part in tf.nest.flatten(output)]


def assert_same(left: Any, right: Any) -> None:
    for a, b in zip(flat(left), flat(right), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def gvae() -> GVAE:
    return disturb(GVAE.create(CONFIG, seed=1))


def part(name: str) -> tuple[Any, Any]:
    """One of the registered classes, built, with an input."""
    data: Any = inputs(graphs())
    if name == "GINLayer":
        model: Any = GINLayer(6, 2, "linear", seed=3)
    elif name == "TransformerBlock":
        model, data = TransformerBlock(CONFIG, seed=4), STATES
    elif name == "Encoder":
        model = Encoder(CONFIG, 5)
    elif name == "Decoder":
        model, data = Decoder(CONFIG, 6), LATENT
    else:
        model = GVAE.create(CONFIG, seed=7)
    model(data)
    return model, data


NAMES = ("GINLayer", "TransformerBlock", "Encoder", "Decoder", "GVAE")


@pytest.mark.parametrize("name", NAMES)
def test_config_round_trip(name: str) -> None:
    original, data = part(name)
    copy = type(original).from_config(original.get_config())
    assert_same(copy(data), original(data))  # the same seed starts from the same weights
    copy.set_weights(disturb(original).get_weights())
    assert copy.get_config() == original.get_config()
    assert_same(copy(data), original(data))


@pytest.mark.parametrize("name", NAMES)
def test_keras_file_reproduces_outputs(name: str, tmp_path: Path) -> None:
    original, data = part(name)
    before = flat(original(data))
    disturb(original)
    saved = original
    if not isinstance(original, keras.Model):
        saved = keras.Sequential([original]) if name == "TransformerBlock" else _wrapped(original, data)
        saved(data)
    saved.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_same(loaded(data), original(data))
    assert any(not np.array_equal(a, b) for a, b in zip(before, flat(loaded(data))))


def _wrapped(layer: GINLayer, data: list[tf.Tensor]) -> keras.Model:
    symbols = [keras.Input(part.shape[1:]) for part in data]
    return keras.Model(symbols, layer(symbols))


def test_weights_file_round_trip(gvae: GVAE, tmp_path: Path) -> None:
    gvae.save_weights(tmp_path / "g.weights.h5")
    other = GVAE.create(CONFIG, seed=9)
    batch = graphs()
    assert not np.allclose(other.encode(batch), gvae.encode(batch))
    other.load_weights(tmp_path / "g.weights.h5")
    assert_same(other(inputs(batch)), gvae(inputs(batch)))


def test_all_weights_exist_after_create() -> None:
    model = GVAE.create(CONFIG)
    count = len(model.weights)
    model(inputs(graphs()), noise=LATENT[:1], training=True)
    assert len(model.weights) == count
    # Per GIN layer: eps, three Dense (kernel, bias), two inner batch norms, one batch norm behind.
    assert len(model.encoder.weights) == 2 * (1 + 6 + 8 + 4) + 4


def test_gin_layer_builds_without_a_call_and_inside_a_graph() -> None:
    layer = GINLayer(6, 2)
    layer.build([(None, 5, 4), (None, 5, 5)])
    assert len(layer.weights) == 1 + 6 + 8
    fresh = GINLayer(6, 2)
    assert tf.function(lambda data: fresh(data))(inputs(graphs())).shape == (4, 5, 6)


def test_gin_kernels_of_equal_shape_differ() -> None:
    encoder = GVAE.create(CONFIG).encoder
    kernels = [w.numpy() for w in encoder.weights if w.path.endswith("kernel") and w.shape == (6, 6)]
    assert len(kernels) == 5
    for index, kernel in enumerate(kernels):
        assert all(np.abs(kernel - other).max() > 1e-3 for other in kernels[:index])


def test_gin_layer_equals_its_formula() -> None:
    layer, batch = GINLayer(3, 0, "relu", seed=2), graphs()
    layer(inputs(batch))
    eps, kernel, bias = 0.4, layer.gin.mlp.layers[-1].kernel.numpy(), np.array([0.1, -0.2, 0.3], np.float32)
    layer.gin.eps.assign([eps])
    layer.gin.mlp.layers[-1].bias.assign(bias)
    for b in range(len(batch)):
        mixed = (1 + eps) * batch.ops[b] + batch.adjacency[b] @ batch.ops[b]
        np.testing.assert_allclose(layer(inputs(batch))[b], np.maximum(mixed @ kernel + bias, 0), atol=1e-5)


def test_positional_encoding_by_hand() -> None:
    encoding = positional_encoding(3, 4)
    expected = [[math.sin(n), math.sin(n / 100), math.cos(n), math.cos(n / 100)] for n in range(3)]
    np.testing.assert_allclose(encoding, expected, atol=1e-7)


def test_shapes(gvae: GVAE) -> None:
    mean, log_var = gvae.encoder(inputs(graphs()))
    op_logits, edge_logits = gvae.decoder(mean)
    assert mean.shape == log_var.shape == (4, 5, 3)
    assert (op_logits.shape, edge_logits.shape) == ((4, 5, 4), (4, 5, 5, 2))
    latents = gvae.encode(graphs())
    ops, adjacency = gvae.decode(latents)
    assert (latents.shape, latents.dtype, ops.shape, adjacency.shape) == ((4, 15), np.float32, (4, 5), (4, 5, 5))


def test_empty_batches(gvae: GVAE) -> None:
    latents = gvae.encode(graphs(0))
    assert latents.shape == (0, 15)
    ops, adjacency = gvae.decode(latents)
    assert (ops.shape, adjacency.shape) == ((0, 5), (0, 5, 5))


def test_chunks_change_nothing(gvae: GVAE, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = graphs(7)
    latents, decoded = gvae.encode(batch), gvae.decode(gvae.encode(batch))
    monkeypatch.setattr(model_module, "CHUNK", 3)
    np.testing.assert_allclose(gvae.encode(batch), latents, atol=1e-5)
    assert_same(gvae.decode(latents), decoded)


def test_encode_is_the_mean_row_major(gvae: GVAE) -> None:
    mean, _ = gvae.encoder(inputs(graphs()), training=False)
    np.testing.assert_allclose(gvae.encode(graphs()), np.reshape(mean, (4, 15)), atol=1e-5)


def test_decode_is_the_argmax(gvae: GVAE) -> None:
    op_logits, edge_logits = gvae.decoder(LATENT)
    ops, adjacency = gvae.decode(np.reshape(LATENT, (2, 15)))
    np.testing.assert_array_equal(ops, np.argmax(op_logits, -1))
    np.testing.assert_array_equal(adjacency, edge_logits[..., 1] > edge_logits[..., 0])


def test_encoder_sees_the_undirected_graph(gvae: GVAE) -> None:
    batch = graphs()
    flipped = GraphBatch(batch.ops, batch.adjacency.transpose(0, 2, 1))
    both = GraphBatch(batch.ops, np.maximum(batch.adjacency, flipped.adjacency))
    none = GraphBatch(batch.ops, np.zeros_like(batch.adjacency))
    np.testing.assert_array_equal(gvae.encode(flipped), gvae.encode(batch))
    np.testing.assert_array_equal(gvae.encode(both), gvae.encode(batch))
    assert np.abs(gvae.encode(none) - gvae.encode(batch)).max() > 1e-3


def test_encoder_is_equivariant_to_node_order(gvae: GVAE) -> None:
    batch, order = graphs(), np.array([2, 0, 4, 1, 3])
    moved = GraphBatch(batch.ops[:, order], batch.adjacency[:, order][:, :, order])
    expected = gvae.encode(batch).reshape(4, 5, 3)[:, order].reshape(4, 15)
    np.testing.assert_allclose(gvae.encode(moved), expected, atol=1e-4)


def test_noise_enters_with_scale_and_deviation(gvae: GVAE) -> None:
    data, noise = inputs(graphs()), tf.random.stateless_normal((4, 5, 3), (1, 2))
    plain, noisy = gvae(data), gvae(data, noise=noise)
    assert np.abs(plain[0] - noisy[0]).max() > 1e-4
    _, _, mean, log_var = plain
    expected = gvae.decoder(mean + CONFIG.noise_scale * np.exp(0.5 * log_var) * noise)
    np.testing.assert_allclose(noisy[0], expected[0], atol=1e-4)
    silent = GVAE.create(dataclasses.replace(CONFIG, noise_scale=0.0))
    assert_same(silent(data, noise=noise), silent(data))


def test_every_variable_in_use_is_saved(gvae: GVAE) -> None:
    known = {variable.value.ref() for variable in gvae.variables}
    spec = [tf.TensorSpec((None, 5, 4)), tf.TensorSpec((None, 5, 5)), tf.TensorSpec((None, 5, 3))]
    run = tf.function(lambda ops, adjacency, noise: gvae([ops, adjacency], noise=noise, training=True))
    used = run.get_concrete_function(*spec).variables
    assert len(used) >= len(gvae.trainable_variables)
    assert {variable.ref() for variable in used} <= known
    weights = {variable.value.ref() for variable in gvae.weights}
    assert {variable.value.ref() for variable in gvae.trainable_variables} <= weights


def test_inference_changes_no_variable_but_training_does(gvae: GVAE) -> None:
    before = [v.numpy() for v in gvae.variables]
    gvae.decode(gvae.encode(graphs()))
    gvae(inputs(graphs()))
    for old, variable in zip(before, gvae.variables):
        np.testing.assert_array_equal(old, variable.numpy())
    other = GVAE.create(CONFIG)
    before = [v.numpy() for v in other.non_trainable_variables]
    other(inputs(graphs()), training=True)
    # Both batch statistics of the six batch normalisations move (the training flag reaches the inner ones).
    moved = [not np.array_equal(old, new.numpy()) for old, new in zip(before, other.non_trainable_variables)]
    assert sum(moved) >= 2 * 6 - 1


def test_seeds() -> None:
    weights = [np.concatenate([w.ravel() for w in GVAE.create(CONFIG, seed=s).get_weights()]) for s in (0, 0, 1)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0] - weights[2]).max() > 1e-2
