"""The NAS-Bench-101 space: notation, encoding, sampling, neighbourhood."""

from __future__ import annotations

import collections
import itertools

import numpy as np
import pytest

from invertnas.errors import OutOfDomainError
from invertnas.spaces import ArchSpec, SearchSpace
from invertnas.spaces.nasbench101 import space as nasbench101
from invertnas.spaces.nasbench101.graph import canonical_masks, mask_edges
from invertnas.spaces.nasbench101.space import INPUT, LABEL_OPS, NUM_CELLS, OP_NAMES, OUTPUT, NASBench101Space

SPACE = NASBench101Space()
C1, C3, POOL = 2, 3, 4


@pytest.fixture(scope="module")
def cells() -> list[ArchSpec]:
    """The smallest cells and random ones."""
    rng = np.random.default_rng(0)
    return [*itertools.islice(SPACE.all(), 200), *(SPACE.sample(rng) for _ in range(2_000))]


def decode(ops: np.ndarray, adjacency: np.ndarray) -> list[ArchSpec | None]:
    return SPACE.decode(ops.astype(np.int64), adjacency.astype(np.int64))


def test_implements_the_protocol() -> None:
    assert isinstance(SPACE, SearchSpace)
    assert (SPACE.name, SPACE.num_nodes, SPACE.num_cells, len(SPACE.op_names)) == ("nasbench101", 7, 1, 5)
    assert [OP_NAMES[op] for op in LABEL_OPS] == ["conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"]


def test_encoding_round_trips(cells: list[ArchSpec]) -> None:
    batch = SPACE.encode(cells)
    assert batch.ops.shape == (len(cells), 7, 5) and batch.adjacency.shape == (len(cells), 7, 7)
    assert decode(batch.ops.argmax(-1), batch.adjacency) == cells
    again = SPACE.encode(cells[:50])
    assert np.array_equal(again.ops, batch.ops[:50]) and np.array_equal(again.adjacency, batch.adjacency[:50])


def test_padding_stands_at_the_end_and_is_all_zero() -> None:
    batch = SPACE.encode([SPACE.from_string("101 input maxpool3x3 output")])
    assert batch.ops[0, :3].argmax(-1).tolist() == [INPUT, POOL, OUTPUT] and not batch.ops[0, 3:].any()
    assert np.argwhere(batch.adjacency[0]).tolist() == [[0, 1], [1, 2]]


@pytest.mark.slow
def test_encoding_round_trips_over_the_whole_space() -> None:
    archs = SPACE.all()
    while chunk := list(itertools.islice(archs, 50_000)):
        batch = SPACE.encode(chunk)
        decoded = decode(batch.ops.argmax(-1), batch.adjacency)
        assert decoded == chunk
        again = SPACE.encode(list(filter(None, decoded)))
        assert np.array_equal(again.ops, batch.ops) and np.array_equal(again.adjacency, batch.adjacency)


