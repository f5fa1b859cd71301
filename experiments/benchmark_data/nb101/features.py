"""Numbers that describe a NAS-Bench-101 cell, for the surrogate: counts, paths, channels, parameters.

All functions work on M cells at once, as (M, 7) labels and (M, 7, 7) adjacency with the output moved to index
6, so that the same place means the same thing in every cell; places between that a small cell does not need
carry the label -1 and no edges.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from invertnas.spaces.nasbench101.graph import CODE_BASE, MAX_NODES, NUM_LABELS, edge_bit

LAST = MAX_NODES - 1
CONV3, CONV1, POOL = range(NUM_LABELS)
# The network around the cell (Ying et al., 2019, section 2.1): three stacks of three cells, channels doubled.
STEM_CHANNELS, STACKS, CELLS_PER_STACK, CLASSES = 128, 3, 3, 10
# Numbers of each operation on one path: (conv3x3, conv1x1, maxpool3x3), at most five together.
COMPOSITIONS = tuple(c for c in itertools.product(range(6), repeat=NUM_LABELS) if sum(c) <= MAX_NODES - 2)
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Blocks = list[npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Cells:
    """M cells in array form.

    Attributes:
        nodes: (M,) number of nodes.
        labels: (M, 7) label of each inner node (0 conv3x3, 1 conv1x1, 2 maxpool3x3), -1 elsewhere.
        edges: (M, 7, 7) adjacency, output at index 6.
    """

    nodes: Ints
    labels: Ints
    edges: Bools

    def __len__(self) -> int:
        return len(self.nodes)


def unpack(codes: npt.NDArray[np.uint32]) -> Cells:
    """Arrays of (M,) cell codes (`invertnas.spaces.nasbench101.graph.cell_code`)."""
    masks, digits = np.divmod(codes.astype(np.int64), CODE_BASE)
    ends = np.array([edge_bit(0, node) for node in range(1, MAX_NODES)])
    nodes = 1 + np.searchsorted(ends, masks, side="right")
    labels = np.full((len(codes), MAX_NODES), -1)
    for place in range(1, LAST):
        power = np.maximum(nodes - 2 - place, 0)
        labels[:, place] = np.where(place < nodes - 1, digits // NUM_LABELS**power % NUM_LABELS, -1)
    edges = np.zeros((len(codes), MAX_NODES, MAX_NODES), bool)
    for source, target in itertools.combinations(range(MAX_NODES), 2):
        edges[:, source, target] = masks & edge_bit(source, target) != 0
    rows = np.flatnonzero(nodes < MAX_NODES)
    ends = nodes[rows] - 1
    edges[rows, :, LAST] = edges[rows, :, ends]
    edges[rows, :, ends] = False
    return Cells(nodes, labels, edges)


def channels(cells: Cells, width: int) -> Ints:
    """(M, 7) channels of each inner node in a cell of `width` output channels; 0 at unused places and ends.

    The nodes that feed the output are concatenated, so they share its channels, the first ones getting one
    more where they do not divide evenly; any other node has as many as the widest node it feeds.
    """
    result = np.zeros((len(cells), MAX_NODES), np.int64)
    feeds = cells.edges[:, :, LAST].copy()
    feeds[:, 0] = False
    count = np.maximum(feeds.sum(1), 1)
    share, rest = np.divmod(width, count)
    place = np.cumsum(feeds, axis=1) - 1
    result[feeds] = (share[:, None] + (place < rest[:, None]))[feeds]
    for node in range(LAST - 1, 0, -1):
        widest = (result * cells.edges[:, node, :]).max(1)
        result[:, node] = np.where(feeds[:, node], result[:, node], widest)
    return result


def parameters(cells: Cells) -> Ints:
    """(M, 4) trainable parameters of a cell's network: in 3x3, in 1x1 convolutions, in projections, in all.

    Every convolution has no bias and is followed by batch normalisation (two numbers per channel). The input
    reaches a node through a 1x1 projection; so does it the output, where it is added.
    """
    totals = np.zeros((len(cells), 3), np.int64)
    given = STEM_CHANNELS
    for stack in range(STACKS):
        width = STEM_CHANNELS * 2**stack
        inside = channels(cells, width)
        for _ in range(CELLS_PER_STACK):
            for column, label, area in ((0, CONV3, 9), (1, CONV1, 1)):
                here = np.where(cells.labels == label, inside, 0)
                totals[:, column] += (area * here**2 + 2 * here).sum(1)
            fed = np.where(cells.edges[:, 0], inside, 0)
            fed[:, LAST] = np.where(cells.edges[:, 0, LAST], width, 0)
            totals[:, 2] += ((given + 2) * fed).sum(1)
            given = width
    stem = 27 * STEM_CHANNELS + 2 * STEM_CHANNELS
    head = (given + 1) * CLASSES
    return np.column_stack((totals, totals.sum(1) + stem + head))


def features(cells: Cells) -> Floats:
    """(M, 282) numbers: sizes, wiring, depths, paths and flow."""
    kinds = np.zeros((len(cells), MAX_NODES, NUM_LABELS + 2), np.float32)
    kinds[:, :, 1:-1] = cells.labels[:, :, None] == np.arange(NUM_LABELS)
    kinds[:, 0, 0] = kinds[:, LAST, -1] = 1
    blocks = [
        *_sizes(cells, kinds),
        *_wiring(cells, kinds),
        *_depths(cells, kinds),
        *_paths(cells),
        *_flow(cells, kinds),
    ]
    return np.concatenate([np.asarray(block, np.float32).reshape(len(cells), -1) for block in blocks], axis=1)


def _sizes(cells: Cells, kinds: Floats) -> Blocks:
    """Nodes, edges, parameters, channels, and the operations in all, after the input and before the output."""
    edges, inner = cells.edges.astype(np.float32), kinds[:, :, 1:-1]
    share = channels(cells, STEM_CHANNELS) / np.float32(STEM_CHANNELS)
    return [
        cells.nodes,
        edges.sum((1, 2)),
        np.log1p(parameters(cells)),
        inner.sum(1),
        share[:, 1:LAST],
        (inner * share[:, :, None]).sum(1),
        np.einsum("mn,mnk->mk", edges[:, :, LAST], kinds),
        np.einsum("mn,mnk->mk", edges[:, :, LAST] * share, inner),
        np.einsum("mn,mnk->mk", edges[:, 0], kinds),
    ]


def _wiring(cells: Cells, kinds: Floats) -> Blocks:
    """The graph itself, sorted degrees, and how often each kind follows each one, and each pair."""
    edges = cells.edges.astype(np.float32)
    before = np.einsum("mua,muv->mva", kinds[:, :, :-1], edges)
    after = np.einsum("muv,mvb->mub", edges, kinds[:, :, 1:])
    rows, columns = np.triu_indices(MAX_NODES, 1)
    return [
        cells.labels[:, 1:LAST],
        edges[:, rows, columns],
        np.sort(edges.sum(1)[:, 1:LAST], axis=1),
        np.sort(edges.sum(2)[:, 1:LAST], axis=1),
        edges[:, 0].sum(1),
        edges[:, :, LAST].sum(1),
        np.einsum("mva,mvb->mab", before, kinds[:, :, 1:]),
        np.einsum("mva,mvo,mvb->maob", before, kinds[:, :, 1:-1], after),
    ]


def _depths(cells: Cells, kinds: Floats) -> Blocks:
    """How many of each operation stand at each longest and shortest distance from input and to output."""
    mirrored = cells.edges[:, ::-1, ::-1].swapaxes(1, 2)
    blocks: Blocks = []
    for edges, inner in ((cells.edges, kinds[:, :, 1:-1]), (mirrored, kinds[:, ::-1, 1:-1])):
        longest, shortest = np.zeros((2, len(cells), MAX_NODES), np.int64)
        shortest[:, 1:] = MAX_NODES
        for node in range(1, MAX_NODES):
            longest[:, node] = np.where(edges[:, :, node], longest + 1, 0).max(1)
            shortest[:, node] = np.where(edges[:, :, node], shortest + 1, MAX_NODES).min(1)
        for distance in (longest, shortest):
            blocks += [np.einsum("mn,mnk->mk", (distance == step).astype(np.float32), inner) for step in range(1, LAST)]
    return blocks


def _paths(cells: Cells) -> Blocks:
    """Paths by their operations, by length, in all; least, most and mean numbers of operations on a path."""
    counts = _path_counts(cells)
    kinds = np.array(COMPOSITIONS)
    total = counts.sum(1)
    measures = np.column_stack((kinds, kinds.sum(1), kinds[:, CONV3] + kinds[:, CONV1]))
    present = counts[:, :, None] > 0
    return [
        counts,
        total,
        *(counts[:, kinds.sum(1) == length].sum(1) for length in range(LAST)),
        np.where(present, measures, -1).max(1),
        np.where(present, measures, MAX_NODES).min(1),
        counts @ measures.astype(np.float32) / total[:, None],
    ]


def _path_counts(cells: Cells) -> Floats:
    """(M, 56) paths from input to output by their numbers of each operation, in the order of COMPOSITIONS."""
    index = {composition: column for column, composition in enumerate(COMPOSITIONS)}
    counts = np.zeros((MAX_NODES, len(cells), len(COMPOSITIONS)), np.float32)
    counts[0, :, index[0, 0, 0]] = 1
    for node in range(1, MAX_NODES):
        arriving = np.einsum("ms,smc->mc", cells.edges[:, :node, node].astype(np.float32), counts[:node])
        if node == LAST:
            return arriving
        for label in range(NUM_LABELS):
            rows = np.flatnonzero(cells.labels[:, node] == label)
            for composition, column in index.items():
                longer = composition[:label] + (composition[label] + 1,) + composition[label + 1 :]
                if longer in index:
                    counts[node, rows, index[longer]] = arriving[rows, column]
    return counts[LAST]


def _flow(cells: Cells, kinds: Floats) -> Blocks:
    """Operations weighted by paths through them and by a walk from the output back along channels and edges."""
    edges, inner = cells.edges.astype(np.float32), kinds[:, :, 1:-1]
    arriving, leaving, walk = np.zeros((3, len(cells), MAX_NODES), np.float32)
    arriving[:, 0] = leaving[:, LAST] = 1
    passed = np.zeros_like(inner)
    degree = np.maximum(edges.sum(1), 1)
    for node in range(1, MAX_NODES):
        arriving[:, node] = (arriving * edges[:, :, node]).sum(1)
        passed[:, node] = inner[:, node] + np.einsum("mu,muk->mk", edges[:, :, node], passed) / degree[:, node, None]
    feeds = edges[:, :, LAST] * channels(cells, STEM_CHANNELS)
    walk += feeds / np.maximum(feeds.sum(1, keepdims=True), 1)
    for node in range(LAST - 1, -1, -1):
        leaving[:, node] = (leaving * edges[:, node]).sum(1)
        walk += edges[:, :, node] * (walk[:, node] / degree[:, node])[:, None]
    last = feeds[:, 1:LAST, None] > 0
    return [
        np.einsum("mn,mnk->mk", arriving * leaving, inner),
        np.einsum("mn,mnk->mk", walk, inner),
        np.where(last, passed[:, 1:LAST], 0).max(1),
        np.where(last, passed[:, 1:LAST], MAX_NODES).min(1),
    ]
