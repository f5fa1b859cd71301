"""Validity by AG-Net's rules: valid graphs pass, what is pruned passes, what is not is rejected, slow code agrees."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.studies.agnet_rules import valid_cells, valid_nasbench301, valid_nasbench_nlp
from invertnas.spaces import ArchSpec, NASBench101Space, NASBench201Space, NASBench301Space, NASBenchNLPSpace
from invertnas.spaces.base import SearchSpace

SPACES: tuple[SearchSpace, ...] = (NASBench101Space(), NASBench201Space(), NASBench301Space(), NASBenchNLPSpace())
DARTS, NLP = NASBench301Space(), NASBenchNLPSpace()
CELL = DARTS.from_string(
    "normal:|max_pool_3x3~0|skip_connect~1|+|sep_conv_3x3~0|sep_conv_3x3~2|+|skip_connect~1|dil_conv_3x3~3|"
    "+|avg_pool_3x3~0|sep_conv_5x5~4|;reduce:|max_pool_3x3~0|skip_connect~1|+|sep_conv_3x3~0|sep_conv_3x3~1|"
    "+|skip_connect~1|dil_conv_3x3~2|+|avg_pool_3x3~2|sep_conv_5x5~3|"
)
ONE_STATE = NLP.from_string("linear(x,h0);tanh(0)->1")
THREE_STATES = NLP.from_string("linear(x,h0);linear(x,h1);linear(x,h2);sum(0,1);prod(2,3)->4,0,1")


def arrays(space: SearchSpace, *archs: ArchSpec) -> tuple[np.ndarray, np.ndarray]:
    graphs = space.encode(archs)
    return graphs.ops.argmax(axis=-1), graphs.adjacency.astype(np.int64)


def judged(space: SearchSpace, ops: np.ndarray, adjacency: np.ndarray) -> tuple[bool, list[bool]]:
    """Of a batch of one: valid in the space, and each cell by AG-Net's rules."""
    return space.decode(ops, adjacency)[0] is not None, valid_cells(space, ops, adjacency)[0].tolist()


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_architectures_are_valid(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(200)]
    if isinstance(space, NASBenchNLPSpace):
        archs += [space.sample_states(rng, states) for states in (1, 3) for _ in range(100)]
    valid = valid_cells(space, *arrays(space, *archs))
    assert valid.shape == (len(archs), space.num_cells) and valid.all()


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_what_the_space_accepts_the_rules_accept(space: SearchSpace) -> None:
    rng = np.random.default_rng(1)
    ops, adjacency = disturbed(space, rng, 800)
    strict = np.array([arch is not None for arch in space.decode(ops, adjacency)])
    lenient = valid_cells(space, ops, adjacency).all(axis=1)
    assert 0 < strict.sum() < len(strict) and (lenient >= strict).all()
    larger = space.name in ("nasbench301", "nasbench_nlp")
    assert lenient.sum() > strict.sum() if larger else (lenient == strict).all()


# Nodes of a cell: inputs 0 and 1, blocks (2, 3), (4, 5), (6, 7), (8, 9), output 10.
@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([(1, 4)], True),  # a third input
        ([(2, 8), (3, 9), (6, 8)], True),  # four inputs
        ([(3, 4)], True),  # one of the two operations of an earlier block
        ([(1, 5), (2, 5)], True),  # another input, and one operation of an earlier block in place of both
        ([(5, 4), (9, 2), (10, 3)], True),  # from the block itself, from later nodes
        ([(0, 1)], True),  # between the inputs
        ([(0, 4)], False),  # one input is left
        ([(0, 4), (6, 4)], False),  # and one from a later block does not help
        ([(0, 10)], False),  # a cell input into the output
        ([(7, 10)], False),  # an operation that does not reach the output
    ],
)
def test_surplus_inputs_of_a_block_are_dropped(edges: list[tuple[int, int]], expected: bool) -> None:
    for cell in range(2):
        ops, adjacency = arrays(DARTS, CELL if cell == 0 else swapped(CELL))
        for source, target in edges:
            adjacency[0, 11 * cell + source, 11 * cell + target] ^= 1
        assert judged(DARTS, ops, adjacency) == (False, [expected, True][:: 1 - 2 * cell])


