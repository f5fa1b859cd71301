"""GVAE and INN joined: shapes, units, exact inversion, the frozen GVAE, files."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from invertnas.errors import ArtefactError, ConfigError, TrainingError
from invertnas.files.io import write_arrays
from invertnas.gaussian_process import GaussianProcess
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.model import GVAE
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.predictor.predictor import NOISES, REACHES, InvertiblePredictor, PredictorConfig
from invertnas.protocols import Labelled
from invertnas.spaces import NASBench201Space
from tests.helpers import reference_losses as ref

SPACE = NASBench201Space()
GVAE_CONFIG = GVAEConfig(8, 7, latent_dim=2, gin_channels=(8,), blocks=1, model_dim=8, heads=2, feed_forward=8)
INN = INNConfig(16, 3, layers=1, hidden_layers=1, hidden=12)
TRAIN = INNTrainConfig(repeat=4, batch_size=8, initial_epochs=2, retrain_epochs=1, learning_rate=1e-2)
SCALED = PredictorConfig(scale_latent=True, scale_accuracy=True)
TARGETS = np.array([0.2, 0.7, 0.95], np.float32)


def labelled(count: int, seed: int = 0) -> Labelled:
    rng = np.random.default_rng(seed)
    return Labelled().extend([SPACE.sample(rng) for _ in range(count)], (0.5 + 0.4 * rng.random(count)).tolist())


@pytest.fixture(scope="module")
def gvae() -> GVAE:
    return GVAE.create(GVAE_CONFIG, seed=3)


def make(gvae: GVAE, config: PredictorConfig | None = None, seed: int = 0, **inn: Any) -> InvertiblePredictor:
    return InvertiblePredictor(SPACE, gvae, dataclasses.replace(INN, **inn), TRAIN, config, seed=seed)


@pytest.fixture(scope="module", params=[PredictorConfig(), SCALED], ids=["paper", "scaled"])
def fitted(request: pytest.FixtureRequest, gvae: GVAE) -> InvertiblePredictor:
    model = make(gvae, request.param)
    model.fit(labelled(12), labelled(4, seed=1), round_index=0)
    return model


def test_dimension_mismatch(gvae: GVAE) -> None:
    with pytest.raises(ConfigError, match="got INN dimension 14; expected 16"):
        make(gvae, dim=14)
    with pytest.raises(ConfigError, match="aggregate"):
        PredictorConfig(aggregate="median")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [{"cells": 2, "num_nodes": 4}, {"num_nodes": 7}, {"num_ops": 6}])
def test_a_gvae_of_another_space(gvae: GVAE, shape: dict[str, Any]) -> None:
    other = GVAE.create(dataclasses.replace(gvae.config, **shape))
    got = (other.config.cells, other.config.cells * other.config.num_nodes, other.config.num_ops)
    with pytest.raises(ConfigError, match=re.escape(f"{got}; expected those of the space 'nasbench201', (1, 8, 7)")):
        make(other, dim=other.config.flat_dim)


def test_predict(fitted: InvertiblePredictor) -> None:
    archs = labelled(9, seed=2).archs
    mean, members = fitted.predict(archs)
    assert (mean.shape, members.shape, mean.dtype, members.dtype) == ((9,), (3, 9), np.float32, np.float32)
    np.testing.assert_allclose(mean, fitted.weights @ members, atol=1e-5)
    assert np.abs(members - members[:1]).max() > 1e-4


def test_uncertainty_is_the_spread_of_the_members(fitted: InvertiblePredictor) -> None:
    archs = labelled(9, seed=2).archs
    np.testing.assert_allclose(fitted.uncertainty(archs), fitted.predict(archs)[1].std(axis=0), rtol=1e-6)


def test_uncertainty_of_the_gaussian_process_is_that_of_all_labels(gvae: GVAE, tmp_path: Path) -> None:
    model = make(gvae, dataclasses.replace(SCALED, uncertainty="gaussian_process"), members=1)
    train, val, new = labelled(12), labelled(4, seed=1), labelled(30, seed=2).archs
    with pytest.raises(ConfigError, match="expected fit before uncertainty"):
        model.uncertainty(new)
    model.fit(train, val, round_index=0)
    both = train.extend(val.archs, val.accuracies)
    inputs = [model._latents(archs) for archs in (both.archs, new)]
    process = GaussianProcess.fit(inputs[0], np.array(both.accuracies), reaches=REACHES, noises=NOISES)
    found = model.uncertainty(new)
    np.testing.assert_allclose(found, process.predict(inputs[1])[1], rtol=1e-5)
    assert (found.shape, found.dtype) == ((30,), np.float32)
    model.save(tmp_path)
    fresh = make(gvae, dataclasses.replace(SCALED, uncertainty="gaussian_process"), members=1)
    fresh.load(tmp_path)
    np.testing.assert_array_equal(fresh.uncertainty(new), found)
    with pytest.raises(ConfigError, match="uncertainty='none'"):
        PredictorConfig(uncertainty="none")  # type: ignore[arg-type]


def test_uncertainty_of_the_gaussian_process_grows_with_the_distance(gvae: GVAE) -> None:
    model = make(gvae, dataclasses.replace(SCALED, uncertainty="gaussian_process"), members=1)
    few = labelled(4)
    model.fit(few, Labelled(), round_index=0)
    new = labelled(40, seed=2).archs
    latents, known = model._latents(new), model._latents(few.archs)
    nearest = np.linalg.norm(latents[:, None] - known, axis=-1).min(axis=1)
    assert spearmanr(nearest, model.uncertainty(new)).statistic > 0.7
    assert model.uncertainty(few.archs).max() < model.uncertainty(new).max()


def test_candidates_are_encoded_once_for_prediction_and_uncertainty(
    gvae: GVAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(gvae, dataclasses.replace(SCALED, uncertainty="gaussian_process"), members=1)
    model.fit(labelled(8), Labelled(), round_index=0)
    encode, sizes = gvae.encode, list[int]()

    def counted(graphs: Any) -> Any:
        sizes.append(len(graphs))
        return encode(graphs)

    monkeypatch.setattr(gvae, "encode", counted)
    new = labelled(9, seed=2).archs
    first, spread = model.predict(new)[0], model.uncertainty(new)
    assert sizes == [9]
    np.testing.assert_allclose(model.predict(new[::-1])[0], first[::-1], rtol=1e-5)
    np.testing.assert_allclose(model.uncertainty(new[::-1]), spread[::-1], rtol=1e-5)
    model.predict([*labelled(2, seed=5).archs, *new])  # the others are known
    assert sizes == [9, len(set(labelled(2, seed=5).archs) - set(new) - set(labelled(8).archs))]


def test_weights_are_idw_over_all_labels(fitted: InvertiblePredictor) -> None:
    train, val = labelled(12), labelled(4, seed=1)
    _, members = fitted.predict(train.archs + val.archs)
    truth = np.array(train.accuracies + val.accuracies)
    if fitted.config.scale_accuracy:  # errors are those of the clipped targets
        shift, scale = fitted._y_shift, fitted._y_scale
        truth, members = np.maximum((truth - shift) / scale, -3.0), (members - shift) / scale
    np.testing.assert_allclose(fitted.weights, ref.idw_weights(members.astype(np.float64), truth), rtol=1e-3)
    assert np.ptp(fitted.weights) > 1e-3


def test_accuracy_scaling_by_hand(gvae: GVAE) -> None:
    model = make(gvae, dataclasses.replace(SCALED, clip_low=-2.0))
    model._fit_accuracy_scale(np.array([0.9, 0.1, 0.7, 0.5, 0.8, 0.6]))
    assert model._y_shift == pytest.approx(0.7)  # better half: 0.7, 0.8, 0.9
    assert model._y_scale == pytest.approx(np.std([0.7, 0.8, 0.9]))
    targets = model._to_target([0.7, 0.8, 0.1])
    np.testing.assert_allclose(targets, np.array([0.0, 0.1 / 0.0816497, -2.0]), rtol=1e-5)
    model._fit_accuracy_scale(np.full(5, 0.4))
    assert model._y_scale == 1e-4  # equal labels do not divide by zero
    plain = make(gvae)
    plain._fit_accuracy_scale(np.array([0.9, 0.1]))
    np.testing.assert_allclose(plain._to_target([0.9, 0.1]), [0.9, 0.1], rtol=1e-6)


def test_latents_are_standardised_when_asked(gvae: GVAE) -> None:
    archs = labelled(30, seed=5).archs
    raw = gvae.encode(SPACE.encode(archs))
    np.testing.assert_array_equal(make(gvae)._latents(archs), raw)
    model = make(gvae, SCALED)
    np.testing.assert_allclose(model._latents(archs) * model.spread + model._latent_scale.shift, raw, atol=1e-5)
    assert model.spread > 0 and np.abs(model._latents(archs).mean()) < 0.5


def test_predictions_are_fractions(gvae: GVAE) -> None:
    """Scaled targets are carried back: labels around 0.9 give predictions around 0.9."""
    model = InvertiblePredictor(SPACE, gvae, INN, dataclasses.replace(TRAIN, initial_epochs=30), SCALED)
    archs = labelled(16).archs
    model.fit(Labelled().extend(archs, np.linspace(0.9, 0.92, 16).tolist()), Labelled(), round_index=0)
    mean, _ = model.predict(archs)
    assert np.abs(mean - 0.91).max() < 0.05


@pytest.mark.parametrize("z_std", [0.0, 1.0])
def test_inverse_is_exact(fitted: InvertiblePredictor, z_std: float) -> None:
    latents = fitted.invert_latents(TARGETS, z_std=z_std, rng=np.random.default_rng(7))
    assert latents.shape == (9, 16) and latents.dtype == np.float32
    x = fitted._latent_scale.to_inn(latents).reshape(3, 3, 16)
    output = fitted.flow(x.astype(np.float32))[0].numpy()
    np.testing.assert_allclose(output[..., -1] * fitted._y_scale + fitted._y_shift, np.tile(TARGETS, (3, 1)), atol=1e-3)
    z = z_std * np.random.default_rng(7).standard_normal((3, 15), np.float32)
    np.testing.assert_allclose(output[..., :-1], np.tile(z, (3, 1, 1)), atol=1e-3)  # all members share z


def test_invert_decodes_those_latents(fitted: InvertiblePredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[np.ndarray] = []
    cells = SPACE.encode(labelled(9, seed=8).archs)
    ops, adjacency = cells.ops.argmax(-1), cells.adjacency.astype(np.int64)
    adjacency[4] = 0

    def decode(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(latents)
        return ops, adjacency

    monkeypatch.setattr(fitted.gvae, "decode", decode)
    result = fitted.invert(TARGETS, z_std=0.5, latent_noise=0.0, rng=np.random.default_rng(1))
    assert len(result) == INN.members * len(TARGETS)
    assert [arch is None for arch in result] == [index == 4 for index in range(9)]
    assert result[:4] == list(labelled(9, seed=8).archs[:4])
    expected = fitted.invert_latents(TARGETS, z_std=0.5, rng=np.random.default_rng(1))
    np.testing.assert_allclose(asked[0], expected, atol=1e-5)
    fitted.invert(TARGETS, z_std=0.5, latent_noise=0.3, rng=np.random.default_rng(1))
    noise = (asked[1] - asked[0]) / fitted.spread
    assert 0.2 < noise.std() < 0.4 and abs(noise.mean()) < 0.1


def test_many_draws_in_one_call_are_those_one_by_one(fitted: InvertiblePredictor) -> None:
    one, many = np.random.default_rng(3), np.random.default_rng(3)
    noises = [(0.2, 0.0), (0.5, 0.3), (1.0, 1.0)]
    expected = [fitted.invert(TARGETS[:n], z_std=z, latent_noise=m, rng=one) for n, (z, m) in enumerate(noises, 1)]
    draws = [fitted.draw(TARGETS[:n], z_std=z, latent_noise=m, rng=many) for n, (z, m) in enumerate(noises, 1)]
    assert fitted.invert_drawn(draws) == expected
    assert one.random() == many.random()


def test_a_fit_that_came_to_nothing_is_an_error(gvae: GVAE) -> None:
    model = make(gvae)
    with pytest.raises(TrainingError, match="got no finite loss"):
        model.fit(Labelled(labelled(8).archs, (float("nan"),) * 8), Labelled(), round_index=0)
    for variable in model.trainer.variables:
        value = variable.numpy()
        value[1] = 1e30
        variable.assign(value)
    with pytest.warns(RuntimeWarning, match=r"members \[1\] of 3 sat out"):
        report = model.fit(labelled(8), Labelled(), round_index=1)
    assert report["unsound"] == [1]
    model = make(gvae)
    assert model.fit(labelled(8), Labelled(), round_index=0)["unsound"] == []


def test_a_gvae_without_spread_is_refused() -> None:
    flat = GVAE.create(GVAE_CONFIG, seed=1)
    for variable in flat.variables:
        variable.assign(np.zeros(variable.shape))
    with pytest.raises(TrainingError, match="got latents of spread 0.0"):
        make(flat)


def test_random_gvae_decodes_to_nothing_rather_than_failing(fitted: InvertiblePredictor) -> None:
    assert fitted.invert(TARGETS, z_std=1.0, latent_noise=0.0, rng=np.random.default_rng(1)) == [None] * 9


def test_gvae_is_frozen(gvae: GVAE) -> None:
    before = [variable.numpy() for variable in gvae.variables]
    model = make(gvae, SCALED)
    start = [variable.numpy() for variable in model.trainer.variables]
    model.fit(labelled(10), Labelled(), round_index=0)
    model.predict(labelled(5).archs)
    model.invert(TARGETS, z_std=1.0, latent_noise=0.1, rng=np.random.default_rng(0))
    for variable, value in zip(gvae.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert any((v.numpy() != value).any() for v, value in zip(model.trainer.variables, start))


def test_save_and_load(fitted: InvertiblePredictor, gvae: GVAE, tmp_path: Path) -> None:
    archs = labelled(6, seed=4).archs
    fitted.save(tmp_path)
    expected = fitted.predict(archs)
    other = make(gvae, fitted.config)
    assert np.abs(other.predict(archs)[1] - expected[1]).max() > 1e-4
    other.load(tmp_path)
    for mine, theirs in zip(other.predict(archs), expected):
        np.testing.assert_array_equal(mine, theirs)
    first, second = (m.invert_latents(TARGETS, z_std=1.0, rng=np.random.default_rng(2)) for m in (other, fitted))
    np.testing.assert_array_equal(first, second)
    with pytest.raises(ConfigError, match="saved with inn.hidden=12; expected inn.hidden=5"):
        make(gvae, fitted.config, hidden=5).load(tmp_path)


def test_non_finite_member_is_left_out(gvae: GVAE) -> None:
    model = make(gvae)
    archs = labelled(5).archs
    _, members = model.predict(archs)
    for variable in model.trainer.variables:
        value = variable.numpy()
        value[1] = np.nan
        variable.assign(value)
    mean, broken = model.predict(archs)
    assert np.isnan(broken[1]).all()
    np.testing.assert_allclose(mean, (members[0] + members[2]) / 2, rtol=1e-4)  # equal weights before a fit
    np.testing.assert_allclose(model.uncertainty(archs), members[[0, 2]].std(axis=0), rtol=1e-4, atol=1e-7)
    latents = model.invert_latents(TARGETS, z_std=1.0, rng=np.random.default_rng(0))
    assert np.isfinite(latents).all()
    model.weights = np.array([0.0, 1.0, 0.0])  # what is left weighs nothing
    assert np.isnan(model.predict(archs)[0]).all()


def test_no_finite_member_predicts_no_number(gvae: GVAE) -> None:
    model = make(gvae)
    for variable in model.trainer.variables:
        variable.assign(np.full(variable.shape, np.nan, np.float32))
    mean, members = model.predict(labelled(5).archs)
    assert np.isnan(members).all() and np.isnan(mean).all() and mean.dtype == np.float32
    spread = model.uncertainty(labelled(5).archs)
    assert np.isnan(spread).all() and spread.dtype == np.float32


def test_mean_aggregation(gvae: GVAE) -> None:
    model = make(gvae, PredictorConfig(aggregate="mean"))
    model.trainer.config = dataclasses.replace(TRAIN, initial_epochs=1)
    report = model.fit(labelled(8), Labelled(), round_index=0)
    np.testing.assert_array_equal(model.weights, [1 / 3] * 3)
    assert report["epochs"] == 1 and set(report["losses"]) == {"reg", "rev", "latent", "total"}


def test_a_checkpoint_without_its_scaling_is_refused(tmp_path: Path) -> None:
    write_arrays(tmp_path / "predictor.npz", {"weights": np.ones(2)})
    with pytest.raises(ArtefactError, match="lacks y_scale; delete the folder"):
        InvertiblePredictor.load(object.__new__(InvertiblePredictor), tmp_path)
