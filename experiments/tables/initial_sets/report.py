"""Paper Table 4: what searches find from each kind of initial set, and how near the sets are to the best.

The divergence of ranks (`rank_divergence`) needs no search: it is computed from the strategies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.searches.benchmarks import DATASET_TITLES, benchmark_title, open_analysis, open_benchmark, space_of
from experiments.searches.initial import INIT_TITLES
from experiments.searches.methods import title_of
from experiments.tables.aggregate import SPREAD, spread, summarise
from experiments.tables.initial_sets.plots import plot_ranks
from experiments.tables.initial_sets.rank_divergence import BANDWIDTH, BANDWIDTHS, TOP_SHARES, divergences, ranks
from experiments.tables.initial_sets.reference import SAMPLE, reference_accuracies
from experiments.tables.printed import INITIAL_KL
from experiments.tables.spec import Place, Table
from invertnas.errors import ArtefactError, DataMissingError
from invertnas.files.io import write_text
from invertnas.initial import open_initial
from invertnas.presets import DEFAULT, preset
from invertnas.spaces.spec import ArchSpec

PLACE = ["benchmark", "dataset"]
NOTES = (
    f"Accuracies: {SPREAD}, in brackets the paper's",
    "mean, for which it names no number of queries. Test: of the architecture with the best validation accuracy, given",
    "where every trial has one.",
    "KL (q): KL(ideal || sampled) in nats, of ranks by validation accuracy. Sampled: the initial sets of all trials;",
    f"ideal: uniform over the best q; both smoothed by Gaussian kernels of {BANDWIDTH} ranks, reflected at 0 and 1.",
    "Lower is nearer to the best; random sampling has about 3.1, 2.9 and 2.6. In brackets the paper's value, whose",
    "formula and unit it does not give: compare the order of the strategies. Other bandwidths, and the other",
    "direction, are in `table4_kl.csv`. Ranks are among all cells; on NAS-Bench-301 and NAS-Bench-NLP among",
    f"{SAMPLE:,} random ones.",
)


@dataclasses.dataclass(frozen=True)
class InitialSets:
    """What a strategy chose on a data set.

    Attributes:
        ranks: (trials * initial set,) ranks in [0, 1], 0 is best; empty where the strategy cannot be run.
        distinct: different architectures among them.
        missing: why it cannot be run, else empty.
    """

    benchmark: str
    dataset: str
    init: str
    ranks: np.ndarray
    distinct: int = 0
    missing: str = ""

    @property
    def printed(self) -> tuple[float | None, ...]:
        """The paper's divergences at `TOP_SHARES`."""
        return INITIAL_KL.get((self.benchmark, self.dataset), {}).get(self.init, (None,) * len(TOP_SHARES))


def initial_sets(
    places: Sequence[Place], inits: Sequence[str], seeds: Sequence[int], out: Path, pretrained: Path
) -> list[InitialSets]:
    """The initial sets of every strategy at every place, and their ranks."""
    found = []
    for benchmark in dict.fromkeys(place.benchmark for place in places):
        datasets = [place.dataset for place in places if place.benchmark == benchmark]
        for init in inits:
            archs, missing = _choose(benchmark, init, seeds, pretrained)
            found += [_ranked(benchmark, dataset, init, archs, missing, out) for dataset in datasets]
    order = [(place.benchmark, place.dataset) for place in places]
    return sorted(found, key=lambda sets: order.index((sets.benchmark, sets.dataset)))


def _choose(benchmark: str, init: str, seeds: Sequence[int], pretrained: Path) -> tuple[list[ArchSpec], str]:
    """The sets of all seeds together, or why there are none: what is missing is told, not passed over."""
    space, count = space_of(benchmark), preset(DEFAULT, benchmark).search.initial
    strategy = open_initial(init, space, folder=pretrained)
    try:
        return [arch for seed in seeds for arch in strategy.choose(space, count, seed)], ""
    except (DataMissingError, ArtefactError) as error:
        return [], str(error)


