"""Put the measured tables into README.md, between their markers, so that none is typed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from absl import app

from experiments import cli
from experiments.aggregate import REMEDY_TRIALS, read_records, remedy_records, summarise
from experiments.benchmarks import DATASET_TITLES, open_analysis
from experiments.methods import title_of
from invertnas.errors import ArtefactError
from invertnas.io import write_text

ROOT = Path(__file__).resolve().parent.parent
QUERIES = 192


def _records(block: str, results: Path) -> list[dict[str, Any]]:
    if block == "remedies":
        return remedy_records(results, REMEDY_TRIALS)
    return [record for record in read_records(results / block) if record["queries"] == QUERIES]


BLOCKS = ("table2", "remedies")  # markers in README.md


def compact_table(table: pd.DataFrame) -> str:
    """Methods down, data sets across; each cell is measured mean ± std and the paper's mean in brackets."""
    datasets = [name for name in DATASET_TITLES if name in set(table["dataset"])]
    titles = [f"{DATASET_TITLES[name]} {kind}" for name in datasets for kind in ("val.", "test")]
    lines = ["| Method | Trials | " + " | ".join(titles) + " |", "|---|---:|" + "---:|" * len(titles)]
    optima = [value for name in datasets for value in open_analysis("nasbench201").optimum(name)]
    cells = [f"{100 * value:.2f}" if value is not None else "–" for value in optima]
    lines.append("| *Optimum of the space* | | " + " | ".join(cells) + " |")
    for method, rows in table.groupby("method", sort=False):
        by_dataset = rows.set_index("dataset")
        cells = [_cell(by_dataset, name, kind) for name in datasets for kind in ("val", "test")]
        trials = "–".join(str(n) for n in sorted(set(rows["trials"])))
        lines.append(f"| {title_of(str(method))} | {trials} | " + " | ".join(cells) + " |")
    labels = ", ".join(sorted(set(table["labels"])))
    return "\n".join(
        [*lines, "", f"Percent, mean ± standard deviation over trials; in brackets the paper. Labels: {labels}."]
    )


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
    for name in BLOCKS:
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        if begin not in text or end not in text:
            raise ArtefactError(
                f"README.md lacks the markers {begin.strip()} and {end}; put them where the table belongs"
            )
        records = _records(name, results)
        body = compact_table(summarise(records)) + "\n" if records else "Not measured yet.\n"
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
