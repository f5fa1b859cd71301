"""Measured tables between the markers of README.md and of the pages, so that none is typed by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.searches.benchmarks import DATASET_TITLES, benchmark_title, open_analysis
from experiments.searches.methods import METHODS, title_of
from experiments.tables.aggregate import SPREAD, spread, summarise
from experiments.tables.definitions import TABLES, collect
from experiments.tables.printed import PAPER_NAME, SOURCE_NOTES
from experiments.tables.spec import Table
from invertnas.errors import ArtefactError
from invertnas.files.io import read_json
from invertnas.spaces.records import NB201

# Page -> blocks that it must have; others are filled where their markers stand.
REQUIRED = {
    "README.md": ("table2_brief",),
    "docs/results.md": ("table1", "table2", "table3"),
    "docs/fidelity.md": ("remedies",),
    "docs/cost.md": ("bench",),
}
BRIEF = "_brief"  # suffix of a table with validation accuracies and the default settings alone
BENCH = "bench"  # a block that is no table of searches
BENCH_ROWS = (
    ("search_fast_s", "`fast` search of 192 queries", "{:.0f} s"),
    ("search_fast_peak_rss_gb", "its peak memory", "{:.2f} GB"),
    ("search_paper_s_extrapolated", "`paper` search of 192 queries, extrapolated from its first rounds", "{:.0f} s"),
    ("search_paper_peak_rss_gb", "its peak memory in those rounds", "{:.2f} GB"),
    ("trace_s", "tracing and first step of the paper's ensemble", "{:.1f} s"),
    ("step_s", "one step of it, batch 64", "{:.3f} s"),
    ("plain_step_s", "the same step written plainly (`experiments/speed/plain.py`)", "{:.3f} s"),
    ("gradient_distance_to_plain", "largest difference of their gradients, as a share of the largest", "{:.0e}"),
    ("gradient_distance_of_last_place", "what one unit in the inputs' last place changes in them", "{:.0e}"),
    ("mixed_precision_step_s", "the same step with products in bfloat16", "{:.3f} s"),
    ("inverse_error", "error of the inverse, float32", "{:.0e}"),
    ("mixed_precision_inverse_error", "error of the inverse, bfloat16", "{:.0e}"),
    ("step_gflops", "arithmetic rate of the step", "{:.0f} GFLOP/s"),
    ("matmul_peak_gflops", "rate of a large matrix product", "{:.0f} GFLOP/s"),
    ("share_of_peak", "share", "{:.2f}"),
    ("products_s", "the step's matrix products alone", "{:.3f} s"),
    ("products_share_of_peak", "their share", "{:.2f}"),
    ("update_s", "its update of 25 million weights alone", "{:.3f} s"),
    ("thesis_fits_s", "the fits on which the thesis code took 1,371 s, tracing included in both", "{:.0f} s"),
    ("thesis_work_s", "as many steps, no two rows of a batch alike", "{:.0f} s"),
)
Place = tuple[str, str]  # benchmark, data set
KINDS = {"val": "val.", "test": "test"}  # of accuracies; a column without a value is left out


def blocks(text: str, page: str = "README.md") -> list[str]:
    """Names of the blocks whose markers stand in a page, and of those it must have.

    Raises:
        ArtefactError: a marker names no table.
    """
    named = dict.fromkeys([*REQUIRED.get(page, ()), *re.findall(r"<!-- (?:begin|end) (\w+) -->", text)])
    if unknown := sorted(name for name in named if name != BENCH and name.removesuffix(BRIEF) not in TABLES):
        raise ArtefactError(f"{page} has markers of {', '.join(unknown)}; expected one of {', '.join(TABLES)}")
    return list(named)


def compact(table: Table, records: Sequence[dict[str, Any]], *, brief: bool = False) -> str:
    """A table for a page; `brief` has the validation accuracies of methods at their default settings alone."""
    frame = summarise(records, table.source)
    if not brief:
        return compact_table(frame, table.source)
    return compact_table(frame[[name in METHODS for name in frame["method"]]], table.source, ("val",))


def compact_table(frame: pd.DataFrame, source: str = PAPER_NAME, shown: Sequence[str] = tuple(KINDS)) -> str:
    """Methods down, data sets across; each cell is measured mean ± std and the printed mean in brackets.

    Queries stand in a column where a data set is shown at several, else over the data sets if they differ.
    `shown` are the kinds of accuracies, of `KINDS`.
    """
    places = list(dict.fromkeys(zip(frame["benchmark"], frame["dataset"])))
    of_place = {place: rows for place, rows in frame.groupby(["benchmark", "dataset"])}
    budgets = {place: sorted(set(of_place[place]["queries"])) for place in places}
    several = any(len(found) > 1 for found in budgets.values())
    differ = not several and len({found[0] for found in budgets.values()}) > 1
    heads = [_head(place) + (f" ({budgets[place][0]} queries)" if differ else "") for place in places]
    kinds = [(p, kind) for p in places for kind in shown if of_place[p][f"{kind}_mean"].notna().any()]
    titles = [f"{heads[places.index(place)]} {KINDS[kind]}" for place, kind in kinds]
    optima = {place: dict(zip(KINDS, open_analysis(place[0]).optimum(place[1]))) for place in places}
    best = [optima[place][kind] for place, kind in kinds]
    optimum = [f"{100 * value:.2f}" if value is not None else "–" for value in best]
    first, ruler, blank = ("Method | Queries", "---|---:", " | ") if several else ("Method", "---", " ")
    lines = [f"| {first} | Trials | {' | '.join(titles)} |", f"|{ruler}|---:|{'---:|' * len(titles)}"]
    lines.append(f"| *Best of the labels* |{blank}| {' | '.join(optimum)} |")
    for key, rows in frame.groupby(["queries", "method"] if several else ["method"], sort=False):
        name = " | ".join([title_of(str(key[-1])), *map(str, key[:-1])])
        lines.append(f"| {name} | {_trials(rows)} | {' | '.join(_cells(rows, kinds))} |")
    labels = "; ".join(dict.fromkeys(frame["labels"]))
    some = "test" in shown and frame["test_mean"].isna().any()
    partly = "A test accuracy is given where every trial has one." if some else ""
    notes = [f"Percent, {SPREAD}; in brackets the {source}.", partly, SOURCE_NOTES[source], f"Labels: {labels}."]
    return "\n".join([*lines, "", " ".join(note for note in notes if note)])


def _head(place: Place) -> str:
    benchmark, dataset = place
    return DATASET_TITLES[dataset] if benchmark == NB201.name else benchmark_title(benchmark)


def _trials(rows: pd.DataFrame) -> str:
    return "–".join(str(n) for n in sorted(set(rows["trials"])))


def _cells(rows: pd.DataFrame, kinds: Sequence[tuple[Place, str]]) -> list[str]:
    by_place = rows.set_index(["benchmark", "dataset"])
    return [_cell(by_place, place, kind) for place, kind in kinds]


def _cell(rows: pd.DataFrame, place: Place, kind: str) -> str:
    if place not in rows.index:
        return "–"
    row = rows[rows.index == place].iloc[0]
    mean, std, paper = (float(row[name]) for name in (f"{kind}_mean", f"{kind}_std", f"paper_{kind}"))
    if np.isnan(mean):
        return "–"
    return spread(mean, std) + ("" if np.isnan(paper) else f" ({paper:.2f})")


def bench_table(results: Path) -> str:
    """The last record of `make bench`, the figures that decide how long things take."""
    record = read_json(results / "bench.json")[-1]
    rows = [f"| {title} | {shown.format(record[name])} |" for name, title, shown in BENCH_ROWS if name in record]
    machine = record["machine"]
    where = f"{machine['cpu']}, {machine['cores']} cores, TensorFlow {machine['versions']['tensorflow']}"
    return "\n".join(["| Figure | Measured |", "|---|---:|", *rows, "", f"{where}; nothing else running."])


def filled(text: str, results: Path, page: str = "README.md") -> str:
    """A page's text with every block replaced by its current table.

    Raises:
        ArtefactError: a marker is missing.
    """
    for name in blocks(text, page):
        text = _put(text, name, bench_table(results) if name == BENCH else _measured(name, results), page)
    return text


def _measured(name: str, results: Path) -> str:
    table = TABLES[name.removesuffix(BRIEF)]
    records = collect(table, results, range(table.trials))
    return compact(table, records, brief=name.endswith(BRIEF)) if records else "Not measured yet."


def _put(text: str, name: str, body: str, page: str) -> str:
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    if begin not in text or end not in text:
        raise ArtefactError(f"{page} lacks the markers {begin.strip()} and {end}; put them where the table belongs")
    before, rest = text.split(begin, 1)
    return before + begin + body + "\n" + end + rest.split(end, 1)[1]
