"""What the NAS-Bench-NLP space refuses: cells, graphs, strings and recipes."""

from __future__ import annotations

from typing import Any

import pytest

from invertnas.errors import OutOfDomainError
from invertnas.spaces import ArchSpec
from invertnas.spaces.nasbench_nlp.cell import H_PREV, LINEAR, OUTPUT, PROD, STATE, SUM, TANH, Cell, X
from invertnas.spaces.nasbench_nlp.recipes import from_recipe, to_recipe
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace

SPACE = NASBenchNLPSpace()
INPUTS = (X, *H_PREV)


def node(op: str, *inputs: str) -> dict[str, Any]:
    return {"op": op, "input": list(inputs)}


GRU = {
    "r": node("linear", "x", "h_prev_0"),
    "r_act": node("activation_sigm", "r"),
    "z": node("linear", "x", "h_prev_0"),
    "z_act": node("activation_sigm", "z"),
    "rh": node("elementwise_prod", "r_act", "h_prev_0"),
    "h_tilde": node("linear", "x", "rh"),
    "h_tilde_act": node("activation_tanh", "h_tilde"),
    "h_new_0": node("blend", "z_act", "h_prev_0", "h_tilde_act"),
}
# State 0 is made from state 1, as in an LSTM; the node called h_new_1_act is no state.
MEMORY = {
    "h_new_0": node("elementwise_prod", "h_new_1_act", "gate"),
    "a": node("linear", "x", "h_prev_0"),
    "gate": node("activation_sigm", "a"),
    "h_new_1": node("elementwise_sum", "gate", "h_prev_1"),
    "h_new_1_act": node("activation_tanh", "h_new_1"),
}


FAULTS = {
    "no inner nodes": (Cell((), (), ()), "0 inner nodes; expected 1 to 8"),
    "nine inner nodes": (Cell((LINEAR,) * 9, ((0, 1),) * 9, (4,)), "9 inner nodes"),
    "no state": (Cell((LINEAR,), ((0, 1),), ()), "expected 1 to 3 different nodes"),
    "a state twice": (Cell((LINEAR,), ((0, 1),), (4, 4)), "expected 1 to 3 different nodes"),
    "an input as state": (Cell((LINEAR,), ((0, 1),), (1,)), "expected inner nodes"),
    "tanh of two": (Cell((LINEAR, TANH), ((0, 1), (1, 4)), (5,)), "expected counts of inputs"),
    "sum of three": (Cell((LINEAR, SUM, PROD), ((0, 1), (1, 4), (1, 4, 5)), (6,)), "expected counts"),
    "linear of one": (Cell((LINEAR, SUM), ((0,), (1, 4)), (5,)), "expected counts of inputs"),
    "sum of x": (Cell((LINEAR, SUM), ((0, 1), (0, 4)), (5,)), "elementwise_sum of x"),
    "cycle": (Cell((LINEAR, LINEAR), ((0, 1, 5), (1, 4)), (5,)), "a cycle"),
    "x unread": (Cell((TANH,), ((1,),), (4,)), "depend on nodes"),
    "unneeded node": (Cell((LINEAR, TANH), ((0, 1), (4,)), (4,)), "depend on nodes"),
    "previous state of none": (Cell((LINEAR,), ((0, 1, 2),), (4,)), "depend on nodes"),
    "state never read": (Cell((LINEAR, TANH), ((0, 1), (4,)), (4, 5)), "depend on nodes"),
}


@pytest.mark.parametrize(("wrong", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_faulty_cells_are_named(wrong: Cell, message: str) -> None:
    with pytest.raises(OutOfDomainError, match=message):
        SPACE.from_cell(wrong)


BASE = from_recipe(MEMORY)
FOREIGN = {
    "nothing": ArchSpec((), ()),
    "inputs only": ArchSpec((*INPUTS, OUTPUT), ((0, 4),)),
    "inputs exchanged": ArchSpec((X, *H_PREV[::-1], *BASE.ops[4:]), BASE.edges),
    "no output": ArchSpec(BASE.ops[:-1] + (TANH,), BASE.edges),
    "an edge into an input": ArchSpec(BASE.ops, ((0, 1), *BASE.edges)),
    "state not read": ArchSpec(BASE.ops, BASE.edges[:-1]),
    "two outputs": ArchSpec(BASE.ops, tuple(sorted({*BASE.edges, (7, 10)}))),
    "state in the middle": ArchSpec((*INPUTS, LINEAR, STATE, TANH, OUTPUT), ((0, 4), (1, 4), (4, 5), (4, 6), (6, 7))),
    "an operation out of range": ArchSpec((*INPUTS, 13, OUTPUT), ((0, 4), (1, 4), (4, 5))),
}


@pytest.mark.parametrize("arch", FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_graphs_are_refused(arch: ArchSpec) -> None:
    assert not SPACE.is_valid(arch)
    for method in (SPACE.to_string, SPACE.identity, SPACE.isomorphism_class, SPACE.neighbours, SPACE.paths, to_recipe):
        with pytest.raises(OutOfDomainError, match="no NAS-Bench-NLP cell: .*expected|got"):
            method(arch)


MALFORMED = {
    "empty": "",
    "no states": "linear(x,h0);tanh(0)",
    "empty states": "linear(x,h0);tanh(0)->",
    "unknown operation": "linear(x,h0);relu(0)->1",
    "input not inner": "input(x,h0);tanh(0)->1",
    "unknown node": "linear(x,h0);tanh(7)->1",
    "later node": "tanh(1);linear(x,h0)->0",
    "inputs unsorted": "linear(h0,x);tanh(0)->1",
    "an input twice": "linear(x,x);tanh(0)->1",
    "trailing newline": "linear(x,h0);tanh(0)->1\n",
    "x unread": "tanh(h0)->0",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(OutOfDomainError, match="expected"):
        SPACE.from_string(text)


RECIPES = {
    "unknown operation": (MEMORY | {"a": node("relu", "x")}, "expected an operation of"),
    "unknown input": (MEMORY | {"a": node("linear", "x", "y")}, "different inputs out of x, h_prev_0"),
    "an input twice": (MEMORY | {"a": node("linear", "x", "x")}, "different inputs"),
    "a node called x": (MEMORY | {"x": node("linear", "h_prev_0", "h_prev_1")}, "'x'"),
    "a gap in the states": ({**GRU, "h_new_2": node("activation_tanh", "rh")}, "without a gap"),
    "too many nodes": ({**GRU, "more": node("linear", "x", "rh"), "h_new_1": node("linear", "x", "more")}, "10 inner"),
}


@pytest.mark.parametrize(("recipe", "message"), RECIPES.values(), ids=RECIPES.keys())
def test_foreign_recipes_are_refused(recipe: dict[str, Any], message: str) -> None:
    with pytest.raises(OutOfDomainError, match=message):
        from_recipe(recipe)
