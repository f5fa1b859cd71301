"""The contract of every invertible layer, and the affine coupling's own facts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from invertnas.inn.config import INNConfig
from invertnas.inn.coupling import StackedCoupling, StackedPermutation
from invertnas.inn.flow import FlowEnsemble
from invertnas.stacked.mlp import StackedMLP

# Keras 3 implements __array__ without NumPy 2's `copy`, which saving weights runs into.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def reverse(members: int, dim: int) -> StackedPermutation:
    return StackedPermutation([list(range(dim))[::-1]] * members)


def random(members: int, dim: int) -> StackedPermutation:
    rng = np.random.default_rng(4)
    return StackedPermutation([rng.permutation(dim).tolist() for _ in range(members)])


def coupling(members: int, dim: int) -> StackedCoupling:
    return StackedCoupling(INNConfig(dim, members, hidden_layers=2, hidden=7, log_scale_bound=0.8), seed=3)


def flow_reverse(members: int, dim: int) -> FlowEnsemble:
    return FlowEnsemble(INNConfig(dim, members, layers=2, hidden_layers=1, hidden=6), seed=2)


def flow_random(members: int, dim: int) -> FlowEnsemble:
    return FlowEnsemble(INNConfig(dim, members, layers=3, hidden_layers=1, hidden=6, permutation="random"), seed=2)


Case = tuple[Any, np.ndarray]
KINDS: tuple[Callable[[int, int], Any], ...] = (reverse, random, coupling, flow_reverse, flow_random)


def make(kind: Callable[[int, int], Any], members: int, dim: int, seed: int = 0) -> Case:
    """A built layer with shaken weights, and five rows per member."""
    x = np.random.default_rng(seed).normal(size=(members, 5, dim)).astype(np.float32)
    layer = kind(members, dim)
    layer(x)
    shake(layer)
    return layer, x


def shake(layer: Any) -> None:
    """Move the trainable weights, biases too, away from what the seed gives."""
    rng = np.random.default_rng(11)
    for variable in layer.trainable_variables:
        variable.assign(variable.numpy() + rng.normal(0.0, 0.2, variable.shape).astype(np.float32))


@pytest.fixture(params=[(kind, k, d) for kind in KINDS for k, d in ((3, 5), (1, 4))], ids=lambda p: p[0].__name__)
def case(request: pytest.FixtureRequest) -> Case:
    return make(*request.param)


def test_round_trip_and_log_det(case: Case) -> None:
    layer, x = case
    y, log_det = layer(x)
    back, inverse_log_det = layer(y, inverse=True)
    assert y.shape == x.shape and log_det.shape == x.shape[:2]
    assert np.abs(y - x).max() > 0.1
    np.testing.assert_allclose(back, x, atol=5e-5)
    np.testing.assert_allclose(inverse_log_det, -log_det.numpy(), atol=5e-5)
    other, _ = layer(x, inverse=True)
    np.testing.assert_allclose(layer(other)[0], x, atol=5e-5)


@pytest.mark.parametrize("inverse", [False, True])
def test_log_det_is_that_of_the_jacobian(case: Case, inverse: bool) -> None:
    layer, values = case
    members, _, dim = values.shape
    x = tf.constant(values[:, :1])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, log_det = layer(x, inverse=inverse)
    jacobian = tape.jacobian(y, x, experimental_use_pfor=False).numpy().astype(np.float64)
    for k in range(members):
        sign, expected = np.linalg.slogdet(jacobian[k, 0, :, k, 0])
        assert abs(sign) == 1.0
        assert float(log_det[k, 0]) == pytest.approx(expected, rel=1e-4, abs=1e-5)
        for other in set(range(members)) - {k}:
            assert not jacobian[k, 0, :, other, 0].any()  # members do not mix


def test_batch_size_changes_nothing(case: Case) -> None:
    layer, x = case
    y, log_det = layer(x)
    run = tf.function(layer, input_signature=[tf.TensorSpec((x.shape[0], None, x.shape[2]))])
    for rows in (1, 3):
        for part, part_log_det in (layer(x[:, :rows]), run(x[:, :rows])):
            np.testing.assert_allclose(part, y[:, :rows], atol=1e-5)
            np.testing.assert_allclose(part_log_det, log_det[:, :rows], atol=1e-5)


def test_config_round_trip(case: Case) -> None:
    layer, x = case
    copy = type(layer).from_config(layer.get_config())
    copy(x)
    copy.set_weights(layer.get_weights())
    assert copy.get_config() == layer.get_config()
    for inverse in (False, True):
        for mine, theirs in zip(copy(x, inverse=inverse), layer(x, inverse=inverse)):
            np.testing.assert_array_equal(mine, theirs)


@keras.saving.register_keras_serializable(package="invertnas_test")
class Holder(keras.Model):
    """Gives a single layer the file formats of a model."""

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = layer

    def call(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self.layer(x)

    def get_config(self) -> dict[str, Any]:
        return {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Holder:
        return cls(keras.saving.deserialize_keras_object(config["layer"]))


def test_files_round_trip(case: Case, tmp_path: Path) -> None:
    layer, x = case
    model = Holder(layer)
    expected = model(x)
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    fresh = Holder(type(layer).from_config(layer.get_config()))
    fresh(x)
    fresh.load_weights(tmp_path / "m.weights.h5")
    for other in (fresh, keras.saving.load_model(tmp_path / "m.keras")):
        for mine, theirs in zip(other(x), expected):
            np.testing.assert_array_equal(mine, theirs)


def test_random_orders_travel_with_the_weights(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 6)).astype(np.float32)
    config = INNConfig(6, 2, layers=2, hidden_layers=1, hidden=4, permutation="random")
    original, other = FlowEnsemble.create(config, seed=1), FlowEnsemble.create(config, seed=2)
    original.save_weights(tmp_path / "f.weights.h5")
    other.load_weights(tmp_path / "f.weights.h5")
    np.testing.assert_array_equal(other(x)[0], original(x)[0])
    np.testing.assert_array_equal(other(x, inverse=True)[0], original(x, inverse=True)[0])
    assert not any("order" in variable.path for variable in original.trainable_variables)


def test_permutation_by_hand() -> None:
    layer = StackedPermutation([[2, 0, 1], [1, 0, 2]])
    x = tf.constant([[[10.0, 11.0, 12.0]], [[20.0, 21.0, 22.0]]])
    y, log_det = layer(x)
    np.testing.assert_array_equal(y[:, 0], [[12, 10, 11], [21, 20, 22]])
    np.testing.assert_array_equal(log_det, [[0.0], [0.0]])
    np.testing.assert_array_equal(reverse(2, 3)(x)[0][:, 0], [[12, 11, 10], [22, 21, 20]])


@pytest.mark.parametrize("bound", [0.5, 1.0])
def test_factor_stays_within_its_bound(bound: float) -> None:
    layer = StackedCoupling(INNConfig(6, 2, hidden_layers=1, hidden=8, log_scale_bound=bound, head_scale=50.0), seed=1)
    rng = np.random.default_rng(0)
    x = rng.normal(0, 3, (2, 200, 6)).astype(np.float32)
    moved = x.copy()
    moved[..., :3] += 1.0
    factors = (layer(moved)[0] - layer(x)[0]).numpy()[..., :3]  # y1 = x1 exp(s2(x2)) + t2(x2)
    low, high = np.exp(-bound), np.exp(bound)
    assert factors.min() > low - 1e-3 and factors.max() < high + 1e-3
    assert factors.min() < 1.1 * low and factors.max() > 0.9 * high  # and the bound is reached
    assert np.abs(layer(x)[1]).max() <= 6 * bound + 1e-4


def test_mlp_members_and_kernels_differ_at_start() -> None:
    net = StackedMLP(3, 4, 2, 5, seed=1)
    assert net(tf.ones((3, 2, 5))).shape == (3, 2, 4)
    assert [tuple(kernel.shape) for kernel in net.kernels] == [(3, 5, 5), (3, 5, 5), (3, 5, 4)]
    first, second, _ = (kernel.numpy() for kernel in net.kernels)
    assert np.abs(first - second).max() > 0.1
    assert np.abs(first[0] - first[1]).max() > 0.1 and np.abs(first[1] - first[2]).max() > 0.1
    limit = np.sqrt(6 / 10)
    assert 0.8 * limit < np.abs(first).max() <= limit
    assert not any(bias.numpy().any() for bias in net.biases)
    small = StackedMLP(3, 4, 2, 5, head_scale=0.01, seed=1)
    small(tf.ones((3, 2, 5)))
    np.testing.assert_allclose(small.kernels[-1].numpy(), 0.01 * net.kernels[-1].numpy(), rtol=1e-5)
    np.testing.assert_array_equal(small.kernels[0].numpy(), first)


def test_mlp_equals_matrix_products() -> None:
    net = StackedMLP(2, 3, 1, 4, seed=2)
    x = np.random.default_rng(1).normal(size=(2, 5, 6)).astype(np.float32)
    net(x)
    shake(net)
    (w0, w1), (b0, b1) = [k.numpy() for k in net.kernels], [b.numpy() for b in net.biases]
    for k in range(2):
        np.testing.assert_allclose(net(x)[k], np.maximum(x[k] @ w0[k] + b0[k], 0) @ w1[k] + b1[k], atol=1e-5)
