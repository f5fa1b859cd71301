"""Data and pictures of regression, inversion and the latent map, with a stand-in for the predictor."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.figures import latents
from experiments.figures.latents import Recording, embed, plot_latents
from experiments.figures.regression import (
    RANGE,
    Split,
    agreement,
    agreement_text,
    draw_split,
    inversion_frame,
    label_floor,
    plot_inversion,
    plot_regression,
    regression_frame,
    true_values,
)
from experiments.searches.ablations import SETTINGS as PRESETS
from experiments.searches.benchmarks import open_benchmark
from invertnas.errors import ConfigError
from invertnas.files.io import write_json, write_text
from invertnas.predictor.config import PredictorConfig
from invertnas.search.optimizer import InvertNAS
from invertnas.spaces import ArchSpec
from tests.helpers.fakes import SMALL_SEARCH, SPACE, FakeSurrogate

ROOT = Path(__file__).resolve().parents[3]


@dataclasses.dataclass
class Stub:
    """Predicts the true accuracy plus 0.1, and inverts to fixed cells with every third graph invalid."""

    members: int = 2
    config: PredictorConfig = PredictorConfig(scale_accuracy=True, clip_low=-2.0)
    _y_shift, _y_scale = 0.8, 0.1

    def predict(self, archs: Sequence[ArchSpec]) -> tuple[np.ndarray, np.ndarray]:
        values = true_values(archs, "cifar10") + np.float32(0.1)
        return values, values[np.newaxis]

    def invert(
        self, targets: np.ndarray, *, z_std: float, latent_noise: float, rng: np.random.Generator
    ) -> list[ArchSpec | None]:
        assert (z_std, latent_noise) == (1.0, 0.0)
        cells = [SPACE.sample(rng) for _ in range(self.members * len(targets))]
        return [None if index % 3 == 0 else cell for index, cell in enumerate(cells)]


@pytest.fixture(scope="module")
def split() -> Split:
    return draw_split(SPACE, "cifar10", 1000, seed=0)


def test_the_split_has_the_thesis_sizes_and_no_cell_twice(split: Split) -> None:
    assert {part: len(archs) for part, archs in split.archs.items()} == {"train": 350, "val": 50, "test": 100}
    identities = [SPACE.identity(arch) for archs in split.archs.values() for arch in archs]
    assert len(set(identities)) == 500
    bench = open_benchmark("nasbench201", 1000)
    for part, archs in split.archs.items():
        expected = [bench.query(arch, "cifar10") for arch in archs]
        np.testing.assert_allclose(split.accuracies[part], expected, rtol=1e-6)
    again, other = (draw_split(SPACE, "cifar10", 1000, seed=seed) for seed in (0, 1))
    assert again.archs == split.archs != other.archs
    assert list(split.labelled("val").archs) == split.archs["val"]


def test_regression_pairs_each_cell_with_its_prediction(split: Split) -> None:
    frame = regression_frame(Stub(), split)
    assert frame["part"].value_counts().to_dict() == {"train": 350, "test": 100, "val": 50}
    np.testing.assert_allclose(frame["predicted"] - frame["true"], 0.1, atol=1e-6)


def test_inversion_pairs_each_decoded_cell_with_the_target_of_its_row(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members come one after the other, so the targets repeat as a block."""
    asked: list[np.ndarray] = []
    whole = Stub.invert

    def noted(self: Stub, targets: np.ndarray, **options: Any) -> list[ArchSpec | None]:
        asked.append(targets)
        return whole(self, targets, **options)

    monkeypatch.setattr(Stub, "invert", noted)
    frame = inversion_frame(Stub(members=3), split, "cifar10", seed=0)
    assert [len(targets) for targets in asked] == [350, 100, 201]
    np.testing.assert_allclose(asked[2], np.linspace(0, 1, 201), atol=1e-6)
    for part, targets in zip(("train", "test", "range"), asked):
        rows = frame[frame["part"] == part]
        np.testing.assert_array_equal(rows["target"], np.concatenate([targets] * 3))
        assert rows["true"].isna().tolist() == [index % 3 == 0 for index in range(3 * len(targets))]
    assert len(RANGE) == 201 and RANGE[1] == 0.005 and RANGE[-1] == 1.0


def test_true_values_are_the_benchmarks() -> None:
    cells = [SPACE.sample(np.random.default_rng(0)), None]
    bench = open_benchmark("nasbench201", 1)
    first, second = true_values(cells, "cifar100")
    assert first == np.float32(bench.query(cells[0], "cifar100")) and np.isnan(second)  # type: ignore[arg-type]


