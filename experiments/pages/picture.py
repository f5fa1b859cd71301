"""Picture of a search for README.md, from stored results: one search query by query, all methods side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common import cli
from experiments.common.style import COLOURS, new_figure, save
from experiments.searches.benchmarks import DATASET_TITLES, open_analysis
from experiments.searches.methods import ENSEMBLE, METHODS, SINGLE, title_of
from experiments.searches.records import read_searches, search_folder
from experiments.tables.definitions import TABLES
from invertnas.errors import DataMissingError
from invertnas.spaces.records import NB201

BENCHMARK, DATASET = NB201.name, "imagenet16-120"
SHOWN = ("random", "local_search", "evolution", "bananas", SINGLE, ENSEMBLE)
LOWEST = 17.0  # percentage points below the optimum that the picture reaches down to
PICTURE = Path("docs/assets/search.png")


def searches(method: str, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """The stored searches of a method. Raises DataMissingError if there is none."""
    budget = TABLES["table2"].places[-1].budgets[-1]
    folder = search_folder(cli.ROOT / "results", method, BENCHMARK, DATASET)
    found = read_searches(folder, budget, seeds)
    if not found:
        raise DataMissingError(f"no search of {method} below {folder}; run `make table2` first")
    return found


def percent(record: dict[str, Any]) -> np.ndarray:
    """(queries,) validation accuracies in the order of the queries."""
    return 100.0 * np.array([entry["val"] for entry in record["curve"]])


def draw_queries(axes: Any, record: dict[str, Any], optimum: float) -> None:
    """Every query of one search as a dot, and the best so far."""
    values = percent(record)
    queries = np.arange(1, len(values) + 1)
    initial = record["config"]["search"]["initial"]
    colour = COLOURS[record["method"]]
    axes.scatter(queries[:initial], values[:initial], s=14, color="#999999", label="initial set, at random")
    axes.scatter(queries[initial:], values[initial:], s=14, color=colour, label="asked by the search")
    axes.step(queries, np.maximum.accumulate(values), where="post", color="black", linewidth=1.2, label="best so far")
    axes.axhline(optimum, color="black", linestyle="--", linewidth=0.8, label="best of the space")
    axes.set_ylim(max(values.min(), optimum - LOWEST), optimum + 1.0)
    axes.set_title(f"One search: {title_of(record['method'])}", fontsize="medium")
    axes.set_ylabel("Validation accuracy (%)")
    axes.legend(loc="lower right", fontsize=8)


def draw_methods(axes: Any, seeds: Sequence[int], optimum: float) -> None:
    """Mean of the best so far over the trials of each method."""
    for method in sorted(SHOWN, key=list(METHODS).index):
        best = np.stack([np.maximum.accumulate(percent(record)) for record in searches(method, seeds)])
        label = f"{title_of(method)} (n={len(best)})"
        axes.plot(np.arange(1, best.shape[1] + 1), best.mean(axis=0), color=COLOURS[method], label=label)
    axes.axhline(optimum, color="black", linestyle="--", linewidth=0.8)
    axes.set_ylim(optimum - 3.2, optimum + 0.2)
    axes.set_title("Best so far: mean over trials", fontsize="medium")
    axes.legend(loc="lower right", fontsize=8)


def draw(path: Path, seed: int = 0) -> None:
    """Write the picture; `seed` is the search that is shown query by query."""
    optimum, _ = open_analysis(BENCHMARK).optimum(DATASET)
    assert optimum is not None
    (record,) = searches(SINGLE, [seed])
    figure, panels = new_figure((10.0, 4.0), columns=2)
    draw_queries(panels[0], record, 100.0 * optimum)
    draw_methods(panels[1], range(TABLES["table2"].trials), 100.0 * optimum)
    for axes in panels:
        axes.set_xlabel("Architectures trained (queries)")
        axes.grid(alpha=0.3)
    figure.suptitle(f"{DATASET_TITLES[DATASET]}, {NB201.title}", fontsize="medium")
    save(figure, path)
