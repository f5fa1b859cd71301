"""Paper Table 16: validity, uniqueness and novelty of what the inverse path decodes (Appendix I)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.common.style import colours_of, new_figure, save
from experiments.searches.benchmarks import DATASET_TITLES, benchmark_title
from experiments.searches.methods import title_of
from experiments.tables.curves import figure_path
from experiments.tables.printed import QUALITY
from experiments.tables.spec import Table
from invertnas.files.io import write_text

METRICS = ("validity", "uniqueness", "novelty")
COUNTS = ("decoded", "valid", "unique", "novel", "tries", "random")
SETTING = ["benchmark", "dataset", "method", "preset", "queries"]
NOTES = (
    "Percent, mean ± standard deviation over all rounds of all trials (dividing by their number); in brackets the",
    "paper's average of one search.",
    "Validity: valid of all decoded graphs. Uniqueness: distinct ones within the round, of the valid. Novelty:",
    "distinct ones never queried before, of all decoded. (The paper's words allow other denominators: its novelty",
    "on NAS-Bench-301 is above its uniqueness.) Decoded: graphs per round, which depends on the setting (a round",
    "ends with enough new candidates), and the more are decoded, the fewer of them are new.",
    "Filled: architectures per search that joined where a round had fewer candidates than it queries: neighbours of",
    "the best. Of them the predictions choose those to query, with *_blind they are queried as they come.",
)


def rounds(records: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """One row per round of every search, with the counts and the three shares as fractions."""
    rows = [
        {key: record[key] for key in (*SETTING, "seed")}
        | {key: entry[key] for key in ("round", *COUNTS)}
        | dict(zip(METRICS, shares(entry)))
        for record in records
        for entry in record["rounds"]
    ]
    return pd.DataFrame(rows, columns=[*SETTING, "seed", "round", *COUNTS, *METRICS])


def shares(entry: dict[str, Any]) -> tuple[float, float, float]:
    """Validity, uniqueness and novelty of a round, as `NOTES` defines them; 0 where nothing was decoded."""
    decoded, valid = max(entry["decoded"], 1), max(entry["valid"], 1)
    return entry["valid"] / decoded, entry["unique"] / valid, entry["novel"] / decoded


def summarise_rounds(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per setting: mean and standard deviation over rounds in percent, the paper's value beside."""
    rows = []
    for key, group in frame.groupby(SETTING, sort=False):
        row: dict[str, Any] = dict(zip(SETTING, key)) | {"trials": group["seed"].nunique(), "rounds": len(group)}
        row |= {"decoded_mean": group["decoded"].mean(), "filled_mean": group["random"].sum() / row["trials"]}
        paper = QUALITY.get((row["benchmark"], row["dataset"]), (None,) * len(METRICS))
        for metric, printed in zip(METRICS, paper):
            row |= {f"{metric}_mean": 100 * group[metric].mean(), f"{metric}_std": 100 * group[metric].std(ddof=0)}
            row[f"paper_{metric}"] = None if printed is None else 100 * printed
        rows.append(row)
    columns = [f"{metric}_{kind}" for metric in METRICS for kind in ("mean", "std")]
    columns += [f"paper_{metric}" for metric in METRICS]
    return pd.DataFrame(rows, columns=[*SETTING, "trials", "rounds", "decoded_mean", "filled_mean", *columns])


def quality_markdown(frame: pd.DataFrame, title: str) -> str:
    """A section per data set, a row per setting."""
    lines = [f"# {title}", ""]
    for (benchmark, dataset), group in frame.groupby(["benchmark", "dataset"], sort=False):
        lines += [f"## {DATASET_TITLES.get(str(dataset), dataset)} ({benchmark})", ""]
        lines += ["| Method | Trials | Decoded per round | Validity (%) | Uniqueness (%) | Novelty (%) | Filled |"]
        lines += ["|---|---:|---:|---:|---:|---:|---:|"]
        for _, row in group.iterrows():
            cells = " | ".join(_cell(row, metric) for metric in METRICS)
            counts = f"{row['trials']} | {row['decoded_mean']:.0f}"
            lines.append(f"| {title_of(row['method'])} | {counts} | {cells} | {row['filled_mean']:.0f} |")
        lines.append("")
    return "\n".join([*lines, *NOTES, ""])


def _cell(row: pd.Series, metric: str) -> str:
    printed = row[f"paper_{metric}"]
    quoted = "" if pd.isna(printed) else f" ({printed:.3g})"
    return f"{row[f'{metric}_mean']:.2f} ± {row[f'{metric}_std']:.2f}{quoted}"


def plot_quality(path: Path, benchmark: str, dataset: str, frame: pd.DataFrame) -> None:
    """Three panels over the rounds of a search, a line per setting: the mean over trials."""
    figure, panels = new_figure((10.0, 3.8), columns=len(METRICS))
    colours = colours_of([str(method) for method in frame["method"].unique()])
    for metric, axes in zip(METRICS, panels):
        for (method, group), colour in zip(frame.groupby("method", sort=False), colours):
            mean = 100 * group.groupby("round")[metric].mean()
            label = f"{title_of(str(method))} (n={group['seed'].nunique()})"
            axes.plot(mean.index, mean, color=colour, label=label, linewidth=1.6)
        axes.set_xlabel("Round of the search")
        axes.set_ylabel(f"{metric.capitalize()} (%)")
        if metric != "validity":
            axes.set_yscale("symlog", linthresh=0.1)  # from zero over the paper's 0.3 % to ours
        axes.set_ylim(0, 105)
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=3)
    title = f"{DATASET_TITLES.get(dataset, dataset)} ({benchmark_title(benchmark)})"
    figure.suptitle(f"{title}: what the inverse path decodes")
    save(figure, path)


def write_quality(out: Path, table: Table, records: Sequence[dict[str, Any]]) -> str:
    """Write `<name>.csv`, `<name>_rounds.csv.gz`, `<name>.md` and a figure per data set; returns the Markdown."""
    frame = rounds(records)
    summary = summarise_rounds(frame)
    text = quality_markdown(summary, table.title)
    write_text(out / f"{table.name}.csv", summary.round(4).to_csv(index=False))
    write_text(out / f"{table.name}_rounds.csv.gz", frame.round(6).to_csv(index=False))
    write_text(out / f"{table.name}.md", text)
    for (benchmark, dataset), group in frame.groupby(["benchmark", "dataset"], sort=False):
        plot_quality(figure_path(out, table, str(benchmark), str(dataset)), str(benchmark), str(dataset), group)
    return text