def test_the_clip_of_the_labels_is_the_predictors() -> None:
    assert label_floor(Stub()) == pytest.approx(0.8 - 2.0 * 0.1)
    assert label_floor(Stub(config=PredictorConfig())) is None


def test_agreement_by_hand() -> None:
    rank, difference = agreement(np.array([0.1, 0.2, 0.3]), np.array([0.2, 0.1, 0.3]))
    assert rank == pytest.approx(0.5) and difference == pytest.approx(100 * (0.02 / 3) ** 0.5)


def test_agreement_is_told_above_a_clip() -> None:
    rows = pd.DataFrame({"a": [0.1, 0.5, 0.6, 0.7], "b": [0.9, 0.5, 0.6, 0.7]})
    assert agreement_text(rows, "a", "b", None) == "Spearman -0.200, RMSE 40.00 percentage points"
    above = "3 above the clip: Spearman 1.000, RMSE 0.00 percentage points\nall: Spearman -0.200"
    assert agreement_text(rows, "a", "b", 0.4) == above
    assert agreement_text(rows, "a", "b", 0.65) == "too few to compare"


@pytest.mark.parametrize("floor", [None, 0.6])
def test_pictures_of_the_predictor(tmp_path: Path, split: Split, floor: float | None) -> None:
    plot_regression(tmp_path / "r.png", "cifar10", regression_frame(Stub(), split), floor)
    plot_inversion(tmp_path / "i.png", "cifar10", inversion_frame(Stub(), split, "cifar10", 0), floor)
    for name in ("r.png", "i.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert (tmp_path / name).stat().st_size > 8_000


def test_recording_changes_no_search_and_notes_what_was_decoded() -> None:
    plain, noted = FakeSurrogate(), Recording(FakeSurrogate())
    searches = [InvertNAS(SPACE, surrogate, SMALL_SEARCH, seed=3) for surrogate in (plain, noted)]
    bench = open_benchmark("nasbench201", 100)
    for _ in range(4):
        archs, same = (search.ask() for search in searches)
        assert archs == same
        for search in searches:
            search.tell(archs, [bench.query(arch, "cifar10") for arch in archs])
    valid = [entry["valid"] for entry in searches[1].diagnostics()]
    assert [len(decoded) for decoded in noted.decoded] == valid and len(valid) == 3 and min(valid) > 0


class FirstTwo:
    """Stand-in for t-SNE: the first two features."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def fit_transform(self, rows: np.ndarray) -> np.ndarray:
        assert len(np.unique(rows, axis=0)) == len(rows)
        return rows[:, :2]


def test_equal_latents_share_a_point() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    doubled = np.concatenate([rows, rows[::-1]])
    np.testing.assert_allclose(embed(doubled, FirstTwo, 0), doubled[:, :2], atol=1e-5)


def test_without_scikit_learn_the_map_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(ConfigError, match=r"needs scikit-learn; pip install -e \.\[figures\]"):
        latents.latent_frame(PRESETS["fast"], "cifar10", 60, tmp_path, 0)


def test_picture_of_the_latent_map(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = ["space"] * 50 + ["candidate"] * 20 + ["queried"] * 10
    rounds = [-1] * 50 + list(range(4)) * 5 + [-1] * 6 + [0, 1, 2, 3]
    vals = [np.nan] * 70 + rng.random(10).tolist()
    frame = pd.DataFrame({"kind": kinds, "round": rounds, "x": rng.random(80), "y": rng.random(80), "val": vals})
    plot_latents(tmp_path / "l.png", "cifar10", frame)
    assert (tmp_path / "l.png").stat().st_size > 8_000


def test_a_figure_is_drawn_again_from_its_data_alone(tmp_path: Path, split: Split) -> None:
    folder = tmp_path / "figures"
    write_text(folder / "regression_cifar10.csv.gz", regression_frame(Stub(), split).to_csv(index=False))
    write_json(folder / "regression_cifar10.json", {"label_floor": None})
    flags = ["--figures=regression", "--dataset=cifar10", f"--out={tmp_path}", "--pretrained=/nowhere"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.figures", *flags], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    picture = folder / "regression_cifar10.png"
    assert (done.returncode, done.stdout) == (0, f"{picture}\n") and picture.stat().st_size > 8_000
    assert "tensorflow" not in done.stderr.lower()
