"""The base class of search spaces, and the example of a space of one's own."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import invertnas
from examples import own_space
from examples.own_space import OwnSpace, accuracy, pretrain, search
from invertnas.errors import ConfigError, OutOfDomainError, TrainingError
from invertnas.search.config import SearchConfig
from invertnas.search.optimizer import InvertNAS
from invertnas.spaces import ArchSpec, GraphSpace, NASBench201Space, SearchSpace
from tests.helpers.fakes import FakeSurrogate
from tests.repository.test_package import imports

SPACE = OwnSpace()
PAIRS = list(itertools.combinations(range(5), 2))
GRAPHS = [
    ArchSpec((0, *inner, 1), tuple(pair for pair, present in zip(PAIRS, bits) if present))
    for bits in itertools.product((False, True), repeat=len(PAIRS))
    for inner in itertools.product(SPACE.inner_ops, repeat=3)
]
EVERY = [graph for graph in GRAPHS if SPACE.is_valid(graph)]


def reachable(edges: set[tuple[int, int]], start: int) -> set[int]:
    found = {start}
    for _ in range(5):
        found |= {target for source, target in edges if source in found}
    return found


def test_members_are_the_graphs_without_idle_nodes() -> None:
    for graph in GRAPHS[::11]:
        edges = set(graph.edges)
        wanted = all(node in reachable(edges, 0) and 4 in reachable(edges, node) for node in range(5))
        assert SPACE.is_valid(graph) == wanted
    assert len(EVERY) == 3294 and isinstance(SPACE, SearchSpace)


def test_strings_and_graphs_go_there_and_back() -> None:
    some = EVERY[::37]
    texts = [SPACE.to_string(arch) for arch in EVERY]
    assert len(set(texts)) == len(EVERY)
    assert [SPACE.from_string(SPACE.to_string(arch)) for arch in some] == some
    graphs = SPACE.encode(some)
    assert SPACE.decode(graphs.ops.argmax(axis=-1), graphs.adjacency.astype(np.int64)) == some
    assert [SPACE.identity(arch) for arch in some] == [SPACE.isomorphism_class(arch) for arch in some]


def test_graphs_outside_the_space_are_refused() -> None:
    graphs = SPACE.encode(EVERY[:4])
    ops, adjacency = graphs.ops.argmax(axis=-1), graphs.adjacency.astype(np.int64)
    ops[0, 1] = 1  # a second output
    adjacency[1, 4, 2] = 1  # an edge against the order
    adjacency[2, 2] = 0  # an idle node
    assert SPACE.decode(ops, adjacency) == [None, None, None, EVERY[3]]
    good = SPACE.to_string(EVERY[3])
    for text in ("", good + " 0-9", good + " 3-1", good + " " + good.split()[-1], good.replace("input", "image")):
        with pytest.raises(OutOfDomainError):
            SPACE.from_string(text)
    with pytest.raises(OutOfDomainError, match="expected operations of own"):
        SPACE.from_string("0-1 " + good)
    for name in ("to_string", "identity", "isomorphism_class"):
        with pytest.raises(OutOfDomainError, match="expected an architecture of own"):
            getattr(SPACE, name)(ArchSpec((0, 2, 2, 2, 1), ((0, 1),)))


def test_samples_are_uniform() -> None:
    rng = np.random.default_rng(0)
    counts: dict[int, int] = {}
    for _ in range(1500):
        arch = SPACE.sample(rng)
        counts[len(arch.edges)] = counts.get(len(arch.edges), 0) + 1
    for size, count in counts.items():
        share = np.mean([len(arch.edges) == size for arch in EVERY])
        assert abs(count / 1500 - share) < 4 * np.sqrt(share / 1500)


def test_neighbours_are_the_members_one_edit_away() -> None:
    def edits(a: ArchSpec, b: ArchSpec) -> int:
        return sum(x != y for x, y in zip(a.ops, b.ops)) + len(set(a.edges) ^ set(b.edges))

    rng = np.random.default_rng(0)
    for arch in EVERY[::400]:
        near = SPACE.neighbours(arch)
        assert len(set(near)) == len(near) and set(near) == {other for other in EVERY if edits(arch, other) == 1}
        assert {SPACE.mutate(arch, rng) for _ in range(400)} == set(near)


def test_the_defaults_give_a_shipped_space_its_own_neighbours_and_decodes() -> None:
    space, rng = NASBench201Space(), np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(20)]
    for arch in archs:
        assert GraphSpace.neighbours(space, arch) == space.neighbours(arch)
    graphs = space.encode(archs)
    ops, adjacency = graphs.ops.argmax(axis=-1), graphs.adjacency.astype(np.int64)
    ops[3, 2], adjacency[7, 0, 3] = 0, 1
    assert GraphSpace.decode(space, ops, adjacency) == space.decode(ops, adjacency)


def test_the_example_finds_better_than_random() -> None:
    gvae, share = pretrain(SPACE, samples=2000, epochs=60, seed=0)
    assert 0.9 <= share <= 1.0
    found = search(gvae, queries=25)
    values = list(found.values())
    assert len(values) == 25 and values == [accuracy(SPACE.from_string(text)) for text in found]
    assert max(values) > np.mean(values[:10]) + 2 * np.std(values[:10])
    assert np.mean(values[10:]) > np.mean(values[:10])


@pytest.mark.parametrize("name", ["conv 3x3", "", " conv", "3-3", "pool", 7])
def test_operations_whose_strings_could_not_be_read_are_refused_at_once(name: str) -> None:
    class Misnamed(OwnSpace):
        op_names = ("input", "output", name, "pool", "skip")

    space, text = Misnamed(), SPACE.to_string(EVERY[0])
    for use in (lambda: space.to_string(EVERY[0]), lambda: space.identity(EVERY[0]), lambda: space.from_string(text)):
        with pytest.raises(ConfigError, match="got operation name .* in own; expected distinct words .*rename it"):
            use()
    settings = SearchConfig(initial=1, keep=1)
    with pytest.raises(ConfigError, match="got operation name"):
        InvertNAS(space, FakeSurrogate(), settings, seed=0)


def test_a_notation_of_ones_own_may_name_operations_freely() -> None:
    class Notation(OwnSpace):
        op_names = ("input", "output", "conv 3x3", "3-3", "3-3")

        def to_string(self, arch: ArchSpec | str) -> str:
            return SPACE.to_string(arch)

        def from_string(self, text: str) -> ArchSpec:
            return SPACE.from_string(text)

    space = Notation()
    assert space.from_string(space.to_string(EVERY[0])) == EVERY[0] == SPACE.from_string(space.identity(EVERY[0]))


def test_a_gvae_that_gives_too_little_back_is_not_searched_with() -> None:
    with pytest.raises(TrainingError, match=r"got \d+\.\d% of 3\d architectures back; expected 90%"):
        pretrain(SPACE, samples=400, epochs=2, seed=0)


def test_the_gvae_does_not_see_what_it_is_measured_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Exception):
        pass

    def encode(archs: list[ArchSpec]) -> list[ArchSpec]:
        parts.append(archs)
        return archs

    def stop(*_: object) -> None:
        raise Stop

    parts: list[list[ArchSpec]] = []
    space = OwnSpace()
    monkeypatch.setattr(space, "encode", encode)
    monkeypatch.setattr(invertnas, "split_cells", stop)
    with pytest.raises(Stop):
        pretrain(space, samples=2000, epochs=1, seed=0)
    kept, seen = parts
    assert len(kept) == 150 and len({*kept, *seen}) == len(kept) + len(seen) == 1508


def test_the_example_can_be_copied_out_of_the_repository() -> None:
    assert own_space.__file__ is not None
    for name in imports(Path(own_space.__file__)):
        root = name.split(".")[0]
        assert name == "invertnas" or root == "numpy" or root in sys.stdlib_module_names, name