def swapped(arch: ArchSpec) -> ArchSpec:
    return DARTS.from_compact(DARTS.to_compact(arch)[::-1])


@pytest.mark.parametrize(("node", "op"), [(0, 2), (1, 1), (2, 0), (5, 1), (9, 2), (10, 3)])
def test_wrong_kinds_of_nodes_of_nasbench301_are_rejected(node: int, op: int) -> None:
    ops, adjacency = arrays(DARTS, CELL)
    ops[0, 11 + node] = op
    assert judged(DARTS, ops, adjacency) == (False, [True, False])


# Nodes: x, h_prev_0 to h_prev_2, five operations 4 to 8, state 9, output 10.
@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([(6, 9)], True),  # a third node in `state`
        ([(6, 10), (7, 10)], True),  # five states, two of them surplus
        ([(1, 7), (0, 8), (3, 8)], True),  # too many inputs, and x read by a product
        ([(0, 4)], True),  # a linear node with one input
        ([(9, 10)], True),  # `state` aside, only h_new_0 is left
        ([(8, 4), (10, 5), (8, 8)], True),  # backward edges
        ([(8, 10)], False),  # h_new_0 is missing
        ([(8, 10), (8, 9), (2, 10)], False),  # it is an input
        ([(8, 10), (8, 9)], False),  # its node is in `state` instead
        ([(8, 10), (7, 10)], False),  # the last operation is no state
        ([(8, 10), (7, 10), (8, 9)], True),
        ([(8, 10), (7, 10), (8, 9), (9, 10)], False),  # in a `state` without an edge into the output
    ],
)
def test_surplus_states_are_dropped_and_arity_is_not_looked_at(edges: list[tuple[int, int]], expected: bool) -> None:
    ops, adjacency = arrays(NLP, THREE_STATES)
    for source, target in edges:
        adjacency[0, source, target] ^= 1
    assert judged(NLP, ops, adjacency) == (False, [expected])


@pytest.mark.parametrize(("node", "op"), [(0, 2), (2, 1), (3, 6), (4, 1), (6, 5), (8, 3), (5, 0), (9, 4), (10, 6)])
def test_wrong_kinds_of_nodes_of_nasbench_nlp_are_rejected(node: int, op: int) -> None:
    ops, adjacency = arrays(NLP, THREE_STATES)
    ops[0, 11:] = 6
    assert judged(NLP, ops, adjacency) == (True, [True]), "what follows the output is padding"
    ops[0, node] = op
    assert judged(NLP, ops, adjacency) == (False, [False])


def test_a_cell_needs_an_operation_and_at_most_42_edges() -> None:
    ops, adjacency = arrays(NLP, ONE_STATE)
    ops[0, 4:6] = 0, 6
    adjacency[0, 3, 4] = 1
    assert judged(NLP, ops, adjacency) == (False, [False]), "no operation"
    ops = np.array([[1, 2, 3, 4, *[9] * 8, 5, 0]])
    adjacency = np.zeros((1, 14, 14), np.int64)
    adjacency[0, 8:12, 13] = 1  # four states, one of them dropped
    sources, targets = np.triu_indices(12, 1)
    adjacency[0, sources[:39], targets[:39]] = 1
    assert valid_nasbench_nlp(ops, adjacency).tolist() == [True]
    adjacency[0, sources[39], targets[39]] = 1
    assert valid_nasbench_nlp(ops, adjacency).tolist() == [False]


