"""What a search costs, and what it gets for it: the trade-off over settings, and growth with the budget.

Two measures of cost. Seconds are those of the machine and of what else ran on it. The arithmetic of
training does not depend on either: for every row of every batch, the matrix products of the INNs forward and
for both gradients, in both directions (what an implementation saves by sharing rows is not deducted).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.common.style import VARIANT_COLOURS, new_figure, save
from experiments.searches.benchmarks import DATASET_TITLES, open_analysis, space_of
from experiments.searches.methods import METHODS, base_of, is_invertnas, title_of
from experiments.searches.records import at_budget, finished, read_record, read_searches, search_folder, variants
from experiments.tables.aggregate import SPREAD, deviation, spread
from experiments.tables.spec import Table
from invertnas.files.io import write_text
from invertnas.gvae.config import GVAEConfig
from invertnas.spaces.records import NB201

BENCHMARK, DATASET, QUERIES = NB201.name, "imagenet16-120", 192
BUDGETS = (100, 192, 400)
MARKERS = "osD^vP*X<>hp"
TRADEOFF_COLUMNS = [
    *("method", "preset", "members", "trials", "steps_mean", "training_tflop", "wall_s_mean"),
    *("val_mean", "val_std", "queries_to_best_mean"),
]


def kernel_entries(inn: dict[str, Any], dim: int) -> int:
    """Entries of all kernels of an ensemble: in each coupling two subnets, each with one head for s and t.

    Args:
        inn: members, layers, hidden_layers and hidden, as in INNConfig.
        dim: D, features of a latent.
    """
    halves = (dim // 2, dim - dim // 2)
    inner = (inn["hidden_layers"] - 1) * inn["hidden"] ** 2
    nets = sum(fan_in * inn["hidden"] + inner + inn["hidden"] * 2 * (dim - fan_in) for fan_in in halves)
    return int(inn["members"] * inn["layers"] * nets)


def training_tflop(record: dict[str, Any]) -> float | None:
    """Arithmetic of training over a search, in 1e12 operations; None where the GVAE is trained too."""
    config = record["config"]
    if config["predictor"].get("finetune", "frozen") != "frozen":
        return None
    dim = space_of(record["benchmark"]).num_nodes * GVAEConfig.latent_dim
    per_row = 2 * 3 * 2 * kernel_entries(config["inn"], dim)
    steps = sum(entry["fit"]["steps"] for entry in record["rounds"])
    return float(per_row * config["train"]["batch_size"] * steps / 1e12)


def tradeoff(out: Path) -> pd.DataFrame:
    """One row per InvertNAS variant with searches of ImageNet16-120: its cost and what it found."""
    rows = []
    for variant in filter(is_invertnas, variants(out, BENCHMARK, DATASET)):
        records = read_searches(search_folder(out, variant, BENCHMARK, DATASET), QUERIES, range(10**6))
        if not records:
            continue
        vals = np.array([100 * record["best_val"] for record in records])
        curves = [[entry["val"] for entry in record["curve"]] for record in records]
        seconds = [record["wall_s"] for record in records if record["wall_s"] is not None]
        flops = [value for value in map(training_tflop, records) if value is not None]
        values = (
            *(variant, records[0]["preset"], records[0]["members"], len(records)),
            np.mean([sum(entry["fit"]["steps"] for entry in record["rounds"]) for record in records]),
            round(float(np.mean(flops)), 6) if flops else None,
            np.mean(seconds) if seconds else None,
            *(vals.mean(), deviation(vals), np.mean([curve.index(max(curve)) + 1 for curve in curves])),
        )
        rows.append(dict(zip(TRADEOFF_COLUMNS, values)))
    frame = pd.DataFrame(rows, columns=TRADEOFF_COLUMNS)
    order = list(METHODS)
    ranks = frame.assign(rank=[order.index(base_of(name)) for name in frame["method"]])
    return ranks.sort_values(["training_tflop", "rank", "method"]).drop(columns="rank").reset_index(drop=True)


def tradeoff_markdown(frame: pd.DataFrame) -> str:
    """The trade-off for people."""
    lines = [
        f"# Cost against accuracy on {DATASET_TITLES[DATASET]}, {QUERIES} queries",
        "",
        "| Setting | INNs | Trials | Steps | Training (TFLOP) | Time (s) | Val. acc. (%) | Queries to best |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for _, row in frame.iterrows():
        flop, seconds = (_figure(row[name]) for name in ("training_tflop", "wall_s_mean"))
        accuracy = spread(row["val_mean"], row["val_std"])
        lines.append(
            f"| {title_of(row['method'])} | {row['members']} | {row['trials']} | {row['steps_mean']:.0f} | {flop} "
            f"| {seconds} | {accuracy} | {row['queries_to_best_mean']:.0f} |"
        )
    notes = (
        "Training: matrix products of the INNs in all steps, which does not depend on the machine; not given where the",
        "GVAE is trained too. Time: mean over the searches as they ran, with whatever else ran on the machine.",
        f"Accuracy: {SPREAD}.",
    )
    return "\n".join([*lines, "", *notes, ""])


def _figure(value: float | None) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def plot_tradeoff(path: Path, frame: pd.DataFrame) -> None:
    """Final validation accuracy against training arithmetic; settings of equal cost stand side by side."""
    figure, (axes,) = new_figure((8.6, 4.6))
    known = frame.dropna(subset=["training_tflop"])
    for index, (_, row) in enumerate(known.iterrows()):
        cost = row["training_tflop"]
        equals = known.index[np.isclose(known["training_tflop"], cost, rtol=0.05)]
        shift = 1.1 ** (list(equals).index(row.name) - (len(equals) - 1) / 2)
        style = {"color": VARIANT_COLOURS[index % len(VARIANT_COLOURS)], "marker": MARKERS[index % len(MARKERS)]}
        label = f"{title_of(row['method'])} (n={row['trials']})"
        axes.errorbar(
            cost * shift, row["val_mean"], row["val_std"], label=label, linestyle="", ms=5, capsize=3, **style
        )
    optimum, _ = open_analysis(BENCHMARK).optimum(DATASET)
    if optimum is not None:
        axes.axhline(100 * optimum, color="black", linestyle="--", linewidth=1, label="optimum of the space")
    axes.set_xscale("log")
    axes.set_xlabel("Training of the INNs per search (TFLOP)")
    axes.set_ylabel(f"Best validation accuracy after {QUERIES} queries (%)")
    axes.set_title(f"{DATASET_TITLES[DATASET]}: mean and standard deviation over trials")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, path)


def round_seconds(record: dict[str, Any], budget: int) -> float:
    """Seconds of the rounds (fit and candidates, the first with its tracing) up to `budget` queries."""
    return float(sum(entry["fit_s"] + entry["candidates_s"] for entry in at_budget(record, budget)["rounds"]))


def exponent(queries: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of log(seconds) against log(queries): 1 is linear growth."""
    return float(np.polyfit(np.log(queries), np.log(seconds), 1)[0])


