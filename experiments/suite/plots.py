"""Pictures of the suite: regret against queries on a logarithmic axis, and performance profiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.style import colours_of, new_figure, save
from experiments.searches.methods import title_of
from experiments.suite.measures import TaskResult
from experiments.suite.report import HALVES, paired

LINES = 7  # in one picture; more cannot be told apart
PANELS = 3
FLOOR = 1e-4  # regret shown for none, on the logarithmic axis
FROM = 10  # first number of queries shown
PROFILE_AT = 100


def variants_of(results: Sequence[TaskResult]) -> list[list[str]]:
    """The variants, at most `LINES` at a time."""
    names = list(dict.fromkeys(one.variant for result in results for one in result.searches))
    return [names[start : start + LINES] for start in range(0, len(names), LINES)]


def plot_suite(out: Path, results: Sequence[TaskResult], queries: int) -> list[Path]:
    """Write the pictures to `<out>/figures`; their paths.

    `suite_regret_<n>.png` have three tasks each, `suite_profile.png` one panel for each half of the tasks. Variants
    beyond the seventh go to pictures of their own.
    """
    paths = []
    for part, names in enumerate(variants_of(results)):
        suffix = f"_{'abcdefgh'[part]}" if part else ""
        for number, start in enumerate(range(0, len(results), PANELS), 1):
            path = out / "figures" / f"suite_regret_{number}{suffix}.png"
            _plot_regrets(path, results[start : start + PANELS], names)
            paths.append(path)
        path = out / "figures" / f"suite_profile{suffix}.png"
        if _plot_profiles(path, results, names, min(PROFILE_AT, queries)):
            paths.append(path)
    return paths


def _plot_regrets(path: Path, results: Sequence[TaskResult], names: Sequence[str]) -> None:
    figure, panels = new_figure((4.2 * len(results), 4.0), len(results))
    colours = dict(zip(names, colours_of(names)))
    for axes, result in zip(panels, results):
        for found in result.searches:
            if found.variant in colours:
                _draw(axes, result.regret(found), colours[found.variant], title_of(found.variant))
        axes.set_yscale("log")
        axes.set_xlabel("Queries")
        axes.set_title(result.task.name + (" (chosen on)" if result.task.chosen_on else ""), fontsize="medium")
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("Normalised regret")
    _legend(figure, panels)
    save(figure, path)


def _draw(axes: Any, regret: np.ndarray, colour: str, label: str) -> None:
    """Mean, and a band of two standard errors to each side."""
    mean = regret.mean(axis=0)
    error = 2 * regret.std(axis=0, ddof=1) / np.sqrt(len(regret)) if len(regret) > 1 else np.zeros_like(mean)
    queries = np.arange(1, len(mean) + 1)
    shown = slice(FROM - 1, None)
    axes.plot(queries[shown], np.maximum(mean, FLOOR)[shown], color=colour, label=label, linewidth=1.6)
    lower, upper = np.maximum(mean - error, FLOOR), np.maximum(mean + error, FLOOR)
    axes.fill_between(queries[shown], lower[shown], upper[shown], color=colour, alpha=0.15, linewidth=0)


def _plot_profiles(path: Path, results: Sequence[TaskResult], names: Sequence[str], at: int) -> bool:
    """Whether there was anything to draw."""
    halves = {half: list(_profiles(results, kinds, names, at)) for half, kinds in HALVES.items()}
    halves = {half: lines for half, lines in halves.items() if lines}
    if not halves:
        return False
    figure, panels = new_figure((4.2 * len(halves), 4.0), len(halves))
    colours = dict(zip(names, colours_of(names)))
    for axes, (half, lines) in zip(panels, halves.items()):
        for name, regrets in lines:
            shares = np.arange(1, len(regrets) + 1) / len(regrets)
            axes.step(np.maximum(regrets, FLOOR), shares, where="post", color=colours[name], label=title_of(name))
        axes.set_xscale("log")
        axes.set_xlabel(f"Normalised regret after {at} queries")
        axes.set_title(f"Tasks {half}", fontsize="medium")
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("Share of searches with no more regret")
    _legend(figure, panels)
    save(figure, path)
    return True


def _profiles(
    results: Sequence[TaskResult], kinds: Sequence[bool], names: Sequence[str], at: int
) -> Iterator[tuple[str, np.ndarray]]:
    chosen = [result for result in results if result.task.chosen_on in kinds]
    present = [name for name in names if any(name == one.variant for result in chosen for one in result.searches)]
    for name, regrets in paired(chosen, present, at).items():
        if len(regrets):
            yield name, np.sort(regrets)


def _legend(figure: Any, panels: Sequence[Any]) -> None:
    shown: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        shown |= dict(zip(labels, handles))
    if shown:
        figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=len(shown), fontsize=8)
