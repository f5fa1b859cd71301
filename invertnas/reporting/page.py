"""The report of a run: one HTML file that holds everything, and the picture beside it."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Sequence
from pathlib import Path

from invertnas.checks import checked_path
from invertnas.files.io import write_text
from invertnas.reporting.figure import predicted_pairs, save_figure
from invertnas.running.log import read_run
from invertnas.running.measurement import Evaluation, RunResult
from invertnas.spaces.base import SearchSpace

PAGE, PICTURE = "report.html", "report.png"
SHOWN = 10
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .25rem .7rem; border-bottom: 1px solid #ddd; }
th { text-align: left; } td.n { text-align: right; font-variant-numeric: tabular-nums; } img { max-width: 100%; }
code { font-size: 12px; word-break: break-all; }
"""


def write_report(folder: str | os.PathLike[str], space: SearchSpace, title: str = "Search") -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.png`` into a run's folder.

    Args:
        folder: folder of the run.
        space: space that the run searched.
        title: heading.

    Returns:
        Paths of the page and the picture.

    Raises:
        DataMissingError: there is no log.
        ArtefactError: the log is damaged.
        OutputError: the files cannot be written.
    """
    place = checked_path(folder, "folder")
    result = read_run(place)
    save_figure(result, space, title, place / PICTURE)
    picture = base64.b64encode((place / PICTURE).read_bytes()).decode()
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _table(("", ""), summary(result)),
        f'<img alt="curve, predictions, seconds, best cell" src="data:image/png;base64,{picture}">',
        f"<h2>The {SHOWN} best cells</h2>",
        _table(("#", "training", "accuracy (%)", "predicted (%)", "seconds", "cell"), best_rows(result)),
    ]
    failed = [each for each in result.evaluations if each.failed]
    if failed:
        rows = [(str(each.number + 1), each.error or "", each.arch) for each in failed]
        parts += ["<h2>Failed trainings</h2>", _table(("training", "error", "cell"), rows)]
    body = "\n".join(parts)
    text = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
    write_text(place / PAGE, f"{text}<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n")
    return place / PAGE, place / PICTURE


def summary(result: RunResult) -> list[tuple[str, str]]:
    """What a run comes to, as pairs of name and text."""
    each, best, pairs = result.evaluations, result.best, predicted_pairs(result.evaluations)
    rows = [("trainings", str(len(each))), ("failed", str(sum(one.failed for one in each)))]
    if best is not None:
        rows += [
            ("best validation accuracy", f"{100 * (best.value or 0):.2f} %"),
            ("found by training", str(best.number + 1)),
        ]
        rows.append(("best cell", best.arch))
    if len(pairs):
        rows.append(("mean error of the predictions", f"{abs(pairs[:, 0] - pairs[:, 1]).mean():.2f} points"))
    if each:
        end = max(one.started_at + one.evaluate_s for one in each)
        rows.append(("seconds from first to last", f"{end - min(one.started_at for one in each):.1f}"))
        rows.append(("seconds of training in all", f"{sum(one.evaluate_s for one in each):.1f}"))
        rows.append(("workers", str(len({one.worker for one in each if one.worker}))))
    return rows


def best_rows(result: RunResult, count: int = SHOWN) -> list[tuple[str, ...]]:
    """Rank, training, accuracy and prediction in percent, seconds and cell, of the best."""
    known = [each for each in result.evaluations if each.value is not None]
    ranked = sorted(known, key=lambda each: -(each.value or 0))[:count]
    return [(str(rank), *_row(each)) for rank, each in enumerate(ranked, start=1)]


def _row(each: Evaluation) -> tuple[str, ...]:
    percent = ["" if value is None else f"{100 * value:.2f}" for value in (each.value, each.predicted)]
    return str(each.number + 1), *percent, f"{each.evaluate_s:.1f}", each.arch


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    lines = ["".join(_cell(text) for text in row) for row in rows]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"


def _cell(text: str) -> str:
    shown = html.escape(text)
    if any(mark in text for mark in "|;>") or len(text) > 60:
        return f"<td><code>{shown}</code></td>"
    return f'<td class="n">{shown}</td>' if text.replace(".", "").isdecimal() else f"<td>{shown}</td>"
