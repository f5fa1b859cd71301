"""The NAS-Bench-NLP space: recipes, graphs, canonical order, decoding, paths."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from invertnas.benchmarks.nasbench_nlp.benchmark import NASBenchNLPAnalysis
from invertnas.errors import OutOfDomainError
from invertnas.spaces import ArchSpec, SearchSpace
from invertnas.spaces.nasbench_nlp.cell import (
    BLEND,
    H_PREV,
    LINEAR,
    OUTPUT,
    PROD,
    SIGM,
    STATE,
    SUM,
    TANH,
    Cell,
    X,
    canonical,
)
from invertnas.spaces.nasbench_nlp.recipes import from_recipe, to_recipe
from invertnas.spaces.nasbench_nlp.sampling import random_cell
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace

SPACE = NASBenchNLPSpace()
INPUTS = (X, *H_PREV)


def node(op: str, *inputs: str) -> dict[str, Any]:
    return {"op": op, "input": list(inputs)}


GRU = {
    "r": node("linear", "x", "h_prev_0"),
    "r_act": node("activation_sigm", "r"),
    "z": node("linear", "x", "h_prev_0"),
    "z_act": node("activation_sigm", "z"),
    "rh": node("elementwise_prod", "r_act", "h_prev_0"),
    "h_tilde": node("linear", "x", "rh"),
    "h_tilde_act": node("activation_tanh", "h_tilde"),
    "h_new_0": node("blend", "z_act", "h_prev_0", "h_tilde_act"),
}
# State 0 is made from state 1, as in an LSTM; the node called h_new_1_act is no state.
MEMORY = {
    "h_new_0": node("elementwise_prod", "h_new_1_act", "gate"),
    "a": node("linear", "x", "h_prev_0"),
    "gate": node("activation_sigm", "a"),
    "h_new_1": node("elementwise_sum", "gate", "h_prev_1"),
    "h_new_1_act": node("activation_tanh", "h_new_1"),
}
THREE = "linear(x,h0);linear(x,h1);linear(x,h2);tanh(0);sigm(1);leaky_relu(2)->3,4,5"


@pytest.fixture(scope="module")
def logged() -> tuple[ArchSpec, ...]:
    return NASBenchNLPAnalysis().logged()


@pytest.fixture(scope="module")
def drawn() -> list[ArchSpec]:
    rng = np.random.default_rng(5)
    return [SPACE.sample_states(rng, states) for states in (1, 2, 3) for _ in range(60)]


def renumbered(cell: Cell, rng: np.random.Generator) -> Cell:
    """The same cell with inner nodes in random order and, at random, states 1 and 2 renamed."""
    order = rng.permutation(len(cell.ops))
    place = {4 + int(old): 4 + new for new, old in enumerate(order)} | {old: old for old in range(4)}
    states = [place[state] for state in cell.states]
    if len(states) == 3 and rng.random() < 0.5:
        place |= {2: 3, 3: 2}
        states[1], states[2] = states[2], states[1]
    inputs = tuple(tuple(sorted(place[source] for source in cell.inputs[old])) for old in order)
    return Cell(tuple(cell.ops[old] for old in order), inputs, tuple(states))


def slow_key(cell: Cell) -> Any:
    """Smallest of all renumberings: the plain definition of being equal up to names."""
    found = []
    for order in itertools.permutations(range(len(cell.ops))):
        place = {4 + old: 4 + new for new, old in enumerate(order)}
        for memory in ({2: 2, 3: 3}, {2: 3, 3: 2}):
            if len(cell.states) < 3 and memory[2] == 3:
                continue
            name = place | memory | {0: 0, 1: 1}
            states = [name[state] for state in cell.states]
            if memory[2] == 3:
                states[1], states[2] = states[2], states[1]
            reads = [tuple(sorted(name[source] for source in cell.inputs[old])) for old in order]
            found.append(([cell.ops[old] for old in order], reads, states))
    return min(found)


def test_implements_the_protocol() -> None:
    assert isinstance(SPACE, SearchSpace)
    assert (SPACE.name, SPACE.num_nodes, SPACE.num_cells, len(SPACE.op_names)) == ("nasbench_nlp", 14, 1, 13)


def test_graph_of_the_gru_is_the_one_by_hand() -> None:
    arch = from_recipe(GRU)
    assert SPACE.to_string(arch) == (
        "linear(x,h0);linear(x,h0);sigm(0);sigm(1);prod(h0,2);linear(x,4);tanh(5);blend(h0,3,6)->7"
    )
    assert arch.ops == (*INPUTS, LINEAR, LINEAR, SIGM, SIGM, PROD, LINEAR, TANH, BLEND, OUTPUT)
    assert arch.edges == (
        (0, 4), (0, 5), (0, 9), (1, 4), (1, 5), (1, 8), (1, 11), (4, 6), (5, 7), (6, 8), (7, 11), (8, 9), (9, 10),
        (10, 11), (11, 12),
    )  # fmt: skip


def test_new_states_and_their_numbers_are_in_the_graph() -> None:
    arch = from_recipe(MEMORY)
    assert SPACE.to_string(arch) == "linear(x,h0);sigm(0);sum(h1,1);tanh(2);prod(1,3)->4,2"
    assert arch.ops == (*INPUTS, LINEAR, SIGM, SUM, TANH, PROD, STATE, OUTPUT)
    # h_new_1 = node 6 goes to `state`, h_new_0 = node 8 and `state` to `output`.
    assert {edge for edge in arch.edges if edge[1] >= 9} == {(6, 9), (8, 10), (9, 10)}
    again = to_recipe(arch)
    assert again["h_new_1"] == node("elementwise_sum", "h_prev_1", "node_1")
    assert again["h_new_0"] == node("elementwise_prod", "node_1", "node_3")


def check_round_trips(archs: Sequence[ArchSpec]) -> None:
    count = len(archs)
    graphs = SPACE.encode(archs)
    assert graphs.ops.shape == (count, 14, 13) and graphs.adjacency.shape == (count, 14, 14)
    assert np.array_equal(graphs.ops.sum((1, 2)), [len(arch.ops) for arch in archs])
    assert SPACE.decode(graphs.ops.argmax(-1), graphs.adjacency.astype(np.int64)) == list(archs)
    flat = np.concatenate([graphs.ops.reshape(count, -1), graphs.adjacency.reshape(count, -1)], axis=1)
    assert len(np.unique(flat, axis=0)) == count
    for arch in archs:
        assert SPACE.is_valid(arch) and SPACE.canonical(arch) == arch
        assert SPACE.from_string(SPACE.to_string(arch)) == arch == from_recipe(to_recipe(arch))


def test_logged_cells_round_trip(logged: tuple[ArchSpec, ...]) -> None:
    check_round_trips(logged[::20])


@pytest.mark.slow
def test_every_logged_cell_round_trips(logged: tuple[ArchSpec, ...]) -> None:
    assert len(logged) == 7_222
    check_round_trips(logged)


def test_node_order_and_names_of_memory_do_not_matter(drawn: list[ArchSpec]) -> None:
    rng = np.random.default_rng(0)
    for arch in drawn:
        for _ in range(4):
            other = renumbered(SPACE.to_cell(arch), rng)
            assert SPACE.from_cell(other) == arch


def test_identity_agrees_with_trying_all_renumberings() -> None:
    rng = np.random.default_rng(1)
    cells = [random_cell(rng, 1) for _ in range(600)]
    small = [cell for cell in cells if len(cell.ops) <= 4][:60]
    small += [
        Cell((LINEAR,) * 3, ((0, 1), (0, 2), tuple(sorted({0, *more}))), (4, 5, 6)) for more in ((3,), (3, 4), (3, 5))
    ]
    small += [
        Cell((LINEAR, LINEAR, LINEAR), ((0, 1, 2, 3)[:2], (0, 2), (1, 3)), states)
        for states in itertools.permutations((4, 5, 6))
    ]
    slow = [slow_key(cell) for cell in small]
    fast = [canonical(cell) for cell in small]
    assert len({str(key) for key in slow}) > 15
    for i, j in itertools.combinations(range(len(small)), 2):
        assert (slow[i] == slow[j]) == (fast[i] == fast[j]), (small[i], small[j])


def test_what_the_cell_remembers_matters() -> None:
    texts = [
        "linear(x,h0);linear(x,h1)->0,1",
        "linear(x,h0);linear(x,h1)->1,0",
        "linear(x,h0,h1);linear(x,0)->0,1",
        "linear(x,h0,h1);linear(x,0)->1,0",
    ]
    assert len({SPACE.identity(SPACE.from_string(text)) for text in texts}) == 4
    crossed = THREE.replace("->3,4,5", "->3,5,4")
    with pytest.raises(OutOfDomainError, match="state 1 before that of state 2"):
        SPACE.from_string(crossed)
    # The same wiring with states 1 and 2 fed by each other's sources is another cell.
    other = from_recipe(
        {
            "a": node("linear", "x", "h_prev_0"), "b": node("linear", "x", "h_prev_1"),
            "c": node("linear", "x", "h_prev_2"), "h_new_0": node("activation_tanh", "a"),
            "h_new_2": node("activation_sigm", "b"), "h_new_1": node("activation_leaky_relu", "c"),
        }
    )  # fmt: skip
    assert SPACE.identity(other) != SPACE.identity(SPACE.from_string(THREE))


def test_order_of_inputs_is_not_part_of_a_cell() -> None:
    gru = from_recipe(GRU)
    for order in itertools.permutations(GRU["h_new_0"]["input"]):
        assert from_recipe(GRU | {"h_new_0": node("blend", *order)}) == gru
    # A recipe made from the graph takes the sigmoid as the gate.
    assert to_recipe(gru)["h_new_0"]["input"] == ["node_3", "h_prev_0", "node_6"]


def test_decode_ignores_padding_and_takes_any_topological_order(drawn: list[ArchSpec]) -> None:
    rng = np.random.default_rng(2)
    graphs = SPACE.encode(drawn)
    ops, adjacency = graphs.ops.argmax(-1), graphs.adjacency.astype(np.int64)
    for row, arch in enumerate(drawn):
        size = len(arch.ops)
        ops[row, size:] = rng.integers(0, 13, 14 - size)
        adjacency[row, size:] = rng.integers(0, 2, (14 - size, 14))
        adjacency[row, :, size:] = rng.integers(0, 2, (14, 14 - size))
    assert SPACE.decode(ops, adjacency) == drawn
    # Nodes 4 and 5 of the GRU and what hangs on them exchanged: another order of the same cell.
    gru = from_recipe(GRU)
    order = [0, 1, 2, 3, 5, 4, 7, 6, 8, 9, 10, 11, 12]
    batch = SPACE.encode([gru])
    shuffled = batch.adjacency[0][np.ix_(order, order)]
    padded = np.zeros((1, 14, 14), np.int64)
    padded[0, :13, :13] = shuffled
    assert not np.array_equal(padded, batch.adjacency)
    assert SPACE.decode(batch.ops.argmax(-1)[:, [*order, 13]], padded) == [gru]


def test_decode_of_damaged_graphs_is_valid_or_none(drawn: list[ArchSpec]) -> None:
    rng = np.random.default_rng(3)
    graphs = SPACE.encode(drawn * 10)
    ops, adjacency = graphs.ops.argmax(-1), graphs.adjacency.astype(np.int64)
    rows = np.arange(len(ops))
    for _ in range(2):
        ops[rows, rng.integers(0, 14, len(rows))] = rng.integers(0, 13, len(rows))
        adjacency[rows, rng.integers(0, 14, len(rows)), rng.integers(0, 14, len(rows))] ^= 1
    decoded = SPACE.decode(ops, adjacency)
    found = [arch for arch in decoded if arch is not None]
    assert 20 < len(found) < len(decoded) / 2
    assert all(SPACE.canonical(arch) == arch for arch in found)
    # Where nothing is found, the graph cut at its first output is no cell either.
    for row, arch in enumerate(decoded):
        edges = np.argwhere(adjacency[row])
        stop = int((ops[row] == OUTPUT).argmax())
        edges = edges[(edges <= stop).all(axis=1)]
        if arch is None and ops[row, stop] == OUTPUT and (edges[:, 0] < edges[:, 1]).all():
            kept = tuple((int(a), int(b)) for a, b in edges)
            assert not SPACE.is_valid(ArchSpec(tuple(ops[row, : stop + 1].tolist()), kept))
    noise = SPACE.decode(rng.integers(0, 13, (500, 14)), rng.integers(0, 2, (500, 14, 14)))
    assert noise == [None] * 500


def test_paths_by_hand() -> None:
    (paths,) = SPACE.paths(from_recipe(MEMORY))
    assert paths == {
        (LINEAR, SIGM, PROD), (LINEAR, SIGM, SUM), (LINEAR, SIGM, SUM, TANH, PROD), (SUM,), (SUM, TANH, PROD),
    }  # fmt: skip
