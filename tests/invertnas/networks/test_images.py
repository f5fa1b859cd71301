"""Image networks in Keras: the units of the proxies' plain networks, files, training, and initial weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from invertnas.networks import build_keras
from invertnas.proxies.images import image_batch
from invertnas.proxies.networks.layers import WeightBank
from invertnas.proxies.nwot import NWOTConfig
from invertnas.spaces import NASBench101Space, NASBench201Space, NASBench301Space
from invertnas.spaces.nasbench301.cells import CELL_OPS
from invertnas.spaces.spec import ArchSpec
from tests.helpers.proxy_networks import nb101_kernel, nb201_kernel, nb301_kernel

NB101, NB201, NB301 = NASBench101Space(), NASBench201Space(), NASBench301Space()
# A convolution into node 1, of which nothing comes out; beside it two convolutions, one after the other.
DEAD_END = NB201.from_cell_ops((3, 2, 6, 6, 6, 3))
CELLS = {"nasbench201": 1, "nasbench101": 1, "nasbench301": 3}  # the fewest


def samples(space: Any, count: int) -> list[ArchSpec]:
    rng = np.random.default_rng(5)
    return [space.sample(rng) for _ in range(count)]


def compile_quickly(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Compile for a few steps, which take less time than a graph."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, run_eagerly=True)


def slot_of(name: str, arch: ArchSpec) -> str:
    """The slot of the proxies' weight bank that a convolution of that name takes its weights from."""
    if name.startswith("stem"):
        return "stem"
    numbers = re.findall(r"\d+", name)
    if name.startswith("reduce"):
        return f"{numbers[0]} {name.split('_')[1]}"
    if name.startswith("stack"):
        stack, cell, place = numbers
        return f"{stack} {cell} input {place}" if "input" in name else f"{stack} {cell} {place}"
    half = next((f" {half}" for half in ("even", "odd") if half in name), "")
    if "input" in name:
        return f"{numbers[0]} input {numbers[1]}{half}"
    cells = NB301.to_compact(arch)
    kind = int(int(numbers[0]) in REDUCTIONS)
    op = CELL_OPS[cells[kind][int(numbers[1])][1]]
    if half:
        return f"{numbers[0]} {numbers[1]} skip{half}"
    part = " depthwise" if name.endswith("depthwise") else " pointwise"
    return f"{numbers[0]} {numbers[1]} {op}{' again' if 'again' in name else ''}{part}"


REDUCTIONS = (1, 3)  # of five DARTS cells


