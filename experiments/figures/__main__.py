"""Figures of the predictor and of a search in the latent space; see `experiments.figures.regression` and `.latents`.

The data of each figure is computed once and lies beside it as gzipped CSV, with a JSON that says how it was made; a
figure whose CSV exists is only drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from absl import app, flags

from experiments.common import cli
from experiments.figures.latents import latent_frame, plot_latents
from experiments.figures.regression import (
    BENCHMARK,
    draw_split,
    fitted,
    inversion_frame,
    label_floor,
    plot_inversion,
    plot_regression,
    regression_frame,
)
from experiments.searches.ablations import SETTINGS, setting
from experiments.searches.benchmarks import open_benchmark
from experiments.searches.initial import BARE_INIT, DEFAULT_INIT, INITS
from experiments.searches.methods import ENSEMBLE, SINGLE, variant_name
from invertnas.benchmarks.nasbench201 import DATASETS, NUM_CELLS
from invertnas.errors import ConfigError, OutOfDomainError
from invertnas.files.io import read_json, versions, write_json, write_text
from invertnas.initial import initial_settings
from invertnas.presets import DEFAULT, Preset

# Figure -> its preset. Those of the predictor are the thesis', and take the thesis' loss weights: with fast's, which
# weigh the reverse loss a tenth as much, the single INN's inverse follows its target on two data sets of three only.
FIGURES = {"regression": "fast_thesis", "inversion": "fast_thesis", "latents": DEFAULT}
DATA = ".csv.gz"
FLAGS = flags.FLAGS
flags.DEFINE_list("figures", list(FIGURES), "Figures, comma separated.")
flags.DEFINE_list("dataset", list(DATASETS), "Data sets, comma separated.")
flags.DEFINE_enum("method", SINGLE, [SINGLE, ENSEMBLE], "One INN, as in the thesis, or the ensemble.")
flags.DEFINE_string("preset", None, f"InvertNAS preset in place of the figures' own: {', '.join(SETTINGS)}.")
flags.DEFINE_enum("init", DEFAULT_INIT, INITS, "Initial strategy of the search on the latent map.")
flags.DEFINE_integer("queries", 192, "Queries of the search on the latent map.", lower_bound=35)
flags.DEFINE_integer("seed", 0, "Seed.", lower_bound=0)
flags.DEFINE_string("out", str(cli.ROOT / "results"), "Results folder; files go to its `figures`.")
flags.DEFINE_string("pretrained", str(cli.ROOT / "pretrained"), "Folder of the shipped weights.")


def chosen_preset(figure: str) -> Preset:
    """The preset of the flags or of the figure, with one INN for the single method."""
    return setting(FLAGS.preset or FIGURES[figure], BENCHMARK).with_members(1 if FLAGS.method == SINGLE else None)


def path_of(figure: str, dataset: str, suffix: str) -> Path:
    """A figure's file; a setting other than the figure's own has names of its own."""
    init = FLAGS.init if figure == "latents" else BARE_INIT  # the others search for nothing
    own = FLAGS.method == SINGLE and FLAGS.preset in (None, FIGURES[figure]) and init == BARE_INIT
    setting = "" if own else "_" + variant_name(FLAGS.method, FLAGS.preset or FIGURES[figure], None, init)
    return Path(FLAGS.out) / "figures" / f"{figure}_{dataset}{setting}{suffix}"


def store(figure: str, dataset: str, frame: pd.DataFrame, setting: dict[str, Any]) -> None:
    """Write the data of a figure, and first how it was made."""
    made = {"figure": figure, "dataset": dataset, "seed": FLAGS.seed, "method": FLAGS.method, **setting}
    labels = open_benchmark(BENCHMARK, 1).labels
    write_json(path_of(figure, dataset, ".json"), made | {"labels": labels, "versions": versions()})
    write_text(path_of(figure, dataset, DATA), frame.to_csv(index=False, float_format="%.5f"))


def compute_predictor(dataset: str) -> None:
    """Fit once, and store the data of regression and inversion."""
    space = open_benchmark(BENCHMARK, 1).space
    split = draw_split(space, dataset, NUM_CELLS, FLAGS.seed)
    predictor, used = fitted(split, chosen_preset("regression"), Path(FLAGS.pretrained), FLAGS.seed)
    setting = {"config": used.to_dict(), "label_floor": label_floor(predictor)}
    store("regression", dataset, regression_frame(predictor, split), setting)
    store("inversion", dataset, inversion_frame(predictor, split, dataset, FLAGS.seed), setting)


def compute_latents(dataset: str) -> None:
    """Search once, and store the map."""
    used = chosen_preset("latents")
    frame = latent_frame(used, dataset, FLAGS.queries, Path(FLAGS.pretrained), FLAGS.seed, FLAGS.init)
    config = used.to_dict() | {"init": initial_settings(FLAGS.init, BENCHMARK)}
    store("latents", dataset, frame, {"config": config, "queries": FLAGS.queries})


def draw(figure: str, dataset: str) -> Path:
    """Draw a figure, its data computed if it is not there yet; returns the picture's path."""
    data = path_of(figure, dataset, DATA)
    if not data.exists():
        (compute_latents if figure == "latents" else compute_predictor)(dataset)
    frame, picture = pd.read_csv(data), path_of(figure, dataset, ".png")
    if figure == "latents":
        plot_latents(picture, dataset, frame)
    else:
        floor = read_json(path_of(figure, dataset, ".json"))["label_floor"]
        (plot_regression if figure == "regression" else plot_inversion)(picture, dataset, frame, floor)
    return picture


def main(argv: Sequence[str]) -> None:
    """Compute what is missing and draw."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    for name in FLAGS.dataset:
        if name not in DATASETS:
            raise OutOfDomainError(f"got data set {name!r}; expected one of {', '.join(DATASETS)}")
    for name in FLAGS.figures:
        if name not in FIGURES:
            raise ConfigError(f"got figure {name!r}; expected one of {', '.join(FIGURES)}")
    for figure in FLAGS.figures:
        for dataset in FLAGS.dataset:
            print(draw(figure, dataset), flush=True)


if __name__ == "__main__":
    cli.run(main)
