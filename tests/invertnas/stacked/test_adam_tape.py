"""Our Adam against Keras', our tape against TensorFlow's, and graphs that are built once a process."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from invertnas.errors import TrainingError
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.model import GVAE
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.predictor.config import PredictorConfig
from invertnas.predictor.predictor import InvertiblePredictor
from invertnas.protocols import Labelled
from invertnas.spaces.spec import GraphBatch
from invertnas.stacked.adam import StackedAdam
from invertnas.stacked.compiled import Compiled, trace_counts
from invertnas.stacked.mlp import StackedMLP, mlp
from invertnas.stacked.tape import Linear, LinearTape, linear
from tests.helpers.fakes import TinySpace, score


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.99)])
def test_adam_equals_that_of_keras(betas: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape).astype(np.float32) for shape in ((2, 3, 4), (2, 1, 4))]
    mine, theirs = ([tf.Variable(value) for value in start] for _ in range(2))
    kept = [keras.Variable(value) for value in theirs]
    ours, reference = StackedAdam(mine, 2, betas=betas), keras.optimizers.Adam(0.01, *betas, epsilon=1e-7)
    for _ in range(20):
        gradients = [tf.constant(rng.normal(size=value.shape), tf.float32) for value in start]
        ours.apply(gradients, 0.01)
        reference.apply(gradients, kept)
    for value, other, old in zip(mine, kept, start):
        np.testing.assert_allclose(value.numpy(), other.numpy(), atol=1e-5)
        assert np.abs(value.numpy() - old).max() > 0.02


def test_tape_equals_that_of_tensorflow() -> None:
    nets = [StackedMLP(2, 3, 1, 5, seed=seed) for seed in (1, 2)]
    for net in nets:
        net.build((2, None, 3))
    x = tf.random.stateless_normal((2, 7, 3), (0, 1))
    variables = [variable for net in nets for pair in net.pairs for variable in pair]

    def objective(through: Linear) -> tf.Tensor:
        states = x
        for net in (nets[0], nets[1], nets[0]):
            states = mlp(states, net.pairs, through=through)
        return tf.reduce_sum(tf.square(states))

    with tf.GradientTape() as plain:
        expected = objective(linear)
    reference = plain.gradient(expected, variables)
    tape = LinearTape(variables)
    with tape.recording():
        total = objective(tape.linear)
    for got, want in zip(tape.gradients(total), reference, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-4 * float(tf.reduce_max(tf.abs(want))))


def test_a_variable_without_gradient_is_an_error() -> None:
    x, names = tf.ones((2, 5, 3)), ("kernel", "bias", "forgotten")
    shapes = (2, 3, 4), (2, 1, 4), (2, 3, 4)
    kernel, bias, forgotten = (tf.Variable(tf.ones(shape), name=name) for shape, name in zip(shapes, names))
    tape = LinearTape([kernel, bias, forgotten])
    with tape.recording():
        total = tf.reduce_sum(tape.linear(x, kernel, bias)) + tf.reduce_sum(tape.linear(x, forgotten, bias) * 0.0)
    tape.gradients(total)  # on the way to the loss, though with weight 0
    for how in ("not used", "used outside the tape", "used for nothing"):
        tape = LinearTape([kernel, bias, forgotten])
        with tape.recording():
            total = tf.reduce_sum(tape.linear(x, kernel, bias))
            if how == "used outside the tape":
                total += tf.reduce_sum(linear(x, forgotten, bias))
            if how == "used for nothing":
                tape.linear(x, forgotten, bias)
        with pytest.raises(TrainingError, match="got no gradient of forgotten"):
            tape.gradients(total)


def test_a_graph_serves_the_variables_of_others() -> None:
    def add(variables: list[tf.Variable], x: tf.Tensor) -> tf.Tensor:
        return variables[0].assign_add(tf.reduce_sum(x) * tf.ones_like(variables[0]))

    add.__qualname__ = "add of this test"
    compiled = Compiled(add, (tf.TensorSpec((None,)),))
    pairs = [[tf.Variable(tf.zeros(3))] for _ in range(3)]
    for count, pair in enumerate(pairs, start=1):
        compiled(pair, np.ones(count))
        assert pair[0].numpy().tolist() == [count] * 3
    assert trace_counts()["add of this test"] == 1


class Renamed(TinySpace):
    """The same space under another name."""

    name = "renamed"


def searched(space: TinySpace, seed: int, count: int, train: INNTrainConfig) -> None:
    """What a search asks of a predictor, in two rounds."""
    config = GVAEConfig(8, 7, latent_dim=2, gin_channels=(8,), blocks=1, model_dim=8, heads=2, feed_forward=8)
    gvae, rng = GVAE.create(config, seed=seed), np.random.default_rng(seed)
    inn = INNConfig(config.flat_dim, 2, layers=2, hidden_layers=1, hidden=6)
    model = InvertiblePredictor(space, gvae, inn, train, PredictorConfig(scale_latent=True), seed=seed)
    archs = tuple({space.identity(a): a for a in (space.sample(rng) for _ in range(60))}.values())
    for number, size in enumerate((count, count + 3)):
        known = Labelled(archs[:size], tuple(score(arch) for arch in archs[:size]))
        rest = Labelled(archs[size : size + 3], tuple(score(arch) for arch in archs[size : size + 3]))
        model.fit(known, rest, round_index=number)
        model.invert(np.full(4 + number, 0.9, np.float32), z_std=0.5, latent_noise=0.1, rng=rng)
        model.predict(archs[size:])


def test_the_second_search_of_a_shape_traces_nothing() -> None:
    train = INNTrainConfig(repeat=2, batch_size=4, initial_epochs=2, retrain_epochs=1)
    searched(TinySpace(), 1, 7, train)
    before = trace_counts()
    assert {"Engine._epoch", "Engine._validate", "Inference._predict", "Inference._invert"} <= set(before)
    assert {"_Inference._encode", "_Inference._decode"} <= set(before)
    searched(Renamed(), 2, 11, dataclasses.replace(train, rev_weight=3.0, rank_weighted=False, bootstrap=True))
    assert trace_counts() == before


def test_compiled_inference_of_a_gvae_is_that_of_its_layers() -> None:
    config = GVAEConfig(8, 7, latent_dim=2, gin_channels=(8,), blocks=1, model_dim=8, heads=2, feed_forward=8)
    space, rng = TinySpace(), np.random.default_rng(0)
    graphs: GraphBatch = space.encode([space.sample(rng) for _ in range(5)])
    for seed in (3, 4):  # the second takes the first one's graph, with weights of its own
        model = GVAE.create(config, seed=seed)
        latents = model.encode(graphs)
        mean, _ = model.encoder([tf.constant(graphs.ops), tf.constant(graphs.adjacency)], training=False)
        np.testing.assert_allclose(latents, tf.reshape(mean, (5, -1)), atol=1e-5)
        ops, edges = model.decoder(mean, training=False)
        decoded = model.decode(latents)
        np.testing.assert_array_equal(decoded[0], tf.argmax(ops, axis=-1))
        np.testing.assert_array_equal(decoded[1], tf.argmax(edges, axis=-1))
