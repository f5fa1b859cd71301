"""Figures of the predictor alone: regression, and inversion with re-simulation (thesis Figures 7 to 17).

The thesis' protocol: 350 labelled cells train, 50 stop the training early, a tenth of the space tests. Then
accuracies are inverted with z ~ N(0, 1), decoded, and the decoded cells' true accuracies looked up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.common.style import new_figure, save
from experiments.searches.benchmarks import DATASET_TITLES, open_benchmark
from invertnas.build import build_predictor
from invertnas.presets import Preset
from invertnas.protocols import Labelled
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import NB201
from invertnas.spaces.spec import ArchSpec, FloatArray

BENCHMARK = NB201.name
TRAIN, VAL, TEST_SHARE = 350, 50, 0.1
EPOCHS, PATIENCE = 300, 50
RANGE = np.arange(201) * 0.005
PARTS = {"train": "Training set", "test": "Test set", "range": "0 to 100 % in steps of 0.5 %"}


@dataclasses.dataclass
class Split:
    """Labelled architectures by part: "train", "val" and "test"."""

    archs: dict[str, list[ArchSpec]]
    accuracies: dict[str, FloatArray]

    def labelled(self, part: str) -> Labelled:
        """A part as the predictor takes it."""
        return Labelled().extend(self.archs[part], self.accuracies[part].tolist())


def draw_split(space: SearchSpace, dataset: str, size: int, seed: int) -> Split:
    """Distinct random cells and their validation accuracies; `size` is the number of cells of the space."""
    rng, found = generator(seed, "figure-split"), dict[str, ArchSpec]()
    counts = {"train": TRAIN, "val": VAL, "test": round(TEST_SHARE * size)}
    while len(found) < sum(counts.values()):
        arch = space.sample(rng)
        found.setdefault(space.identity(arch), arch)
    bench, left = open_benchmark(BENCHMARK, len(found)), list(found.values())
    split = Split({}, {})
    for part, count in counts.items():
        split.archs[part], left = left[:count], left[count:]
        values = [bench.query(arch, dataset) for arch in split.archs[part]]
        split.accuracies[part] = np.array(values, np.float32)
    return split


def fitted(split: Split, chosen: Preset, pretrained: Path, seed: int) -> tuple[Any, Preset]:
    """The preset's predictor, trained to its best validation loss, and the preset with that schedule."""
    used = chosen.changed(
        train={"steps_per_epoch": None, "initial_epochs": EPOCHS, "initial_patience": PATIENCE, "repeat": 1}
    )
    predictor = build_predictor(BENCHMARK, preset=used, folder=pretrained, seed=seed)
    predictor.fit(split.labelled("train"), split.labelled("val"), round_index=0)
    return predictor, used


def regression_frame(predictor: Any, split: Split) -> pd.DataFrame:
    """Columns part, true and predicted, as fractions, one row per architecture."""
    parts = [
        pd.DataFrame({"part": part, "true": split.accuracies[part], "predicted": predictor.predict(archs)[0]})
        for part, archs in split.archs.items()
    ]
    return pd.concat(parts, ignore_index=True)


