"""NAS-Bench-101 graphs: hash, canonical form, pruning, enumeration."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest

from invertnas.errors import OutOfDomainError
from invertnas.spaces import ArchSpec
from invertnas.spaces.nasbench101.graph import canonical_masks, cell_code, labellings
from invertnas.spaces.nasbench101.space import INPUT, NUM_CELLS, OUTPUT, NASBench101Space

SPACE = NASBench101Space()
C1, C3, POOL = 2, 3, 4
LABELS = {INPUT: -1, OUTPUT: -2, C3: 0, C1: 1, POOL: 2}
# Hashes and stored graphs of the release: the first, the last and some others in hash order.
RELEASE = {
    "00005c142e6f48ac74fdcf73e3439874": "100110100001001010101 input conv3x3-bn-relu maxpool3x3 conv3x3-bn-relu "
    "conv3x3-bn-relu conv1x1-bn-relu output",
    "0000718c96730a92ea6d5242f8ce77e2": "100000100001000111101 input conv1x1-bn-relu conv1x1-bn-relu "
    "conv3x3-bn-relu conv1x1-bn-relu conv3x3-bn-relu output",
    "3c886a44a68e948e07adf8eca4903142": "100101100001001001101 input conv1x1-bn-relu conv1x1-bn-relu "
    "conv1x1-bn-relu maxpool3x3 conv1x1-bn-relu output",
    "b5882e1da5eeab95a699709f0f1f66b3": "100101100011101 input maxpool3x3 conv1x1-bn-relu maxpool3x3 maxpool3x3 output",
    "ffff76fafa7b0cdf545fd7feee9c8bf9": "100000110000011100111 input conv1x1-bn-relu maxpool3x3 conv3x3-bn-relu "
    "conv3x3-bn-relu maxpool3x3 output",
    "043721b9c7fe8c5fad811d47d83132ec": "1 input output",
    "09fc2d10bdd6225e167a6f81a22a3f06": "111 input conv1x1-bn-relu output",
    "53cee42601ad14d661bb6878031d6acb": "101 input maxpool3x3 output",
    "b49ac8c578b4561d79ac7087988f1c61": "101 input conv3x3-bn-relu output",
    "001ea832563f8d635ef7d0af25926274": "1111111101 input maxpool3x3 conv3x3-bn-relu conv3x3-bn-relu output",
}


@pytest.fixture(scope="module")
def forms() -> list[tuple[int, tuple[int, ...]]]:
    """Mask and labels of every cell."""
    return [(m, labels) for nodes in range(2, 8) for m in canonical_masks(nodes) for labels in labellings(m, nodes)]


@pytest.fixture(scope="module")
def cells(forms: list[tuple[int, tuple[int, ...]]]) -> list[ArchSpec]:
    """Every 97th cell; 97 is no divisor of the number of labellings."""
    return [SPACE.from_code(cell_code(*form)) for form in forms[::97]]


def reference_hash(arch: ArchSpec) -> str:
    """The published definition on matrices, for a pruned cell."""
    count = len(arch.ops)
    matrix = np.zeros((count, count), int)
    matrix[tuple(zip(*arch.edges))] = 1
    degrees = zip(matrix.sum(1).tolist(), matrix.sum(0).tolist(), [LABELS[op] for op in arch.ops])
    hashes = [hashlib.md5(str(kind).encode()).hexdigest() for kind in degrees]
    for _ in range(count):
        parts = [
            [sorted(hashes[u] for u in range(count) if part[u, v]) for part in (matrix, matrix.T)] for v in range(count)
        ]
        texts = ["".join(before) + "|" + "".join(after) + "|" + own for (before, after), own in zip(parts, hashes)]
        hashes = [hashlib.md5(text.encode()).hexdigest() for text in texts]
    return hashlib.md5(str(sorted(hashes)).encode()).hexdigest()


def renumbered(arch: ArchSpec, rng: np.random.Generator, idle: int = 0) -> ArchSpec:
    """The same cell with `idle` useless nodes, in a random topological order."""
    count = len(arch.ops)
    ops = [*arch.ops, *rng.choice([C1, C3, POOL], idle).tolist()]
    edges = {*arch.edges, *((0, count + node) for node in range(idle) if rng.integers(2))}
    before = {v: {x for x, y in edges if y == v} for v in range(len(ops))}
    order: list[int] = []
    while len(order) < len(ops):
        ready = [v for v in range(len(ops)) if v not in order and before[v] <= set(order)]
        ready = [0] if not order else [v for v in ready if v != count - 1] or ready
        order.append(int(rng.choice(ready)))
    place = {node: new for new, node in enumerate(order)}
    return ArchSpec(tuple(ops[v] for v in order), tuple(sorted((place[x], place[y]) for x, y in edges)))


@pytest.mark.parametrize(("name", "text"), RELEASE.items())
def test_hashes_and_stored_graphs_of_the_release(name: str, text: str) -> None:
    arch = SPACE.from_string(text)
    assert SPACE.identity(arch) == SPACE.isomorphism_class(arch) == name
    assert SPACE.to_string(arch) == text and SPACE.canonical(arch) == arch


def test_enumeration_has_the_published_size(forms: list[tuple[int, tuple[int, ...]]], cells: list[ArchSpec]) -> None:
    assert len(forms) == NUM_CELLS == 423_624
    first = list(itertools.islice(SPACE.all(), 3_000))
    assert [SPACE.code(arch) for arch in first] == [cell_code(*form) for form in forms[:3_000]]
    codes = [SPACE.code(arch) for arch in cells]
    assert codes == sorted(set(codes)) and codes[-1] < 2**32
    assert max(len(arch.edges) for arch in cells) == 9 and len(cells[-1].ops) == 7


def test_codes_round_trip(cells: list[ArchSpec]) -> None:
    assert [SPACE.from_code(SPACE.code(arch)) for arch in cells] == cells
    # Mask 1 is the edge 0 -> 1 alone, mask 5 the chain 0 -> 1 -> 2 with three labels.
    assert SPACE.from_code(243) == SPACE.from_string("1 input output")
    assert SPACE.from_code(5 * 243 + 2) == SPACE.from_string("101 input maxpool3x3 output")
    taken = {SPACE.code(arch) for arch in cells}
    for code in (-1, 0, 242, 244, 2 * 243, 5 * 243 + 3, max(taken) + 243, 2**32, 2**60):
        with pytest.raises(OutOfDomainError, match=f"got {code}"):
            SPACE.from_code(code)


def test_hash_follows_its_definition(cells: list[ArchSpec]) -> None:
    chosen = cells[::20]
    assert [SPACE.identity(arch) for arch in chosen] == [reference_hash(arch) for arch in chosen]
    assert len({SPACE.identity(arch) for arch in cells}) == len(cells)


def test_renumbered_cells_with_idle_nodes_are_the_same_cell(cells: list[ArchSpec]) -> None:
    rng = np.random.default_rng(0)
    moved = 0
    for arch in cells[::8]:
        other = renumbered(arch, rng, idle=int(rng.integers(7 - len(arch.ops), endpoint=True)))
        moved += other != arch
        assert SPACE.is_valid(other) and SPACE.canonical(other) == arch
        assert SPACE.identity(other) == SPACE.identity(arch) and SPACE.paths(other) == SPACE.paths(arch)
        assert SPACE.from_string(SPACE.to_string(other)) == arch
    assert moved > 200


def test_canonical_form_is_the_smallest_of_all_renumberings() -> None:
    # Input to both of 1 and 2, one of which feeds the other: 1 -> 2 is forced, labels keep their nodes.
    arch = SPACE.canonical(ArchSpec((INPUT, C1, C3, OUTPUT), ((0, 1), (0, 2), (1, 2), (2, 3))))
    assert arch.ops == (INPUT, C1, C3, OUTPUT)
    # Two parallel branches may be exchanged: conv3x3 has the benchmark's label 0, so it comes first.
    arch = SPACE.canonical(ArchSpec((INPUT, POOL, C3, OUTPUT), ((0, 1), (0, 2), (1, 3), (2, 3))))
    assert arch == ArchSpec((INPUT, C3, POOL, OUTPUT), ((0, 1), (0, 2), (1, 3), (2, 3)))
    # Edges into the output are the highest bits: from nodes 1 and 3 they make 8 + 2, from 2 and 3 8 + 4.
    arch = SPACE.canonical(ArchSpec((INPUT, C1, C3, POOL, OUTPUT), ((0, 1), (0, 2), (1, 3), (2, 4), (3, 4))))
    assert arch == ArchSpec((INPUT, C3, C1, POOL, OUTPUT), ((0, 1), (0, 2), (1, 4), (2, 3), (3, 4)))


def test_nine_edges_are_the_limit_after_pruning() -> None:
    five = [C3] * 5
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (0, 2), (0, 3), (0, 4)]
    assert SPACE.is_valid(ArchSpec((INPUT, *five, OUTPUT), tuple(sorted(edges))))
    ten = ArchSpec((INPUT, *five, OUTPUT), tuple(sorted([*edges, (0, 5)])))
    assert not SPACE.is_valid(ten)
    # Without 5 -> 6 node 5 is idle: its two incoming edges do not count, but a way to the output is needed.
    idle = tuple(sorted({*ten.edges, (4, 6)} - {(5, 6)}))
    assert len(idle) == 10 and SPACE.is_valid(ArchSpec((INPUT, *five, OUTPUT), idle))


def test_neighbours_do_not_depend_on_the_numbering(cells: list[ArchSpec]) -> None:
    rng = np.random.default_rng(1)
    for arch in cells[::211]:
        assert SPACE.neighbours(renumbered(arch, rng)) == SPACE.neighbours(arch)


def test_paths_are_those_of_the_pruned_cell() -> None:
    arch = ArchSpec((INPUT, C3, C1, POOL, OUTPUT), ((0, 1), (0, 2), (0, 4), (1, 4), (2, 3)))
    assert SPACE.paths(arch) == ({(), (C3,)},)


@pytest.mark.slow
def test_all_hashes_differ() -> None:
    hashes = [SPACE.identity(arch) for arch in SPACE.all()]
    assert len(hashes) == len(set(hashes)) == NUM_CELLS
