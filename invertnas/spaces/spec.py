"""The architecture type shared by all search spaces: a labelled directed acyclic graph."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from invertnas.errors import OutOfDomainError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class ArchSpec:
    """An architecture in operation-on-node form. Lists, and NumPy's whole numbers, become tuples and Python's.

    Attributes:
        ops: operation index of each node, in node order; length n <= N of the space.
        edges: (source, target) node pairs, sorted; source < target, so the order is topological.

    Raises:
        OutOfDomainError: on construction, if an edge is out of range, not forward, or repeated, or what is given
            are no whole numbers.
    """

    ops: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if not _is_plain(self.ops, self.edges):
            ops, edges = _plain(self.ops, self.edges)
            object.__setattr__(self, "ops", ops)
            object.__setattr__(self, "edges", edges)
        n = len(self.ops)
        for source, target in self.edges:
            if not 0 <= source < target < n:
                raise OutOfDomainError(
                    f"got edge ({source}, {target}), not a forward edge between two of the {n} nodes; expected "
                    "source < target; number the nodes in topological order"
                )
        if list(self.edges) != sorted(set(self.edges)):
            raise OutOfDomainError(
                f"got edges {self.edges}; expected them to be sorted and distinct; pass tuple(sorted(set(edges)))"
            )


def _is_plain(ops: Any, edges: Any) -> bool:
    """Whether both are tuples of whole numbers of Python, the edges pairs."""
    if not (type(ops) is type(edges) is tuple and set(map(type, ops)) <= {int} and set(map(type, edges)) <= {tuple}):
        return False
    return set(map(len, edges)) <= {2} and set(map(type, itertools.chain.from_iterable(edges))) <= {int}


def _plain(ops: Any, edges: Any) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    try:
        if isinstance(ops, str) or any(isinstance(op, bool) for op in ops):
            raise TypeError("no whole numbers")
        pairs = tuple((operator.index(source), operator.index(target)) for source, target in edges)
        return tuple(operator.index(op) for op in ops), pairs
    except (TypeError, ValueError) as error:
        raise OutOfDomainError(
            f"got operations {ops!r} and edges {edges!r} ({error}); expected whole numbers, and pairs of them; pass "
            "tuples such as ArchSpec((1, 2, 0), ((0, 1), (1, 2)))"
        ) from error


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


def graph_paths(arch: ArchSpec, longest: int | None = None) -> set[tuple[int, ...]]:
    """Operation sequences of paths from the first to the last node, end points left out.

    This is the set that BANANAS' path encoding marks (White et al., 2021a, section 4).

    Args:
        arch: at least two nodes.
        longest: operations on the longest path that is listed; None for all, of which there may be 2^(n - 2).
    """
    last = len(arch.ops) - 1
    into: list[set[tuple[int, ...]]] = [{()}, *(set() for _ in range(last))]
    for source, target in arch.edges:  # sorted, so all edges into the source come before
        if target == last:
            into[last] |= into[source]
        else:
            step = (arch.ops[target],)
            into[target] |= {path + step for path in into[source] if longest is None or len(path) < longest}
    return into[last] if last > 0 else set()
