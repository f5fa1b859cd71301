"""Recipes, the notation of the NAS-Bench-NLP logs: node name -> operation and names of inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from invertnas.spaces.nasbench_nlp.cell import NUM_INPUTS, OP_NAMES, Cell
from invertnas.spaces.nasbench_nlp.recipe_cells import INPUT_NAMES, recipe_cell
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace
from invertnas.spaces.spec import ArchSpec

Recipe = dict[str, dict[str, Any]]
_SPACE = NASBenchNLPSpace()


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
