"""The DARTS space of NAS-Bench-301: graphs, notations, strict decoding, neighbourhood, sampling."""

from __future__ import annotations

import collections
import itertools

import numpy as np
import pytest

from invertnas.errors import OutOfDomainError
from invertnas.spaces import ArchSpec, GraphBatch, SearchSpace
from invertnas.spaces.nasbench301.space import INPUT_0, INPUT_1, OP_NAMES, OUTPUT, Genotype, NASBench301Space
from invertnas.spaces.spec import join_cells, split_cells

SPACE = NASBench301Space()
# The second-order cells of the DARTS paper (Liu et al., 2019, Figures 4 and 5).
DARTS_V2 = Genotype(
    normal=[
        ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2),
    ],
    normal_concat=[2, 3, 4, 5],
    reduce=[
        ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
        ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1),
    ],
    reduce_concat=[2, 3, 4, 5],
)  # fmt: skip
DARTS_TEXT = (
    "normal:|sep_conv_3x3~0|sep_conv_3x3~1|+|sep_conv_3x3~0|sep_conv_3x3~1|+|skip_connect~0|sep_conv_3x3~1|"
    "+|skip_connect~0|dil_conv_3x3~2|"
    ";reduce:|max_pool_3x3~0|max_pool_3x3~1|+|max_pool_3x3~1|skip_connect~2|+|max_pool_3x3~0|skip_connect~2|"
    "+|max_pool_3x3~1|skip_connect~2|"
)


@pytest.fixture(scope="module")
def archs() -> list[ArchSpec]:
    rng = np.random.default_rng(301)
    return [SPACE.sample(rng) for _ in range(10_000)]


@pytest.fixture(scope="module")
def batch(archs: list[ArchSpec]) -> GraphBatch:
    return SPACE.encode(archs)


def decode(ops: np.ndarray, adjacency: np.ndarray) -> list[ArchSpec | None]:
    return SPACE.decode(ops.astype(np.int64), adjacency.astype(np.int64))


def reference_edges(arch: ArchSpec) -> set[tuple[int, int]]:
    """Edges rebuilt from the genotype, feature map by feature map."""
    edges = set()
    for start, cell in zip((0, 11), SPACE.to_compact(arch)):
        producers: list[list[int]] = [[start], [start + 1]]
        for block in range(4):
            nodes = [start + 2 + 2 * block, start + 3 + 2 * block]
            for node, (number, _) in zip(nodes, cell[2 * block : 2 * block + 2]):
                edges |= {(source, node) for source in producers[number]}
            producers.append(nodes)
        edges |= {(node, start + 10) for node in range(start + 2, start + 10)}
    return edges


def reference_decode(ops: np.ndarray, adjacency: np.ndarray) -> ArchSpec | None:
    """The slow way: a graph with forward edges that is a member of the space."""
    try:
        arch = ArchSpec(tuple(ops.tolist()), tuple((int(s), int(t)) for s, t in np.argwhere(adjacency)))
    except OutOfDomainError:
        return None
    return arch if SPACE.is_valid(arch) else None


def test_implements_the_protocol() -> None:
    assert isinstance(SPACE, SearchSpace)
    assert (SPACE.name, SPACE.num_nodes, SPACE.num_cells, len(SPACE.op_names)) == ("nasbench301", 22, 2, 10)
    assert [OP_NAMES[index] for index in (OUTPUT, INPUT_0, INPUT_1)] == ["output", "input_0", "input_1"]


def test_graph_of_the_darts_cells_by_hand() -> None:
    arch = SPACE.from_genotype(DARTS_V2)
    names = [OP_NAMES[op] for op in arch.ops]
    assert names[:11] == [
        "input_0", "input_1", "sep_conv_3x3", "sep_conv_3x3", "sep_conv_3x3", "sep_conv_3x3", "skip_connect",
        "sep_conv_3x3", "skip_connect", "dil_conv_3x3", "output",
    ]  # fmt: skip
    normal = {(0, 2), (1, 3), (0, 4), (1, 5), (0, 6), (1, 7), (0, 8), (2, 9), (3, 9)}
    reduce = {(0, 2), (1, 3), (1, 4), (2, 5), (3, 5), (0, 6), (2, 7), (3, 7), (1, 8), (2, 9), (3, 9)}
    ends = {(node, 10) for node in range(2, 10)}
    assert set(arch.edges) == normal | ends | {(s + 11, t + 11) for s, t in reduce | ends}


def test_edges_follow_from_the_genotype(archs: list[ArchSpec]) -> None:
    assert all(set(arch.edges) == reference_edges(arch) for arch in archs[:1000])


def test_darts_genotype_and_string() -> None:
    arch = SPACE.from_genotype(DARTS_V2)
    assert SPACE.to_string(arch) == SPACE.identity(arch) == DARTS_TEXT
    assert SPACE.from_string(DARTS_TEXT) == arch
    genotype = SPACE.to_genotype(arch)
    assert genotype.normal[4:6] == [("skip_connect", 0), ("sep_conv_3x3", 1)]
    assert genotype.normal_concat == genotype.reduce_concat == [2, 3, 4, 5]
    assert SPACE.to_compact(arch)[1][2:4] == ((1, 0), (2, 2))


