"""Notations of others: every one comes back as the architecture it was made of, under its name, or is refused."""

from __future__ import annotations

import collections
import random
from collections.abc import Callable
from typing import Any

import networkx
import numpy as np
import pytest

from invertnas.benchmarks.nasbench201 import NASBench201Analysis
from invertnas.errors import OutOfDomainError
from invertnas.spaces import ArchSpec, NASBench201Space
from invertnas.spaces.graph_space import GraphSpace
from invertnas.spaces.nasbench101 import NASBench101Space
from invertnas.spaces.nasbench301 import NASBench301Space
from invertnas.spaces.nasbench301.cells import CELL_OPS
from invertnas.spaces.nasbench_nlp import NASBenchNLPSpace
from invertnas.spaces.nasbench_nlp.recipes import to_recipe
from tests.helpers.spaces import Words

NB101, NB201, NB301, NLP = NASBench101Space(), NASBench201Space(), NASBench301Space(), NASBenchNLPSpace()
SPACES: list[GraphSpace] = [NB101, NB201, NB301, NLP, Words()]
Genotype = collections.namedtuple("Genotype", "normal normal_concat reduce reduce_concat")
Spec = collections.namedtuple("Spec", "original_matrix original_ops")

WRITERS: list[tuple[GraphSpace, str, Callable[[Any, ArchSpec], Any]]] = [
    (NB201, "index of the benchmark", lambda space, arch: space.to_index(arch)),
    (NB201, "index of the benchmark", lambda space, arch: np.int64(space.to_index(arch))),
    (NB201, "index of the benchmark", lambda space, arch: f" {space.to_index(arch)}\n"),
    (NB201, "NASLib op indices", lambda space, arch: space.to_naslib(arch)),
    (NB201, "NASLib op indices", lambda space, arch: np.array(space.to_naslib(arch))),
    (NB201, "nested tuples", lambda space, arch: nested(space.to_string(arch))),
    (NB101, "matrix and operations", lambda space, arch: space.to_matrix(arch)),
    (NB101, "matrix and operations", lambda space, arch: dict(zip(("matrix", "ops"), space.to_matrix(arch)))),
    (NB101, "matrix and operations", lambda space, arch: Spec(*space.to_matrix(arch))),
    (
        NB101,
        "matrix and operations",
        lambda space, arch: (np.array(space.to_matrix(arch)[0]), space.to_matrix(arch)[1]),
    ),
    (NB101, "NASLib tuple", lambda space, arch: space.to_naslib(arch)),
    (NB301, "genotype", lambda space, arch: space.to_genotype(arch)),
    (NB301, "genotype", lambda space, arch: Genotype(*space.to_genotype(arch))),
    (NB301, "genotype", lambda space, arch: tuple(space.to_genotype(arch))),
    (NB301, "genotype", lambda space, arch: space.to_genotype(arch)._asdict()),
    (NB301, "genotype text", lambda space, arch: str(space.to_genotype(arch))),
    (NB301, "genotype text", lambda space, arch: str(tuple(space.to_genotype(arch)))),
    (NB301, "genotype text", lambda space, arch: str(space.to_genotype(arch)._asdict())),
    (NB301, "genotype text", lambda space, arch: str(space.to_genotype(arch)).replace("[2, 3, 4, 5]", "range(2, 6)")),
    (NB301, "pairs", lambda space, arch: space.to_compact(arch)),
    (NB301, "pairs", lambda space, arch: np.array(space.to_compact(arch))),
    (NB301, "configuration of the benchmark", lambda space, arch: space.to_config(arch)),
    (NLP, "recipe of the logs", lambda space, arch: to_recipe(arch)),
    *((space, "graph", lambda space, arch: arch) for space in SPACES),
    *((space, "string", lambda space, arch: f"{space.to_string(arch)}\n") for space in SPACES),
    *((space, "networkx graph", lambda space, arch: space.to_networkx(arch)) for space in SPACES),
]


def nested(text: str) -> Any:
    nodes = [node.strip("|").split("|") for node in text.split("+")]
    return tuple(tuple((op.split("~")[0], int(op.split("~")[1])) for op in node) for node in nodes)


@pytest.mark.parametrize(("space", "notation", "write"), WRITERS, ids=[f"{s.name}-{n}" for s, n, _ in WRITERS])
def test_every_notation_comes_back_and_is_named(space: GraphSpace, notation: str, write: Any) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        arch = space.sample(rng)
        parsed = space.parse(write(space, arch))
        assert (parsed.arch, parsed.notation) == (arch, notation)


def test_indices_are_those_of_the_benchmark_for_every_cell() -> None:
    analysis = NASBench201Analysis()
    for index in range(15_625):
        assert NB201.to_index(analysis.arch(index)) == index and NB201.from_index(index) == analysis.arch(index)


def test_naslib_orders_edges_by_where_they_start() -> None:
    """Its edges are 1-2, 1-3, 1-4, 2-3, 2-4, 3-4; its operations skip, none, 3x3, 1x1, pooling."""
    text = "|skip_connect~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|skip_connect~2|"
    assert NB201.to_naslib(text) == (0, 1, 2, 3, 4, 0)


