"""How the accuracies of a task are distributed over its space: what regret and rank are measured by.

A space that can be listed is taken whole. Of the others a fixed random sample is kept in a file, and the best is the
best that the sample or any search of the suite has shown.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.searches.benchmarks import open_analysis, open_benchmark
from experiments.suite.tasks import Task
from invertnas.files.io import read_arrays, write_arrays
from invertnas.seeding import generator
from invertnas.spaces.records import record_of

SAMPLES = 5_000
SEED = 0
Values = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Landscape:
    """Accuracies of a task.

    Attributes:
        values: (M,) fractions, ascending: of every architecture, or of a sample.
        best: the highest of the whole space, or the highest seen.
        exact: whether `values` is the whole space.
    """

    values: Values
    best: float
    exact: bool

    @property
    def mean(self) -> float:
        """Mean of the space."""
        return float(self.values.mean())

    def seen(self, best: float) -> Landscape:
        """With the best of searches taken in, where the space's own is not known."""
        return self if self.exact else dataclasses.replace(self, best=max(self.best, best))

    def regret(self, incumbents: Values) -> Values:
        """(best - incumbent) / (best - mean): 0 at the best, 1 at the mean of the space."""
        return (self.best - incumbents) / (self.best - self.mean)

    def rank(self, incumbents: Values) -> Values:
        """Share of the space that is better than the incumbent."""
        return 1 - np.searchsorted(self.values, incumbents, side="right") / len(self.values)


def landscape(task: Task, folder: Path) -> Landscape:
    """The task's landscape; a sample is drawn once and read from `<folder>/sample_<task>.npz` from then on."""
    if record_of(task.benchmark).size is not None:
        whole = open_analysis(task.benchmark)
        values = np.sort(_objective(whole, task.dataset))
        return Landscape(values, float(values[-1]), exact=True)
    values = np.sort(_sampled(task, folder / f"sample_{task.name}.npz"))
    return Landscape(values, float(values[-1]), exact=False)


def _objective(analysis: object, dataset: str) -> Values:
    table = analysis.table(dataset)  # type: ignore[attr-defined]
    column = "test" if dataset.endswith("-test") else "val"
    return np.asarray(table[column], np.float64)


def _sampled(task: Task, path: Path) -> Values:
    bench = open_benchmark(task.benchmark, SAMPLES)
    if path.is_file():
        stored = read_arrays(path)
        if str(stored["labels"]) == bench.labels and len(stored["values"]) == SAMPLES:
            return stored["values"].astype(np.float64)
    rng = generator(SEED, "suite-sample")
    drawn = [bench.query(bench.space.sample(rng), task.dataset) for _ in range(SAMPLES)]
    write_arrays(path, {"values": np.array(drawn), "labels": np.array(bench.labels)}, compress=True)
    return np.array(drawn)