def units_kernel(model: keras.Model, arch: ArchSpec, config: NWOTConfig) -> np.ndarray:
    """The kernel of the codes of all ReLUs, with the weights of the proxies and the statistics of the batch."""
    bank = WeightBank(config.seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            size, channels = layer.kernel.shape[0], layer.kernel.shape[2]
            layer.set_weights([bank.array(slot_of(layer.name, arch), size, size, 1, channels).swapaxes(2, 3)])
        elif isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([bank.array(slot_of(layer.name, arch), *layer.kernel.shape)])
    inputs = [layer.input for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    values = keras.Model(model.input, inputs)(image_batch(config.batch, config.image_size), training=True)
    values = values if isinstance(values, list) else [values]
    codes = [(np.asarray(value) > 0).reshape(config.batch, -1).astype(np.float64) for value in values]
    return np.sum([c @ c.T + (1 - c) @ (1 - c).T for c in codes], axis=0)


def assert_same_kernel(found: Any, expected: Any) -> None:
    """Equal numbers of units, and codes equal but for inputs that rounding takes across zero."""
    assert (np.diag(found) == np.diag(expected)).all() and np.diag(expected)[0] > 1000
    assert np.abs(found - expected).max() <= 2e-4 * expected.max()


def test_nb201_units_are_those_of_the_plain_networks() -> None:
    config = NWOTConfig(channels=8, cells=2, batch=4, image_size=8, seed=3)
    for arch in [*samples(NB201, 4), NB201.from_cell_ops((5, 6, 5, 6, 2, 4)), NB201.from_cell_ops((3,) * 6)]:
        model = build_keras(NB201, arch, (8, 8, 3), 2, seed=0, channels=8, cells=2)
        assert_same_kernel(units_kernel(model, arch, config), nb201_kernel(arch, config))


def test_nb101_units_are_those_of_the_plain_networks() -> None:
    config = NWOTConfig(channels=8, cells=2, batch=4, image_size=8, seed=3)
    texts = ["1 input output", "111 input conv3x3-bn-relu output", "101 input maxpool3x3 output"]
    for arch in [*map(NB101.from_string, texts), *samples(NB101, 4)]:
        model = build_keras(NB101, arch, (8, 8, 3), 2, seed=0, channels=8, cells=2)
        assert_same_kernel(units_kernel(model, arch, config), nb101_kernel(arch, config))


def test_darts_units_are_those_of_the_plain_networks() -> None:
    config = NWOTConfig(channels=6, cells=1, batch=4, image_size=8, seed=3)
    every_op = [[(0, op), (1, (op + 1) % 7), (0, (op + 2) % 7), (2, (op + 3) % 7)] for op in (0, 4)]
    cells = [cell + [(number, (number + op) % 7) for number in (0, 3, 1, 4)] for op, cell in enumerate(every_op)]
    for arch in [NB301.from_compact(cells), NB301.from_compact(cells[::-1]), *samples(NB301, 2)]:
        model = build_keras(NB301, arch, (8, 8, 3), 2, seed=0, channels=6, cells=5)
        assert_same_kernel(units_kernel(model, arch, config), nb301_kernel(arch, config))


@pytest.mark.parametrize("arch", [DEAD_END, NB201.from_cell_ops((6,) * 6), NB201.from_cell_ops((3, 4, 2, 5, 6, 3))])
def test_pruning_does_not_change_the_function(arch: ArchSpec) -> None:
    images = np.random.default_rng(0).standard_normal((3, 8, 8, 3)).astype(np.float32)
    whole, pruned = (
        build_keras(NB201, arch, (8, 8, 3), 4, seed=0, channels=4, cells=2, prune=prune) for prune in (False, True)
    )
    np.testing.assert_allclose(whole(images), pruned(images), rtol=1e-5, atol=1e-6)
    assert len(pruned.layers) <= len(whole.layers)


@pytest.mark.parametrize("space", [NB201, NB101, NB301], ids=lambda space: space.name)
def test_a_saved_model_gives_the_same_outputs(space: Any, tmp_path: Path) -> None:
    images = np.random.default_rng(0).standard_normal((4, 7, 7, 1)).astype(np.float32)
    for arch in samples(space, 2):
        model = build_keras(space, arch, (7, 7, 1), 3, seed=1, channels=6, cells=CELLS[space.name])
        compile_quickly(model, keras.optimizers.SGD(0.1))
        model.fit(images, np.array([0, 1, 2, 0]), verbose=0)  # moves weights and running statistics
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded(images), model(images))
        assert {type(layer).__module__.split(".")[0] for layer in loaded.layers} == {"keras"}


@pytest.mark.parametrize("space", [NB201, NB101, NB301], ids=lambda space: space.name)
def test_every_weight_of_a_pruned_network_is_trained(space: Any) -> None:
    """Five steps fit a batch better, and move every weight."""
    rng = np.random.default_rng(2)
    images, labels = rng.standard_normal((8, 8, 8, 3)).astype(np.float32), np.arange(8) % 2
    settings = {"prune": True} if space is NB201 else {}
    cells = CELLS[space.name]
    model = build_keras(space, samples(space, 1)[0], (8, 8, 3), 2, seed=0, channels=8, cells=cells, **settings)
    compile_quickly(model, keras.optimizers.Adam(1e-2))
    before = [np.array(weight) for weight in model.trainable_weights]
    losses = model.fit(images, labels, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert all((np.array(weight) != old).any() for weight, old in zip(model.trainable_weights, before))


def test_initial_weights_follow_the_seed_and_the_name_alone() -> None:
    def weights(arch: ArchSpec, seed: int) -> dict[str, np.ndarray]:
        model = build_keras(NB201, arch, (8, 8, 3), 2, seed=seed, channels=16, cells=1)
        return {layer.name: layer.get_weights()[0] for layer in model.layers if layer.name.endswith("_conv")}

    first, again, other = (weights(NB201.from_cell_ops((3,) * 6), seed) for seed in (0, 0, 1))
    assert all((first[name] == again[name]).all() for name in first)
    assert not any((first[name] == other[name]).any() for name in first)
    half = weights(NB201.from_cell_ops((3, 6, 6, 6, 6, 3)), 0)
    assert all((half[name] == first[name]).all() for name in half) and len(half) < len(first)
    kernel = first["stack2_cell0_edge0_conv"]
    assert kernel.shape == (3, 3, 64, 64) and abs(kernel.std() / np.sqrt(2 / (9 * 64)) - 1) < 0.02


def test_depthwise_kernels_start_with_the_same_spread() -> None:
    arch = NB301.from_compact([[(0, 3), (1, 3), (0, 3), (1, 3), (0, 3), (1, 3), (0, 3), (1, 3)]] * 2)
    model = build_keras(NB301, arch, (8, 8, 3), 2, seed=0, channels=64, cells=3)
    kernel = model.get_layer("cell0_op0_depthwise").get_weights()[0]
    assert kernel.shape == (3, 3, 64, 1) and abs(kernel.std() / np.sqrt(2 / 9) - 1) < 0.1
