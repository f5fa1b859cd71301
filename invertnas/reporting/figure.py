"""The picture of a run: its curve, predictions against results, seconds, and the best cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from invertnas.files.io import write_atomic
from invertnas.reporting.cell import draw_cell
from invertnas.running.measurement import Evaluation, RunResult
from invertnas.spaces.base import SearchSpace

BEST, EACH, FAILED = "#4e79a7", "#f28e2b", "#e15759"


def save_figure(result: RunResult, space: SearchSpace, title: str, path: Path) -> None:
    """Write the picture as PNG. Raises OutputError if that is impossible."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    (curve, predictions), (seconds, cell) = figure.subplots(2, 2)
    draw_curve(result, curve)
    draw_predictions(result.evaluations, predictions)
    draw_seconds(result.evaluations, seconds)
    best = result.best
    if best is None:
        cell.set_axis_off()
    else:
        draw_cell(space, space.from_string(best.arch), cell)
        cell.set_title(f"best cell: training {best.number + 1}, {100 * (best.value or 0):.2f} %", fontsize=10)
    figure.suptitle(title)
    write_atomic(path, lambda temporary: figure.savefig(temporary, dpi=110))


def draw_curve(result: RunResult, axes: Any) -> None:
    """Every value, and the best so far, over the number of trainings."""
    numbers, values = _series(result.evaluations)
    steps = [np.nan if value is None else 100 * value for value in result.best_values]
    axes.plot(numbers, values, ".", color=EACH, label="each training")
    axes.step(range(1, len(steps) + 1), steps, where="post", color=BEST, label="best so far")
    failed = [place for place, each in enumerate(result.evaluations, start=1) if each.failed]
    if failed and len(values):
        axes.plot(failed, [min(values)] * len(failed), "x", color=FAILED, label="failed")
    axes.set_xlabel("trainings")
    axes.set_ylabel("validation accuracy (%)")
    if len(values):  # the middle of the range, or a few bad cells flatten the curve
        low = float(np.percentile(values, 10))
        axes.set_ylim(low - 0.1 * (max(values) - low) - 0.05, max(values) + 0.1 * (max(values) - low) + 0.05)
        axes.legend(loc="lower right", fontsize=8)


def draw_predictions(evaluations: tuple[Evaluation, ...], axes: Any) -> None:
    """What the search predicted when it asked, against what the training gave."""
    pairs = predicted_pairs(evaluations)
    axes.set_xlabel("predicted (%)")
    axes.set_ylabel("validation accuracy (%)")
    if not len(pairs):
        axes.text(0.5, 0.5, "no predictions", ha="center", va="center", transform=axes.transAxes, color="#777777")
        return
    axes.plot(pairs[:, 0], pairs[:, 1], ".", color=EACH)
    ends = [float(pairs.min()), float(pairs.max())]
    axes.plot(ends, ends, "-", color="#999999", linewidth=0.8, label="equal")
    error = float(np.abs(pairs[:, 0] - pairs[:, 1]).mean())
    axes.set_title(f"{len(pairs)} predictions, mean error {error:.2f} points", fontsize=10)


def draw_seconds(evaluations: tuple[Evaluation, ...], axes: Any) -> None:
    """When each worker trained what, one bar for a training, failed ones in red."""
    workers = list(dict.fromkeys(each.worker for each in evaluations if each.worker))
    begin = min((each.started_at for each in evaluations), default=0.0)
    for each in evaluations:
        if each.worker:
            colour = FAILED if each.failed else BEST
            span = (each.started_at - begin, max(each.evaluate_s, 1e-3))
            axes.broken_barh([span], (workers.index(each.worker) - 0.4, 0.8), color=colour, linewidth=0.5)
    axes.set_yticks(range(len(workers)), [f"worker {number + 1}" for number in range(len(workers))], fontsize=8)
    axes.set_xlabel("seconds since the first training began")
    total = sum(each.evaluate_s for each in evaluations)
    axes.set_title(f"{total:.1f} s of training in all", fontsize=10)


def predicted_pairs(evaluations: tuple[Evaluation, ...]) -> npt.NDArray[np.float64]:
    """(n, 2) predicted and measured accuracies in percent, of those that have both."""
    pairs = [(each.predicted, each.value) for each in evaluations if each.predicted is not None]
    known = [
        (100 * predicted, 100 * value) for predicted, value in pairs if predicted is not None and value is not None
    ]
    return np.array(known, np.float64).reshape(-1, 2)


def _series(evaluations: tuple[Evaluation, ...]) -> tuple[list[int], list[float]]:
    """Places, from 1, and percent, of the trainings that have a value."""
    known = [(place, 100 * each.value) for place, each in enumerate(evaluations, start=1) if each.value is not None]
    return [place for place, _ in known], [value for _, value in known]
