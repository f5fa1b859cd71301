"""Finished searches: where their files lie, what they hold, and what they had found after fewer queries.

A search is one gzipped JSON; files of plain JSON, as they were written before, are read too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from experiments.searches.benchmarks import open_analysis, open_benchmark, space_of
from invertnas.benchmarks.base import Analysis
from invertnas.errors import ArtefactError, BudgetError
from invertnas.files.io import read_json
from invertnas.spaces.base import SearchSpace

SEARCHES = "searches"  # one pool for all tables, so that a search two tables share runs once
FILE = re.compile(r"q(\d+)/seed_(\d+)\.json(\.gz)?")
CLOCKS = ("fit_s", "candidates_s")  # of rounds, from which the cost of a search is summed
CLOCK_DECIMALS, DIGITS = 8, 3


def search_folder(out: Path, variant: str, benchmark: str, dataset: str) -> Path:
    """Folder of a variant's searches; below it `q<queries>/seed_<n>.json`."""
    return out / SEARCHES / variant / benchmark / dataset


def finished(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """(queries, seed, file) of every finished search of a folder, by queries, then by seed."""
    paths = sorted(folder.glob("q*/seed_*.json*"))
    matches = ((FILE.fullmatch(path.relative_to(folder).as_posix()), path) for path in paths)
    found = {(int(match[1]), int(match[2])): path for match, path in matches if match}  # of both forms the gzipped
    yield from sorted((queries, seed, path) for (queries, seed), path in found.items())


def stored_at(path: Path) -> Path | None:
    """The file of a search whose gzipped one belongs at `path`: that, or a plain one beside it; None for neither."""
    return next((file for file in (path, path.with_suffix("")) if file.exists()), None)


def compact(record: dict[str, Any]) -> dict[str, Any]:
    """A record as it is stored: rounds keep their counts, clocks to 1e-8 s, and other numbers to three digits.

    What tables and figures read stays: the curve and the outcome to the last digit, the counts, the clocks.
    """
    return record | {"rounds": [_compact(entry, "") for entry in record["rounds"]]}


def _compact(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _compact(entry, key) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_compact(entry, name) for entry in value]
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return round(value, CLOCK_DECIMALS) if name in CLOCKS else float(f"{value:.{DIGITS}g}")


def variants(out: Path, benchmark: str, dataset: str) -> list[str]:
    """Variants with searches on a data set, by name."""
    folders = (out / SEARCHES).glob(f"*/{benchmark}/{dataset}")
    return sorted(folder.parent.parent.name for folder in folders if any(finished(folder)))


def longest_or(folder: Path, seed: int, queries: int) -> int:
    """Budget of the search to use for `queries` queries: the least finished one that is enough, or itself."""
    return min((n for n, s, _ in finished(folder) if s == seed and n >= queries), default=queries)


def read_searches(folder: Path, budget: int, seeds: Container[int]) -> list[dict[str, Any]]:
    """The searches of a folder as they stood after `budget` queries, one per seed, in the order of seeds.

    A search with a larger budget serves too, see `at_budget`; of several, the one with the least.

    Raises:
        ArtefactError: a search was made on other labels than the benchmark has now.
    """
    chosen: dict[int, Path] = {}
    for queries, seed, path in finished(folder):
        if queries >= budget and seed in seeds:
            chosen.setdefault(seed, path)
    return [at_budget(read_record(path), budget) for _, path in sorted(chosen.items())]


def read_record(path: Path) -> dict[str, Any]:
    """A finished search on the labels that the benchmark has now, so that no table mixes two kinds.

    Raises:
        ArtefactError: they are not, for instance because official labels have been installed since.
    """
    record: dict[str, Any] = read_json(path)
    present = open_benchmark(str(record["benchmark"]), 1).labels
    if record.get("labels") != present:
        raise ArtefactError(
            f"{path} was made on labels {record.get('labels')!r}, {record['benchmark']} now has {present!r}: "
            "search the present ones into another --out (OUT= of make), or move the file away"
        )
    return record


def at_budget(record: dict[str, Any], budget: int) -> dict[str, Any]:
    """What a search had found after its first `budget` queries.

    No method and no schedule reads the budget: the runner alone stops at it. So the first queries of a
    longer search are the whole of the shorter one with the same seed (on the same code and threads: other
    last digits make another search), and so are the rounds that led to them. What the shorter one would
    have taken in seconds is not known. Test values are looked up in the benchmark's present labels.

    Raises:
        BudgetError: the search is shorter.
    """
    if record["queries"] == budget:
        return record
    if record["queries"] < budget:
        raise BudgetError(f"got a search of {record['queries']} queries; expected at least {budget}")
    benchmark, dataset = str(record["benchmark"]), str(record["dataset"])
    curve = record["curve"][:budget]
    found = outcome(curve, space_of(benchmark), open_analysis(benchmark), dataset)
    return record | found | {"queries": budget, "curve": curve, "rounds": rounds_within(record, budget), "wall_s": None}


def rounds_within(record: dict[str, Any], budget: int) -> list[dict[str, Any]]:
    """InvertNAS's rounds that began before `budget` queries; none for baselines."""
    search = record["config"].get("search")
    if search is None:
        return []
    return [r for r in record["rounds"] if search["initial"] + search["batch"] * r["round"] < budget]


def outcome(curve: list[dict[str, Any]], space: SearchSpace, analysis: Analysis, dataset: str) -> dict[str, Any]:
    """Best architecture by validation accuracy (the first of equals), its test accuracy, the best test seen.

    Args:
        curve: {"arch", "val"} of every query, in order.
        space: reads the architectures.
        analysis: gives test accuracies.
        dataset: data set name.
    """
    best = max(range(len(curve)), key=lambda index: curve[index]["val"])
    tests = [analysis.test_accuracy(space.from_string(entry["arch"]), dataset) for entry in curve]
    known = [value for value in tests if value is not None]
    return {
        "best_arch": curve[best]["arch"],
        "best_val": curve[best]["val"],
        "test_at_best_val": tests[best],
        "best_test_seen": max(known) if known else None,
    }
