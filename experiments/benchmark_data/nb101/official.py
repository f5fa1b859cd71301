"""From the official NAS-Bench-101 file to the rows of a table: mean of the three runs of 108 epochs."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from invertnas.benchmarks.nasbench101.benchmark import OFFICIAL, SOURCES
from invertnas.benchmarks.nasbench101.tfrecord import Run
from invertnas.errors import ArtefactError, DataMissingError
from invertnas.spaces.nasbench101.graph import canonical, cell_code, edge_bit, module_hash
from invertnas.spaces.nasbench101.space import INPUT, NUM_CELLS, OP_LABELS, OP_NAMES, OUTPUT, NASBench101Space

EPOCHS = 108
REPEATS = 3
# Floating-point means computed in another order.
TOLERANCE = 1e-12
Means = dict[int, tuple[float, float]]


class Package(Protocol):
    """The method of `nasbench.api.NASBench` that is used."""

    def get_metrics_from_hash(self, module_hash: str) -> tuple[dict[str, Any], dict[int, list[dict[str, float]]]]: ...


def official_means(runs: Iterable[Run], num_cells: int | None = NUM_CELLS) -> Means:
    """Mean validation and test accuracy of every cell, by its code.

    Args:
        runs: runs of a whole file; those of other lengths than 108 epochs are passed over.
        num_cells: number of cells to insist on; None accepts a part of the file.

    Raises:
        ArtefactError: a graph outside the space, a hash that is not that of its graph, a cell without exactly
            three runs, or a wrong number of cells.
    """
    found: dict[int, list[tuple[float, float]]] = {}
    for run in runs:
        if run.epochs == EPOCHS:
            code = _code(run.adjacency, run.operations, run.module_hash)
            found.setdefault(code, []).append((run.val_accuracy, run.test_accuracy))
    odd = [len(repeats) for repeats in found.values() if len(repeats) != REPEATS]
    if odd or not found or (num_cells is not None and len(found) != num_cells):
        raise ArtefactError(
            f"got {len(found)} cells with runs of {EPOCHS} epochs, {len(odd)} of them without exactly {REPEATS}; "
            f"expected {num_cells or 'some'} cells: the file is truncated or another one"
        )
    return {code: (_mean([v for v, _ in runs]), _mean([t for _, t in runs])) for code, runs in found.items()}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


@functools.lru_cache(maxsize=1 << 16)
def _code(adjacency: tuple[str, ...], operations: tuple[str, ...], name: str) -> int:
    """Code of a stored graph; cached, as the runs of a cell mostly stand together."""
    count = len(operations)
    upper = [(x, y) for x in range(count) for y in range(x + 1, count) if adjacency[x][y] == "1"]
    labels = tuple(OP_LABELS[OP_NAMES.index(op)] if op in OP_NAMES else -1 for op in operations[1:-1])
    ends = (OP_NAMES[INPUT], OP_NAMES[OUTPUT])
    backward = len(upper) != sum(row.count("1") for row in adjacency)
    fits = 2 <= count <= 7 and not backward and (operations[0], operations[-1]) == ends
    form = canonical(sum(edge_bit(x, y) for x, y in upper), labels) if fits else None
    if form is None or module_hash(*form) != name:
        raise ArtefactError(
            f"cell {name} has operations {','.join(operations)} and adjacency {''.join(adjacency)}, whose hash is "
            f"{module_hash(*form) if form else 'undefined: it is no cell'}; the file is damaged or another one"
        )
    return cell_code(*form)


def official_table(means: Means, source_sha256: str) -> dict[str, np.ndarray]:
    """Arrays of the table file (`invertnas.benchmarks.nasbench101.benchmark.ARRAYS`); float64 accuracies, unrounded."""
    codes = np.array(sorted(means), np.uint32)
    measured = np.full(len(codes), SOURCES.index("mean of three runs"), np.uint8)
    return {
        "steps": np.diff(codes, prepend=np.uint32(0)),
        "val": np.array([means[code][0] for code in codes.tolist()]),
        "test": np.array([means[code][1] for code in codes.tolist()]),
        "denominator": np.array(1),
        "val_source": measured,
        "test_source": measured,
        "origin": np.array(OFFICIAL),
        "source_sha256": np.array(source_sha256),
    }


def open_package(path: Path) -> Package:
    """The file through the benchmark's own package. Raises DataMissingError if that cannot be imported."""
    try:
        module = importlib.import_module("nasbench.api")
    except (ImportError, AttributeError) as error:
        raise DataMissingError(
            f"comparing needs the package nasbench with TensorFlow 1.15 ({error}); leave out --compare, or run it "
            "where the package can be imported"
        ) from error
    package: Package = module.NASBench(str(path))
    return package


def compare(package: Package, means: Means, codes: Iterable[int]) -> int:
    """Check that the benchmark's package gives the same means for some cells.

    Returns:
        The number of cells compared.

    Raises:
        ArtefactError: a mean differs.
    """
    space, compared = NASBench101Space(), 0
    for code in codes:
        name = space.identity(space.from_code(code))
        runs = package.get_metrics_from_hash(name)[1][EPOCHS]
        theirs = tuple(_mean([run[f"final_{kind}_accuracy"] for run in runs]) for kind in ("validation", "test"))
        if not np.allclose(theirs, means[code], rtol=0, atol=TOLERANCE):
            raise ArtefactError(f"cell {name}: the package nasbench gives {theirs}, this reader {means[code]}")
        compared += 1
    return compared
