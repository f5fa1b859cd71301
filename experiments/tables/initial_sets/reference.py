"""Among what an architecture is ranked: the accuracies of a whole space, or of a fixed sample. Reports only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from experiments.searches.benchmarks import benchmark_title, open_analysis, open_benchmark, space_of
from invertnas.files.io import read_arrays, write_arrays
from invertnas.initial.base import RandomInitial

FloatArray = npt.NDArray[np.float64]
REFERENCE = "reference"  # folder below the results
SAMPLE, SEED = 10_000, 1_000_000  # distinct random samples, of a seed that no trial has


def reference_accuracies(benchmark: str, dataset: str, out: Path) -> FloatArray:
    """(M,) validation accuracies: of every cell where there is a table, else of `SAMPLE` random ones.

    NAS-Bench-301 and NAS-Bench-NLP have no table: their labels answer for each architecture of the sample, at the
    seconds and minutes of a surrogate, so that the answers are kept in `<out>/reference/`; they are
    asked for again where the labels have changed.
    """
    analysis = open_analysis(benchmark)
    if hasattr(analysis, "table"):
        return np.asarray(analysis.table(dataset)["val"], np.float64)
    path = out / REFERENCE / f"{benchmark}_{dataset}.npz"
    made = {"labels": np.array(open_benchmark(benchmark, 1).labels), "sample": np.array([SAMPLE, SEED])}
    if path.exists():
        stored = read_arrays(path)
        if all(np.array_equal(stored.get(name, ()), value) for name, value in made.items()):
            return np.asarray(stored["val"], np.float64)
    archs = RandomInitial().choose(space_of(benchmark), SAMPLE, SEED)
    bench = open_benchmark(benchmark, len(archs))
    title = f"reference of {benchmark_title(benchmark)}"
    values = np.array([bench.query(arch, dataset) for arch in tqdm(archs, desc=title, unit="arch")])
    write_arrays(path, {**made, "val": values}, compress=True)
    return values
