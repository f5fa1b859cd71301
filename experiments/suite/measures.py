"""From finished searches to regret and rank at every budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.searches.records import finished, read_record, search_folder
from experiments.suite.landscape import Landscape, landscape
from experiments.suite.tasks import Task

Values = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Searches:
    """The finished searches of one variant on one task, one row a seed.

    Attributes:
        variant: method and setting, as in paths.
        seeds: (S,) seeds, ascending.
        incumbents: (S, Q) best answer after each query.
        wall_s: (S,) seconds of each search as it was run; NaN where it ran on to a larger budget.
        config: settings of the first.
    """

    variant: str
    seeds: tuple[int, ...]
    incumbents: Values
    wall_s: Values
    config: dict[str, Any]

    @property
    def preset(self) -> str:
        """The preset of InvertNAS, "published" for baselines."""
        return str(self.config["preset"])

    @property
    def batch(self) -> int:
        """Architectures asked for at a time after the initial set; 1 where the method has no such setting."""
        settings = self.config["config"]
        return int(settings.get("search", settings).get("batch", settings.get("batch_size", 1)))


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """All variants on one task."""

    task: Task
    landscape: Landscape
    searches: tuple[Searches, ...]

    def regret(self, found: Searches) -> Values:
        """(S, Q) normalised regret after each query."""
        return self.landscape.regret(found.incumbents)

    def rank(self, found: Searches) -> Values:
        """(S, Q) share of the space above the incumbent after each query."""
        return self.landscape.rank(found.incumbents)

    def queries_to_best(self, found: Searches) -> float | None:
        """Mean number of queries to the best of the space; None unless it is known and every search finds it."""
        reached = found.incumbents >= self.landscape.best
        if not self.landscape.exact or not len(reached) or not reached[:, -1].all():
            return None
        return float((reached.argmax(axis=1) + 1).mean())


def read_task(
    out: Path, task: Task, variants: Sequence[str], seeds: Sequence[int], queries: int, folder: Path
) -> TaskResult | None:
    """The task's searches with these seeds and at least so many queries; variants without any are left out.

    Args:
        out: results folder.
        task: the task.
        variants: their names, in the order wanted.
        seeds: those to read.
        queries: Q; longer searches are cut.
        folder: of the samples of spaces that cannot be listed.

    Returns:
        The searches with the task's landscape; None without any search.

    Raises:
        ArtefactError: a search was made on other labels than the benchmark has now.
    """
    found = [_read(search_folder(out, name, task.benchmark, task.dataset), name, seeds, queries) for name in variants]
    searches = tuple(one for one in found if one is not None)
    if not searches:
        return None
    best = max(float(one.incumbents.max()) for one in searches)
    return TaskResult(task, landscape(task, folder).seen(best), searches)


def _read(folder: Path, variant: str, seeds: Sequence[int], queries: int) -> Searches | None:
    chosen: dict[int, tuple[int, Path]] = {}
    for length, seed, path in finished(folder):
        if length >= queries and seed in seeds:
            chosen.setdefault(seed, (length, path))
    if not chosen:
        return None
    rows, seconds, config = list[Values](), list[float](), dict[str, Any]()
    for seed in sorted(chosen):
        length, path = chosen[seed]
        record = read_record(path)
        config = config or record
        rows.append(np.maximum.accumulate([entry["val"] for entry in record["curve"][:queries]]))
        seconds.append(float(record["wall_s"]) if length == queries and record["wall_s"] is not None else np.nan)
    kept = {name: config[name] for name in ("preset", "config")}
    return Searches(variant, tuple(sorted(chosen)), np.array(rows), np.array(seconds), kept)
