"""Put the measured tables into README.md, between their markers, so that none is typed by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from absl import app

from experiments import cli
from experiments.aggregate import summarise
from experiments.benchmarks import DATASET_TITLES, open_analysis
from experiments.methods import title_of
from experiments.paper import PAPER_NAME
from experiments.tables import TABLES, Table, collect
from invertnas.errors import ArtefactError
from invertnas.io import write_text

ROOT = Path(__file__).resolve().parent.parent
REQUIRED = ("table2", "remedies")  # blocks that README.md must have; others are filled where their markers stand


def blocks(text: str) -> list[str]:
    """Names of the tables whose markers stand in a text, in the order of the registry.

    Raises:
        ArtefactError: a required marker is missing, or one names no table.
    """
    named = set(re.findall(r"<!-- (?:begin|end) (\w+) -->", text)) | set(REQUIRED)
    if unknown := sorted(named - set(TABLES)):
        raise ArtefactError(f"README.md has markers of {', '.join(unknown)}; expected one of {', '.join(TABLES)}")
    return [name for name in TABLES if name in named]


def compact(table: Table, records: Sequence[dict[str, Any]]) -> str:
    """A table for README.md."""
    return compact_table(summarise(records, table.source), table.source)


def compact_table(frame: pd.DataFrame, source: str = PAPER_NAME) -> str:
    """Methods down, data sets across; each cell is measured mean ± std and the printed mean in brackets.

    Queries stand in a column where a data set is shown at several, else over the data sets if they differ.
    """
    datasets = [name for name in DATASET_TITLES if name in set(frame["dataset"])]
    budgets = {name: sorted(set(frame.loc[frame["dataset"] == name, "queries"])) for name in datasets}
    several = any(len(found) > 1 for found in budgets.values())
    differ = not several and len({found[0] for found in budgets.values()}) > 1
    heads = {name: DATASET_TITLES[name] + (f" ({budgets[name][0]} queries)" if differ else "") for name in datasets}
    titles = [f"{heads[name]} {kind}" for name in datasets for kind in ("val.", "test")]
    optima = [value for name in datasets for value in open_analysis("nasbench201").optimum(name)]
    shown = [f"{100 * value:.2f}" if value is not None else "–" for value in optima]
    first, ruler, blank = ("Method | Queries", "---|---:", " | ") if several else ("Method", "---", " ")
    lines = [f"| {first} | Trials | {' | '.join(titles)} |", f"|{ruler}|---:|{'---:|' * len(titles)}"]
    lines.append(f"| *Optimum of the space* |{blank}| {' | '.join(shown)} |")
    for key, rows in frame.groupby(["queries", "method"] if several else ["method"], sort=False):
        name = " | ".join([title_of(str(key[-1])), *map(str, key[:-1])])
        lines.append(f"| {name} | {_trials(rows)} | {' | '.join(_cells(rows, datasets))} |")
    labels = ", ".join(sorted(set(frame["labels"])))
    return "\n".join(
        [*lines, "", f"Percent, mean ± standard deviation over trials; in brackets the {source}. Labels: {labels}."]
    )


def _trials(rows: pd.DataFrame) -> str:
    return "–".join(str(n) for n in sorted(set(rows["trials"])))


def _cells(rows: pd.DataFrame, datasets: Sequence[str]) -> list[str]:
    by_dataset = rows.set_index("dataset")
    return [_cell(by_dataset, name, kind) for name in datasets for kind in ("val", "test")]


def _cell(rows: pd.DataFrame, dataset: str, kind: str) -> str:
    if dataset not in rows.index:
        return "–"
    row = rows.loc[dataset]
    paper = row[f"paper_{kind}"]
    quoted: str = "" if pd.isna(paper) else f" ({paper:.2f})"
    return f"{row[f'{kind}_mean']:.2f} ± {row[f'{kind}_std']:.2f}{quoted}"


def filled(text: str, results: Path) -> str:
    """The README text with every block replaced by its current table.

    Raises:
        ArtefactError: a marker is missing.
    """
    for name in blocks(text):
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        if begin not in text or end not in text:
            raise ArtefactError(
                f"README.md lacks the markers {begin.strip()} and {end}; put them where the table belongs"
            )
        table = TABLES[name]
        records = collect(table, results, range(table.trials))
        body = compact(table, records) + "\n" if records else "Not measured yet.\n"
        before, rest = text.split(begin, 1)
        text = before + begin + body + end + rest.split(end, 1)[1]
    return text


def main(argv: Sequence[str]) -> None:
    """Rewrite README.md."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    path = ROOT / "README.md"
    write_text(path, filled(path.read_text(encoding="utf-8"), ROOT / "results"))


if __name__ == "__main__":
    cli.run(main)
