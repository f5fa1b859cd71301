"""Validity of decoded graphs by the rules of AG-Net's code (Lukasik et al., 2022), which repair before they judge.

The source is `Measurements._compute_validity_score` of the authors' repository, jovitalukasik/AG-Net. On NAS-Bench-101
(the benchmark's own check, after pruning) and NAS-Bench-201 (the exact adjacency, input and output in place, no further
input) the rules are those of the space, which judges there. On the two larger spaces:

* NAS-Bench-301: the inner nodes of a cell are operations. A block, both of its operation nodes together, has an edge
  from at least two inputs, each a cell input or any operation node of an earlier block. Of more than two, the two with
  the highest edge scores are kept; edges from the block itself or from later nodes are dropped.
* NAS-Bench-NLP: the nodes before the first output are four inputs, then operations only; the last of them is a hidden
  state, which is a node with an edge into the output. Of more than three hidden states, the three with the highest
  scores are kept. At most 26 nodes and 42 edges are left. How many inputs an operation has is not looked at.

The scores thus choose what is kept, never whether a graph is valid: a cell passes if there is enough to keep, and is
rejected with one input in a block however probable a second is. So the most probable graph is all that is needed.

Where the rules say nothing because AG-Net's generator cannot do otherwise, or know nothing of the graphs used here, the
stricter reading is taken:

* The two inputs of a NAS-Bench-301 cell and its output must be decoded as such, the four inputs of NAS-Bench-NLP as x,
  h_prev_0, h_prev_1 and h_prev_2 in that order (AG-Net sets the first node and the last, and has one class of inputs).
* On NAS-Bench-301 all eight operations have an edge into the output, and the cell inputs none (AG-Net does not look).
* Backward edges make a graph of NAS-Bench-101 and 201 invalid, as in the space; on the larger spaces they are dropped
  (AG-Net's generator has forward edges only).
* On NAS-Bench-NLP the hidden states are the nodes with an edge into `output`, or into the node `state` before it if
  that has an edge into `output`; `state` itself is no node of AG-Net's and is left out. One of the operations must
  have an edge into `output` itself, else there is no h_new_0, which AG-Net does not tell from the other states.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from invertnas.spaces.base import SearchSpace
from invertnas.spaces.nasbench301 import space as nasbench301
from invertnas.spaces.nasbench301.cells import CELL_NODES, NUM_BLOCKS, NUM_PAIRS
from invertnas.spaces.nasbench_nlp import cell as nlp_cell
from invertnas.spaces.nasbench_nlp.space import INPUT_OPS
from invertnas.spaces.records import NB301, NBNLP
from invertnas.spaces.spec import IntArray

BoolArray = npt.NDArray[np.bool_]
BLOCK_INPUTS = 2
MAX_NODES, MAX_EDGES = 26, 42  # of a NAS-Bench-NLP graph


def valid_cells(space: SearchSpace, ops: IntArray, adjacency: IntArray) -> BoolArray:
    """Which cells of B decoded architectures are valid by AG-Net's rules.

    Args:
        space: C cells; one that the rules do not name, or name alike, judges whole architectures itself.
        ops: (B, N) operation indices, all cells joined.
        adjacency: (B, N, N) 0/1 entries.

    Returns:
        (B, C), or (B, 1) where the space judges.
    """
    if space.name == NB301.name:
        size, cells = CELL_NODES, nasbench301.NUM_CELLS
        blocks = adjacency.reshape(-1, cells, size, cells, size)
        inner = np.stack([blocks[:, cell, :, cell] for cell in range(cells)], axis=1)
        return valid_nasbench301(ops.reshape(-1, size), inner.reshape(-1, size, size)).reshape(-1, cells)
    if space.name == NBNLP.name:
        return valid_nasbench_nlp(ops, adjacency)[:, None]
    return np.array([arch is not None for arch in space.decode(ops, adjacency)], bool)[:, None]


def valid_nasbench301(ops: IntArray, adjacency: IntArray) -> BoolArray:
    """(B,) of single cells: (B, 11) operation indices and (B, 11, 11) entries."""
    edges, kinds = adjacency != 0, ops[:, 2:-1]
    ends = (nasbench301.INPUT_0, nasbench301.INPUT_1, nasbench301.OUTPUT)
    valid = (ops[:, [0, 1, -1]] == ends).all(axis=1)
    valid &= ((kinds >= nasbench301.FIRST_OP) & (kinds < len(nasbench301.OP_NAMES))).all(axis=1)
    valid &= edges[:, 2:-1, -1].all(axis=1) & ~edges[:, :2, -1].any(axis=1)
    reads = edges[:, :-1, 2:-1].reshape(-1, 2 + NUM_PAIRS, NUM_BLOCKS, 2).any(axis=3)
    earlier = reads[:, 2:].reshape(-1, NUM_BLOCKS, 2, NUM_BLOCKS).any(axis=2) & np.tri(NUM_BLOCKS, k=-1, dtype=bool).T
    return valid & (reads[:, :2].sum(axis=1) + earlier.sum(axis=1) >= BLOCK_INPUTS).all(axis=1)


def valid_nasbench_nlp(ops: IntArray, adjacency: IntArray) -> BoolArray:
    """(B,) of (B, N) operation indices and (B, N, N) entries; what follows the first output is padding."""
    edges, rows, first = adjacency != 0, np.arange(len(ops)), nlp_cell.NUM_INPUTS
    output = (ops == nlp_cell.OUTPUT).argmax(axis=1)
    state = ops[rows, output - 1] == nlp_cell.STATE
    count = output - state  # inputs and operations
    inside = np.arange(ops.shape[1]) < count[:, None]
    valid = (ops == nlp_cell.OUTPUT).any(axis=1) & (count < MAX_NODES)
    valid &= (ops[:, :first] == INPUT_OPS).all(axis=1)
    valid &= (np.isin(ops, nlp_cell.INNER_OPS) | ~inside)[:, first:].all(axis=1)
    direct = edges[rows, :, output] & inside
    through = edges[rows, :, output - 1] & inside & (state & edges[rows, output - 1, output])[:, None]
    hidden = direct | through
    valid &= hidden[rows, count - 1] & direct[:, first:].any(axis=1)
    forward = np.triu(edges & inside[:, :, None] & inside[:, None, :], k=1).sum(axis=(1, 2))
    return valid & (forward + np.minimum(hidden.sum(axis=1), nlp_cell.MAX_STATES) <= MAX_EDGES)
