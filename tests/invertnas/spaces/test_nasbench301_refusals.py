"""What the DARTS space refuses: malformed strings, compact forms, genotypes and graphs."""

from __future__ import annotations

import numpy as np
import pytest

from invertnas.errors import OutOfDomainError
from invertnas.spaces import ArchSpec
from invertnas.spaces.nasbench301.space import CELL_OPS, OUTPUT, Genotype, NASBench301Space

SPACE = NASBench301Space()
ARCH = SPACE.sample(np.random.default_rng(301))
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


MALFORMED = {
    "empty": "",
    "no reduction cell": DARTS_TEXT.partition(";")[0],
    "cells exchanged": ";".join(reversed(DARTS_TEXT.split(";"))),
    "unknown operation": DARTS_TEXT.replace("dil_conv_3x3", "conv_3x3"),
    "no operation": DARTS_TEXT.replace("dil_conv_3x3", "input_0"),
    "equal inputs": DARTS_TEXT.replace("|sep_conv_3x3~0|sep_conv_3x3~1|+", "|sep_conv_3x3~0|sep_conv_3x3~0|+", 1),
    "later block as input": DARTS_TEXT.replace("dil_conv_3x3~2", "dil_conv_3x3~5"),
    "own block as input": DARTS_TEXT.replace("|skip_connect~0|sep_conv_3x3~1|", "|skip_connect~0|sep_conv_3x3~4|"),
    "larger input first": DARTS_TEXT.replace("|skip_connect~0|sep_conv_3x3~1|", "|sep_conv_3x3~1|skip_connect~0|"),
    "block missing": DARTS_TEXT.replace("+|skip_connect~0|dil_conv_3x3~2|", ""),
    "third operation": DARTS_TEXT.replace("dil_conv_3x3~2|", "dil_conv_3x3~2|skip_connect~3|"),
    "trailing text": DARTS_TEXT + "+",
    "trailing newline": DARTS_TEXT + "\n",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(OutOfDomainError, match="expected"):
        SPACE.from_string(text)


CELL = [(0, 0), (1, 0), (0, 0), (1, 0), (0, 0), (1, 0), (0, 0), (1, 0)]


@pytest.mark.parametrize(
    "compact",
    [[CELL], [CELL] * 3, [CELL, CELL[:6]], [CELL, 5], [CELL, [(0, 0, 0)] * 8], [CELL, [(0, 7), *CELL[1:]]], None],
    ids=["one cell", "three cells", "three blocks", "a number", "triples", "unknown operation", "nothing"],
)
def test_malformed_compact_forms_are_refused(compact: list[list[tuple[int, int]]]) -> None:
    with pytest.raises(OutOfDomainError, match="got .*expected"):
        SPACE.from_compact(compact)


def test_malformed_genotypes_are_refused() -> None:
    fields = DARTS_V2._asdict()
    for change in (
        {"normal_concat": [2, 3, 4]},
        {"reduce": [("none", 0)] * 8},
        {"reduce": [("skip_connect", "x")] * 8},
    ):
        with pytest.raises(OutOfDomainError, match="got .*expected"):
            SPACE.from_genotype(Genotype(**(fields | change)))
    with pytest.raises(OutOfDomainError, match="expected .normal, normal_concat"):
        SPACE.from_genotype(DARTS_V2[:2])


def test_foreign_graphs_are_refused() -> None:
    arch = ARCH
    ops = list(arch.ops)
    foreign = {
        "an edge between the cells": ArchSpec(arch.ops, tuple(sorted((*arch.edges, (2, 15))))),
        "an edge missing": ArchSpec(arch.ops, arch.edges[:-1]),
        "a node too many": ArchSpec((*arch.ops, OUTPUT), arch.edges),
        "one cell": ArchSpec(arch.ops[:11], tuple(edge for edge in arch.edges if edge[1] < 11)),
        "inputs exchanged": ArchSpec((ops[1], ops[0], *ops[2:]), arch.edges),
        "output inside": ArchSpec((*ops[:5], OUTPUT, *ops[6:]), arch.edges),
        "operation out of range": ArchSpec((*ops[:5], 3 + len(CELL_OPS), *ops[6:]), arch.edges),
        "nothing": ArchSpec((), ()),
    }
    for name, graph in foreign.items():
        assert not SPACE.is_valid(graph), name
        for method in (SPACE.to_string, SPACE.identity, SPACE.isomorphism_class, SPACE.neighbours, SPACE.paths):
            with pytest.raises(OutOfDomainError, match="expected"):
                method(graph)