def test_a_darts_genotype_reads_what_it_says() -> None:
    """DARTS (second order): block b sums its two pairs, an input below 2 is a cell before this one."""
    text = (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
        "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, "
        "5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), "
        "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
        "reduce_concat=range(2, 6))"
    )
    arch, notation = NB301.parse(text)
    normal, reduce = NB301.to_compact(arch)
    assert notation == "genotype text"
    sep, skip, dil, pool = (
        CELL_OPS.index(op) for op in ("sep_conv_3x3", "skip_connect", "dil_conv_3x3", "max_pool_3x3")
    )
    assert normal == ((0, sep), (1, sep), (0, sep), (1, sep), (0, skip), (1, sep), (0, skip), (2, dil))
    assert reduce == ((0, pool), (1, pool), (1, pool), (2, skip), (0, pool), (2, skip), (1, pool), (2, skip))
    graph = NB301.to_networkx(arch)
    # The last operation of the normal cell reads both operations of the first block, which are nodes 2 and 3.
    assert {*graph.predecessors(9)} == {2, 3} and {*graph.predecessors(10)} == set(range(2, 10))
    assert graph.nodes[9]["op"] == "dil_conv_3x3"


def test_isomorphic_matrices_and_idle_nodes_are_one_cell() -> None:
    matrix = np.zeros((4, 4), int)
    matrix[0, 1] = matrix[1, 3] = matrix[0, 2] = 1  # node 2 leads nowhere
    ops = ["input", "conv3x3-bn-relu", "maxpool3x3", "output"]
    assert NB101.parse((matrix, ops)).arch == NB101.from_string("101 input conv3x3-bn-relu output")


def test_nodes_of_any_name_in_any_order_are_numbered() -> None:
    graph = networkx.DiGraph([("conv", "end"), ("start", "conv"), ("start", "end")])
    ops = {"start": "input", "conv": "conv3x3-bn-relu", "end": "output"}
    networkx.set_node_attributes(graph, ops, "op")
    assert NB101.parse(graph).arch == NB101.from_string("111 input conv3x3-bn-relu output")
    graph.add_edge("end", "start")
    with pytest.raises(OutOfDomainError, match="a cycle"):
        NB101.parse(graph)


@pytest.mark.slow
def test_every_hash_leads_to_its_cell() -> None:
    from invertnas.spaces.nasbench101 import notations

    prefixes = np.fromiter((int(NB101.identity(arch)[:4], 16) for arch in NB101.all()), np.uint16)
    np.testing.assert_array_equal(prefixes, np.load(notations.HASH_FILE))


def test_a_hash_leads_to_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    from invertnas.spaces.nasbench101 import notations

    first = [arch for arch, _ in zip(NB101.all(), range(2000))]
    monkeypatch.setattr(notations, "_prefixes", lambda: np.load(notations.HASH_FILE)[:2000])
    monkeypatch.setattr(notations, "_codes_of", lambda space: np.array([space.code(arch) for arch in first]))
    for arch in random.Random(0).sample(first, 50):
        assert NB101.parse(NB101.identity(arch).upper()) == (arch, "MD5 name")
    with pytest.raises(OutOfDomainError, match="names no cell of nasbench101"):
        NB101.parse("0" * 32)


WRONG: list[tuple[GraphSpace, Any, str]] = [
    (NB201, 15_625, "expected a whole number from 0 to 15624"),
    (NB201, -1, "expected a whole number from 0 to 15624"),
    (NB201, (0, 1, 2, 3, 4, 5), "each from 0 to 4"),
    (NB201, True, "expected an architecture of nasbench201 in one of its notations"),
    (NB201, "64:64:64:64:64", "which is no NAS-Bench-201 cell"),
    (NB201, ((("conv", 0),), (("none", 0), ("none", 1)), (("none", 0), ("none", 1), ("none", 2))), "no NAS-Bench-201"),
    (NB201, (((),), ((), ()), ((), (), ())), "looks like nasbench201's nested tuples but cannot be read"),
    (NB101, ([[0, 1], [1, 0]], ["input", "output"]), "expected an upper triangular square"),
    (NB101, ([[0, 1]], ["input", "output"]), "expected an upper triangular square"),
    (NB101, ([[0, 1], [0, 0]], ["input", "conv7x7"]), "expected an upper triangular square"),
    (NB101, (0, 1, 0, 0, 0, 9), "each from 0 to 4"),
    (NB301, "Genotype(normal=[", "looks like nasbench301's genotype text but cannot be read"),
    (NB301, "Genotype(normal=__import__('os').getcwd())", "expected literals or range"),
    (NB301, "Genotype(normal=[])", "expected normal, normal_concat, reduce, reduce_concat"),
    (NB301, "(1, 2, 3)", "cannot be read"),
    (NB301, "Genotype(normal=1, normal_concat=range(9**9), reduce=1, reduce_concat=1)", "cannot be read"),
    (NB301, ([], [2, 3, 4, 5], [], [2, 3, 4, 5]), "expected 8 pairs"),
    (NB301, {"NetworkSelectorDatasetInfo:darts:edge_normal_0": "skip_connect"}, "got 1 edges into a block"),
    (NB301, ([(0, 9)] * 8, [(0, 0)] * 8), "expected 8 pairs"),
    (NLP, {"h_new_0": {"op": "conv", "input": ["x"]}}, "got the recipe node"),
    *((space, thing, f"of {space.name}") for space in SPACES for thing in (None, 2.5, [], {}, object(), b"text")),
    *((space, networkx.DiGraph([(0, 1)]), "as the attribute 'op'") for space in SPACES),
]


@pytest.mark.parametrize(
    ("space", "given", "message"), WRONG, ids=[f"{s.name}-{i}" for i, (s, _, _) in enumerate(WRONG)]
)
def test_what_is_no_architecture_is_refused_with_the_notations(space: GraphSpace, given: Any, message: str) -> None:
    with pytest.raises(OutOfDomainError) as raised:
        space.parse(given)
    assert message in str(raised.value) and "got" in str(raised.value) and "expected" in str(raised.value)
