"""Neighbours, mutation and sampling in the NAS-Bench-NLP space."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from invertnas.errors import OutOfDomainError
from invertnas.spaces import ArchSpec
from invertnas.spaces.nasbench_nlp.cell import ACTIVATIONS, BLEND, INNER_OPS, LEAKY_RELU, LINEAR, PROD, SUM, Cell
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace

SPACE = NASBenchNLPSpace()


@pytest.fixture(scope="module")
def drawn() -> list[ArchSpec]:
    rng = np.random.default_rng(5)
    return [SPACE.sample_states(rng, states) for states in (1, 2, 3) for _ in range(60)]


def test_neighbours_are_other_cells_one_edit_away(drawn: list[ArchSpec]) -> None:
    counts = []
    for arch in drawn[::12]:
        neighbours = SPACE.neighbours(arch)
        counts.append(len(neighbours))
        assert len({SPACE.identity(other) for other in neighbours}) == len(neighbours)
        assert arch not in neighbours and all(map(SPACE.is_valid, neighbours))
        assert neighbours == SPACE.neighbours(arch)
        assert all(abs(len(arch.ops) - len(other.ops)) <= 1 for other in neighbours)
    assert 10 <= min(counts) and np.median(counts) >= 40 and max(counts) <= 200


def test_neighbours_of_a_small_cell_by_hand() -> None:
    arch = SPACE.from_string("linear(x,h0);tanh(0)->1")
    assert {SPACE.to_string(other) for other in SPACE.neighbours(arch)} == {
        # another activation; linear twice with the state before or after it; none at all
        "linear(x,h0);sigm(0)->1", "linear(x,h0);leaky_relu(0)->1", "linear(x,h0)->0",
        # an activation after either node
        "linear(x,h0);sigm(0);tanh(1)->2", "linear(x,h0);tanh(0);tanh(1)->2", "linear(x,h0);leaky_relu(0);tanh(1)->2",
        "linear(x,h0);tanh(0);sigm(1)->2", "linear(x,h0);tanh(0);leaky_relu(1)->2",
        # or on the edge from the previous state
        "sigm(h0);linear(x,0);tanh(1)->2", "tanh(h0);linear(x,0);tanh(1)->2", "leaky_relu(h0);linear(x,0);tanh(1)->2",
    }  # fmt: skip


def test_neighbourhood_is_mutual(drawn: list[ArchSpec]) -> None:
    for arch in drawn[7::120]:
        assert all(arch in SPACE.neighbours(other) for other in SPACE.neighbours(arch)[::6])


def test_mutation_reaches_every_neighbour_and_nothing_else() -> None:
    arch = SPACE.from_string("linear(x,h0);tanh(0)->1")
    rng = np.random.default_rng(0)
    assert {SPACE.mutate(arch, rng) for _ in range(300)} == set(SPACE.neighbours(arch))


def test_samples_keep_the_rules_of_the_generator() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        cell = SPACE.to_cell(SPACE.sample(rng))
        assert len(cell.states) == 2 and len(cell.ops) <= 8
        for op, sources in zip(cell.ops, cell.inputs):
            # Activations follow linear, and no elementwise operation reads x.
            assert op not in ACTIVATIONS or cell.ops[sources[0] - 4] == LINEAR
            assert op == LINEAR or 0 not in sources
        for state in cell.states:
            assert not {1, 2}.intersection(cell.inputs[state - 4])


def test_samples_follow_the_seed_and_the_number_of_states() -> None:
    draw = [[SPACE.sample(rng) for _ in range(5)] for rng in map(np.random.default_rng, (1, 1, 2))]
    assert draw[0] == draw[1] != draw[2]
    for states in (1, 3):
        assert len(SPACE.to_cell(SPACE.sample_states(np.random.default_rng(0), states)).states) == states
    with pytest.raises(OutOfDomainError, match="got 4 hidden states; expected 1 to 3"):
        SPACE.sample_states(np.random.default_rng(0), 4)


def plain_draw(rng: np.random.Generator) -> Cell | None:
    """One attempt of the generator, written down step by step: two states out of nine slots."""
    names: list[int] = []
    reads: list[list[int]] = []
    acts: list[int] = []
    while len(names) < 9:
        op = rng.choice([LINEAR, BLEND, PROD, SUM], p=[3 / 6, 1 / 6, 1 / 6, 1 / 6])
        here = 4 + len(names)
        if op == LINEAR:
            pool = [0, 1, 2, *acts]
            reads += [
                rng.choice(pool, min(rng.choice([2, 3], p=[0.8, 0.2]), len(pool)), replace=False).tolist(),
                [here],
            ]
            names += [LINEAR, int(rng.choice(ACTIVATIONS))]
            acts.append(here + 1)
        else:
            pool, count = [1, 2, *range(4, here)], 3 if op == BLEND else 2
            if count <= len(pool):
                names.append(int(op))
                reads.append(rng.choice(pool, count, replace=False).tolist())
    states = (4 + rng.choice(len(names), 2, replace=False)).tolist()
    needed = set(states)
    for index in reversed(range(len(names))):
        if 4 + index in needed:
            needed.update(reads[index])
    kept = sorted(node for node in needed if node >= 4)
    if len(kept) > 8 or not needed >= {0, 1, 2} or any({1, 2} & set(reads[state - 4]) for state in states):
        return None
    place = {0: 0, 1: 1, 2: 2} | {node: 4 + index for index, node in enumerate(kept)}
    inputs = tuple(tuple(sorted(place[source] for source in reads[node - 4])) for node in kept)
    return Cell(tuple(names[node - 4] for node in kept), inputs, tuple(place[state] for state in states))


def test_samples_are_distributed_as_by_the_plain_generator() -> None:
    rng = np.random.default_rng(6)
    plain: list[Cell] = []
    while len(plain) < 120:
        cell = plain_draw(rng)
        plain += [] if cell is None else [cell]
    ours = [SPACE.to_cell(SPACE.sample(rng)) for _ in range(600)]
    assert all(SPACE.is_valid(SPACE.from_cell(cell)) for cell in plain)
    sizes = [np.mean([len(cell.ops) for cell in cells]) for cells in (plain, ours)]
    assert abs(sizes[0] - sizes[1]) < 0.4
    for op in INNER_OPS:
        one, other = (np.mean([cell.ops.count(op) for cell in cells]) for cells in (plain, ours))
        assert abs(one - other) < 0.3, op
    kinds = [collections.Counter(cell.ops[cell.states[0] - 4] for cell in cells) for cells in (plain, ours)]
    for op in (LINEAR, BLEND, LEAKY_RELU):
        assert abs(kinds[0][op] / 120 - kinds[1][op] / 600) < 0.13