def test_every_notation_round_trips(archs: list[ArchSpec]) -> None:
    texts = [SPACE.to_string(arch) for arch in archs]
    assert len(set(texts)) == len(set(archs)) == len(archs)
    assert [SPACE.from_string(text) for text in texts] == archs
    assert [SPACE.from_compact(SPACE.to_compact(arch)) for arch in archs] == archs
    assert [SPACE.from_genotype(tuple(SPACE.to_genotype(arch))) for arch in archs] == archs


def test_pairs_of_a_block_in_either_order_are_one_architecture(archs: list[ArchSpec]) -> None:
    rng = np.random.default_rng(0)
    for arch in archs[:200]:
        genotype = SPACE.to_genotype(arch)
        turned = [
            [pair for k in range(0, 8, 2) for pair in cell[k : k + 2][:: rng.choice([-1, 1])]]
            for cell in (genotype.normal, genotype.reduce)
        ]
        assert SPACE.from_genotype((turned[0], range(2, 6), turned[1], range(2, 6))) == arch


def test_encoding_round_trips(archs: list[ArchSpec], batch: GraphBatch) -> None:
    assert batch.ops.shape == (10_000, 22, 10) and batch.adjacency.shape == (10_000, 22, 22)
    assert np.array_equal(batch.ops.sum(-1), np.ones((10_000, 22)))
    assert decode(batch.ops.argmax(-1), batch.adjacency) == archs


def test_cells_split_and_join(archs: list[ArchSpec], batch: GraphBatch) -> None:
    cells = split_cells(batch, SPACE.num_cells)
    assert cells.ops.shape == (20_000, 11, 10)
    joined = join_cells(cells.ops.argmax(-1), cells.adjacency.astype(np.int64), SPACE.num_cells)
    assert SPACE.decode(*joined) == archs


def test_decode_rejects_every_flipped_adjacency_entry(batch: GraphBatch) -> None:
    """One flipped edge never gives a member: another input of an operation changes two or more entries."""
    for row in range(3):
        ops = np.repeat(batch.ops[row : row + 1].argmax(-1), 484, axis=0)
        adjacency = np.repeat(batch.adjacency[row : row + 1], 484, axis=0).reshape(484, 484)
        adjacency[np.arange(484), np.arange(484)] = 1 - adjacency[np.arange(484), np.arange(484)]
        assert decode(ops, adjacency.reshape(484, 22, 22)) == [None] * 484


@pytest.mark.parametrize("node", range(22))
def test_decode_rejects_labels_out_of_place(batch: GraphBatch, node: int) -> None:
    ops = np.repeat(batch.ops[77:78].argmax(-1), 10, axis=0)
    ops[:, node] = np.arange(10)
    allowed = {0: {INPUT_0}, 1: {INPUT_1}, 10: {OUTPUT}}.get(node % 11, set(range(3, 10)))
    decoded = decode(ops, np.repeat(batch.adjacency[77:78], 10, axis=0))
    assert {op for op, arch in enumerate(decoded) if arch is not None} == allowed


def test_decode_agrees_with_the_slow_way_on_rewired_graphs(batch: GraphBatch) -> None:
    rng = np.random.default_rng(5)
    ops, adjacency = batch.ops[:2000].argmax(-1), batch.adjacency[:2000].astype(np.int64)
    for row in range(len(ops)):
        # A column of predecessors from another node: often a valid input, sometimes none, or descending ones.
        source, target = rng.integers(0, 22, 2)
        adjacency[row, :, target] = batch.adjacency[row, :, source]
    decoded = decode(ops, adjacency)
    assert decoded == [reference_decode(o, a) for o, a in zip(ops, adjacency)]
    assert 200 < sum(arch is not None for arch in decoded) < 1800


def test_decode_tolerates_anything() -> None:
    rng = np.random.default_rng(1)
    assert decode(rng.integers(0, 10, (500, 22)), rng.integers(0, 2, (500, 22, 22))) == [None] * 500
    assert decode(np.zeros((0, 22)), np.zeros((0, 22, 22))) == []
    arch = SPACE.from_string(DARTS_TEXT)
    graph = SPACE.encode([arch])
    assert decode(graph.ops.argmax(-1), 2 * graph.adjacency) == [None]
    assert decode(graph.ops.argmax(-1), -graph.adjacency) == [None]


def test_neighbours_differ_in_one_operation_or_one_input(archs: list[ArchSpec]) -> None:
    for arch in archs[:40]:
        neighbours = SPACE.neighbours(arch)
        assert len({SPACE.identity(other) for other in neighbours}) == 120 and arch not in neighbours
        assert all(SPACE.is_valid(other) for other in neighbours)
        distances = collections.Counter(edit_kind(arch, other) for other in neighbours)
        assert distances == {"operation": 96, "input": 24}
    for other in SPACE.neighbours(archs[0])[::7]:
        assert archs[0] in SPACE.neighbours(other)


