"""Shipped AlignFlow weights as a contract, what they do, and translation of architectures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.common.cli import ROOT
from experiments.pretrain.alignflow_settings import SIZES, domains
from invertnas.alignflow import AlignFlow, load_alignflow, translate
from invertnas.alignflow.config import AlignFlowConfig
from invertnas.alignflow.model import FULL, REDUCED
from invertnas.alignflow.pretrained import save_alignflow
from invertnas.alignflow.train import split
from invertnas.alignflow.translate import translation_metrics
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import sha256_arrays
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.model import GVAE
from invertnas.gvae.pretrained import gvae_digest, load_gvae
from invertnas.spaces import ArchSpec, GraphBatch, NASBench201Space, NASBench301Space
from invertnas.spaces.reduced import is_reduced

# Keras 3 implements __array__ without NumPy 2's `copy`, which saving weights runs into.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
FOLDER = ROOT / "pretrained"
SPACE = NASBench201Space()
GVAE_CONFIG = GVAEConfig(8, 7, latent_dim=2, gin_channels=(4,), blocks=1, model_dim=4, heads=1, feed_forward=4)
CONFIG = AlignFlowConfig(16, layers=1, hidden=4, disc_hidden=4)


@pytest.fixture(scope="module")
def pair() -> tuple[AlignFlow, GVAE]:
    return AlignFlow.create(CONFIG, seed=2), GVAE.create(GVAE_CONFIG, seed=2)


@pytest.fixture
def folder(pair: tuple[AlignFlow, GVAE], tmp_path: Path) -> Path:
    save_alignflow(*pair, tmp_path, "nasbench201", data_sha256="d", seed=7, extra={"epochs_run": 3})
    return tmp_path


def change(folder: Path, **values: Any) -> None:
    path = folder / "alignflow_nb201.json"
    told = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({name: value for name, value in told.items() if value is not None}))


def test_save_and_load(pair: tuple[AlignFlow, GVAE], folder: Path) -> None:
    pair[0].scale.assign(np.full(16, 0.5))
    save_alignflow(*pair, folder, "nasbench201", data_sha256="d", seed=7, extra={"epochs_run": 3})
    loaded, x = load_alignflow(SPACE, pair[1], folder), np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    for target in (REDUCED, FULL):
        np.testing.assert_array_equal(loaded.translate(x, target), pair[0].translate(x, target))
    told = json.loads((folder / "alignflow_nb201.json").read_text())
    assert (told["space"], told["seed"], told["epochs_run"]) == ("nasbench201", 7, 3)
    assert {"weights_sha256", "gvae_sha256", "data_sha256", "versions"} <= set(told)


def test_another_gvae_is_refused(folder: Path) -> None:
    with pytest.raises(ArtefactError, match="belongs to a GVAE with other weights.*or train an AlignFlow"):
        load_alignflow(SPACE, GVAE.create(GVAE_CONFIG, seed=3), folder)


def test_damaged_or_foreign_files(pair: tuple[AlignFlow, GVAE], folder: Path) -> None:
    change(folder, space="nasbench101")
    with pytest.raises(ArtefactError, match=r"'nasbench101', 16\); expected \('nasbench201', 16"):
        load_alignflow(SPACE, pair[1], folder)
    change(folder, space="nasbench201", config={**CONFIG.to_dict(), "hidden": 8})
    with pytest.raises(ArtefactError, match="does not fit the configured AlignFlow"):
        load_alignflow(SPACE, pair[1], folder)
    change(folder, gvae_sha256=None)
    with pytest.raises(ArtefactError, match="lacks gvae_sha256"):
        load_alignflow(SPACE, pair[1], folder)
    weights = folder / "alignflow_nb201.weights.h5"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    change(folder, gvae_sha256="x")
    with pytest.raises(ArtefactError, match="sha256"):
        load_alignflow(SPACE, pair[1], folder)
    weights.unlink()
    with pytest.raises(
        DataMissingError, match="no .*alignflow_nb201.weights.h5; train an AlignFlow with `AlignFlowTrainer`"
    ):
        load_alignflow(SPACE, pair[1], folder)


def test_weights_of_a_space_of_ones_own(pair: tuple[AlignFlow, GVAE], tmp_path: Path) -> None:
    class Own(NASBench201Space):
        name = "my_gvae_space"

    with pytest.raises(DataMissingError) as missing:
        load_alignflow(Own(), pair[1], tmp_path)
    assert "alignflow_my_gvae_space.weights.h5; train an AlignFlow" in str(missing.value)
    assert "make" not in str(missing.value)
    save_alignflow(*pair, tmp_path, Own())
    assert load_alignflow(Own(), pair[1], tmp_path).config == CONFIG


class Half:
    """A GVAE that embeds operations as they are and decodes every second latent to a broken graph."""

    def encode(self, graphs: GraphBatch) -> np.ndarray:
        return graphs.ops.reshape(len(graphs), -1)

    def decode(self, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ops = latents.reshape(len(latents), 8, 7).argmax(axis=-1)
        ops[1::2, 0] = 3
        return ops, np.repeat(SPACE.encode([SPACE.from_cell_ops([2] * 6)]).adjacency, len(ops), axis=0).astype(int)


class Rotation:
    """A translation that turns every inner operation into the next one; noisy on the way back."""

    def translate(self, latents: np.ndarray, target: int = FULL) -> np.ndarray:
        graphs = latents.reshape(len(latents), 8, 7).copy()
        graphs[:, 1:-1, 2:] = np.roll(graphs[:, 1:-1, 2:], 1 if target == FULL else -1, axis=-1)
        return graphs.reshape(len(latents), -1)

    def cycle_error(self, latents: np.ndarray, source: int = REDUCED) -> float:
        return 0.25 if source == FULL else 0.125


def cells(*rows: tuple[int, ...]) -> list[ArchSpec]:
    return [SPACE.from_cell_ops(row) for row in rows]


def test_translate_decodes_what_the_flows_make() -> None:
    model, gvae = (fake for fake in (Rotation(), Half()))
    sources = cells((2, 3, 4, 5, 6, 2), (2,) * 6, (6,) * 6)
    images = translate(model, gvae, SPACE, sources)  # type: ignore[arg-type]
    assert images == [SPACE.from_cell_ops((3, 4, 5, 6, 2, 3)), None, SPACE.from_cell_ops((2,) * 6)]
    back = translate(model, gvae, SPACE, images[:1], REDUCED)  # type: ignore[arg-type]
    assert back == sources[:1]


def test_translation_metrics() -> None:
    model, gvae = (fake for fake in (Rotation(), Half()))
    reduced = cells((2,) * 6, (2,) * 6, (2,) * 6, (2,) * 6, (4, 4, 4, 2, 2, 2))
    full = cells((3,) * 6, (5,) * 6)
    found = translation_metrics(model, gvae, SPACE, reduced, full)  # type: ignore[arg-type]
    assert (found["validity"], found["changed"], found["cycle_error"]) == (0.6, 1.0, 0.25)
    assert found["distinct"] == pytest.approx(2 / 3) and found["kept_ops"] == 0.0
    names = SPACE.op_names
    assert found["ops"]["full"] == {names[op]: 0.5 * (op in (3, 5)) for op in range(2, 7)}
    assert found["ops"]["translated"][names[3]] == pytest.approx(15 / 18)
    assert found["ops_distance"] == pytest.approx(15 / 18 - 0.5)
    assert found["untranslated_ops_distance"] == pytest.approx(1.0)


def test_domains_of_nasbench201_are_the_whole_spaces() -> None:
    reduced, full = domains(SPACE, 0)
    assert (len(set(reduced)), len(set(full))) == (4096, 15_625)
    assert all(is_reduced(SPACE, arch) for arch in reduced)
    assert domains(SPACE, 0)[1] == full != domains(SPACE, 1)[1]


def test_sampled_domains() -> None:
    space = NASBench301Space()
    reduced, full = domains(space, 0, 30)
    assert len({space.identity(a) for a in reduced}) == len({space.identity(a) for a in full}) == 30
    assert all(is_reduced(space, arch) for arch in reduced) and not all(is_reduced(space, arch) for arch in full)
    assert domains(space, 0, 30) == (reduced, full) != domains(space, 1, 30)


def test_unknown_space_has_no_domains() -> None:
    class Other(NASBench201Space):
        name = "other"

    with pytest.raises(ConfigError, match="got space 'other'; expected one of nasbench101"):
        domains(Other(), 0)


def test_shipped_translation_keeps_its_promises() -> None:
    gvae = load_gvae(SPACE, FOLDER)
    model = load_alignflow(SPACE, gvae, FOLDER)
    told = json.loads((FOLDER / "alignflow_nb201.json").read_text(encoding="utf-8"))
    both = domains(SPACE, told["seed"])
    graphs = [SPACE.encode(archs) for archs in both]
    assert told["data_sha256"] == sha256_arrays(*(array for part in graphs for array in (part.ops, part.adjacency)))
    held = [
        [archs[row] for row in split(len(archs), seed=told["seed"], domain=d)[1][:2000]] for d, archs in enumerate(both)
    ]
    found = translation_metrics(model, gvae, SPACE, *held)
    assert found["cycle_error"] <= 1e-3 and found["validity"] >= 0.9
    assert found["changed"] >= 0.5 and found["distinct"] >= 0.8
    assert found["ops"]["translated"]["nor_conv_3x3"] >= 0.1  # which no source has
    assert found["ops_distance"] < 0.75 * found["untranslated_ops_distance"] and found["kept_ops"] > 0.4
    for name in ("validity", "changed", "distinct", "kept_ops"):
        assert found[name] == pytest.approx(told["metrics"][name], abs=0.02)


def test_every_description_keeps_the_promises() -> None:
    paths = list(FOLDER.glob("alignflow_*.json"))
    assert paths
    for path in paths:
        told = json.loads(path.read_text(encoding="utf-8"))
        assert {"config", "train", "data", "data_sha256", "gvae_sha256", "weights_sha256", "seed", "versions"} <= set(
            told
        )
        assert told["metrics"]["cycle_error"] <= 1e-3, path
        assert 0 < told["train_cpu_s"] < 2400, path  # 20 minutes of two cores
        assert told["epochs_run"] >= min(20, told["train"]["epochs"]), path
        assert told["space"] in SIZES and path.with_suffix(".weights.h5").stat().st_size <= 10_000_000


def test_digest_follows_the_weights() -> None:
    assert gvae_digest(GVAE.create(GVAE_CONFIG, seed=1)) == gvae_digest(GVAE.create(GVAE_CONFIG, seed=1))
    assert gvae_digest(GVAE.create(GVAE_CONFIG, seed=1)) != gvae_digest(GVAE.create(GVAE_CONFIG, seed=2))
