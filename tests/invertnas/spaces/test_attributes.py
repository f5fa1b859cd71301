"""Attributes of graphs against a count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from invertnas.spaces import ArchSpec, NASBench201Space, SearchSpace
from invertnas.spaces.attributes import OF_GRAPH, attribute_names, graph_attributes
from invertnas.spaces.nasbench101 import NASBench101Space
from invertnas.spaces.nasbench301 import NASBench301Space
from invertnas.spaces.nasbench_nlp import NASBenchNLPSpace
from invertnas.spaces.records import open_space


def by_hand(space: SearchSpace, arch: ArchSpec) -> list[float]:
    size, row = space.num_nodes // space.num_cells, list[float]()
    for cell in range(space.num_cells):
        inside = range(cell * size, (cell + 1) * size)
        ops = [op for node, op in enumerate(arch.ops) if node in inside]
        row += [sum(op == each for each in ops) for op in space.inner_ops]
        row.append(sum(a in inside and b in inside for a, b in arch.edges))
        lengths = [len(path) for path in space.paths(arch)[cell]]
        row += [float(np.log(1 + len(lengths))), max(lengths, default=0), float(np.mean(lengths)) if lengths else 0.0]
    return row


@pytest.mark.parametrize("space", [NASBench101Space(), NASBench201Space(), NASBench301Space(), NASBenchNLPSpace()])
def test_every_space(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(20)]
    found = graph_attributes(space, archs)
    assert found.shape == (20, len(attribute_names(space))) and found.dtype == np.float32
    np.testing.assert_allclose(found, [by_hand(space, arch) for arch in archs], rtol=1e-6)
    assert (found.std(axis=0) > 0).any()


def test_a_chain_of_layers_is_one_cell() -> None:
    space = open_space("nasbench_macro")
    arch = space.sample(np.random.default_rng(0))
    (found,) = graph_attributes(space, [arch])
    assert len(found) == len(attribute_names(space)) and found[:3].tolist() == [
        arch.ops.count(op) for op in space.inner_ops
    ]
    assert found[:3].sum() == len(arch.ops) - 2


def test_names_and_no_architectures() -> None:
    space = NASBench201Space()
    names = attribute_names(space)
    assert names[:1] == ("nor_conv_1x1 of cell 0",) and names[-4:] == tuple(f"{name} of cell 0" for name in OF_GRAPH)
    assert len(attribute_names(NASBench301Space())) == 2 * (7 + 4)
    assert graph_attributes(space, []).shape == (0, len(names))
