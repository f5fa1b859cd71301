"""Search curves: the best validation accuracy against queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.style import colours_of, new_figure, save
from experiments.searches.benchmarks import DATASET_TITLES, benchmark_title, open_analysis
from experiments.searches.methods import METHODS, base_of, title_of
from experiments.tables.aggregate import curves
from experiments.tables.spec import Table

MOST_INSIDE = 6  # curves whose legend fits into the axes


def plot_curves(path: Path, title: str, methods: Mapping[str, np.ndarray], optimum: float | None) -> None:
    """Write one PNG.

    Args:
        path: of the picture.
        title: names benchmark and data set.
        methods: method -> (trials, queries) best validation accuracy so far, percent.
        optimum: best validation accuracy of the space as a fraction, drawn as a dashed line.
    """
    figure, (axes,) = new_figure()
    finals = []
    names = sorted(methods, key=lambda name: (list(METHODS).index(base_of(name)), name))
    for name, colour in zip(names, colours_of(names)):
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
    axes.set_title(f"{title}: mean and standard deviation over trials", fontsize="medium")
    if len(names) > MOST_INSIDE:
        figure.set_size_inches(6.4, 5.0)
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    else:
        axes.legend(loc="lower right", fontsize=8)
    axes.grid(alpha=0.3)
    save(figure, path)


def figure_path(out: Path, table: Table, benchmark: str, dataset: str) -> Path:
    """`<out>/figures/<table>_<dataset>.png`, with the benchmark too where the table has the data set of several."""
    shared = [place.dataset for place in table.places].count(dataset) > 1
    return out / "figures" / f"{table.name}_{f'{benchmark}_' if shared else ''}{dataset}.png"


def plot_table(out: Path, table: Table, records: Sequence[dict[str, Any]]) -> None:
    """A figure for every data set, of the longest searches there; see `figure_path`."""
    longest: dict[tuple[str, str], int] = {}
    for record in records:
        place = record["benchmark"], record["dataset"]
        longest[place] = max(record["queries"], longest.get(place, 0))
    chosen = [record for record in records if record["queries"] == longest[record["benchmark"], record["dataset"]]]
    for (benchmark, dataset), methods in curves(chosen).items():
        optimum, _ = open_analysis(benchmark).optimum(dataset)
        title = f"{DATASET_TITLES.get(dataset, dataset)} ({benchmark_title(benchmark)})"
        plot_curves(figure_path(out, table, benchmark, dataset), title, methods, optimum)
