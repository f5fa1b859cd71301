"""Labelled graphs of NAS-Bench-101 as integers: pruning, one canonical form per cell, hash, enumeration.

A graph on n nodes is a bit mask: bit x + y (y - 1) / 2 is the edge x -> y, x < y (Ying et al., 2019). A
labelling gives each inner node a label in the benchmark's order: 0 conv3x3, 1 conv1x1, 2 maxpool3x3.
Isomorphic graphs have one canonical form: the smallest mask and, for that mask, the smallest labelling over
all renumberings of the inner nodes that keep every edge forward. It is the one that the benchmark stores,
because its generator counts upwards through masks and labellings.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

MAX_NODES = 7
MAX_EDGES = 9
NUM_LABELS = 3
Labels = tuple[int, ...]
# Labellings of five inner nodes: the factor between a mask and the code of a cell.
CODE_BASE = NUM_LABELS ** (MAX_NODES - 2)
_CACHE = 1 << 16


def edge_bit(source: int, target: int) -> int:
    """The mask with the one edge source -> target."""
    return 1 << (source + target * (target - 1) // 2)


@functools.lru_cache(maxsize=_CACHE)
def mask_edges(mask: int) -> tuple[tuple[int, int], ...]:
    """The edges of a mask, sorted."""
    pairs = ((x, y) for x in range(MAX_NODES) for y in range(x + 1, MAX_NODES))
    return tuple((x, y) for x, y in pairs if mask & edge_bit(x, y))


@functools.lru_cache(maxsize=_CACHE)
def prune_mask(mask: int, nodes: int) -> tuple[int, tuple[int, ...]]:
    """Drop every node that is on no path from the first to the last node.

    Args:
        mask: edges between `nodes` nodes.
        nodes: at least 2.

    Returns:
        The mask of the nodes left, numbered anew, and their old numbers; (0, ()) if no path is left.
    """
    edges = mask_edges(mask)
    forward, backward = {0}, {nodes - 1}
    for source, target in edges:
        if source in forward:
            forward.add(target)
    for source, target in reversed(edges):
        if target in backward:
            backward.add(source)
    kept = tuple(sorted(forward & backward))
    if len(kept) < 2:
        return 0, ()
    number = {node: new for new, node in enumerate(kept)}
    return sum(edge_bit(number[x], number[y]) for x, y in edges if x in number and y in number), kept


@functools.lru_cache(maxsize=None)
def _renumberings(nodes: int) -> tuple[tuple[Labels, ...], npt.NDArray[np.int64]]:
    """All orders of the inner nodes, and (orders, edges) the bit that each edge becomes.

    An order lists the old inner node (from 0) at each new place. An edge that would point backwards becomes a
    number above every mask, so that a sum over edges shows it.
    """
    orders = tuple(itertools.permutations(range(nodes - 2)))
    moved = np.full((len(orders), nodes * (nodes - 1) // 2), 1 << 40, np.int64)
    for row, order in enumerate(orders):
        place = [0] + [order.index(old) + 1 for old in range(nodes - 2)] + [nodes - 1]
        for target in range(1, nodes):
            for source in range(target):
                if place[source] < place[target]:
                    moved[row, source + target * (target - 1) // 2] = edge_bit(place[source], place[target])
    return orders, moved


@functools.lru_cache(maxsize=_CACHE)
def smallest_mask(mask: int, nodes: int) -> tuple[int, tuple[Labels, ...]]:
    """The smallest mask over all renumberings, and every order of the inner nodes that leads to it."""
    orders, moved = _renumberings(nodes)
    edges = [x + y * (y - 1) // 2 for x, y in mask_edges(mask)]
    masks = moved[:, edges].sum(axis=1)
    smallest = int(masks.min())
    return smallest, tuple(orders[row] for row in np.flatnonzero(masks == smallest))


def number_forward(
    edges: Sequence[tuple[int, int]], inner: Sequence[int], last: int
) -> tuple[int, tuple[int, ...]] | None:
    """Number the nodes of a graph so that every edge points forward.

    Args:
        edges: between node 0, the nodes `inner` and the node `last`; none into 0, none out of `last`.
        inner: old numbers; where the edges leave a choice, the one given first stays first.
        last: old number of the last node.

    Returns:
        The mask and the old number at each inner place; None if the edges have a cycle.
    """
    left, order = list(inner), [0]
    while left:
        ready = [node for node in left if not any(y == node and x in left for x, y in edges)]
        if not ready:
            return None
        order.append(ready[0])
        left.remove(ready[0])
    place = {old: new for new, old in enumerate((*order, last))}
    return sum(edge_bit(place[x], place[y]) for x, y in edges), tuple(order[1:])


def canonical(mask: int, labels: Labels) -> tuple[int, Labels] | None:
    """Pruned canonical form of a graph with the inner labels `labels`.

    Args:
        mask: edges between len(labels) + 2 nodes.
        labels: labels of the inner nodes; one outside 0..2 marks a node that must not be part of a cell.

    Returns:
        Mask and labels of the canonical form, or None if no path leads from the first to the last node, if
        more than nine edges are left, or a node with a foreign label.
    """
    pruned, kept = prune_mask(mask, len(labels) + 2)
    if not kept or pruned.bit_count() > MAX_EDGES:
        return None
    inner = tuple([labels[node - 1] for node in kept[1:-1]])
    if inner and not 0 <= min(inner) <= max(inner) < NUM_LABELS:
        return None
    smallest, orders = smallest_mask(pruned, len(kept))
    if len(orders) == 1:
        return smallest, tuple([inner[old] for old in orders[0]])
    return smallest, min(tuple([inner[old] for old in order]) for order in orders)


@functools.lru_cache(maxsize=_CACHE)
def _adjacent(mask: int, nodes: int) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """Predecessors and successors of every node."""
    edges = mask_edges(mask)
    return tuple(
        (tuple(x for x, y in edges if y == node), tuple(y for x, y in edges if x == node)) for node in range(nodes)
    )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@functools.lru_cache(maxsize=None)
def _node_hash(out_degree: int, in_degree: int, label: int) -> str:
    return _md5(f"({out_degree}, {in_degree}, {label})")


def _joined(hashes: list[str], nodes: tuple[int, ...]) -> str:
    """The hashes of some nodes, sorted, as one text; short ways for one and two nodes, the usual numbers."""
    if len(nodes) == 1:
        return hashes[nodes[0]]
    if len(nodes) == 2:
        first, second = hashes[nodes[0]], hashes[nodes[1]]
        return first + second if first < second else second + first
    return "".join(sorted([hashes[node] for node in nodes]))


@functools.lru_cache(maxsize=_CACHE)
def module_hash(mask: int, labels: Labels) -> str:
    """The isomorphism-invariant MD5 name that NAS-Bench-101 gives a pruned cell (Ying et al., 2019, App. S1).

    Every node starts with the hash of (out-degree, in-degree, label), where input is -1 and output -2. As many
    times as there are nodes, it is replaced by the hash of its sorted predecessors' hashes, its sorted
    successors' and its own. The cell's hash is that of the sorted list.
    """
    neighbours = _adjacent(mask, len(labels) + 2)
    kinds = (-1, *labels, -2)
    hashes = [_node_hash(len(after), len(before), kind) for (before, after), kind in zip(neighbours, kinds)]
    for _ in kinds:
        hashes = [
            _md5(f"{_joined(hashes, before)}|{_joined(hashes, after)}|{own}")
            for (before, after), own in zip(neighbours, hashes)
        ]
    return _md5(str(sorted(hashes)))


@functools.lru_cache(maxsize=None)
def canonical_masks(nodes: int) -> tuple[int, ...]:
    """Canonical masks of all graphs on `nodes` nodes with at most nine edges that pruning leaves as they are."""
    masks = np.arange(1 << (nodes * (nodes - 1) // 2), dtype=np.int64)
    masks = masks[np.bitwise_count(masks) <= MAX_EDGES]
    for node in range(nodes):
        before = sum(edge_bit(source, node) for source in range(node))
        after = sum(edge_bit(node, target) for target in range(node + 1, nodes))
        for needed in filter(None, (before, after)):
            masks = masks[masks & needed != 0]
    smallest = np.ones(len(masks), bool)
    for moved in _renumberings(nodes)[1]:
        # Few masks survive the first renumberings, so only those are looked at again.
        left = np.flatnonzero(smallest)
        sums = sum(((masks[left] >> edge) & 1) * int(bit) for edge, bit in enumerate(moved))
        smallest[left] = sums >= masks[left]
    return tuple(masks[smallest].tolist())


def labellings(mask: int, nodes: int) -> Iterator[Labels]:
    """The canonical labellings of a canonical mask, in lexicographic order."""
    _, orders = smallest_mask(mask, nodes)
    for labels in itertools.product(range(NUM_LABELS), repeat=nodes - 2):
        if all(labels <= tuple([labels[old] for old in order]) for order in orders):
            yield labels


def cell_code(mask: int, labels: Labels) -> int:
    """A number below 2^32 that names a canonical form: mask * 243 + labels read in base three.

    The mask tells the number of nodes, as an edge into the last node is among its highest bits.
    """
    return mask * CODE_BASE + functools.reduce(lambda number, label: number * NUM_LABELS + label, labels, 0)
