"""BANANAS: path encoding, candidates, and the stacked networks against Keras."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
from scipy.stats import spearmanr

from invertnas.search.baselines import Bananas, BananasConfig
from invertnas.search.baselines.bananas import PathEncoder
from invertnas.search.baselines.bananas_network import StackedNetworks
from invertnas.seeding import generator
from invertnas.spaces import ArchSpec, NASBench201Space

SPACE = NASBench201Space()
SMALL = BananasConfig(members=3, hidden_layers=2, width=8, epochs=20)


def score(arch: ArchSpec) -> float:
    """Smooth objective: a weighted mean of the operations' values."""
    value = {2: 0.6, 3: 1.0, 4: 0.2, 5: 0.75, 6: 0.0}
    return float(np.average([value[op] for op in arch.ops[1:-1]], weights=(1.0, 0.83, 0.61, 1.27, 0.94, 1.12)))


def test_path_encoding_by_hand() -> None:
    encoder = PathEncoder(SPACE, range(2, 7), shortest=1, longest=6, cutoff=30)
    assert encoder.paths[:7] == ((2,), (3,), (4,), (5,), (6,), (2, 2), (2, 3)) and encoder.paths[29] == (6, 6)
    # Edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3 of the cell carry 3, 2, 5, 4, 6, 2: the paths are
    # (4), (3, 6), (2, 2) and the cut off (3, 5, 2); two operations a, b stand in column 5a + b - 7.
    encoded = encoder.encode([SPACE.from_cell_ops((3, 2, 5, 4, 6, 2))])
    assert encoded.shape == (1, 30)
    assert np.flatnonzero(encoded[0]).tolist() == [2, 5, 14]
    with_empty = PathEncoder(SPACE, (1, 2, 3), shortest=0, longest=5, cutoff=40)
    assert with_empty.paths[0] == () and len(with_empty.paths) == 40 and with_empty.paths[39] == (3, 3, 3)
    assert Bananas(SPACE, seed=0).encoder.paths == encoder.paths


def test_bananas_asks_for_neighbours_of_the_best() -> None:
    optimizer = Bananas(SPACE, SMALL, seed=0)
    start = optimizer.ask()
    optimizer.tell(start, [score(arch) for arch in start])
    known = set(optimizer.history.evaluated)
    parents = [optimizer.history.archs[identity] for identity in optimizer.history.ranked()[:5]]
    allowed = {SPACE.identity(arch) for parent in parents for arch in SPACE.neighbours(parent)} - known
    archs = optimizer.ask()
    assert len(archs) == SMALL.batch_size and {SPACE.identity(arch) for arch in archs} <= allowed
    record = optimizer.diagnostics()[-1]
    assert record["phase"] == "model" and SMALL.batch_size < record["candidates"] <= 100


def test_networks_learn_and_compile_once() -> None:
    networks = Bananas(SPACE, seed=0).networks
    encoder = Bananas(SPACE, seed=0).encoder
    rng = np.random.default_rng(0)
    archs = [SPACE.sample(rng) for _ in range(350)]
    x, y = encoder.encode(archs), np.array([100 * (1 - score(arch)) for arch in archs], np.float32)
    for count in (10, 33, 150):
        theta, losses = networks.fit(x[:count], y[:count], seed=0, index=count)
        assert losses.shape == (150, 5) and (losses[-1] < 0.2 * losses[0]).all()
    predicted = networks.predict(theta, x[150:])
    assert networks.traces == 1 and predicted.shape == (5, 200)
    assert len(np.unique(theta, axis=0)) == 5 and predicted.std(axis=0).min() > 0
    assert spearmanr(predicted.mean(axis=0), y[150:])[0] > 0.7
    again, _ = networks.fit(x[:150], y[:150], seed=0, index=150)
    np.testing.assert_array_equal(again, theta)
    assert not np.array_equal(networks.fit(x[:150], y[:150], seed=1, index=150)[0], theta)


def test_training_equals_keras_member_by_member() -> None:
    config = dataclasses.replace(SMALL, members=2, epochs=3, fit_batch_size=4)
    networks = StackedNetworks(5, config)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(7, 5)).astype(np.float32), rng.normal(size=7).astype(np.float32)
    theta, _ = networks.fit(x, y, seed=0, index=0)
    for member in range(2):
        stream = generator(0, "bananas/network", 0, member)
        start = networks._initial(stream)
        layers = [keras.layers.Dense(8, activation="relu") for _ in range(2)]
        model = keras.Sequential([keras.Input((5,)), *layers, keras.layers.Dense(1)])
        cuts = np.split(start, np.cumsum([w.size for w in model.get_weights()])[:-1])
        model.set_weights([cut.reshape(w.shape) for cut, w in zip(cuts, model.get_weights())])
        model.compile(keras.optimizers.Adam(0.01, beta_2=0.99), loss="mae")
        order = stream.permuted(np.tile(np.arange(7), (3, 1)), axis=1)
        for epoch in order:
            for rows in np.split(epoch, [4]):
                model.train_on_batch(x[rows], y[rows, None])
        flat = np.concatenate([weight.ravel() for weight in model.get_weights()])
        np.testing.assert_allclose(theta[member], flat, atol=2e-5)
        assert np.abs(flat - start).max() > 0.01


def test_reported_loss_is_the_mean_over_all_examples() -> None:
    networks = StackedNetworks(3, dataclasses.replace(SMALL, hidden_layers=1, epochs=2, learning_rate=1e-12))
    x = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    for traces, count in ((1, 37), (1, 256), (2, 300)):  # the capacity of 256 doubles once
        y = x[:count, 0] + 1
        theta, losses = networks.fit(x[:count], y, seed=0, index=count)
        expected = np.abs(networks.predict(theta, x[:count]) - y).mean(axis=1)
        np.testing.assert_allclose(losses, np.stack([expected, expected]), rtol=1e-5)
        assert networks.traces == traces
