"""The NAS-Bench-201 space: notation, encoding, identity, neighbourhood, sampling."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from invertnas.errors import OutOfDomainError
from invertnas.spaces import ArchSpec, GraphBatch, NASBench201Space, SearchSpace
from invertnas.spaces.nasbench201 import CELL_OPS, GRAPH_EDGES, INPUT, NONE, OUTPUT

SPACE = NASBench201Space()
CELL = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|"


@pytest.fixture(scope="module")
def cells() -> list[ArchSpec]:
    return list(SPACE.all())


@pytest.fixture(scope="module")
def batch(cells: list[ArchSpec]) -> GraphBatch:
    return SPACE.encode(cells)


def cell(*names: str) -> ArchSpec:
    """Cell from its operations on the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3."""
    short = {"c1": "nor_conv_1x1", "c3": "nor_conv_3x3", "pool": "avg_pool_3x3", "skip": "skip_connect", "-": "none"}
    return SPACE.from_cell_ops([SPACE.op_names.index(short[name]) for name in names])


def decode(ops: np.ndarray, adjacency: np.ndarray) -> list[ArchSpec | None]:
    return SPACE.decode(ops.astype(np.int64), adjacency.astype(np.int64))


def test_implements_the_protocol() -> None:
    assert isinstance(SPACE, SearchSpace)
    assert (SPACE.name, SPACE.num_nodes, len(SPACE.op_names)) == ("nasbench201", 8, 7)


def test_string_names_the_operation_of_each_edge() -> None:
    arch = SPACE.from_string(CELL)
    names = [SPACE.op_names[op] for op in arch.ops]
    assert names == [
        "input", "avg_pool_3x3", "nor_conv_1x1", "skip_connect", "nor_conv_1x1", "none", "nor_conv_3x3", "output",
    ]  # fmt: skip
    assert SPACE.to_string(arch) == SPACE.identity(arch) == CELL


def test_strings_round_trip_over_the_whole_space(cells: list[ArchSpec]) -> None:
    texts = [SPACE.to_string(arch) for arch in cells]
    assert len(set(texts)) == 15_625
    assert [SPACE.from_string(text) for text in texts] == cells


def test_encoding_round_trips_over_the_whole_space(cells: list[ArchSpec], batch: GraphBatch) -> None:
    assert batch.ops.shape == (15_625, 8, 7) and batch.adjacency.shape == (15_625, 8, 8)
    assert batch.ops.dtype == batch.adjacency.dtype == np.float32
    assert np.array_equal(batch.ops.sum(-1), np.ones((15_625, 8)))
    assert decode(batch.ops.argmax(-1), batch.adjacency) == cells
    assert len(np.unique(batch.ops.reshape(15_625, -1), axis=0)) == 15_625


def test_decode_rejects_every_flipped_adjacency_entry(batch: GraphBatch) -> None:
    ops = np.repeat(batch.ops[:1].argmax(-1), 64, axis=0)
    adjacency = np.repeat(batch.adjacency[:1], 64, axis=0).reshape(64, 64)
    adjacency[np.arange(64), np.arange(64)] = 1 - adjacency[np.arange(64), np.arange(64)]
    assert decode(ops, adjacency.reshape(64, 8, 8)) == [None] * 64


@pytest.mark.parametrize("node", range(8))
def test_decode_rejects_labels_out_of_place(batch: GraphBatch, node: int) -> None:
    ops = np.repeat(batch.ops[777:778].argmax(-1), 7, axis=0)
    ops[:, node] = np.arange(7)
    allowed = {0: {INPUT}, 7: {OUTPUT}}.get(node, set(CELL_OPS))
    decoded = decode(ops, np.repeat(batch.adjacency[:1], 7, axis=0))
    assert {op for op, arch in enumerate(decoded) if arch is not None} == allowed


def test_isomorphism_classes_of_the_whole_space(cells: list[ArchSpec]) -> None:
    assert len({SPACE.isomorphism_class(arch) for arch in cells}) == 4_930


SAME = {
    "one convolution by either inner map": (
        cell("c3", "-", "-", "-", "skip", "-"),
        cell("-", "c3", "-", "-", "-", "skip"),
    ),
    "directly or through an identity": (cell("c3", "-", "-", "-", "skip", "-"), cell("-", "-", "-", "c3", "-", "-")),
    "inner maps exchanged": (cell("c3", "c1", "-", "-", "pool", "skip"), cell("c1", "c3", "-", "-", "skip", "pool")),
    "a branch out of nothing": (cell("-", "c3", "c1", "-", "pool", "pool"), cell("-", "c3", "-", "-", "-", "pool")),
    "a branch into nothing": (cell("c3", "c3", "c1", "skip", "-", "-"), cell("-", "-", "-", "skip", "-", "-")),
    "two zero cells": (cell("-", "-", "c3", "-", "c1", "pool"), cell("c3", "c3", "c3", "-", "-", "-")),
}
DIFFERENT = {
    "order of two operations": (cell("c3", "-", "-", "-", "pool", "-"), cell("pool", "-", "-", "-", "c3", "-")),
    "kernel size": (cell("-", "-", "-", "c1", "-", "-"), cell("-", "-", "-", "c3", "-", "-")),
    "identity and zero": (cell("-", "-", "-", "skip", "-", "-"), cell("-", "-", "-", "-", "-", "-")),
    "one branch and two equal ones": (cell("-", "-", "-", "c3", "-", "-"), cell("c3", "-", "-", "c3", "skip", "-")),
    "sum before and after": (cell("c3", "skip", "skip", "-", "-", "c3"), cell("c3", "c3", "skip", "-", "c3", "-")),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME.keys())
def test_isomorphic_pairs_share_a_class(pair: tuple[ArchSpec, ArchSpec]) -> None:
    first, second = pair
    assert SPACE.isomorphism_class(first) == SPACE.isomorphism_class(second)
    assert SPACE.identity(first) != SPACE.identity(second)


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_different_functions_differ_in_class(pair: tuple[ArchSpec, ArchSpec]) -> None:
    assert SPACE.isomorphism_class(pair[0]) != SPACE.isomorphism_class(pair[1])


def test_neighbours_are_the_24_cells_one_operation_away(cells: list[ArchSpec]) -> None:
    for arch in cells[::97]:
        neighbours = SPACE.neighbours(arch)
        assert len(set(neighbours)) == 24 and arch not in neighbours
        assert all(sum(a != b for a, b in zip(arch.ops, other.ops)) == 1 for other in neighbours)
        assert all(SPACE.is_valid(other) and arch in SPACE.neighbours(other) for other in neighbours)


def test_mutation_reaches_every_neighbour_and_nothing_else() -> None:
    arch = SPACE.from_string(CELL)
    rng = np.random.default_rng(0)
    reached = {SPACE.mutate(arch, rng) for _ in range(500)}
    assert reached == set(SPACE.neighbours(arch))


def test_mutation_follows_the_seed() -> None:
    arch = SPACE.from_string(CELL)
    first, second = ([SPACE.mutate(arch, rng) for _ in range(10)] for rng in map(np.random.default_rng, (3, 3)))
    assert first == second


def test_sampling_follows_the_seed() -> None:
    draw = [[SPACE.sample(rng) for _ in range(20)] for rng in map(np.random.default_rng, (1, 1, 2))]
    assert draw[0] == draw[1] != draw[2]


def test_sampling_is_roughly_uniform() -> None:
    rng = np.random.default_rng(7)
    drawn = [SPACE.sample(rng) for _ in range(15_625)]
    assert all(map(SPACE.is_valid, drawn))
    # As many draws as cells leave a share of 1/e undrawn.
    assert abs(1 - len(set(drawn)) / 15_625 - np.exp(-1)) < 0.02
    for node in range(1, 7):
        shares = collections.Counter(arch.ops[node] for arch in drawn)
        assert set(shares) == set(CELL_OPS)
        assert all(abs(count / 15_625 - 0.2) < 0.02 for count in shares.values())


MALFORMED = {
    "empty": "",
    "unknown operation": CELL.replace("avg_pool_3x3", "max_pool_3x3"),
    "input is no cell operation": CELL.replace("avg_pool_3x3", "input"),
    "wrong source": CELL.replace("skip_connect~1", "skip_connect~0"),
    "edge missing": "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|none~1|",
    "trailing text": CELL + "+",
    "trailing newline": CELL + "\n",
    "upper case": CELL.upper(),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(OutOfDomainError, match="expected"):
        SPACE.from_string(text)


@pytest.mark.parametrize(
    "arch",
    [
        ArchSpec((INPUT, *[NONE] * 6, OUTPUT), GRAPH_EDGES[:-1]),
        ArchSpec((INPUT, *[NONE] * 5, OUTPUT, OUTPUT), GRAPH_EDGES),
        ArchSpec((OUTPUT, *[NONE] * 6, INPUT), GRAPH_EDGES),
        ArchSpec((INPUT, *[NONE] * 6, OUTPUT, OUTPUT), GRAPH_EDGES),
    ],
    ids=["edge missing", "output inside", "ends exchanged", "a node too many"],
)
def test_foreign_graphs_are_refused(arch: ArchSpec) -> None:
    assert not SPACE.is_valid(arch)
    for method in (SPACE.to_string, SPACE.identity, SPACE.isomorphism_class, SPACE.neighbours):
        with pytest.raises(OutOfDomainError, match="expected"):
            method(arch)
