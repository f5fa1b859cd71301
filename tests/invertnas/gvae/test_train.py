"""Training of the GVAE: progress, exact resume, schedule, metrics, and the contract of shipped weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from invertnas.errors import ArtefactError, ConfigError, DataMissingError, TrainingError
from invertnas.files.shipped import weights_folder
from invertnas.gvae.config import GVAEConfig, GVAETrainConfig
from invertnas.gvae.model import GVAE
from invertnas.gvae.pretrained import load_gvae, reconstruction_metrics, save_gvae
from invertnas.gvae.train import GVAEProgress, GVAETrainer, split_indices
from invertnas.spaces import GraphBatch, NASBench201Space

# Keras 3 implements __array__ without NumPy 2's `copy`, which saving weights runs into.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SPACE = NASBench201Space()
CONFIG = GVAEConfig(
    8, 7, latent_dim=2, gin_channels=(8,), blocks=1, model_dim=8, heads=2, feed_forward=8, ffn_dropout=0.1
)
TRAIN = GVAETrainConfig(epochs=4, batch_size=16, learning_rate=1e-2, lr_patience=1, stop_patience=9, seed=5)


def graphs(count: int = 200, seed: int = 0) -> GraphBatch:
    rng = np.random.default_rng(seed)
    return SPACE.encode([SPACE.sample(rng) for _ in range(count)])


@pytest.fixture(scope="module")
def trained() -> GVAETrainer:
    """One uninterrupted training of four epochs."""
    trainer = GVAETrainer(CONFIG, TRAIN, graphs())
    trainer.run()
    return trainer


def test_loss_falls(trained: GVAETrainer) -> None:
    first, last = trained.history[0], trained.history[-1]
    assert all(last[name] < 0.9 * first[name] for name in ("node", "edge", "total")), (first, last)
    assert [row["epoch"] for row in trained.history] == [1, 2, 3, 4]


def test_best_weights_are_returned(trained: GVAETrainer) -> None:
    losses = [row["val_total"] for row in trained.history]
    assert trained.progress.best_loss == min(losses)
    values = trained._evaluate(trained.val_index).numpy()
    assert float(values[-1]) == pytest.approx(min(losses), rel=1e-6)


def test_resume_equals_no_interruption(trained: GVAETrainer, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    GVAETrainer(CONFIG, dataclasses.replace(TRAIN, epochs=2), graphs()).run(path)
    resumed, seen = GVAETrainer(CONFIG, TRAIN, graphs()), []
    resumed.run(path, lambda epoch, _: seen.append(epoch))
    assert seen == [3, 4]
    assert resumed.history == trained.history
    assert resumed.progress == trained.progress
    for mine, theirs in zip(resumed.model.variables, trained.model.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    for mine, theirs in zip(resumed.optimizer.variables, trained.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_foreign_checkpoint(trained: GVAETrainer, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    trained.save(path)
    others = (
        GVAETrainer(dataclasses.replace(CONFIG, kl_weight=0.5), TRAIN, graphs()),
        GVAETrainer(CONFIG, dataclasses.replace(TRAIN, seed=6), graphs()),
        GVAETrainer(CONFIG, TRAIN, graphs(seed=1)),
    )
    for other in others:
        with pytest.raises(ArtefactError, match="another configuration or data set"):
            other.run(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ArtefactError, match="cannot be read"):
        others[0].load(path)


def test_too_few_graphs() -> None:
    with pytest.raises(ConfigError, match="8 training graphs"):
        GVAETrainer(CONFIG, TRAIN, graphs(10))
    with pytest.raises(ConfigError, match="got 5 graphs, none left .* at least 6"):
        GVAETrainer(CONFIG, dataclasses.replace(TRAIN, batch_size=4), graphs(5))


def test_schedule_and_early_stopping(trained: GVAETrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(TRAIN, epochs=50, lr_patience=2, lr_min=1e-4, stop_patience=6)
    monkeypatch.setattr(trained, "train_config", config)
    monkeypatch.setattr(trained, "progress", GVAEProgress(learning_rate=1e-2))
    for name in ("best", "history", "seconds"):
        monkeypatch.setattr(trained, name, getattr(trained, name).copy())
    losses = [5.0, 4.0, 4.0, 4.5, 3.0, 3.5, 3.5, 3.5, 3.5, 3.2, 3.0]
    rates, done = [], []
    for loss in losses:
        monkeypatch.setattr(trained, "_train", lambda loss=loss: {"val_total": loss})
        trained.run_epoch()
        rates.append(trained.progress.learning_rate)
        done.append(trained.finished)
    expected = [1e-2] * 3 + [1e-3] * 3 + [1e-4] * 5  # falls behind the 2nd bad epoch in a row, not below lr_min
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert (trained.progress.best_loss, trained.progress.best_epoch) == (3.0, 4)
    assert done == [False] * 10 + [True]  # six epochs behind the best one
    monkeypatch.setattr(trained, "progress", GVAEProgress(epoch=50, best_epoch=49))
    assert trained.finished


def test_graphs_of_several_cells_are_refused() -> None:
    config = dataclasses.replace(CONFIG, num_nodes=4, cells=2)
    with pytest.raises(ConfigError, match=r"got graphs of .* \(8, 7\); expected single cells of \(4, 7\): pass split_"):
        GVAETrainer(config, TRAIN, graphs())


def test_a_run_without_a_finite_validation_loss_is_an_error(tmp_path: Path) -> None:
    train = dataclasses.replace(TRAIN, learning_rate=1e30, epochs=2)
    for _ in range(2):  # at the end of training, and again from its checkpoint
        trainer = GVAETrainer(CONFIG, train, graphs())
        with pytest.raises(TrainingError, match="no finite validation loss in 2 epochs; .* lower learning_rate"):
            trainer.run(tmp_path / "checkpoint.npz")
        assert len(trainer.history) == 2 and not np.isfinite([row["val_total"] for row in trainer.history]).any()


def test_a_run_that_diverges_later_keeps_its_best_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, epoch = GVAETrainer(CONFIG, dataclasses.replace(TRAIN, epochs=2), graphs()), GVAETrainer._evaluate

    def evaluate(index: Any) -> Any:
        return epoch(trainer, index) * (1.0 if trainer.progress.epoch == 0 else np.nan)

    monkeypatch.setattr(trainer, "_evaluate", evaluate)
    trainer.run()
    assert trainer.progress.best_epoch == 0
    for mine, best in zip(trainer.model.get_weights(), trainer.best, strict=True):
        np.testing.assert_array_equal(mine, best)
    assert np.isnan(trainer.history[1]["val_total"])


def test_split_is_a_partition() -> None:
    parts = split_indices(205, seed=3)
    assert [len(part) for part in parts] == [164, 20, 21]
    assert sorted(np.concatenate(parts).tolist()) == list(range(205))
    np.testing.assert_array_equal(parts[0], split_indices(205, seed=3)[0])
    assert not np.array_equal(parts[0], split_indices(205, seed=4)[0])


class FakeGVAE:
    """Decodes what it is told to, whatever it encoded."""

    def __init__(self, ops: np.ndarray, adjacency: np.ndarray) -> None:
        self.decoded, self.config = (ops, adjacency), SimpleNamespace(cells=1)

    def encode(self, batch: GraphBatch) -> np.ndarray:
        return np.zeros((len(batch), 16), np.float32)

    def decode(self, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert latents.shape == (len(self.decoded[0]), 16)
        return self.decoded


def metrics(ops: np.ndarray, adjacency: np.ndarray, batch: GraphBatch) -> tuple[float, float]:
    fake: Any = FakeGVAE(ops, adjacency)
    result = reconstruction_metrics(fake, SPACE, batch)
    return result["exact_reconstruction"], result["validity"]


def test_reconstruction_metrics() -> None:
    batch = graphs(10)
    ops, adjacency = batch.ops.argmax(-1), batch.adjacency.astype(np.int64)
    assert metrics(ops, adjacency, batch) == (1.0, 1.0)
    other = ops.copy()
    other[:3, 2] = 2 + (other[:3, 2] - 1) % 5  # another cell operation: valid, yet not the same
    assert metrics(other, adjacency, batch) == (0.7, 1.0)
    edges = adjacency.copy()
    edges[:4, 0, 7] = 1
    assert metrics(ops, edges, batch) == (0.6, 0.6)
    assert metrics(np.zeros_like(ops), np.zeros_like(adjacency), batch) == (0.0, 0.0)


def test_reconstruction_ignores_padding() -> None:
    batch = graphs(4)
    ops, adjacency = batch.ops.argmax(-1), batch.adjacency.astype(np.int64)
    padded = GraphBatch(batch.ops.copy(), batch.adjacency)
    padded.ops[:, -1] = 0.0
    ops[:, -1] = 5
    assert metrics(ops, adjacency, padded)[0] == 1.0
    assert metrics(ops, adjacency, batch)[0] == 0.0


@pytest.fixture
def folder(trained: GVAETrainer, tmp_path: Path) -> Path:
    save_gvae(trained.model, tmp_path, "nasbench201", data_sha256="d", seed=5, extra={"validity": 1.0})
    return tmp_path


def test_save_and_load(trained: GVAETrainer, folder: Path) -> None:
    loaded = load_gvae(SPACE, folder)
    np.testing.assert_array_equal(loaded.encode(graphs(20)), trained.model.encode(graphs(20)))
    assert not np.array_equal(GVAE.create(CONFIG, seed=5).encode(graphs(20)), loaded.encode(graphs(20)))
    told = json.loads((folder / "gvae_nb201.json").read_text())
    assert (told["space"], told["seed"], told["validity"]) == ("nasbench201", 5, 1.0)
    assert GVAEConfig.from_dict(told["config"]) == CONFIG


def test_corrupted_weights(folder: Path) -> None:
    path = folder / "gvae_nb201.weights.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="sha256"):
        load_gvae(SPACE, folder)


@pytest.mark.parametrize("name", ["gvae_nb201.weights.h5", "gvae_nb201.json"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataMissingError, match=name):
        load_gvae(SPACE, folder)


def change(folder: Path, **values: Any) -> None:
    path = folder / "gvae_nb201.json"
    told = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({name: value for name, value in told.items() if value is not None}))


def test_foreign_description(folder: Path) -> None:
    config = CONFIG.to_dict()
    change(folder, space="nasbench101")
    with pytest.raises(ArtefactError, match="nasbench101"):
        load_gvae(SPACE, folder)
    change(folder, space="nasbench201", config={**config, "num_nodes": 7})
    with pytest.raises(ArtefactError, match="expected .*nasbench201.*1, 8, 7"):
        load_gvae(SPACE, folder)
    change(folder, config={**config, "model_dim": 16})  # fits the space, but not the weights
    with pytest.raises(ArtefactError, match="does not fit"):
        load_gvae(SPACE, folder)
    change(folder, config={**config, "unheard": 1})
    with pytest.raises(ConfigError, match="unheard"):
        load_gvae(SPACE, folder)
    change(folder, config=config, weights_sha256=None)
    with pytest.raises(ArtefactError, match="lacks weights_sha256"):
        load_gvae(SPACE, folder)


class Own(NASBench201Space):
    name = "own"


def test_weights_of_a_space_of_ones_own(trained: GVAETrainer, tmp_path: Path) -> None:
    with pytest.raises(DataMissingError) as missing:
        load_gvae(Own(), tmp_path)
    assert "gvae_own.weights.h5; train a GVAE" in str(missing.value) and "make" not in str(missing.value)
    save_gvae(trained.model, tmp_path, Own())
    assert {path.name for path in tmp_path.iterdir()} == {"gvae_own.weights.h5", "gvae_own.json"}
    loaded = load_gvae(Own(), tmp_path)
    np.testing.assert_array_equal(loaded.encode(graphs(20)), trained.model.encode(graphs(20)))


@pytest.mark.parametrize("name", ["", "a/b", "..\\own", "nb201"])
def test_names_that_do_not_do_for_files(
    trained: GVAETrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    space = Own()
    monkeypatch.setattr(Own, "name", name)
    with pytest.raises(ConfigError, match="got space name"):
        save_gvae(trained.model, tmp_path, space)
    assert not list(tmp_path.iterdir())


def test_what_does_not_fit_the_space_is_not_written(trained: GVAETrainer, tmp_path: Path) -> None:
    for space, told in (("nasbench101", "expected those of the space 'nasbench101'"), ("own", "got space 'own'")):
        with pytest.raises(ConfigError, match=told):
            save_gvae(trained.model, tmp_path, space)
    for folder in ("", None, trained.model):
        with pytest.raises(ConfigError, match="got folder .*expected a path"):
            save_gvae(trained.model, folder, SPACE)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_shipped_weights_are_found_by_name() -> None:
    assert load_gvae("nasbench201").config == load_gvae(SPACE, weights_folder()).config
    with pytest.raises(DataMissingError, match="got space 'own', for which no weights ship; .* `save_gvae`"):
        load_gvae(Own())
    with pytest.raises(ConfigError, match="got space 'nasbench2O1'; .*did you mean 'nasbench201'"):
        load_gvae("nasbench2O1")
    with pytest.raises(ConfigError, match="expected a SearchSpace"):
        load_gvae(None)  # type: ignore[arg-type]


def test_another_number_of_cells_is_refused(folder: Path) -> None:
    change(folder, config={**CONFIG.to_dict(), "num_nodes": 4, "cells": 2})
    with pytest.raises(ArtefactError, match=r"gvae_nb201.json: got a GVAE of .* \(2, 8, 7\); expected .*\(1, 8, 7\)"):
        load_gvae(SPACE, folder)