def inversion_frame(predictor: Any, split: Split, dataset: str, seed: int) -> pd.DataFrame:
    """Columns part, target and true, as fractions; no true accuracy where the decoded graph is invalid."""
    targets = {part: split.accuracies[part] for part in ("train", "test")} | {"range": RANGE.astype(np.float32)}
    parts = []
    for part, wanted in targets.items():
        rng = generator(seed, f"figure-inversion-{part}")
        decoded = predictor.invert(wanted, z_std=1.0, latent_noise=0.0, rng=rng)
        repeated = np.tile(wanted, len(decoded) // len(wanted))  # member by member
        parts.append(pd.DataFrame({"part": part, "target": repeated, "true": true_values(decoded, dataset)}))
    return pd.concat(parts, ignore_index=True)


def true_values(archs: Sequence[ArchSpec | None], dataset: str) -> FloatArray:
    """(n,) validation accuracies of the benchmark, NaN for None."""
    bench = open_benchmark(BENCHMARK, max(len(archs), 1))
    return np.array([np.nan if arch is None else bench.query(arch, dataset) for arch in archs], np.float32)


def label_floor(predictor: Any) -> float | None:
    """Accuracy below which a fitted predictor's labels are clipped; None where they are not."""
    if not predictor.config.scale_accuracy:
        return None
    return float(predictor._y_shift + predictor.config.clip_low * predictor._y_scale)


def agreement(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """Spearman's rank correlation, and the root mean square difference in percentage points."""
    from scipy.stats import spearmanr

    difference = 100.0 * float(np.sqrt(np.mean((np.asarray(first) - np.asarray(second)) ** 2)))
    return float(spearmanr(first, second)[0]), difference


def plot_regression(path: Path, dataset: str, frame: pd.DataFrame, floor: float | None) -> None:
    """Predicted against true accuracy, training and test cells side by side."""
    figure, panels = new_figure((9.6, 4.8), columns=2)
    for axes, part in zip(panels, ("train", "test")):
        rows = frame[frame["part"] == part]
        _scatter(axes, rows, "true", "predicted", floor)
        axes.set_xlabel("True validation accuracy (%)")
        axes.set_ylabel("Predicted validation accuracy (%)")
        axes.set_title(
            f"{PARTS[part]}: {len(rows)} cells\n{agreement_text(rows, 'true', 'predicted', floor)}", fontsize=9
        )
    figure.suptitle(f"{DATASET_TITLES[dataset]}: regression")
    save(figure, path)


def plot_inversion(path: Path, dataset: str, frame: pd.DataFrame, floor: float | None) -> None:
    """True accuracy of the decoded cell against the accuracy inverted, for both sets and over the range."""
    figure, panels = new_figure((14.4, 4.8), columns=len(PARTS))
    labels = 100 * frame.loc[frame["part"] == "train", "target"]
    for axes, (part, title) in zip(panels, PARTS.items()):
        rows = frame[frame["part"] == part]
        valid, clip = rows.dropna(), floor if part != "range" else None
        if part == "range":
            seen = (labels.min() if floor is None else 100 * floor, labels.max())
            axes.axvspan(*seen, color="#009E73", alpha=0.15, linewidth=0, label="range of the labels trained on")
        _scatter(axes, valid, "target", "true", clip)
        axes.set_xlabel("Inverted accuracy (%)")
        axes.set_ylabel("True validation accuracy of the decoded cell (%)")
        told = f"{title}: {len(rows)} targets, {100 * len(valid) / max(len(rows), 1):.1f} % valid"
        axes.set_title(f"{told}\n{agreement_text(valid, 'target', 'true', clip)}", fontsize=9)
    figure.suptitle(f"{DATASET_TITLES[dataset]}: inversion and re-simulation")
    save(figure, path)


def _scatter(axes: Any, rows: pd.DataFrame, first: str, second: str, floor: float | None) -> None:
    """Points and the line of equality; of what lies below a clip of the labels, a strip half as wide as the rest."""
    values = 100 * rows[[first, second]].to_numpy(float)
    axes.scatter(*values.T, s=9, alpha=0.5, color="#0072B2", linewidths=0)
    low, high = float(values.min()), float(values.max())
    if floor is not None and 100 * floor > low:
        axes.axvline(100 * floor, color="#D55E00", linewidth=1, label="labels below are clipped to this")
        low = 100 * floor - (high - 100 * floor) / 2
        axes.set_xlim(low, high + 0.02 * (high - low))
        shown = values[values[:, 0] >= low]
        axes.set_ylim(shown[:, 1].min() - 0.3, high + 0.3)
    axes.plot([low, high], [low, high], color="black", linestyle="--", linewidth=1, label="equal")
    axes.legend(fontsize=8, loc="best")
    axes.grid(alpha=0.3)


def agreement_text(rows: pd.DataFrame, first: str, second: str, floor: float | None) -> str:
    """Rank correlation and difference, of the rows above a clip of the labels alone where there is one."""
    above = rows if floor is None else rows[rows[first] >= floor]
    if len(above) < 2:
        return "too few to compare"
    rank, difference = agreement(above[first].to_numpy(), above[second].to_numpy())
    text = f"Spearman {rank:.3f}, RMSE {difference:.2f} percentage points"
    if len(above) == len(rows):
        return text
    overall, _ = agreement(rows[first].to_numpy(), rows[second].to_numpy())
    return f"{len(above)} above the clip: {text}\nall: Spearman {overall:.3f}"