def _ranked(benchmark: str, dataset: str, init: str, archs: Sequence[ArchSpec], missing: str, out: Path) -> InitialSets:
    if missing:
        return InitialSets(benchmark, dataset, init, np.empty(0), missing=missing)
    bench = open_benchmark(benchmark, len(archs))
    values = np.array([bench.query(arch, dataset) for arch in archs])
    found = ranks(values, reference_accuracies(benchmark, dataset, out))
    return InitialSets(benchmark, dataset, init, found, bench.ledger.spent)


def divergence_frame(sets: Sequence[InitialSets], trials: int) -> pd.DataFrame:
    """One row per place, strategy, bandwidth and best share: both directions, and the paper's value."""
    rows: list[dict[str, Any]] = []
    for chosen in sets:
        row = {"benchmark": chosen.benchmark, "dataset": chosen.dataset, "init": chosen.init, "trials": trials}
        row |= {"cells": len(chosen.ranks), "distinct": chosen.distinct}
        for bandwidth in BANDWIDTHS if len(chosen.ranks) else ():
            for share, value, paper in zip(TOP_SHARES, divergences(chosen.ranks, bandwidth=bandwidth), chosen.printed):
                both = {"kl": value.ideal_from_sampled, "kl_sampled_from_ideal": value.sampled_from_ideal}
                rows.append(row | {"bandwidth": bandwidth, "top": share, **both, "paper_kl": paper})
    columns = [*PLACE, *("init", "trials", "cells", "distinct", "bandwidth", "top")]
    return pd.DataFrame(rows, columns=[*columns, "kl", "kl_sampled_from_ideal", "paper_kl"])


def summarise_sets(sets: Sequence[InitialSets]) -> pd.DataFrame:
    """One row per place and strategy: divergences at the reported bandwidth, median rank, share in the top 5 %."""
    rows = []
    for chosen in sets:
        row: dict[str, Any] = {"benchmark": chosen.benchmark, "dataset": chosen.dataset, "init": chosen.init}
        row |= {f"paper_{_kl(share)}": value for share, value in zip(TOP_SHARES, chosen.printed)}
        if len(chosen.ranks):
            found = divergences(chosen.ranks)
            row |= {_kl(share): value.ideal_from_sampled for share, value in zip(TOP_SHARES, found)}
            row |= {"median_rank": np.median(chosen.ranks), "in_top_5": np.mean(chosen.ranks <= 0.05)}
        rows.append(row)
    columns = [_kl(share) for share in TOP_SHARES]
    columns += [f"paper_{column}" for column in columns] + ["median_rank", "in_top_5"]
    return pd.DataFrame(rows, columns=[*PLACE, "init", *columns])


def _kl(share: float) -> str:
    return f"kl_{100 * share:.0f}"


def initial_markdown(frame: pd.DataFrame, sets: Sequence[InitialSets], table: Table) -> str:
    """A section per data set, a row per strategy and method; what could not be run is named below."""
    heads = " | ".join(f"KL ({100 * share:.0f} %)" for share in TOP_SHARES)
    lines = [f"# {table.title}", ""]
    for (benchmark, dataset), group in frame.groupby(PLACE, sort=False):
        optima = open_analysis(str(benchmark)).optimum(str(dataset))
        lines += [f"## {DATASET_TITLES[str(dataset)]} ({benchmark_title(str(benchmark))})", ""]
        lines += [f"| Initial set | Method | Queries | Trials | Val. acc. (%) | Test acc. (%) | {heads} |"]
        lines[-1] += " Median rank (%) | In the top 5 % (%) |"
        lines += ["|---|---|" + "---:|" * (6 + len(TOP_SHARES))]
        lines += [f"| Best of the labels | | | | {' | '.join(_number(value, 2, 100) for value in optima)} |" + " |" * 5]
        lines += [_row(row) for _, row in group.iterrows()]
        lines.append("")
        for chosen in sets:
            if chosen.missing and (chosen.benchmark, chosen.dataset) == (benchmark, dataset):
                lines += [f"No initial sets by {INIT_TITLES[chosen.init]}: {chosen.missing}", ""]
    return "\n".join([*lines, *_nearest(frame), "", *NOTES, *([table.note] if table.note else []), ""])


