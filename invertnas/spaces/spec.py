"""The architecture type shared by all search spaces: a labelled directed acyclic graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from invertnas.errors import OutOfDomainError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class ArchSpec:
    """An architecture in operation-on-node form.

    Attributes:
        ops: operation index of each node, in node order; length n <= N of the space.
        edges: (source, target) node pairs, sorted; source < target, so the order is topological.

    Raises:
        OutOfDomainError: on construction, if an edge is out of range, not forward, or repeated.
    """

    ops: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        n = len(self.ops)
        for source, target in self.edges:
            if not 0 <= source < target < n:
                raise OutOfDomainError(
                    f"edge ({source}, {target}) is not a forward edge between two of the {n} nodes; "
                    "number the nodes in topological order"
                )
        if list(self.edges) != sorted(set(self.edges)):
            raise OutOfDomainError("edges must be sorted and distinct; pass tuple(sorted(set(edges)))")


@dataclasses.dataclass(frozen=True)
class GraphBatch:
    """A batch of encoded architectures.

    Attributes:
        ops: (B, N, F) float32 one-hot operations; rows of padding nodes are all zero.
        adjacency: (B, N, N) float32 in {0, 1}; entry [b, i, j] is the directed edge i -> j.
    """

    ops: FloatArray
    adjacency: FloatArray

    def __len__(self) -> int:
        return len(self.ops)


def encode_graphs(archs: Sequence[ArchSpec], num_nodes: int, num_ops: int) -> GraphBatch:
    """One-hot operations and directed adjacency, zero-padded at the end to `num_nodes`.

    Args:
        archs: B architectures with at most `num_nodes` nodes.
        num_nodes: N.
        num_ops: F.

    Returns:
        GraphBatch of (B, N, F) and (B, N, N).

    Raises:
        OutOfDomainError: if an architecture has too many nodes or an unknown operation index.
    """
    ops = np.zeros((len(archs), num_nodes, num_ops), np.float32)
    adjacency = np.zeros((len(archs), num_nodes, num_nodes), np.float32)
    for row, arch in enumerate(archs):
        if len(arch.ops) > num_nodes or not all(0 <= op < num_ops for op in arch.ops):
            raise OutOfDomainError(
                f"got {len(arch.ops)} nodes with operations {arch.ops}; expected at most {num_nodes} nodes "
                f"with operations in 0..{num_ops - 1}"
            )
        ops[row, np.arange(len(arch.ops)), arch.ops] = 1.0
        if arch.edges:
            sources, targets = zip(*arch.edges)
            adjacency[row, sources, targets] = 1.0
    return GraphBatch(ops, adjacency)


def split_cells(graphs: GraphBatch, cells: int) -> GraphBatch:
    """The cells of (B, N, F), (B, N, N) graphs as B * cells graphs of N / cells nodes, cell by cell.

    Raises:
        OutOfDomainError: if N is no multiple of `cells`, or an edge joins two cells.
    """
    batch, nodes, width = graphs.ops.shape
    if nodes % cells:
        raise OutOfDomainError(f"got graphs of {nodes} nodes; expected a multiple of {cells} cells")
    size = nodes // cells
    blocks = graphs.adjacency.reshape(batch, cells, size, cells, size)
    inner = blocks[:, np.arange(cells), :, np.arange(cells)].swapaxes(0, 1)
    if inner.sum() != graphs.adjacency.sum():
        raise OutOfDomainError("got an edge between two cells; expected a block-diagonal adjacency")
    return GraphBatch(graphs.ops.reshape(batch * cells, size, width), inner.reshape(batch * cells, size, size))


def join_cells(ops: IntArray, adjacency: IntArray, cells: int) -> tuple[IntArray, IntArray]:
    """Inverse of `split_cells` on (B * cells, n) operation indices and (B * cells, n, n) entries."""
    batch, size = len(ops) // cells, ops.shape[1]
    joined = np.zeros((batch, cells, size, cells, size), adjacency.dtype)
    joined[:, np.arange(cells), :, np.arange(cells)] = adjacency.reshape(batch, cells, size, size).swapaxes(0, 1)
    return ops.reshape(batch, cells * size), joined.reshape(batch, cells * size, cells * size)


def graph_paths(arch: ArchSpec) -> set[tuple[int, ...]]:
    """Operation sequences of all paths from the first to the last node, end points left out.

    This is the set that BANANAS' path encoding marks (White et al., 2021a, section 4).
    """
    successors: dict[int, list[int]] = {}
    for source, target in arch.edges:
        successors.setdefault(source, []).append(target)
    last = len(arch.ops) - 1
    found: set[tuple[int, ...]] = set()
    stack: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    while stack:
        node, path = stack.pop()
        for successor in successors.get(node, ()):
            if successor == last:
                found.add(path)
            else:
                stack.append((successor, path + (arch.ops[successor],)))
    return found
