"""The flow ensemble against separate flows, a NumPy reference and TensorFlow Probability."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from invertnas.errors import ConfigError
from invertnas.inn.config import INNConfig
from invertnas.inn.flow import FlowEnsemble
from invertnas.stacked.mlp import StackedMLP
from tests.helpers import reference_losses as ref

CONFIG = INNConfig(5, 3, layers=2, hidden_layers=2, hidden=6, log_scale_bound=0.7)


def shaken(config: INNConfig, seed: int = 1) -> FlowEnsemble:
    flow, rng = FlowEnsemble.create(config, seed=seed), np.random.default_rng(8)
    for variable in flow.trainable_variables:
        variable.assign(variable.numpy() + rng.normal(0, 0.2, variable.shape).astype(np.float32))
    return flow


def rows(config: INNConfig, count: int = 4) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(config.members, count, config.dim)).astype(np.float32)


def extract(net: StackedMLP, member: int) -> ref.MLP:
    return [
        (kernel.numpy()[member].astype(np.float64), bias.numpy()[member, 0].astype(np.float64))
        for kernel, bias in zip(net.kernels, net.biases)
    ]


@pytest.fixture(scope="module", params=["reverse", "random"])
def flow(request: pytest.FixtureRequest) -> FlowEnsemble:
    return shaken(dataclasses.replace(CONFIG, permutation=request.param))


def test_equals_separate_flows(flow: FlowEnsemble) -> None:
    x = rows(flow.config)
    for k in range(flow.config.members):
        single = FlowEnsemble.create(dataclasses.replace(flow.config, members=1), seed=77 + k)
        single.set_weights([value[k : k + 1] for value in flow.get_weights()])
        for inverse in (False, True):
            for mine, theirs in zip(single(x[k : k + 1], inverse=inverse), flow(x, inverse=inverse)):
                np.testing.assert_allclose(mine[0], theirs[k], atol=1e-5)


def test_equals_numpy_reference(flow: FlowEnsemble) -> None:
    x, bound = rows(flow.config, 2), flow.config.log_scale_bound
    forward, backward = flow(x), flow(x, inverse=True)
    for k in range(flow.config.members):
        orders = [layer.orders[k] for layer in flow.permutations]
        couplings = [(extract(layer.net1, k), extract(layer.net2, k)) for layer in flow.couplings]
        for b in range(2):
            for result, reference in ((forward, ref.flow_forward), (backward, ref.flow_inverse)):
                output, log_det = reference(orders, couplings, bound, x[k, b])
                np.testing.assert_allclose(result[0][k, b], output, atol=1e-4, rtol=1e-4)
                assert float(result[1][k, b]) == pytest.approx(log_det, abs=1e-4)


def test_members_and_seeds_differ_at_start() -> None:
    flow, same, other = (FlowEnsemble.create(CONFIG, seed=seed) for seed in (0, 0, 1))
    for kernel, twin, foreign in zip(*(model.trainable_variables for model in (flow, same, other))):
        np.testing.assert_array_equal(kernel.numpy(), twin.numpy())
        if "kernel" in kernel.path:
            assert np.abs(kernel.numpy() - foreign.numpy()).max() > 0.05
            for k in range(2):
                assert np.abs(kernel.numpy()[k] - kernel.numpy()[k + 1]).max() > 0.05
    kernels = [layer.net1.kernels[0].numpy() for layer in flow.couplings]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.05  # so do layers


def test_random_orders_differ_and_cover_all_features() -> None:
    config = dataclasses.replace(CONFIG, dim=12, permutation="random")
    orders = [tuple(order) for layer in FlowEnsemble(config, seed=3).permutations for order in layer.orders]
    assert len(set(orders)) == config.layers * config.members
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert orders == [tuple(o) for layer in FlowEnsemble(config, seed=3).permutations for o in layer.orders]


def test_paper_sized_round_trip() -> None:
    """Ten members of 4 x 5 x 256 in 128 dimensions, as `experiments` run them."""
    config = INNConfig(128)
    assert (config.members, config.layers, config.hidden_layers, config.hidden) == (10, 4, 5, 256)
    flow = FlowEnsemble.create(config)
    x = rows(config, 16)
    y, log_det = flow(x)
    back, back_log_det = flow(y, inverse=True)
    assert np.abs(back - x).max() <= 1e-4
    np.testing.assert_allclose(back_log_det, -log_det.numpy(), atol=1e-3)
    assert np.abs(flow(flow(x, inverse=True)[0])[0] - x).max() <= 1e-4
    subnet = (64 * 256 + 256) + 4 * (256 * 256 + 256) + (256 * 128 + 128)
    assert sum(int(np.prod(v.shape)) for v in flow.trainable_variables) == 10 * 4 * 2 * subnet


@pytest.mark.parametrize(
    ("field", "value"),
    [("dim", 1), ("members", 0), ("layers", 0), ("hidden", 0), ("log_scale_bound", 0.0), ("permutation", "sorted")],
)
def test_config_errors(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        dataclasses.replace(CONFIG, **{field: value})


def test_equals_tensorflow_probability() -> None:
    """A two-sided coupling is two of its RealNVP steps; the chain is written right to left."""
    pytest.importorskip("tf_keras", reason="TensorFlow Probability needs tf_keras")
    bijectors = __import__("tensorflow_probability").bijectors
    flow = shaken(dataclasses.replace(CONFIG, dim=6, members=1, permutation="random"))

    def conditioner(net: StackedMLP) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        def shift_and_log_scale(half: tf.Tensor, _: int, **__: Any) -> tuple[tf.Tensor, tf.Tensor]:
            raw, shift = tf.split(net(half[tf.newaxis])[0], 2, axis=-1)
            return shift, CONFIG.log_scale_bound * tf.tanh(raw)

        return shift_and_log_scale

    steps = []
    for permutation, coupling in zip(flow.permutations, flow.couplings):
        steps.append(bijectors.Permute(permutation.orders[0]))
        steps.append(bijectors.RealNVP(num_masked=-3, shift_and_log_scale_fn=conditioner(coupling.net2)))
        steps.append(bijectors.RealNVP(num_masked=3, shift_and_log_scale_fn=conditioner(coupling.net1)))
    chain = bijectors.Chain(steps[::-1])
    x = rows(flow.config)
    y, log_det = flow(x)
    np.testing.assert_allclose(y[0], chain.forward(x[0]), atol=1e-5)
    np.testing.assert_allclose(log_det[0], chain.forward_log_det_jacobian(x[0], 1), atol=1e-5)
    np.testing.assert_allclose(flow(x, inverse=True)[0][0], chain.inverse(x[0]), atol=1e-4)
