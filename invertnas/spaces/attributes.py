"""Attributes of an architecture that its graph tells without any training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec, FloatArray

OF_GRAPH = ("edges", "log paths", "longest path", "mean path")


def attribute_names(space: SearchSpace) -> tuple[str, ...]:
    """Names of the A columns of `graph_attributes`: for each cell the operations, then `OF_GRAPH`."""
    of_cell = (*(space.op_names[op] for op in space.inner_ops), *OF_GRAPH)
    return tuple(f"{name} of cell {cell}" for cell in range(space.num_cells) for name in of_cell)


def graph_attributes(space: SearchSpace, archs: Sequence[ArchSpec]) -> FloatArray:
    """(B, A) counts that grow with size and depth of each cell.

    For each cell: how often each of `space.inner_ops` stands in it; its edges; log(1 + p) of the number p of different
    operation sequences from input to output (`space.paths`); the longest and the mean length of these, in operations;
    0 without any.

    Args:
        space: gives operations, cells and paths.
        archs: B architectures of the space.
    """
    rows = [[value for cell in _cells(space, arch) for value in cell] for arch in archs]
    return np.array(rows, np.float32).reshape(len(archs), len(attribute_names(space)))


def _cells(space: SearchSpace, arch: ArchSpec) -> list[list[float]]:
    size = space.num_nodes // space.num_cells  # several cells are blocks of this size, a single one may be smaller
    found = list[list[float]]()
    parts = space.paths(arch)
    if space.num_cells == 1:  # a chain of layers has a set for each of them
        parts = (set[tuple[int, ...]]().union(*parts),)
    for cell, paths in enumerate(parts):
        ops = arch.ops[cell * size : (cell + 1) * size]
        edges = sum(cell * size <= source < (cell + 1) * size for source, _ in arch.edges)
        lengths = [len(path) for path in paths] or [0]
        of_paths = (float(np.log1p(len(paths))), float(max(lengths)), float(np.mean(lengths)))
        found.append([*(float(ops.count(op)) for op in space.inner_ops), float(edges), *of_paths])
    return found
