"""The NAS-Bench-Macro space: notation, encoding, identity, neighbourhood, sampling, the reduced space."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from invertnas.errors import OutOfDomainError
from invertnas.search.baselines.bananas import PathEncoder
from invertnas.spaces import ArchSpec, GraphBatch, NASBenchMacroSpace, SearchSpace
from invertnas.spaces.nasbench_macro import GRAPH_EDGES, INPUT, LAYER_OPS, OUTPUT, STAGES
from invertnas.spaces.reduced import is_reduced, reduced_ops, sample_reduced

SPACE = NASBenchMacroSpace()


@pytest.fixture(scope="module")
def networks() -> list[ArchSpec]:
    return list(SPACE.all())


@pytest.fixture(scope="module")
def batch(networks: list[ArchSpec]) -> GraphBatch:
    return SPACE.encode(networks)


def decode(ops: np.ndarray, adjacency: np.ndarray) -> list[ArchSpec | None]:
    return SPACE.decode(ops.astype(np.int64), adjacency.astype(np.int64))


def test_implements_the_protocol() -> None:
    assert isinstance(SPACE, SearchSpace)
    assert (SPACE.name, SPACE.num_nodes, len(SPACE.op_names), sum(STAGES)) == ("nasbench_macro", 10, 5, 8)


def test_string_is_one_digit_a_layer(networks: list[ArchSpec]) -> None:
    arch = SPACE.from_string("02012100")
    names = [SPACE.op_names[op] for op in arch.ops[1:-1]]
    assert names[:4] == ["identity", "mb6_k5", "identity", "mb3_k3"]
    assert arch.edges == tuple((node, node + 1) for node in range(9))
    texts = [SPACE.to_string(arch) for arch in networks]
    assert len(set(texts)) == 6_561 and texts == sorted(texts)
    assert [SPACE.from_string(text) for text in texts] == networks


@pytest.mark.parametrize("text", ["", "0000000", "000000000", "00000003", "0000000x"])
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(OutOfDomainError, match=f"got '{text}', .*expected 8 digits"):
        SPACE.from_string(text)


def test_graphs_that_are_no_network_are_refused() -> None:
    arch = SPACE.from_string("00000000")
    for foreign in (
        ArchSpec(arch.ops, arch.edges[:-1]),
        ArchSpec((INPUT, OUTPUT, *arch.ops[2:]), arch.edges),
        ArchSpec(arch.ops[:-1], arch.edges[:-1]),
    ):
        assert not SPACE.is_valid(foreign)
        for use in (SPACE.to_string, SPACE.identity, SPACE.neighbours, SPACE.paths):
            with pytest.raises(OutOfDomainError, match="no NAS-Bench-Macro network|expected an architecture of"):
                use(foreign)


def test_encoding_round_trips_over_the_whole_space(networks: list[ArchSpec], batch: GraphBatch) -> None:
    assert batch.ops.shape == (6_561, 10, 5) and batch.adjacency.shape == (6_561, 10, 10)
    assert decode(batch.ops.argmax(-1), batch.adjacency) == networks
    assert len(np.unique(batch.ops.reshape(6_561, -1), axis=0)) == 6_561


def test_decode_rejects_every_flipped_adjacency_entry(batch: GraphBatch) -> None:
    ops = np.repeat(batch.ops[:1].argmax(-1), 100, axis=0)
    adjacency = np.repeat(batch.adjacency[:1], 100, axis=0).reshape(100, 100)
    adjacency[np.arange(100), np.arange(100)] = 1 - adjacency[np.arange(100), np.arange(100)]
    assert decode(ops, adjacency.reshape(100, 10, 10)) == [None] * 100


@pytest.mark.parametrize("node", range(10))
def test_decode_rejects_labels_out_of_place(batch: GraphBatch, node: int) -> None:
    ops = np.repeat(batch.ops[777:778].argmax(-1), 5, axis=0)
    ops[:, node] = np.arange(5)
    allowed = {0: {INPUT}, 9: {OUTPUT}}.get(node, set(LAYER_OPS))
    decoded = decode(ops, np.repeat(batch.adjacency[:1], 5, axis=0))
    assert {op for op, arch in enumerate(decoded) if arch is not None} == allowed


def slow_function(text: str) -> tuple[tuple[str, ...], ...]:
    """What the network computes: per stage the layers that are not a mere identity, the first with its size change."""
    layers, found = list(text), []
    for length in STAGES:
        stage, layers = layers[:length], layers[length:]
        found.append((f"first {stage[0]}", *[op for op in stage[1:] if op != "0"]))
    return tuple(found)


def test_identities_are_the_distinct_networks(networks: list[ArchSpec]) -> None:
    groups = collections.defaultdict(set)
    for arch in networks:
        groups[SPACE.identity(arch)].add(slow_function(SPACE.to_string(arch)))
        assert SPACE.isomorphism_class(arch) == SPACE.identity(arch)
    assert len(groups) == 3_969 == len(set.union(*groups.values()))
    for text, identity in (("01100020", "01100020"), ("01102002", "01120020"), ("10002202", "10020220")):
        assert SPACE.identity(SPACE.from_string(text)) == identity
        assert SPACE.identity(SPACE.from_string(identity)) == identity


def test_neighbours_are_the_16_networks_one_layer_away(networks: list[ArchSpec]) -> None:
    for arch in networks[::97]:
        neighbours = SPACE.neighbours(arch)
        assert len(set(neighbours)) == 16 and arch not in neighbours
        assert all(sum(a != b for a, b in zip(arch.ops, other.ops)) == 1 for other in neighbours)
        assert all(SPACE.is_valid(other) and other.edges == GRAPH_EDGES for other in neighbours)
        assert SPACE.identity(arch) not in map(SPACE.identity, neighbours)


def test_mutation_reaches_every_neighbour_and_nothing_else() -> None:
    arch, rng = SPACE.from_string("01210210"), np.random.default_rng(0)
    assert {SPACE.mutate(arch, rng) for _ in range(400)} == set(SPACE.neighbours(arch))


def test_sampling_is_uniform_and_follows_the_seed() -> None:
    first, second, third = ([SPACE.sample(rng) for _ in range(3_000)] for rng in map(np.random.default_rng, (3, 3, 4)))
    assert first == second != third
    ops = np.array([arch.ops for arch in first])
    for layer in range(1, 9):
        assert np.abs(np.bincount(ops[:, layer], minlength=5)[2:] / 3_000 - 1 / 3).max() < 0.04


def test_reduced_space_has_no_large_block() -> None:
    assert [SPACE.op_names[op] for op in reduced_ops(SPACE)] == ["identity", "mb3_k3"]
    rng = np.random.default_rng(0)
    drawn = [sample_reduced(SPACE, rng) for _ in range(300)]
    assert all(is_reduced(SPACE, arch) for arch in drawn) and len(set(drawn)) > 150
    assert not is_reduced(SPACE, SPACE.from_string("00000002"))


def test_path_encoding_is_one_column_for_each_choice_of_each_layer(networks: list[ArchSpec]) -> None:
    encoder = PathEncoder(SPACE, SPACE.inner_ops, shortest=1, longest=8, cutoff=3)
    encoded = encoder.encode(networks[::50])
    assert encoder.width == 24 and (encoded.reshape(-1, 8, 3).sum(2) == 1).all()
    expected = [[op - LAYER_OPS[0] for op in arch.ops[1:-1]] for arch in networks[::50]]
    assert encoded.reshape(-1, 8, 3).argmax(2).tolist() == expected
