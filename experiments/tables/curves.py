"""Search curves against queries: regret where the best of the space is known, else the best accuracy so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.style import colours_of, new_figure, save
from experiments.searches.benchmarks import DATASET_TITLES, benchmark_title, open_analysis
from experiments.searches.methods import ENSEMBLE, METHODS, base_of, title_of
from experiments.tables.aggregate import curves
from experiments.tables.spec import Table

MOST_LINES = 7
LEAST_REGRET = 0.01  # percentage points; the axis is linear below, so that zero has a place
SHOWN_FROM = 30  # queries of an initial set, before which curves say little


def pictures(names: Sequence[str], first: Sequence[str]) -> list[list[str]]:
    """Split the curves of a data set into pictures of at most `MOST_LINES`.

    Args:
        names: all of them, in the order of the legend.
        first: those that belong together on the first picture. The ensemble stands on the others too, to compare with.
    """
    main = [name for name in names if name in first][:MOST_LINES]
    rest = [name for name in names if name not in main]
    shared = [ENSEMBLE] if main and ENSEMBLE in names else []
    size = MOST_LINES - len(shared)
    groups = [shared + rest[start : start + size] for start in range(0, len(rest), size)]
    return [main, *groups] if main else groups


def plot_curves(path: Path, title: str, methods: Mapping[str, np.ndarray], optimum: float | None) -> None:
    """Write one PNG.

    Args:
        path: of the picture.
        title: names benchmark and data set.
        methods: method -> (trials, queries) best validation accuracy so far, percent.
        optimum: best validation accuracy of the space as a fraction. Curves are then what is missing to it, on a
            logarithmic axis.
    """
    figure, (axes,) = new_figure()
    ordered = sorted(methods, key=lambda name: (list(METHODS).index(base_of(name)), name))
    for name, colour in zip(ordered, colours_of(ordered)):
        values = methods[name] if optimum is None else np.maximum(100.0 * optimum - methods[name], 0.0)
        mean, std = values.mean(axis=0), values.std(axis=0)
        queries = np.arange(1, len(mean) + 1)
        axes.plot(queries, mean, color=colour, label=f"{title_of(name)} (n={len(values)})", linewidth=1.8)
        lower, upper = np.maximum(mean - std, values.min(axis=0)), np.minimum(mean + std, values.max(axis=0))
        axes.fill_between(queries, lower, upper, color=colour, alpha=0.12, linewidth=0)
    if optimum is None:
        _accuracy_axis(axes, methods)
    else:
        axes.set_yscale("symlog", linthresh=LEAST_REGRET, linscale=0.3)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_ylabel("Regret (points below the best of the space)")
    axes.set_xlabel("Queries (architectures)")
    axes.set_title(f"{title}: mean and standard deviation over trials", fontsize="medium")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    axes.grid(alpha=0.3)
    figure.set_size_inches(6.4, 4.9)
    save(figure, path)


def _accuracy_axis(axes: Any, methods: Mapping[str, np.ndarray]) -> None:
    top = max(values.max() for values in methods.values())
    low = min(values.mean(axis=0)[:SHOWN_FROM][-1] for values in methods.values())
    height = max(top - low, 0.1)
    axes.set_ylim(low - 0.1 * height, top + 0.08 * height)
    axes.set_ylabel("Best validation accuracy so far (%)")


def figure_path(out: Path, table: Table, benchmark: str, dataset: str, number: int = 1) -> Path:
    """`<out>/figures/<table>_<dataset>.png`, with the benchmark too where the table has the data set of several.

    The second picture of a data set and later ones end in their number.
    """
    shared = [place.dataset for place in table.places].count(dataset) > 1
    return (
        out
        / "figures"
        / f"{table.name}_{f'{benchmark}_' if shared else ''}{dataset}{'' if number == 1 else f'_{number}'}.png"
    )


def plot_table(out: Path, table: Table, records: Sequence[dict[str, Any]]) -> None:
    """Figures for every data set, of the longest searches there; see `pictures` and `figure_path`."""
    longest: dict[tuple[str, str], int] = {}
    for record in records:
        place = record["benchmark"], record["dataset"]
        longest[place] = max(record["queries"], longest.get(place, 0))
    chosen = [record for record in records if record["queries"] == longest[record["benchmark"], record["dataset"]]]
    first = [row.variant for row in table.rows if not row.optional]
    for (benchmark, dataset), methods in curves(chosen).items():
        optimum, _ = open_analysis(benchmark).optimum(dataset)
        title = f"{DATASET_TITLES.get(dataset, dataset)} ({benchmark_title(benchmark)})"
        for number, names in enumerate(pictures(list(methods), first), start=1):
            path = figure_path(out, table, benchmark, dataset, number)
            plot_curves(path, title, {name: methods[name] for name in names}, optimum)