CHAIN = "100101 input conv3x3-bn-relu maxpool3x3 output"
DAMAGE = {
    "edge backwards": lambda ops, adjacency: adjacency.__setitem__((2, 1), 1),
    "edge to itself": lambda ops, adjacency: adjacency.__setitem__((1, 1), 1),
    "no output": lambda ops, adjacency: ops.__setitem__(3, POOL),
    "input inside": lambda ops, adjacency: ops.__setitem__(2, INPUT),
    "no input": lambda ops, adjacency: ops.__setitem__(0, C1),
    "output first": lambda ops, adjacency: ops.__setitem__(0, OUTPUT),
    "no path": lambda ops, adjacency: adjacency.__setitem__((1, 2), 0),
    "output before the path ends": lambda ops, adjacency: ops.__setitem__(2, OUTPUT) or adjacency.fill(0),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_decode_rejects_what_is_no_cell(damage: object) -> None:
    batch = SPACE.encode([SPACE.from_string(CHAIN)] * 2)
    ops, adjacency = np.pad(batch.ops.argmax(-1)[:, :4], ((0, 0), (0, 3)), constant_values=C1), batch.adjacency
    assert callable(damage)
    damage(ops[1], adjacency[1])
    assert decode(ops, adjacency) == [SPACE.from_string(CHAIN), None]


def test_decode_ignores_the_padding_and_prunes() -> None:
    batch = SPACE.encode([SPACE.from_string(CHAIN)])
    ops, adjacency = batch.ops.argmax(-1), batch.adjacency
    ops[0, 4:] = [POOL, INPUT, C3]
    adjacency[0, 4:], adjacency[0, :, 4:] = 1, 1
    assert decode(ops, adjacency) == [SPACE.from_string(CHAIN)]
    # The first output counts; the pooling node behind the cut falls away.
    ops[0, 2], adjacency[0, 0, 2] = OUTPUT, 1
    assert decode(ops, adjacency) == [SPACE.from_string("111 input conv3x3-bn-relu output")]
    # An idle node is pruned, whatever its label.
    adjacency[0, 1, 2], ops[0, 1] = 0, INPUT
    assert decode(ops, adjacency) == [SPACE.from_string("1 input output")]


def test_sampling_follows_the_seed() -> None:
    draw = [[SPACE.sample(rng) for _ in range(20)] for rng in map(np.random.default_rng, (1, 1, 2))]
    assert draw[0] == draw[1] != draw[2]
    assert all(SPACE.canonical(arch) == arch for arch in draw[0])


class Counting:
    """Stands in for a generator: draws every number in turn."""

    def __init__(self) -> None:
        self.drawn = 0

    def integers(self, high: int) -> int:
        self.drawn += 1
        return (self.drawn - 1) % int(high)


def test_every_small_cell_is_drawn_by_exactly_one_number(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = [(mask, nodes - 2) for nodes in range(2, 6) for mask in canonical_masks(nodes)]
    ends = np.cumsum([3**inner for _, inner in masks])
    monkeypatch.setattr(nasbench101, "_mask_table", lambda: (masks, ends))
    rng, drawn = Counting(), []
    while rng.drawn < ends[-1]:
        drawn.append(SPACE.sample(rng))  # type: ignore[arg-type]
    small = itertools.takewhile(lambda arch: len(arch.ops) < 6, SPACE.all())
    assert collections.Counter(drawn) == collections.Counter(small) and len(drawn) == 1 + 6 + 84 + 2_441


def test_sampling_is_roughly_uniform() -> None:
    rng = np.random.default_rng(7)
    drawn = [SPACE.sample(rng) for _ in range(8_000)]
    nodes = collections.Counter(len(arch.ops) for arch in drawn)
    assert nodes[7] / 8_000 == pytest.approx(359_082 / NUM_CELLS, abs=0.015)
    assert nodes[6] / 8_000 == pytest.approx(62_010 / NUM_CELLS, abs=0.015)
    # 8,000 draws from 423,624 collide about 75 times.
    assert 40 < 8_000 - len(set(drawn)) < 120


def test_neighbours_of_the_smallest_cell_hang_one_operation_in() -> None:
    smallest = SPACE.from_string("1 input output")
    expected = [SPACE.from_string(f"111 input {OP_NAMES[op]} output") for op in LABEL_OPS]
    assert SPACE.neighbours(smallest) == expected


def test_neighbours_of_a_chain() -> None:
    neighbours = SPACE.neighbours(SPACE.from_string(CHAIN))
    texts = [SPACE.to_string(arch) for arch in neighbours]
    assert texts[:4] == [
        "100101 input conv1x1-bn-relu maxpool3x3 output",
        "100101 input maxpool3x3 maxpool3x3 output",
        "100101 input conv3x3-bn-relu conv3x3-bn-relu output",
        "100101 input conv3x3-bn-relu conv1x1-bn-relu output",
    ]
    # Three edges can be added; without any of the chain's there is no path.
    assert texts[4:7] == [text + CHAIN[6:] for text in ("110101", "101101", "100111")]
    # Six pairs of nodes to hang one of three operations between; two chains of 5 nodes need no side branch.
    assert len(texts) == 4 + 3 + 18 and all(len(arch.ops) == 5 and len(arch.edges) == 5 for arch in neighbours[7:])


def test_neighbours_are_distinct_valid_cells(cells: list[ArchSpec]) -> None:
    for arch in cells[::17]:
        neighbours = SPACE.neighbours(arch)
        assert len(set(neighbours)) == len(neighbours) >= 3 and arch not in neighbours
        assert len({SPACE.identity(other) for other in neighbours}) == len(neighbours)
        assert all(SPACE.canonical(other) == other for other in neighbours)
        # Whatever changes neither nodes nor edges, or adds an edge, can be taken back.
        kept = [other for other in neighbours if len(other.ops) == len(arch.ops)]
        assert all(arch in SPACE.neighbours(other) for other in kept)


def test_all_cells_of_five_nodes_are_reached_by_growing() -> None:
    seen = {SPACE.from_string("1 input output")}
    front = list(seen)
    while front:
        fresh = {other for arch in front for other in SPACE.neighbours(arch) if len(other.ops) <= 5} - seen
        seen |= fresh
        front = list(fresh)
    assert len(seen) == 1 + 6 + 84 + 2_441


def test_mutation_reaches_every_neighbour_and_nothing_else() -> None:
    arch = SPACE.from_string(CHAIN)
    rng = np.random.default_rng(0)
    assert {SPACE.mutate(arch, rng) for _ in range(500)} == set(SPACE.neighbours(arch))
    first, second = ([SPACE.mutate(arch, rng) for _ in range(10)] for rng in map(np.random.default_rng, (3, 3)))
    assert first == second


MALFORMED = {
    "empty": "",
    "no operations": "101",
    "unknown operation": "101 input conv5x5-bn-relu output",
    "a bit too few": "10 input maxpool3x3 output",
    "a bit too many": "1010 input maxpool3x3 output",
    "no bit": "121 input maxpool3x3 output",
    "two spaces": "101 input  maxpool3x3 output",
    "trailing newline": "101 input maxpool3x3 output\n",
    "no path": "100 input maxpool3x3 output",
    "input inside": "101 input input output",
    "ends exchanged": "101 output maxpool3x3 input",
    "one node": " input",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(OutOfDomainError, match="expected"):
        SPACE.from_string(text)


@pytest.mark.parametrize(
    "arch",
    [
        ArchSpec((INPUT,), ()),
        ArchSpec((), ()),
        ArchSpec((INPUT, OUTPUT), ()),
        ArchSpec((INPUT, 5, OUTPUT), ((0, 1), (1, 2))),
        ArchSpec((INPUT, -1, OUTPUT), ((0, 1), (1, 2))),
        ArchSpec((INPUT, *[C3] * 6, OUTPUT), tuple((node, node + 1) for node in range(7))),
        ArchSpec((INPUT, *[C3] * 5, OUTPUT), mask_edges((1 << 21) - 1)),
    ],
    ids=["one node", "nothing", "no path", "unknown operation", "negative operation", "eight nodes", "21 edges"],
)
def test_foreign_graphs_are_refused(arch: ArchSpec) -> None:
    assert not SPACE.is_valid(arch)
    for method in (SPACE.to_string, SPACE.identity, SPACE.code, SPACE.canonical, SPACE.neighbours, SPACE.paths):
        with pytest.raises(OutOfDomainError, match="expected"):
            method(arch)
