"""Spaces of a user's own in every method: no neighbour, lists for tuples, many paths, strings for graphs."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest

from invertnas.errors import OutOfDomainError
from invertnas.search.ask_tell import AskTell
from invertnas.search.baselines import (
    Bananas,
    BananasConfig,
    BayesianOptimization,
    LocalSearch,
    RandomSearch,
    RegularizedEvolution,
)
from invertnas.spaces import ArchSpec, NASBench201Space
from invertnas.spaces.graph_space import GraphSpace
from invertnas.spaces.nasbench101 import NASBench101Space
from invertnas.spaces.nasbench301 import NASBench301Space
from invertnas.spaces.nasbench_nlp import NASBenchNLPSpace
from invertnas.spaces.spec import graph_paths
from tests.helpers.spaces import Dense, Even, Lists, Words

SMALL = BananasConfig(members=2, hidden_layers=1, width=4, epochs=2)
METHODS: dict[str, Any] = {
    "random": RandomSearch,
    "local": LocalSearch,
    "evolution": RegularizedEvolution,
    "bayesian": BayesianOptimization,
    "bananas": lambda space, seed: Bananas(space, SMALL, seed=seed),
}
SHIPPED: list[GraphSpace] = [NASBench101Space(), NASBench201Space(), NASBench301Space(), NASBenchNLPSpace()]


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("space", [Even(), Lists(), Words()], ids=lambda space: space.name)
def test_a_space_where_edits_lead_nowhere_is_searched_all_the_same(make: Any, space: GraphSpace) -> None:
    search: AskTell = make(space, seed=0)
    asked = list[ArchSpec]()
    while len(asked) < (27 if space.name == "words" else 45):
        new = search.ask()
        search.tell(new, [arch.ops.count(3) / 10 for arch in new])
        asked += new
    assert len(asked) == len({space.identity(arch) for arch in asked})
    assert all(space.is_valid(arch) for arch in asked)


def test_mutation_without_a_neighbour_is_a_sample() -> None:
    space, rng = Even(), np.random.default_rng(0)
    arch = space.sample(rng)
    assert not space.neighbours(arch) and all(space.is_valid(space.mutate(arch, rng)) for _ in range(5))


def test_paths_of_a_large_cell_are_listed_up_to_a_length() -> None:
    space = Dense(38)
    search = Bananas(space, BananasConfig(num_init=2, batch_size=1, cutoff=40, shortest_path=0), seed=0)
    archs = [space.sample(np.random.default_rng(seed)) for seed in range(3)]
    started = time.perf_counter()
    encoded = search.encoder.encode(archs)
    assert time.perf_counter() - started < 1.0
    assert encoded.shape == (3, 40) and encoded.all()


@pytest.mark.parametrize("longest", [None, 0, 1, 2, 3])
def test_short_paths_are_those_of_all_that_are_short(longest: int | None) -> None:
    rng = np.random.default_rng(3)
    for space in SHIPPED:
        for _ in range(10):
            arch = space.sample(rng)
            every = space.paths(arch)
            expected = tuple({p for p in paths if longest is None or len(p) <= longest} for paths in every)
            assert space.paths(arch, longest) == expected
    pairs = list(itertools.combinations(range(7), 2))
    for _ in range(50):
        edges = tuple(pair for pair in pairs if rng.random() < 0.5)
        arch = ArchSpec((0, *rng.integers(2, 5, 5).tolist(), 1), edges)
        every_path = walk(arch, 0, ())
        assert graph_paths(arch, longest) == {p for p in every_path if longest is None or len(p) <= longest}


def walk(arch: ArchSpec, node: int, path: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Reference: every way to the last node, step by step."""
    if node == len(arch.ops) - 1:
        return {path[:-1]}
    return set().union(*(walk(arch, end, (*path, arch.ops[end])) for start, end in arch.edges if start == node))


@pytest.mark.parametrize("space", [*SHIPPED, Words()], ids=lambda space: space.name)
def test_a_string_stands_for_its_architecture(space: GraphSpace) -> None:
    arch = space.sample(np.random.default_rng(1))
    text = space.to_string(arch)
    for name in ("identity", "isomorphism_class", "to_string", "neighbours", "paths"):
        assert getattr(space, name)(text) == getattr(space, name)(arch)
    assert space.mutate(text, np.random.default_rng(0)) == space.mutate(arch, np.random.default_rng(0))
    np.testing.assert_array_equal(space.encode([text, text]).adjacency, space.encode([arch, arch]).adjacency)


@pytest.mark.parametrize("space", [*SHIPPED, Words()], ids=lambda space: space.name)
@pytest.mark.parametrize("name", ["identity", "isomorphism_class", "to_string", "neighbours", "paths", "to_networkx"])
def test_what_is_no_architecture_of_the_space_is_refused(space: GraphSpace, name: str) -> None:
    foreign = ArchSpec((0, 2, 1), ((0, 1), (1, 2)))
    for wrong in (foreign, ArchSpec((), ()), ArchSpec((9,) * 22, ()), "no architecture", "", None, 7, [1, 2]):
        with pytest.raises(OutOfDomainError, match="got .*expected|is no .* cell"):
            getattr(space, name)(wrong)


@pytest.mark.parametrize(
    ("ops", "edges"),
    [
        (5, ()),
        ("012", ()),
        ((0, 1.5), ((0, 1),)),
        ((0, True), ((0, 1),)),
        ((0, None), ((0, 1),)),
        ((0, 1), 3),
        ((0, 1), ((0,),)),
        ((0, 1), ((0, 1, 1),)),
        ((0, 1), (("0", "1"),)),
        ((0, 1), ((0, 0.5),)),
        ((0, 1), (0, 1)),
    ],
)
def test_what_are_no_whole_numbers_makes_no_graph(ops: Any, edges: Any) -> None:
    with pytest.raises(OutOfDomainError, match="got operations .*; expected whole numbers, and pairs of them"):
        ArchSpec(ops, edges)


def test_lists_and_numbers_of_numpy_become_plain() -> None:
    arch = ArchSpec(np.array([0, 2, 1]), [[np.int64(0), 1], (1, 2)])  # type: ignore[arg-type]
    assert arch == ArchSpec((0, 2, 1), ((0, 1), (1, 2))) and hash(arch) == hash(ArchSpec((0, 2, 1), ((0, 1), (1, 2))))
    assert {type(op) for op in arch.ops} == {int}