def growth(out: Path) -> pd.DataFrame:
    """One row per variant and data set with searches of 400 queries: seconds at each budget and the exponents."""
    rows = []
    for dataset in DATASET_TITLES:
        for variant in filter(is_invertnas, variants(out, BENCHMARK, dataset)):
            paths = [path for n, _, path in finished(search_folder(out, variant, BENCHMARK, dataset)) if n >= 400]
            seconds = np.array([[round_seconds(record, b) for b in BUDGETS] for record in map(read_record, paths)])
            if not len(seconds):
                continue
            row: dict[str, Any] = {"dataset": dataset, "method": variant, "trials": len(seconds)}
            row |= {f"seconds_{budget}": value for budget, value in zip(BUDGETS, seconds.mean(axis=0))}
            slopes = np.array([exponent(BUDGETS, times) for times in seconds])
            row |= {"exponent_mean": slopes.mean(), "exponent_std": deviation(slopes)}
            rows.append(row | {"seconds_per_query": (row["seconds_400"] - row["seconds_192"]) / (400 - 192)})
    columns = [*("dataset", "method", "trials"), *(f"seconds_{budget}" for budget in BUDGETS)]
    return pd.DataFrame(rows, columns=[*columns, "exponent_mean", "exponent_std", "seconds_per_query"])


def growth_markdown(frame: pd.DataFrame, title: str) -> str:
    """The growth for people."""
    heads = " | ".join(f"{budget} queries (s)" for budget in BUDGETS)
    lines = [f"# {title}", "", f"| Data set | Setting | Trials | {heads} | Exponent | s per query, 192 to 400 |"]
    lines += ["|---|---|" + "---:|" * (len(BUDGETS) + 3)]
    for _, row in frame.iterrows():
        seconds = " | ".join(f"{row[f'seconds_{budget}']:.1f}" for budget in BUDGETS)
        name = f"{DATASET_TITLES[row['dataset']]} | {title_of(row['method'])} | {row['trials']}"
        slope = spread(row["exponent_mean"], row["exponent_std"])
        lines.append(f"| {name} | {seconds} | {slope} | {row['seconds_per_query']:.2f} |")
    notes = (
        "Seconds of the rounds up to that query in searches of 400 queries: fits and candidates, the first with its",
        "tracing. Exponent: slope of log(seconds) against log(queries); 1 is linear. The start, which does not grow",
        "with the budget, draws it down. It is given as",
        f"{SPREAD}.",
    )
    return "\n".join([*lines, "", *notes, ""])


def write_cost(out: Path, table: Table, records: Sequence[dict[str, Any]]) -> str:
    """Write `cost.md`, `cost.csv`, `tradeoff.md`, `tradeoff.csv` and the plot; returns both tables.

    Reads every setting in the pool, not only the table's own records.
    """
    settings, grown = tradeoff(out), growth(out)
    texts = {table.name: tradeoff_markdown(settings), "cost": growth_markdown(grown, table.title)}
    for name, frame in ((table.name, settings), ("cost", grown)):
        write_text(out / f"{name}.csv", frame.round(4).to_csv(index=False))
        write_text(out / f"{name}.md", texts[name])
    if len(settings):
        plot_tradeoff(out / "figures" / f"{table.name}.png", settings)
    return "\n".join(texts.values())
