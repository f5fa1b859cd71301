"""What the suite reports: one row a task and method as CSV, and a Markdown page with ranks and tests."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.searches.methods import title_of
from experiments.suite.measures import Searches, TaskResult
from experiments.suite.statistics import LEVEL, Comparison, compare
from invertnas.files.io import write_atomic

REGRET_AT = (30, 50, 75, 100, 150)
RANK_AT = (50, 100, 150)
COMPARED_AT = (50, 100, 150)
HALVES = {"not chosen on": (False,), "chosen on": (True,), "all": (False, True)}
COLUMNS = (
    *("task", "benchmark", "chosen_on", "method", "preset", "batch", "trials"),
    *(f"regret_{n}" for n in REGRET_AT),
    *(f"rank_{n}" for n in RANK_AT),
    *("queries_to_best", "wall_s"),
)
Values = npt.NDArray[np.float64]


def rows(results: Sequence[TaskResult]) -> list[dict[str, Any]]:
    """One row a task and method; a number that cannot be given is None."""
    return [_row(result, found) for result in results for found in result.searches]


def _row(result: TaskResult, found: Searches) -> dict[str, Any]:
    length = found.incumbents.shape[1]
    regret, rank = result.regret(found).mean(axis=0), result.rank(found).mean(axis=0)
    timed = found.wall_s[~np.isnan(found.wall_s)]
    return {
        "task": result.task.name,
        "benchmark": result.task.benchmark,
        "chosen_on": int(result.task.chosen_on),
        "method": found.variant,
        "preset": found.preset,
        "batch": found.batch,
        "trials": len(found.seeds),
        **{f"regret_{n}": float(regret[n - 1]) if n <= length else None for n in REGRET_AT},
        **{f"rank_{n}": float(rank[n - 1]) if n <= length else None for n in RANK_AT},
        "queries_to_best": result.queries_to_best(found),
        "wall_s": float(timed.mean()) if len(timed) else None,
    }


def paired(results: Sequence[TaskResult], variants: Sequence[str], queries: int) -> dict[str, Values]:
    """(B,) regrets of each variant on the blocks (task, seed) that all variants have."""
    columns: dict[str, list[float]] = {variant: [] for variant in variants}
    for result in results:
        found = {one.variant: one for one in result.searches}
        if set(variants) - set(found):
            continue
        shared = sorted(set.intersection(*(set(found[variant].seeds) for variant in variants)))
        for variant in variants:
            at = [found[variant].seeds.index(seed) for seed in shared]
            columns[variant] += result.regret(found[variant])[at, queries - 1].tolist()
    return {variant: np.array(values) for variant, values in columns.items()}


def comparisons(results: Sequence[TaskResult], queries: int) -> dict[tuple[str, int], Comparison]:
    """By half of the tasks and number of queries: the comparison of all variants that any task has."""
    variants = list(dict.fromkeys(one.variant for result in results for one in result.searches))
    found: dict[tuple[str, int], Comparison] = {}
    for half, kinds in HALVES.items():
        chosen = [result for result in results if result.task.chosen_on in kinds]
        for at in (n for n in COMPARED_AT if n <= queries):
            compared = compare(paired(chosen, variants, at))
            if compared is not None:
                found[half, at] = compared
    return found


def markdown(results: Sequence[TaskResult], queries: int) -> str:
    """The page."""
    lines = [
        "# The suite",
        "",
        f"Mean normalised regret, (best - incumbent) / (best - mean of the space), in per cent, after "
        f"{', '.join(map(str, (n for n in REGRET_AT if n <= queries)))} queries; in brackets the mean rank of the "
        "incumbent, the share of the space above it in per cent, at the last of them. Tasks marked with a star are "
        "those that settings may be chosen on, with other seeds. On NAS-Bench-301 and -NLP, marked with ~, the best is"
        " the best that a random sample or any search here has seen, and the share that of a sample of 5,000. On the "
        'tasks named "test" and on NAS-Bench-Macro the accuracy searched is a test accuracy; the validation accuracies '
        "of NAS-Bench-101 are for the most part imputed from test accuracies.",
        "",
        *_table(results, queries),
    ]
    for (half, at), compared in comparisons(results, queries).items():
        lines += ["", *_comparison(half, at, compared)]
    return "\n".join(lines) + "\n"


def _table(results: Sequence[TaskResult], queries: int) -> list[str]:
    variants = list(dict.fromkeys(one.variant for result in results for one in result.searches))
    lines = [
        "| task | trials | " + " | ".join(map(title_of, variants)) + " |",
        "| --- | ---: |" + " ---: |" * len(variants),
    ]
    budgets = [n for n in REGRET_AT if n <= queries]
    for result in results:
        found = {one.variant: one for one in result.searches}
        name = result.task.name + ("*" if result.task.chosen_on else "") + ("" if result.landscape.exact else " ~")
        trials = sorted({len(one.seeds) for one in result.searches})
        cells = [_cell(result, found[variant], budgets) if variant in found else "–" for variant in variants]
        lines.append(
            f"| {name} | {'–'.join(map(str, dict.fromkeys((trials[0], trials[-1])))) if trials else 0} | "
            + " | ".join(cells)
            + " |"
        )
    return lines


def _cell(result: TaskResult, found: Searches, budgets: Sequence[int]) -> str:
    regret, rank = result.regret(found).mean(axis=0), result.rank(found).mean(axis=0)
    shown = " / ".join(f"{100 * regret[n - 1]:.1f}" for n in budgets)
    return f"{shown} ({100 * rank[budgets[-1] - 1]:.2f})"


def _comparison(half: str, at: int, compared: Comparison) -> list[str]:
    ordered = sorted(compared.ranks, key=compared.ranks.__getitem__)
    lines = [
        f"## Tasks {half}, after {at} queries",
        "",
        f"{compared.blocks} pairs of task and seed that all methods have. Friedman p = {compared.friedman_p:.2g}; "
        f"average ranks more than {compared.critical_difference:.2f} apart differ at {LEVEL:.0%} (Nemenyi).",
        "",
        "| method | average rank | " + " | ".join(f"p against {title_of(name)}" for name in ordered) + " |",
        "| --- | ---: |" + " ---: |" * len(ordered),
    ]
    for name in ordered:
        cells = [_p(compared, name, other) for other in ordered]
        lines.append(f"| {title_of(name)} | {compared.ranks[name]:.2f} | " + " | ".join(cells) + " |")
    return lines


def _p(compared: Comparison, name: str, other: str) -> str:
    """The paired test's p, with + where `name` has the lower regret more often and - where the other has."""
    if name == other:
        return ""
    pair = (name, other) if (name, other) in compared.wilcoxon_p else (other, name)
    won, lost = compared.wins[pair] if pair[0] == name else compared.wins[pair][::-1]
    return f"{compared.wilcoxon_p[pair]:.2g} {'+' if won > lost else '-' if lost > won else '='}"


def write_report(out: Path, results: Sequence[TaskResult], queries: int) -> str:
    """Write `<out>/suite.csv` and `<out>/suite.md`; the text of the latter."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _text(value) for name, value in row.items()} for row in rows(results))
    text = markdown(results, queries)
    _write(out / "suite.csv", stream.getvalue())
    _write(out / "suite.md", text)
    return text


def _write(path: Path, content: str) -> None:
    write_atomic(path, lambda temporary: temporary.write_text(content, encoding="utf-8"))


def _text(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else value


def overall(results: Sequence[TaskResult], at: int) -> Mapping[str, float]:
    """Mean over tasks of each variant's mean regret, of those that all tasks have."""
    variants = [
        variant
        for variant in dict.fromkeys(one.variant for result in results for one in result.searches)
        if all(variant in {one.variant for one in result.searches} for result in results)
    ]
    regrets = {variant: list[float]() for variant in variants}
    for result in results:
        for one in result.searches:
            if one.variant in regrets:
                regrets[one.variant].append(float(result.regret(one)[:, at - 1].mean()))
    return {variant: float(np.mean(values)) for variant, values in regrets.items()}
