"""From result files to tables: reads only, never runs a search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.searches.benchmarks import DATASET_TITLES, open_analysis
from experiments.searches.methods import METHODS, base_of, title_of
from experiments.tables.printed import PAPER_NAME, QUOTED, SOURCE_NOTES, PaperValue, printed_value
from experiments.tables.spec import Table
from invertnas.files.io import write_text

KEYS = ["benchmark", "dataset", "method", "preset", "init", "labels", "queries"]
SPREAD = "mean ± standard deviation over trials (dividing by their number; a single trial has none)"
PRINTED_COLUMNS = ("paper_val", "paper_val_std", "paper_test", "paper_test_std")
COLUMNS = [
    *KEYS,
    *("trials", "val_mean", "val_std", "test_mean", "test_std", "best_test_mean", "best_test_std"),
    *PRINTED_COLUMNS,
    "wall_s_mean",
    *("val_100_mean", "val_150_mean", "queries_to_best_mean"),
]


def summarise(records: Iterable[dict[str, Any]], source: str = PAPER_NAME) -> pd.DataFrame:
    """One row per (benchmark, dataset, method, setting): means and standard deviations in percent.

    The columns `paper_*` hold what `source`, the paper or the thesis, prints for the row.

    The standard deviation is that of the trials themselves (divided by n), none for one trial. `test` is
    the test accuracy of the architecture with the best validation accuracy; `best_test` is the independent
    maximum over all queried architectures, as the thesis reports, and is no result of a search. Both are
    empty unless every trial has one: those that have are no sample of all.
    """
    frame = pd.DataFrame([_flat(record) for record in records])
    if frame.empty:
        return pd.DataFrame(columns=COLUMNS)
    rows = []
    for key, group in frame.groupby(KEYS, sort=False, dropna=False):
        row: dict[str, Any] = dict(zip(KEYS, key)) | {"trials": len(group)}
        for name, column in (("val", "best_val"), ("test", "test_at_best_val"), ("best_test", "best_test_seen")):
            values = 100.0 * group[column].astype(float)
            row[f"{name}_mean"], row[f"{name}_std"] = values.mean(skipna=False), deviation(values)
        paper = printed_value(source, row["benchmark"], row["dataset"], row["method"], row["queries"])
        row |= {"paper_val": paper.val, "paper_val_std": paper.val_std}
        row |= {"paper_test": paper.test, "paper_test_std": paper.test_std}
        row |= {
            f"{name}_mean": group[name].astype(float).mean()
            for name in ("wall_s", "val_100", "val_150", "queries_to_best")
        }
        rows.append(row)
    return _ordered(pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(PRINTED_COLUMNS, float)))


def deviation(values: np.ndarray | pd.Series) -> float:
    """Standard deviation, dividing by the number of values; NaN for a single one, or if one is NaN."""
    return float(np.std(np.asarray(values, dtype=np.float64))) if len(values) > 1 else float("nan")


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """The scalar entries, and how fast the curve rose: percent after 100 and 150 queries, queries to its best."""
    scalars = {key: value for key, value in record.items() if not isinstance(value, (dict, list))}
    values = [entry["val"] for entry in record["curve"]]
    early = {f"val_{n}": 100.0 * max(values[:n]) if len(values) >= n else None for n in (100, 150)}
    return scalars | early | {"queries_to_best": values.index(max(values)) + 1}


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    datasets, methods = list(DATASET_TITLES), list(METHODS)
    order = table.assign(
        d=table["dataset"].map(lambda name: datasets.index(name) if name in datasets else len(datasets)),
        m=table["method"].map(lambda name: methods.index(base_of(name)) if base_of(name) in methods else len(methods)),
    ).sort_values(["benchmark", "d", "queries", "m", "preset"], kind="stable")
    return order.drop(columns=["d", "m"]).reset_index(drop=True)


def to_markdown(
    table: pd.DataFrame, title: str, source: str = PAPER_NAME, *, quoted: bool = False, note: str = ""
) -> str:
    """The table for people: mean +- std in percent, the printed numbers and the optimum beside."""
    lines = [f"# {title}", ""]
    for (benchmark, dataset), group in table.groupby(["benchmark", "dataset"], sort=False):
        val, test = open_analysis(str(benchmark)).optimum(str(dataset))
        labels = ", ".join(sorted(set(group["labels"])))
        lines += [f"## {DATASET_TITLES.get(str(dataset), dataset)} ({benchmark}, {labels})", ""]
        lines += [_row("Method", "Preset", "Queries", "Trials", "Val. acc. (%)", "Test acc. (%)", "Best test seen (%)")]
        lines[-1] += " {0} val. | {0} test |".format(source[:1].upper() + source[1:])
        lines[-1] += " Val. at 100 | Val. at 150 | Queries to best | Time (s) |"
        lines += ["|---|---|" + "---:|" * 11]
        lines += [f"| Optimum of the space | | | | {_percent(val)} | {_percent(test)} |" + " |" * 7]
        lines += [_method_row(row) for _, row in group.iterrows()]
        if quoted:
            lines += _quoted_rows(source, str(benchmark), str(dataset))
        lines.append("")
    lines += [
        "Test acc.: of the architecture with the best validation accuracy. Best test seen: maximum over all",
        "queried architectures whose test accuracy is known, as the thesis reports; no search rule reads it.",
        "Either is given only where every trial has one.",
        f"Accuracies: {SPREAD}.",
        "Val. at 100, 150: after that many queries. Queries to best: until a search found its best, mean over trials.",
        "Time: of whole searches; a row below a search's last query is the search so far and has none.",
        *(text for text in (SOURCE_NOTES[source], note) if text),
        "",
    ]
    return "\n".join(lines)


def _row(*cells: Any) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100.0 * fraction:.2f}"


def spread(mean: float | None, std: float | None) -> str:
    if mean is None or np.isnan(mean):
        return "–"
    return f"{mean:.2f}" if std is None or np.isnan(std) else f"{mean:.2f} ± {std:.2f}"


def _method_row(row: pd.Series) -> str:
    return _row(
        title_of(row["method"]),
        row["preset"],
        row["queries"],
        row["trials"],
        spread(row["val_mean"], row["val_std"]),
        spread(row["test_mean"], row["test_std"]),
        spread(row["best_test_mean"], row["best_test_std"]),
        spread(row["paper_val"], row["paper_val_std"]),
        spread(row["paper_test"], row["paper_test_std"]),
        spread(row["val_100_mean"], None),
        spread(row["val_150_mean"], None),
        f"{row['queries_to_best_mean']:.0f}",
        "–" if np.isnan(row["wall_s_mean"]) else f"{row['wall_s_mean']:.1f}",
    )


def _quoted_rows(source: str, benchmark: str, dataset: str) -> list[str]:
    """What the source prints for methods that are not run here."""
    return [
        _row(f"{name} (not run here)", "", queries or "–", "", "", "", "", *_printed(value), "", "", "", "")
        for name, queries, value in QUOTED[source].get((benchmark, dataset), ())
    ]


def _printed(value: PaperValue) -> tuple[str, str]:
    return spread(value.val, value.val_std), spread(value.test, value.test_std)


def write_table(out: Path, table: Table, records: Sequence[dict[str, Any]]) -> str:
    """Aggregate the records into `out/<name>.csv` and `.md`; returns the Markdown."""
    frame = summarise(records, table.source)
    text = to_markdown(frame, table.title, table.source, quoted=table.quoted, note=table.note)
    write_text(out / f"{table.name}.csv", frame.round(4).to_csv(index=False))
    write_text(out / f"{table.name}.md", text)
    return text


def curves(records: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """(benchmark, dataset) -> method -> (trials, queries) best validation accuracy so far, percent."""
    grouped: dict[tuple[str, str], dict[str, list[np.ndarray]]] = {}
    for record in records:
        running = np.maximum.accumulate([100.0 * entry["val"] for entry in record["curve"]])
        methods = grouped.setdefault((record["benchmark"], record["dataset"]), {})
        methods.setdefault(record["method"], []).append(running)
    shortest = {key: min(len(c) for cs in methods.values() for c in cs) for key, methods in grouped.items()}
    return {
        key: {name: np.array([c[: shortest[key]] for c in cs]) for name, cs in methods.items()}
        for key, methods in grouped.items()
    }
