"""NAS-Bench-NLP cells as Keras RNN cells, and the language model around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from invertnas.errors import OutOfDomainError
from invertnas.networks import RecurrentCell, TiedEmbedding, build_keras
from invertnas.proxies.networks.recurrent import constant_outputs
from invertnas.spaces import NASBenchNLPSpace
from invertnas.spaces.spec import ArchSpec

NLP = NASBenchNLPSpace()
CELLS = (  # of one, two and three hidden states
    "linear(x,h0);tanh(0)->1",
    "linear(x,h0);linear(h0,h1);tanh(0);tanh(1);prod(2,3)->4,3",
    "linear(x,h0);linear(h0,h2);tanh(0);tanh(1);linear(h1,2,3);leaky_relu(4);linear(3,5)->6,2,5",
)


def samples(count: int, states: int) -> list[ArchSpec]:
    rng = np.random.default_rng(5)
    return [NLP.sample_states(rng, states) for _ in range(count)]


def test_a_vanilla_cell_is_keras_simple_rnn() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((2, 5, 3)).astype(np.float32)
    ours = keras.layers.RNN(RecurrentCell("linear(x,h0);tanh(0)->1", 4, seed=0), return_sequences=True)
    theirs = keras.layers.SimpleRNN(4, return_sequences=True)
    theirs(inputs)
    ours(inputs)
    weights = [rng.standard_normal(weight.shape).astype(np.float32) for weight in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)  # of x, of the state, bias
    np.testing.assert_allclose(ours(inputs), theirs(inputs), rtol=1e-5, atol=1e-6)


def test_a_gru_is_keras_gru() -> None:
    """r = sigm(0), z = sigm(1), candidate of x and r * h; h_new = z * h + (1 - z) * candidate, as in Keras."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((2, 5, 3)).astype(np.float32)
    text = "linear(x,h0);linear(x,h0);sigm(0);sigm(1);prod(h0,2);linear(x,4);tanh(5);blend(h0,3,6)->7"
    ours = keras.layers.RNN(RecurrentCell(text, 4, seed=0), return_sequences=True)
    theirs = keras.layers.GRU(4, return_sequences=True, reset_after=False)
    theirs(inputs)
    ours(inputs)
    kernel, recurrent, bias = (rng.standard_normal(weight.shape).astype(np.float32) for weight in theirs.get_weights())
    theirs.set_weights([kernel, recurrent, bias])
    own: list[Any] = []
    for gate in (1, 0, 2):  # Keras has z, r, candidate; ours r, z, candidate
        part = slice(4 * gate, 4 * gate + 4)
        own += [kernel[:, part], recurrent[:, part], bias[part]]
    by_name = dict(zip(["kernel_0_0", "kernel_0_1", "bias_0", "kernel_1_0", "kernel_1_1", "bias_1"], own))
    by_name |= dict(zip(["kernel_5_0", "kernel_5_8", "bias_5"], own[6:]))
    for weight in ours.cell.trainable_weights:
        weight.assign(by_name.pop(weight.name))
    assert not by_name
    np.testing.assert_allclose(ours(inputs), theirs(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("states", [1, 2, 3])
def test_constant_weights_give_what_the_proxy_computes(states: int) -> None:
    """All weights w, biases 0, initial states w: every unit of every layer is one number per word."""
    constant, widths, words = 0.03, (5, 3), np.random.default_rng(1).standard_normal((2, 4, 6))
    for arch in samples(4, states):
        value: Any = words.astype(np.float32)
        for width in widths:
            layer = keras.layers.RNN(RecurrentCell(NLP.to_string(arch), width, seed=0), return_sequences=True)
            start = [np.full((len(words), width), constant, np.float32)] * states
            layer(value, initial_state=start)
            for weight in layer.trainable_weights:
                weight.assign(np.full(weight.shape, constant if "kernel" in weight.name else 0.0))
            value = layer(value, initial_state=start)
        sums = words.sum(axis=2).T
        expected = constant_outputs(NLP.to_cell(arch), sums, [constant], widths)
        assert expected is not None
        for unit in range(widths[-1]):
            np.testing.assert_allclose(np.asarray(value)[..., unit].T, expected[0], rtol=1e-4, atol=1e-6)


def test_a_saved_language_model_gives_the_same_outputs(tmp_path: Path) -> None:
    words = np.random.default_rng(0).integers(0, 11, (3, 6))
    for text in CELLS:
        model = build_keras(NLP, text, (6,), 11, seed=1, channels=5, cells=2, embedding=4)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
        model.fit(words, np.roll(words, -1, axis=1), verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert model.output_shape == (None, 6, 11)
        np.testing.assert_array_equal(loaded(words), model(words))


def test_a_language_model_learns_a_sequence() -> None:
    words = np.tile(np.arange(12) % 4, (8, 1))
    model = build_keras(NLP, "linear(x,h0);tanh(0)->1", (11,), 4, seed=0, channels=16, cells=2, embedding=8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
    found = model.fit(words[:, :-1], words[:, 1:], epochs=60, verbose=0).history
    assert found["accuracy"][-1] > 0.9 and found["loss"][-1] < found["loss"][0] / 2


def test_the_decoder_shares_the_matrix_of_the_embedding() -> None:
    layer = TiedEmbedding(5, 3, seed=0)
    vectors = layer(np.array([[0, 4]]))
    assert vectors.shape == (1, 2, 3) and np.abs(layer.matrix).max() <= 0.1
    np.testing.assert_allclose(layer(vectors, reverse=True)[0], np.asarray(vectors[0]) @ np.asarray(layer.matrix).T)
    same, other = TiedEmbedding(5, 3, seed=0, name=layer.name), TiedEmbedding(5, 3, seed=1, name=layer.name)
    assert (np.asarray(same.matrix) == layer.matrix).all() and (np.asarray(other.matrix) != layer.matrix).any()


def test_other_cells_are_refused() -> None:
    with pytest.raises(OutOfDomainError, match="no NAS-Bench-NLP cell"):
        RecurrentCell("tanh(x)->0", 4, seed=0)