def _nearest(frame: pd.DataFrame) -> list[str]:
    """A sentence per data set: which initial set has the lowest divergence at each best share."""
    lines = []
    for (benchmark, dataset), group in frame.drop_duplicates([*PLACE, "init"]).groupby(PLACE, sort=False):
        known = group.dropna(subset=[_kl(share) for share in TOP_SHARES])
        if len(known) < 2:
            continue
        names = [str(name) for name in known["init"]]
        first = {share: INIT_TITLES[names[int(known[_kl(share)].to_numpy().argmin())]] for share in TOP_SHARES}
        named = ", ".join(f"{title} at {100 * share:.0f} %" for share, title in first.items())
        place = f"{DATASET_TITLES[str(dataset)]} ({benchmark_title(str(benchmark))})"
        lines.append(f"- Lowest KL on {place}: {named}. (Paper: AlignFlow at each.)")
    return lines


def _row(row: pd.Series) -> str:
    if pd.isna(row["method"]):
        cells = [INIT_TITLES[row["init"]], "not searched yet", "", ""]
    else:
        method = title_of(row["method"].split("-init_")[0])
        cells = [INIT_TITLES[row["init"]], method, f"{row['queries']:.0f}", f"{row['trials']:.0f}"]
    for kind in ("val", "test"):
        printed = row[f"paper_{kind}"]
        cells.append(
            spread(row[f"{kind}_mean"], row[f"{kind}_std"]) + ("" if pd.isna(printed) else f" ({printed:.2f})")
        )
    for column in map(_kl, TOP_SHARES):
        printed = row[f"paper_{column}"]
        cells.append(_number(row[column], 3) + ("" if pd.isna(printed) else f" ({printed:.6f})"))
    cells += [_number(row["median_rank"], 1, 100), _number(row["in_top_5"], 1, 100)]
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None, digits: int, factor: float = 1.0) -> str:
    return "–" if value is None or np.isnan(value) else f"{factor * value:.{digits}f}"


def write_initial(
    out: Path,
    table: Table,
    records: Sequence[dict[str, Any]],
    places: Sequence[Place],
    seeds: Sequence[int],
    pretrained: Path,
) -> str:
    """Write `<name>.md`, `<name>.csv`, `<name>_kl.csv` and a figure per place; returns the Markdown.

    Args:
        out: results folder.
        table: of report "initial".
        records: of its searches, as far as there are any.
        places: data sets to report.
        seeds: of the trials whose initial sets are compared.
        pretrained: folder of the weights.
    """
    sets = initial_sets(places, list(dict.fromkeys(row.init for row in table.rows)), seeds, out, pretrained)
    divergence = divergence_frame(sets, len(seeds))
    accuracies = summarise(records, table.source)
    frame = summarise_sets(sets).merge(accuracies, how="left", on=[*PLACE, "init"])
    text = initial_markdown(frame, sets, table)
    write_text(out / f"{table.name}.csv", frame.round(6).to_csv(index=False))
    write_text(out / f"{table.name}_kl.csv", divergence.round(6).to_csv(index=False))
    write_text(out / f"{table.name}.md", text)
    for place in places:
        here = {s.init: s.ranks for s in sets if (s.benchmark, s.dataset) == (place.benchmark, place.dataset)}
        title = f"{DATASET_TITLES[place.dataset]} ({benchmark_title(place.benchmark)})"
        path = out / "figures" / f"{table.name}_{place.benchmark}_{place.dataset}.png"
        plot_ranks(path, title, {init: found for init, found in here.items() if len(found)}, len(seeds))
    return text
