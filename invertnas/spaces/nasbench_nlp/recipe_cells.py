"""Recipes of the benchmark's logs as cells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from invertnas.errors import OutOfDomainError
from invertnas.spaces.nasbench_nlp.cell import INNER_OPS, OP_NAMES, Cell

INPUT_NAMES = ("x", "h_prev_0", "h_prev_1", "h_prev_2")
_NEW_STATE = re.compile(r"h_new_(\d+)")


def recipe_cell(recipe: Mapping[str, Mapping[str, Any]]) -> Cell:
    """The cell of a recipe in the recipe's node order, of any size; not checked for validity.

    New hidden states are the nodes named h_new_0, h_new_1, ...; a name such as h_new_1_act is an inner node's.

    Raises:
        OutOfDomainError: unknown operation or input, an input twice, or h_new numbers with a gap.
    """
    number = {name: index for index, name in enumerate((*INPUT_NAMES, *recipe))}
    ops, inputs, states = [], [], {}
    for name, node in recipe.items():
        op, sources = node.get("op"), node.get("input", ())
        known = op in OP_NAMES[INNER_OPS[0] :] and all(source in number for source in sources)
        if not known or len(set(sources)) < len(sources) or name in INPUT_NAMES:
            raise OutOfDomainError(
                f"got the recipe node {name!r}: {dict(node)}; expected an operation of {OP_NAMES[INNER_OPS[0]:]} "
                f"and different inputs out of {', '.join(number)}"
            )
        ops.append(OP_NAMES.index(str(op)))
        inputs.append(tuple(sorted(number[source] for source in sources)))
        match = _NEW_STATE.fullmatch(name)
        if match:
            states[int(match[1])] = number[name]
    if sorted(states) != list(range(len(states))):
        raise OutOfDomainError(f"got new hidden states {sorted(states)}; expected h_new_0, h_new_1, ... without a gap")
    return Cell(tuple(ops), tuple(inputs), tuple(states[index] for index in range(len(states))))