def edit_kind(first: ArchSpec, second: ArchSpec) -> str:
    """What differs between two architectures, from their blocks as sets of (input, operation)."""
    blocks = [
        [set(cell[k : k + 2]) for cell in SPACE.to_compact(arch) for k in range(0, 8, 2)] for arch in (first, second)
    ]
    changed = [(a, b) for a, b in zip(*blocks) if a != b]
    if len(changed) != 1 or len(changed[0][0] - changed[0][1]) != 1:
        return "more"
    (old,), (new,) = changed[0][0] - changed[0][1], changed[0][1] - changed[0][0]
    return "operation" if old[0] == new[0] else "input" if old[1] == new[1] else "both"


def test_edits_that_reorder_a_block() -> None:
    """Input 0 of the third block's first operation becomes 3: it moves behind the operation that reads 2."""
    before = SPACE.from_string(DARTS_TEXT.replace("|skip_connect~0|sep_conv_3x3~1|", "|skip_connect~0|sep_conv_3x3~2|"))
    after = SPACE.from_string(DARTS_TEXT.replace("|skip_connect~0|sep_conv_3x3~1|", "|sep_conv_3x3~2|skip_connect~3|"))
    assert after in SPACE.neighbours(before) and before in SPACE.neighbours(after)


def test_mutation_reaches_every_neighbour_evenly_and_nothing_else(archs: list[ArchSpec]) -> None:
    rng = np.random.default_rng(0)
    reached = collections.Counter(SPACE.mutate(archs[0], rng) for _ in range(6000))
    assert set(reached) == set(SPACE.neighbours(archs[0]))
    assert max(reached.values()) < 100 and min(reached.values()) > 20


def test_random_streams_follow_the_seed() -> None:
    draw = [[SPACE.sample(rng) for _ in range(20)] for rng in map(np.random.default_rng, (1, 1, 2))]
    assert draw[0] == draw[1] != draw[2]
    arch = draw[0][0]
    first, second = ([SPACE.mutate(arch, rng) for _ in range(10)] for rng in map(np.random.default_rng, (3, 3)))
    assert first == second


def test_sampling_is_uniform_over_inputs_and_operations(archs: list[ArchSpec]) -> None:
    cells = [cell for arch in archs for cell in SPACE.to_compact(arch)]
    for k in range(8):
        ops = collections.Counter(cell[k][1] for cell in cells)
        assert set(ops) == set(range(7)) and all(abs(n / 20_000 - 1 / 7) < 0.015 for n in ops.values())
    for block in range(4):
        pairs = collections.Counter((cell[2 * block][0], cell[2 * block + 1][0]) for cell in cells)
        every = set(itertools.combinations(range(block + 2), 2))
        assert set(pairs) == every
        assert all(abs(n / 20_000 - 1 / len(every)) < 0.015 for n in pairs.values())


def test_paths_by_hand() -> None:
    arch = SPACE.from_string(DARTS_TEXT)
    normal, reduce = ([tuple(OP_NAMES[op] for op in path) for path in sorted(cell)] for cell in SPACE.paths(arch))
    assert set(normal) == {("sep_conv_3x3",), ("skip_connect",), ("sep_conv_3x3", "dil_conv_3x3")}
    assert set(reduce) == {("max_pool_3x3",), ("max_pool_3x3", "skip_connect")}


def test_paths_agree_with_walks_through_the_graph(archs: list[ArchSpec]) -> None:
    for arch in archs[:100]:
        for start, found in zip((0, 11), SPACE.paths(arch)):
            walks: set[tuple[int, ...]] = {(start,), (start + 1,)}
            complete: set[tuple[int, ...]] = set()
            while walks:
                walks = {walk + (t,) for walk in walks for s, t in arch.edges if s == walk[-1]}
                complete |= {tuple(arch.ops[n] for n in walk[1:-1]) for walk in walks if walk[-1] == start + 10}
            assert found == complete


def test_blocks_in_another_order_are_isomorphic() -> None:
    arch = SPACE.from_string(DARTS_TEXT)
    swapped = SPACE.from_string(
        DARTS_TEXT.replace(
            "+|sep_conv_3x3~0|sep_conv_3x3~1|+|skip_connect~0|sep_conv_3x3~1|+",
            "+|skip_connect~0|sep_conv_3x3~1|+|sep_conv_3x3~0|sep_conv_3x3~1|+",
        )
    )
    assert swapped != arch and SPACE.isomorphism_class(swapped) == SPACE.isomorphism_class(arch)
    # The last block reads the first of two equal blocks or the second: the same network.
    second = SPACE.from_string(DARTS_TEXT.replace("|dil_conv_3x3~2|", "|dil_conv_3x3~3|"))
    assert second != arch and SPACE.isomorphism_class(second) == SPACE.isomorphism_class(arch)
    third = SPACE.from_string(DARTS_TEXT.replace("|dil_conv_3x3~2|", "|dil_conv_3x3~4|"))
    assert SPACE.isomorphism_class(third) != SPACE.isomorphism_class(arch)


def test_isomorphism_class_is_a_member_of_its_class(archs: list[ArchSpec]) -> None:
    for arch in archs[:200]:
        key = SPACE.isomorphism_class(arch)
        assert SPACE.isomorphism_class(SPACE.from_string(key)) == key