@pytest.mark.parametrize("operations", [21, 22])
def test_a_graph_has_at_most_26_nodes(operations: int) -> None:
    ops, adjacency = np.array([[1, 2, 3, 4, *[9] * operations, 0]]), np.zeros((1, 5 + operations, 5 + operations), int)
    adjacency[0, -2, -1] = 1
    assert valid_nasbench_nlp(ops, adjacency).tolist() == [operations == 21]


def disturbed(space: SearchSpace, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Architectures with a few entries of the adjacency changed, and in every fourth graph a node."""
    ops, adjacency = arrays(space, *(space.sample(rng) for _ in range(count)))
    size = space.num_nodes // space.num_cells
    for row in range(count):
        for _ in range(int(rng.integers(5))):
            shift = size * int(rng.integers(space.num_cells))
            source, target = rng.integers(size, size=2) + shift
            adjacency[row, source, target] ^= 1
        if row % 4 == 0:
            ops[row, rng.integers(space.num_nodes)] = rng.integers(len(space.op_names))
    return ops, adjacency


def slow_nasbench301(ops: list[int], edge: np.ndarray) -> bool:
    names = [DARTS.op_names[op] for op in ops]
    if names[0] != "input_0" or names[1] != "input_1" or names[10] != "output":
        return False
    if {"output", "input_0", "input_1"} & set(names[2:10]):
        return False
    if [bool(edge[node, 10]) for node in range(10)] != [False] * 2 + [True] * 8:
        return False
    for block in range(4):
        own = (2 + 2 * block, 3 + 2 * block)
        groups = [(0,), (1,), *((2 + 2 * other, 3 + 2 * other) for other in range(block))]
        found = [group for group in groups if any(edge[source, target] for source in group for target in own)]
        kept = found[:2]  # whichever: the score tells which, not how many
        if len(kept) != 2:
            return False
    return True


def slow_nasbench_nlp(ops: list[int], edge: np.ndarray) -> bool:
    names = [NLP.op_names[op] for op in ops]
    if "output" not in names:
        return False
    end = names.index("output")
    nodes = [node for node in range(end) if not (node == end - 1 and names[node] == "state")]
    if [names[node] for node in nodes[:4]] != ["x", "h_prev_0", "h_prev_1", "h_prev_2"] or len(nodes) < 5:
        return False
    if any(names[node] not in NLP.op_names[6:] for node in nodes[4:]):
        return False
    states = {node for node in nodes if edge[node, end]}
    if not states & set(nodes[4:]):
        return False
    if names[end - 1] == "state" and edge[end - 1, end]:
        states |= {node for node in nodes if edge[node, end - 1]}
    if nodes[-1] not in states:
        return False
    inner = sum(bool(edge[source, target]) for target in nodes for source in nodes if source < target)
    return len(nodes) + 1 <= 26 and inner + min(len(states), 3) <= 42


def test_slow_references_agree() -> None:
    rng = np.random.default_rng(2)
    ops, adjacency = disturbed(DARTS, rng, 500)
    cells, edges = ops.reshape(-1, 11), np.concatenate([adjacency[:, :11, :11], adjacency[:, 11:, 11:]], axis=1)
    valid = valid_nasbench301(cells, edges.reshape(-1, 11, 11))
    assert valid.tolist() == [slow_nasbench301(o, a) for o, a in zip(cells.tolist(), edges.reshape(-1, 11, 11))]
    assert 0.1 < valid.mean() < 0.9
    joined = valid_cells(DARTS, ops, adjacency)
    np.testing.assert_array_equal(joined.ravel(), valid)
    ops, adjacency = disturbed(NLP, rng, 1000)
    random = rng.integers(0, 2, size=adjacency[:500].shape)  # about every edge in two: some graphs have too many
    adjacency[:500] |= random
    valid = valid_nasbench_nlp(ops, adjacency)
    assert valid.tolist() == [slow_nasbench_nlp(o, a) for o, a in zip(ops.tolist(), adjacency)]
    assert 0.1 < valid[:500].mean() < 0.9 and 0.1 < valid[500:].mean() < 0.9
