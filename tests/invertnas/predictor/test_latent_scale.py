"""The affine map between latents and INN inputs: exact both ways, and the still direction in the label's place."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from invertnas.errors import ConfigError
from invertnas.inn.config import INNConfig
from invertnas.inn.flow import FlowEnsemble
from invertnas.predictor.config import PredictorConfig
from invertnas.predictor.latent_scale import LatentScale, label_place, least_variance

DIM = 12
RNG = np.random.default_rng(3)
MIX = RNG.standard_normal((DIM, DIM))
LATENTS = (RNG.standard_normal((500, DIM)) * np.geomspace(1.0, 1e-3, DIM)) @ np.linalg.qr(MIX)[0] + 4.0


def scale(place: int, sign: float = 1.0) -> LatentScale:
    return LatentScale(LATENTS.mean(axis=0), 0.5, sign * least_variance(LATENTS), place)


@pytest.mark.parametrize("place", [0, 5, DIM - 1, -1])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_there_and_back_is_the_identity_and_lengths_stay(place: int, sign: float) -> None:
    chosen = scale(place, sign)
    x = chosen.to_inn(LATENTS)
    np.testing.assert_allclose(chosen.from_inn(x), LATENTS, atol=1e-5)
    plain = LatentScale(LATENTS.mean(axis=0), 0.5).to_inn(LATENTS)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), np.linalg.norm(plain, axis=1), rtol=1e-5)


@pytest.mark.parametrize("place", [0, 5, DIM - 1])
def test_the_stillest_direction_takes_the_place(place: int) -> None:
    spread = scale(place).to_inn(LATENTS).std(axis=0)
    assert spread.argmin() == place
    assert spread[place] == pytest.approx(1e-3 / 0.5, rel=0.15)


def test_an_axis_that_is_there_already_is_no_trouble() -> None:
    axis = np.eye(DIM)[-1]
    chosen = LatentScale(np.zeros(DIM), 1.0, axis)
    np.testing.assert_allclose(np.abs(chosen.to_inn(LATENTS)), np.abs(LATENTS), rtol=1e-5)


def test_tensors_and_arrays_come_out_alike() -> None:
    values = LATENTS.astype(np.float32)
    np.testing.assert_allclose(scale(-1).to_inn(tf.constant(values)), scale(-1).to_inn(values), atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_label_comes_from_its_place_through_every_layer(layers: int) -> None:
    config = INNConfig(dim=DIM, members=1, layers=layers, hidden_layers=1, hidden=4, head_scale=1e-6)
    flow = FlowEnsemble.create(config)
    x = tf.constant(RNG.standard_normal((1, 3, DIM)), tf.float32)
    np.testing.assert_allclose(flow(x)[0][..., -1], x[..., label_place(DIM, layers)], atol=1e-4)


def test_an_unknown_axis_is_named() -> None:
    with pytest.raises(ConfigError, match="least_variance"):
        PredictorConfig(label_axis="first")  # type: ignore[arg-type]
