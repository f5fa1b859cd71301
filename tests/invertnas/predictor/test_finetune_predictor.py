"""The predictor with a GVAE that is tuned end to end: fits, stopping, files, searches; the frozen mode beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from invertnas.errors import ConfigError
from invertnas.files.io import read_arrays, write_arrays
from invertnas.gvae.model import GVAE
from invertnas.gvae.pretrained import gvae_digest, load_gvae, reconstruction_metrics, save_gvae
from invertnas.predictor.finetune import EndToEndTrainer
from invertnas.predictor.predictor import InvertiblePredictor, PredictorConfig
from invertnas.protocols import Labelled
from invertnas.search.config import CandidateConfig, SearchConfig
from invertnas.search.optimizer import InvertNAS
from tests.helpers.fakes import TinySpace, score
from tests.invertnas.predictor.test_finetune import EVERY, GRAPHS, GVAE_CONFIG, INN, SPACE, TRAIN, equal, values

TUNED = PredictorConfig(scale_latent=True, finetune="end_to_end", gvae_learning_rate=2e-2, encoder_reverse=False)


def labelled(count: int, start: int = 0) -> Labelled:
    archs = [EVERY[(start + 7 * index) % 64] for index in range(count)]
    return Labelled().extend(archs, [score(arch) for arch in archs])


def predictor(gvae: GVAE, config: PredictorConfig = TUNED, seed: int = 0) -> InvertiblePredictor:
    return InvertiblePredictor(SPACE, gvae, INN, TRAIN, config, seed=seed)


def tuner_of(model: InvertiblePredictor) -> EndToEndTrainer:
    assert model.finetuner is not None
    return model.finetuner


def state(model: InvertiblePredictor) -> dict[str, np.ndarray]:
    return {**model.trainer.state(), **tuner_of(model).state()}


def restore(model: InvertiblePredictor, saved: dict[str, np.ndarray]) -> None:
    model.trainer.load_state(saved)
    tuner_of(model).load_state(saved)
    model._encoded.clear()


@pytest.fixture(scope="module")
def gvae() -> GVAE:
    """A random GVAE, which no test changes."""
    return GVAE.create(GVAE_CONFIG, seed=3)


@pytest.fixture(scope="module")
def able(gvae: GVAE) -> tuple[InvertiblePredictor, dict[str, np.ndarray]]:
    """A predictor, traced once, whose GVAE has learnt the tiny space end to end; and its state."""
    model = predictor(gvae)
    model.trainer.config = dataclasses.replace(TRAIN, initial_epochs=35)
    model.fit(labelled(64), Labelled(), round_index=0)
    return model, state(model)


@pytest.fixture
def model(able: tuple[InvertiblePredictor, dict[str, np.ndarray]]) -> Iterator[InvertiblePredictor]:
    """That predictor as new. (Batch size and loss weights are fixed in its trace.)"""
    shared, start = able
    shared.trainer.config = TRAIN
    restore(shared, start)
    yield shared
    shared.trainer.config = TRAIN


def test_fit_trains_all_but_the_statistics(model: InvertiblePredictor) -> None:
    gvae = model.gvae
    trained, ensemble = values(gvae.trainable_variables), values(model.trainer.variables)
    fixed = values(gvae.non_trainable_variables)
    report = model.fit(labelled(12), Labelled(), round_index=0)
    assert not any((a == b).all() for a, b in zip(values(gvae.trainable_variables), trained, strict=True))
    assert not any((a == b).all() for a, b in zip(values(model.trainer.variables), ensemble, strict=True))
    assert len(fixed) >= 2 and equal(values(gvae.non_trainable_variables), fixed)
    assert set(report["losses"]) == {"reg", "rev", "latent", "total", "node", "edge", "kl", "gvae"}
    assert report["losses"]["gvae"] == pytest.approx(
        report["losses"]["node"] + report["losses"]["edge"] + 0.16 * report["losses"]["kl"], rel=1e-4
    )
    assert (report["epochs"], report["steps"], report["best_epoch"]) == (2, 6, 1)
    assert (report["skipped"], report["gvae_skipped"], report["val_total"]) == ([0, 0], 0, None)


def test_predictions_and_weights_use_the_tuned_gvae(model: InvertiblePredictor) -> None:
    before = model.gvae.encode(GRAPHS)
    model.predict(EVERY)  # latents of the GVAE as it was are not used again
    model.fit(labelled(12), labelled(4, start=3), round_index=0)
    raw = model.gvae.encode(GRAPHS)
    np.testing.assert_allclose(model._latent_scale.from_inn(model._latents(EVERY)), raw, atol=1e-5)
    assert np.abs(raw - before).max() > 0.01
    _, members = model.predict(EVERY)
    np.testing.assert_array_equal(members, model._forward(model._latent_scale.to_inn(raw)))
    both = labelled(12).extend(labelled(4, start=3).archs, labelled(4, start=3).accuracies)
    errors = np.mean((model.predict(both.archs)[1] - np.array(both.accuracies)) ** 2, axis=1)
    np.testing.assert_allclose(model.weights, (1 / errors) / (1 / errors).sum(), rtol=1e-3)


def test_the_tuned_gvae_still_reconstructs(model: InvertiblePredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    before = reconstruction_metrics(model.gvae, SPACE, GRAPHS)
    assert (before["exact_reconstruction"], before["validity"]) == (1.0, 1.0)
    monkeypatch.setattr(tuner_of(model), "learning_rate", PredictorConfig().gvae_learning_rate)
    for round_index in range(4):
        report = model.fit(labelled(16 + 4 * round_index), Labelled(), round_index=round_index)
    after = reconstruction_metrics(model.gvae, SPACE, GRAPHS)
    assert after["validity"] >= 0.95 and after["exact_reconstruction"] >= 0.95
    assert report["losses"]["node"] + report["losses"]["edge"] < 0.1
    latents = model.invert_latents(np.full(40, 0.8, np.float32), z_std=0.5, rng=np.random.default_rng(0))
    found = model.invert(np.full(40, 0.8, np.float32), z_std=0.5, latent_noise=0.0, rng=np.random.default_rng(0))
    assert found == SPACE.decode(*model.gvae.decode(latents)) and any(found)


def test_reconstruction_is_learnt_besides(model: InvertiblePredictor, gvae: GVAE) -> None:
    def loss(model: GVAE) -> float:
        return float(model.losses_of([tf.constant(GRAPHS.ops), tf.constant(GRAPHS.adjacency)], None, False)["total"])

    assert loss(model.gvae) < 0.1 * loss(gvae)


def test_the_given_gvae_is_not_shared(gvae: GVAE, model: InvertiblePredictor, tmp_path: Path) -> None:
    start, before = values(GVAE.create(GVAE_CONFIG, seed=3).variables), values(model.gvae.variables)
    assert equal(values(gvae.variables), start)  # though two predictors were made of it, and one of them fitted
    other = predictor(gvae)
    other.gvae.trainable_variables[1].assign_add(other.gvae.trainable_variables[1])
    assert equal(values(gvae.variables), start) and equal(values(model.gvae.variables), before)

    class Named(TinySpace):
        name = "nasbench201"

    save_gvae(gvae, tmp_path, "nasbench201", data_sha256="", seed=0, extra={})
    first, second = load_gvae(Named(), tmp_path), load_gvae(Named(), tmp_path)
    first.variables[0].assign(first.variables[0] + 1.0)
    assert not equal(values(first.variables), values(second.variables))


def test_a_search_continues_exactly(model: InvertiblePredictor, gvae: GVAE, tmp_path: Path) -> None:
    def search() -> InvertNAS:
        candidates = CandidateConfig(wanted=8, max_retries=2, rows=8, mutate_top=2)
        return InvertNAS(SPACE, model, SearchConfig(initial=8, keep=6, batch=3, candidates=candidates), seed=5)

    def go(optimizer: InvertNAS, rounds: int) -> list[Any]:
        asked = []
        for _ in range(rounds):
            asked.append(optimizer.ask())
            optimizer.tell(asked[-1], [score(arch) for arch in asked[-1]])
        return asked

    whole = search()
    go(whole, 3)
    whole.save(tmp_path)
    fresh = predictor(gvae)
    fresh.load(next(tmp_path.glob("surrogate_*")))
    predictions = model.predict(EVERY)
    for mine, theirs in zip(fresh.predict(EVERY), predictions, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert equal(list(state(fresh).values()), list(state(model).values()))
    asked, end = go(whole, 2), state(model)
    assert np.abs(model.predict(EVERY)[1] - predictions[1]).max() > 1e-3
    assert len(whole.diagnostics()[-1]["fit"]["losses"]) == 8
    resumed = search()
    resumed.load(tmp_path)
    assert go(resumed, 2) == asked
    assert equal(list(state(model).values()), list(end.values()))


def test_files_of_the_other_mode_are_refused(gvae: GVAE, tmp_path: Path) -> None:
    tuned, frozen = predictor(gvae), predictor(gvae, dataclasses.replace(TUNED, finetune="frozen"))
    tuned.save(tmp_path / "tuned")
    frozen.save(tmp_path / "frozen")
    with pytest.raises(ConfigError, match="saved with predictor.finetune='end_to_end'; .*='frozen'"):
        frozen.load(tmp_path / "tuned")
    for name in ("tuned", "frozen"):  # as files were before they said what they belong to
        arrays = read_arrays(tmp_path / name / "predictor.npz")
        write_arrays(tmp_path / name / "predictor.npz", {k: v for k, v in arrays.items() if k != "fingerprint"})
    with pytest.raises(ConfigError, match="expected finetune='end_to_end'"):
        frozen.load(tmp_path / "tuned")
    with pytest.raises(ConfigError, match="got array gvae_0 of shape None"):
        tuned.load(tmp_path / "frozen")


def test_a_tuned_state_is_bound_to_the_gvae_handed_in(model: InvertiblePredictor, gvae: GVAE, tmp_path: Path) -> None:
    assert gvae_digest(model.gvae) != gvae_digest(gvae) == model.fingerprint["gvae_sha256"]
    model.save(tmp_path)
    predictor(gvae).load(tmp_path)
    with pytest.raises(ConfigError, match="saved with gvae_sha256="):
        predictor(model.gvae).load(tmp_path)


def test_the_best_pass_is_kept_for_all(model: InvertiblePredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = tuner_of(model)
    scores, seen = iter([3.0, 1.0, 2.0, 2.0, 2.0]), []

    def validate(*_: tf.Tensor) -> tf.Tensor:
        seen.append(values(tuner._trained))
        return tf.constant(next(scores))

    monkeypatch.setattr(tuner, "_validate", validate)
    model.trainer.config = dataclasses.replace(TRAIN, initial_epochs=9, initial_patience=2)
    report = model.fit(labelled(12), labelled(4, start=3), round_index=0)
    assert (report["epochs"], report["best_epoch"], report["val_total"]) == (4, 1, 1.0)
    assert equal(values(tuner._trained), seen[1]) and not equal(seen[1], seen[3])


def test_validation_loss_by_hand(model: InvertiblePredictor) -> None:
    tuner = tuner_of(model)
    graphs, y = SPACE.encode(EVERY[:4]), np.array([0.1, 0.4, 0.6, 0.8], np.float32)
    arguments = tuner._validation(graphs, y)
    rows = np.tile(np.arange(4), TRAIN.repeat)
    np.testing.assert_array_equal(arguments[3], rows)
    x = tf.constant(model._latent_scale.to_inn(model.gvae.encode(graphs))[rows])
    ones = tf.ones((2, len(rows)))
    members = model.trainer.terms(x, tf.constant(y[rows]), ones, arguments[4], tf.constant(False), noise=0.0)
    own = model.gvae.losses_of([tf.constant(graphs.ops), tf.constant(graphs.adjacency)], None, training=False)
    expected = float(tf.reduce_mean(members["total"]) + own["total"])
    assert float(tuner._validate(*arguments)) == pytest.approx(expected, rel=1e-3)


def test_a_broken_step_spares_the_gvae(model: InvertiblePredictor) -> None:
    tuner = tuner_of(model)
    for variable in (*model.trainer.adam.state, *tuner.optimizer.variables):  # or momentum would still move
        variable.assign(tf.zeros(variable.shape, variable.dtype))
    before = values(tuner._trained)
    report = tuner.fit(SPACE.encode(EVERY[:8]), np.full(8, np.nan, np.float32))
    assert report["gvae_skipped"] == 4 and report["skipped"] == [4, 4]
    assert equal(values(tuner._trained), before)


def test_a_dead_member_leaves_the_others_and_the_gvae(model: InvertiblePredictor) -> None:
    for variable in (*model.trainer.adam.state, *tuner_of(model).optimizer.variables):
        variable.assign(tf.zeros(variable.shape, variable.dtype))
    for variable in model.trainer.variables:
        variable.assign(variable * tf.reshape([1.0, np.nan], [2] + [1] * (len(variable.shape) - 1)))
    before, alive = values(model.gvae.variables), model.trainer.variables[0].numpy()[0]
    with pytest.warns(RuntimeWarning, match=r"members \[1\] of 2 sat out \[4\] of 4 steps"):
        report = model.fit(labelled(8), labelled(4, start=3), round_index=0)
    assert (report["skipped"], report["gvae_skipped"], report["unsound"]) == ([0, 4], 4, [1])
    assert equal(values(model.gvae.variables), before)
    assert np.abs(model.trainer.variables[0].numpy()[0] - alive).max() > 1e-3
    assert np.isfinite([*report["losses"].values(), report["val_total"]]).all()


def test_one_trace_for_growing_label_counts(model: InvertiblePredictor) -> None:
    for round_index, count in enumerate((6, 9, 17, 40)):
        model.fit(labelled(count), labelled(3 + round_index, start=3), round_index=round_index)
    assert tuner_of(model)._epoch.experimental_get_tracing_count() == 1
    assert tuner_of(model)._validate.experimental_get_tracing_count() == 1


def test_the_rate_of_the_gvae_falls_with_the_other(model: InvertiblePredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []

    def epoch(*arguments: tf.Tensor) -> tf.Tensor:
        seen.append(arguments[-2].numpy())
        return tf.zeros(8)

    model.trainer.config = dataclasses.replace(TRAIN, final_learning_rate=1e-3)
    monkeypatch.setattr(tuner_of(model), "_epoch", epoch)
    monkeypatch.setattr(tuner_of(model), "learning_rate", 5e-3)
    model.fit(labelled(8), Labelled(), round_index=0)
    expected = [1e-3 + 9e-3 * 0.5 * (1 + np.cos(np.pi * step / 4)) for step in range(4)]
    np.testing.assert_allclose(np.concatenate(seen), np.outer(expected, [1.0, 0.5]), rtol=1e-5)


def test_no_rate_no_change(model: InvertiblePredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = tuner_of(model)
    before = values(tuner._trained)
    monkeypatch.setattr(tuner, "_rates", lambda steps, *_: np.zeros((steps, 2), np.float32))
    model.fit(labelled(8), Labelled(), round_index=0)
    assert equal(values(tuner._trained), before)
    monkeypatch.setattr(tuner, "_rates", lambda steps, *_: np.array([[0.0, 1e-3]] * steps, np.float32))
    model.fit(labelled(8), Labelled(), round_index=1)
    count = len(model.trainer.variables)
    assert equal(values(tuner._trained[:count]), before[:count]) and not equal(values(tuner._trained), before)


def test_frozen_is_the_ensemble_trainer_alone(gvae: GVAE) -> None:
    before = values(gvae.variables)
    model = predictor(gvae, PredictorConfig(aggregate="mean"), seed=4)
    assert model.finetuner is None and model.gvae is gvae
    start, data = model.trainer.state(), [labelled(10), labelled(13)]
    reports = [model.fit(part, Labelled(), round_index=index) for index, part in enumerate(data)]
    end = model.trainer.state()
    model.trainer.load_state(start)
    for index, part in enumerate(data):
        x, y = gvae.encode(SPACE.encode(part.archs)), np.array(part.accuracies, np.float32)
        assert reports[index] == model.trainer.fit(x, y, round_index=index).to_dict() | {"unsound": []}
    assert equal(list(model.trainer.state().values()), list(end.values())) and equal(values(gvae.variables), before)
