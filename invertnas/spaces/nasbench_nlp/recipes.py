"""Recipes, the notation of the NAS-Bench-NLP logs: node name -> operation and names of inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from invertnas.errors import OutOfDomainError
from invertnas.spaces.nasbench_nlp.cell import INNER_OPS, NUM_INPUTS, OP_NAMES, Cell
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace
from invertnas.spaces.spec import ArchSpec

Recipe = dict[str, dict[str, Any]]
INPUT_NAMES = ("x", "h_prev_0", "h_prev_1", "h_prev_2")
_NEW_STATE = re.compile(r"h_new_(\d+)")
_SPACE = NASBenchNLPSpace()


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


def from_recipe(recipe: Mapping[str, Mapping[str, Any]]) -> ArchSpec:
    """The graph of a recipe, canonical. Raises OutOfDomainError for one that is no cell of the space."""
    return _SPACE.from_cell(recipe_cell(recipe))


def to_recipe(arch: ArchSpec) -> Recipe:
    """A recipe of the graph: inner nodes are node_0, node_1, ... but for h_new_0, h_new_1, h_new_2.

    `from_recipe` gives the same cell again. The graph has no order of the inputs of blend
    (a * b + (1 - a) * c); a is a sigmoid if there is one among them, else the first in node order.

    Raises:
        OutOfDomainError: for an invalid graph.
    """
    cell = _SPACE.to_cell(arch)
    names = [*INPUT_NAMES, *(f"node_{index}" for index in range(len(cell.ops)))]
    for index, state in enumerate(cell.states):
        names[state] = f"h_new_{index}"
    return {
        name: {"op": OP_NAMES[op], "input": [names[source] for source in _gate_first(cell, op, sources)]}
        for name, op, sources in zip(names[NUM_INPUTS:], cell.ops, cell.inputs)
    }


def _gate_first(cell: Cell, op: int, sources: Sequence[int]) -> list[int]:
    if OP_NAMES[op] != "blend":
        return list(sources)
    gates = [s for s in sources if s >= NUM_INPUTS and OP_NAMES[cell.ops[s - NUM_INPUTS]] == "activation_sigm"]
    return sorted(sources, key=lambda source: source not in gates[:1])
