"""Search curves: mean and spread of the best validation accuracy against queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.aggregate import curves
from experiments.benchmarks import DATASET_TITLES, open_analysis
from experiments.methods import METHODS, base_of, title_of
from invertnas.io import write_atomic

# Okabe-Ito colours, distinguishable with colour-vision deficiencies.
COLOURS = {
    "random": "#999999",
    "local_search": "#E69F00",
    "evolution": "#56B4E9",
    "bananas": "#009E73",
    "invertnas_single": "#CC79A7",
    "invertnas": "#D55E00",
}
VARIANT_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#000000", "#56B4E9")


def plot_curves(path: Path, dataset: str, methods: Mapping[str, np.ndarray], optimum: float | None) -> None:
    """Write one PNG.

    Args:
        path: of the picture.
        dataset: for the title.
        methods: method -> (trials, queries) best validation accuracy so far, percent.
        optimum: best validation accuracy of the space as a fraction, drawn as a dashed line.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    finals = []
    for index, name in enumerate(sorted(methods, key=lambda name: (list(METHODS).index(base_of(name)), name))):
        colour = COLOURS.get(name, VARIANT_COLOURS[index % len(VARIANT_COLOURS)])
        values = methods[name]
        mean, std = values.mean(axis=0), values.std(axis=0)
        queries = np.arange(1, len(mean) + 1)
        label = f"{title_of(name)} (n={len(values)})"
        axes.plot(queries, mean, color=colour, label=label, linewidth=1.8)
        lower, upper = np.maximum(mean - std, values.min(axis=0)), np.minimum(mean + std, values.max(axis=0))
        axes.fill_between(queries, lower, upper, color=colour, alpha=0.15, linewidth=0)
        finals.append(mean[min(29, len(mean) - 1)])
    top = 100.0 * optimum if optimum is not None else max(v.max() for v in methods.values())
    if optimum is not None:
        axes.axhline(top, color="black", linestyle="--", linewidth=1, label="optimum of the space")
    low = min(finals)
    height = max(top - low, 0.1)
    axes.set_ylim(low - 0.1 * height, top + 0.08 * height)
    axes.set_xlabel("Queries (architectures)")
    axes.set_ylabel("Best validation accuracy so far (%)")
    axes.set_title(f"{DATASET_TITLES.get(dataset, dataset)}: mean and standard deviation over trials")
    axes.legend(loc="lower right", fontsize=8)
    axes.grid(alpha=0.3)
    write_atomic(path, lambda temporary: figure.savefig(temporary, dpi=130))
    plt.close(figure)


def plot_table(out: Path, name: str, records: Sequence[dict[str, Any]]) -> None:
    """Write `out/figures/<name>_<dataset>.png` for every data set among the records, all of one budget."""
    for (benchmark, dataset), methods in curves(records).items():
        optimum, _ = open_analysis(benchmark).optimum(dataset)
        plot_curves(out / "figures" / f"{name}_{dataset}.png", dataset, methods, optimum)
