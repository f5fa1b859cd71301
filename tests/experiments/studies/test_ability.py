"""The ability of the decoder: priors, shares counted by hand, what was trained on, and the script in small."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from experiments.pretrain import gvae_settings as pretraining
from experiments.pretrain.gvae_settings import PRETRAINING, training_graphs
from experiments.studies import ability
from experiments.studies.ability import (
    EDITS,
    Mixture,
    Prior,
    TrainingData,
    edited,
    keys,
    mixture,
    prior_ability,
    priors,
    training_data,
    unseen,
)
from experiments.studies.ability_report import AGNET, AGNET_TITLE, COLUMNS, SAME_RULES, to_markdown, with_agnet
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import sha256_arrays
from invertnas.gvae.config import GVAEConfig, GVAETrainConfig
from invertnas.gvae.model import GVAE
from invertnas.gvae.pretrained import save_gvae
from invertnas.gvae.train import GVAETrainer
from invertnas.spaces import ArchSpec, NASBench201Space, NASBench301Space
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import split_cells
from tests.helpers.scripts import set_flags

ENTRY = dataclasses.replace(
    PRETRAINING["nasbench301"], archs=lambda space, seed: pretraining._distinct(space, 60, seed, space.sample)
)
SPACES = {"nasbench201": NASBench201Space(), "nasbench301": NASBench301Space()}


class Playback:
    """Decodes the n-th latent to the n-th graph of a list, None being no graph of the space."""

    def __init__(self, space: SearchSpace, archs: list[ArchSpec | None]) -> None:
        graphs = space.encode([arch or space.sample(np.random.default_rng(9)) for arch in archs])
        self.ops, self.adjacency = graphs.ops.argmax(axis=-1), graphs.adjacency.astype(np.int64)
        self.adjacency[[arch is None for arch in archs], 0, 1] ^= 1

    def decode(self, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert latents.shape == (len(self.ops), 2)
        return self.ops, self.adjacency


def played(space: SearchSpace, archs: list[ArchSpec | None], trained: list[ArchSpec]) -> dict[str, Any]:
    prior = Prior("some", np.zeros(2, np.float32), np.eye(2, dtype=np.float32))
    seen = keys(split_cells(space.encode(trained), space.num_cells))
    gvae = cast(GVAE, Playback(space, archs))
    return prior_ability(gvae, space, prior, seen, len(archs), np.random.default_rng(0))


@pytest.mark.parametrize("name", SPACES)
def test_shares_are_those_counted_by_hand(name: str) -> None:
    space, rng = SPACES[name], np.random.default_rng(0)
    a, b, c, d = (space.sample(rng) for _ in range(4))
    row = played(space, [a, a, a, b, c, None, None, None], [a, d])
    assert (row["count"], row["rank"], row["validity"]) == (8, 2, 5 / 8)
    assert (row["uniqueness"], row["novelty"]) == (3 / 5, 2 / 5)
    # The edge between the inputs that makes a graph of NAS-Bench-301 invalid is one that AG-Net does not look at.
    assert row["agnet_validity"] == row["agnet_cell_validity"] == {"nasbench201": 5 / 8, "nasbench301": 1.0}[name]
    nothing = played(space, [None, None], [a])
    assert nothing["validity"] == 0 and "uniqueness" not in nothing and "novelty" not in nothing


def test_an_architecture_is_novel_with_one_novel_cell() -> None:
    space, rng = NASBench301Space(), np.random.default_rng(0)
    first, second, third = (space.to_compact(space.sample(rng)) for _ in range(3))
    crossed, half = space.from_compact((first[0], second[1])), space.from_compact((first[0], third[1]))
    trained = [space.from_compact(first), space.from_compact(second)]
    assert played(space, [crossed, half], trained)["novelty"] == 1 / 2


def test_keys_tell_graphs_apart() -> None:
    space = NASBench201Space()
    graphs = space.encode(list(space.all()))
    assert len(np.unique(keys(graphs))) == 15_625
    flipped = dataclasses.replace(graphs, adjacency=graphs.adjacency.copy())
    flipped.adjacency[:, 0, 7] = 1.0
    assert not np.isin(keys(flipped), keys(graphs)).any()


def test_priors_have_the_moments_of_the_latents() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(3, 6)) * [1, 1, 1, 1, 0, 0.01]  # rank 3, one number constant, one small
    latents = (rng.normal(size=(5000, 3)) @ mixing + 2).astype(np.float32)
    standard, diagonal, full, mixed = priors(latents, 0)
    assert [prior.rank for prior in (standard, diagonal, full, mixed)] == [6, 6, 3, 6]
    assert isinstance(standard, Prior) and isinstance(diagonal, Prior) and isinstance(full, Prior)
    for prior, covariance in (
        (standard, np.eye(6)),
        (diagonal, np.diag(latents.var(axis=0))),
        (full, np.cov(latents.T)),
    ):
        np.testing.assert_allclose(prior.axes.T @ prior.axes, covariance, atol=1e-3)
        drawn = prior.sample(40_000, rng)
        assert drawn.dtype == np.float32
        np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.15)
        np.testing.assert_allclose(drawn.mean(axis=0), 0 if prior is standard else latents.mean(axis=0), atol=0.05)


def test_the_mixture_finds_the_clusters_of_the_latents() -> None:
    rng = np.random.default_rng(0)
    centres, shape = 20 * np.stack([np.arange(10), np.arange(10) % 2], axis=1), np.array([[1.0, 0.6], [0.0, 0.8]])
    latents = (centres[rng.integers(10, size=4000)] + rng.normal(size=(4000, 2)) @ shape.T).astype(np.float32)
    fitted = mixture(latents, 0)
    assert (fitted.title, fitted.rank, len(fitted.parts)) == ("Gaussian mixture (10)", 2, 10)
    np.testing.assert_allclose(sorted(part.mean[0] for part in fitted.parts), centres[:, 0], atol=0.3)
    for part in fitted.parts:
        np.testing.assert_allclose(part.axes.T @ part.axes, shape @ shape.T, atol=0.3)
    drawn = fitted.sample(4000, rng)
    assert drawn.shape == (4000, 2) and drawn.dtype == np.float32
    counts = np.bincount(np.rint(drawn[:, 0] / 20).astype(int), minlength=10)
    np.testing.assert_allclose(counts / 4000, 0.1, atol=0.03)
    again = mixture(latents, 0)
    assert all(np.array_equal(a.axes, b.axes) for a, b in zip(fitted.parts, again.parts))


def test_the_mixture_draws_by_weight() -> None:
    corners = [Prior("", np.full(3, place, np.float32), np.zeros((1, 3), np.float32)) for place in (0, 1)]
    drawn = Mixture("", np.array([0.25, 0.75]), tuple(corners)).sample(4000, np.random.default_rng(0))
    assert abs(float(drawn.mean()) - 0.75) < 0.03


def test_without_scikit_learn_the_mixture_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    with pytest.raises(ConfigError, match=r"needs scikit-learn; pip install -e \.\[figures\]"):
        mixture(np.zeros((20, 2), np.float32), 0)


def test_training_data_are_drawn_again_and_checked() -> None:
    space = SPACES["nasbench301"]
    graphs = training_graphs(ENTRY, space, 3)
    told = {"seed": 3, "data_sha256": sha256_arrays(graphs.ops, graphs.adjacency)}
    data = training_data(ENTRY, space, told)
    trainer = GVAETrainer(tiny(), GVAETrainConfig(batch_size=16, seed=3), graphs)
    np.testing.assert_array_equal(data.train, trainer.train_index)
    np.testing.assert_array_equal(data.test, trainer.test_index)
    with pytest.raises(ArtefactError, match="seed 4 gives training graphs of nasbench301"):
        training_data(ENTRY, space, {**told, "seed": 4})


def test_unseen_graphs_are_new_and_known_ones_are_dropped() -> None:
    space = SPACES["nasbench301"]
    graphs = training_graphs(ENTRY, space, 0)
    told = {"seed": 0, "data_sha256": sha256_arrays(graphs.ops, graphs.adjacency)}
    data = training_data(ENTRY, space, told)
    new = unseen(ENTRY, space, data, 1)
    assert new is not None and len(new) == 60
    assert not np.isin(keys(split_cells(new, 2)), keys(graphs)).any()
    same = unseen(ENTRY, space, data, 0)
    assert same is not None and len(same) == 0
    assert unseen(PRETRAINING["nasbench201"], SPACES["nasbench201"], data, 1) is None


def test_edited_graphs_are_held_out_ones_after_edits() -> None:
    space = SPACES["nasbench301"]
    graphs = training_graphs(ENTRY, space, 0)
    data = TrainingData(graphs, np.arange(80), np.arange(80, 120))
    found = edited(space, data, 0)
    assert found is not None and len(found) == 20, "of 40 cells, two to an architecture"
    archs = space.decode(found.ops.argmax(axis=-1), found.adjacency.astype(np.int64))
    assert None not in archs, "edits lead to architectures of the space"
    start = {key.tobytes() for key in keys(graphs)}
    assert all(key.tobytes() not in start for key in keys(split_cells(found, 2))[::2]), "and away from where they began"
    again, other = edited(space, data, 0), edited(space, data, 1)
    assert again is not None and other is not None
    assert np.array_equal(again.adjacency, found.adjacency) and not np.array_equal(other.adjacency, found.adjacency)
    assert edited(SPACES["nasbench201"], data, 0) is None, "the data are the space"


def tiny() -> GVAEConfig:
    return GVAEConfig(11, 10, cells=2, latent_dim=2, gin_channels=(4,), blocks=1, feed_forward=4, model_dim=4, heads=1)


def test_the_script_measures_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PRETRAINING, "nasbench301", ENTRY)
    graphs = training_graphs(ENTRY, SPACES["nasbench301"], 5)
    digest, metrics = sha256_arrays(graphs.ops, graphs.adjacency), {"test_validity": 0.25}
    save_gvae(GVAE.create(tiny()), tmp_path, "nasbench301", data_sha256=digest, seed=5, extra={"metrics": metrics})
    texts = []
    for out in (tmp_path / "a", tmp_path / "b"):
        with set_flags(ability.FLAGS, pretrained=str(tmp_path), out=str(out), samples=40):
            assert ability.main(["ability"]) == 0
        texts.append((out / "ability.csv").read_text())
    assert texts[0] == texts[1]
    told = capsys.readouterr().out
    assert "NAS-Bench-101 is left out: no " in told and "gvae_nb101.weights.h5; train a GVAE" in told
    assert (tmp_path / "a" / "ability.md").read_text() in told
    assert (tmp_path / "a" / "figures" / "ability.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    table = pd.read_csv(tmp_path / "a" / "ability.csv")
    assert list(table.columns) == COLUMNS and set(table["space"]) == {"nasbench301"}
    assert table["latents"].tolist() == [
        *("held-out graphs, as shipped", "held-out graphs", "unseen graphs", f"held-out graphs, {EDITS} edits"),
        *("N(0, I)", "mean + std * N(0, I)", "N(mean, covariance)", "Gaussian mixture (10)", AGNET_TITLE),
    ]
    assert table["validity"][0] == 0.25 and table["count"][4] == 40 and (table["rank"][4:8] <= 44).all()
    assert table["exact_reconstruction"][1:4].tolist() == [0.0, 0.0, 0.0], "an untrained GVAE reconstructs nothing"


def test_bad_flags_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with set_flags(ability.FLAGS, pretrained=str(tmp_path), out=str(tmp_path)):
        with pytest.raises(DataMissingError, match="got no weights of nasbench101"):
            ability.main(["ability"])
        with pytest.raises(ConfigError, match="flags only"):
            ability.main(["ability", "nasbench201"])
    with set_flags(ability.FLAGS, spaces=["darts"]), pytest.raises(ConfigError, match="got space 'darts'"):
        ability.main(["ability"])


def test_agnet_stands_below_each_space_and_under_the_rules_it_was_judged_by() -> None:
    assert set(PRETRAINING) >= set(AGNET) >= set(SAME_RULES)
    shares = {"validity": 0.25, "agnet_validity": 0.5, "agnet_cell_validity": 0.5}
    rows = [{"space": name, "dim": 8, "latents": "N(0, I)", "count": 10, **shares} for name in AGNET]
    rows[2]["agnet_cell_validity"] = 0.625
    frame = with_agnet(pd.DataFrame(rows))
    assert frame["latents"].tolist() == ["N(0, I)", AGNET_TITLE] * 4
    assert frame["agnet_validity"].tolist()[1::2] == [0.7169, 0.9997, 0.4227, 0.5795]
    assert frame["validity"].tolist()[1:4:2] == [0.7169, 0.9997] and frame["validity"][5::2].isna().all()
    text = to_markdown(frame)
    assert "| N(0, I) | 10 |  |  | 25.00 | 50.00 |  |  |" in text
    assert "| N(0, I) | 10 |  |  | 25.00 | 50.00 (62.50) |  |  |" in text
    assert f"| {AGNET_TITLE} | 10,000 |  |  |  | 42.27 | 100.00 | 100.00 |" in text
