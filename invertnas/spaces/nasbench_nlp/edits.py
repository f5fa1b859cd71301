"""Edits of NAS-Bench-NLP cells: the moves of local search and evolution."""

from __future__ import annotations

from collections.abc import Iterator

from invertnas.spaces.nasbench_nlp.cell import ACTIVATIONS, ARITY, INNER_OPS, MAX_INNER, NUM_INPUTS, Cell


def edits(cell: Cell) -> Iterator[Cell]:
    """Every cell one edit away, in a fixed order; not all are valid, and some may be equal.

    An edit exchanges an operation for another that takes as many inputs, redirects one input of a
    node, adds or removes the third input of a linear, lets another node be a new hidden state or
    two states exchange their nodes, puts an activation after a node or on one of its edges, or removes an
    activation.
    """
    yield from _operations(cell)
    yield from _inputs(cell)
    yield from _states(cell)
    yield from _insertions(cell)
    yield from _removals(cell)


def _replace(cell: Cell, index: int, op: int, sources: tuple[int, ...]) -> Cell:
    ops = cell.ops[:index] + (op,) + cell.ops[index + 1 :]
    return Cell(ops, cell.inputs[:index] + (tuple(sorted(sources)),) + cell.inputs[index + 1 :], cell.states)


def _operations(cell: Cell) -> Iterator[Cell]:
    for index, (op, sources) in enumerate(zip(cell.ops, cell.inputs)):
        for other in INNER_OPS:
            if other != op and len(sources) in ARITY[other]:
                yield _replace(cell, index, other, sources)


def _inputs(cell: Cell) -> Iterator[Cell]:
    """One input exchanged, added or removed; what would close a cycle is left to the caller to reject."""
    nodes = range(NUM_INPUTS + len(cell.ops))
    for index, (op, sources) in enumerate(zip(cell.ops, cell.inputs)):
        unread = [node for node in nodes if node not in sources and node != NUM_INPUTS + index]
        for old in sources:
            rest = tuple(source for source in sources if source != old)
            yield from (_replace(cell, index, op, (*rest, new)) for new in unread)
            if len(rest) in ARITY[op]:
                yield _replace(cell, index, op, rest)
        if len(sources) + 1 in ARITY[op]:
            yield from (_replace(cell, index, op, (*sources, new)) for new in unread)


def _states(cell: Cell) -> Iterator[Cell]:
    for old in cell.states:
        for node in range(NUM_INPUTS, NUM_INPUTS + len(cell.ops)):
            if node != old:
                exchanged = [{node: old, old: node}.get(state, state) for state in cell.states]
                yield cell._replace(states=tuple(exchanged))


def _insertions(cell: Cell) -> Iterator[Cell]:
    """An activation between a node and one reader of it, or between a node and all that it is for."""
    if len(cell.ops) == MAX_INNER:
        return
    new = NUM_INPUTS + len(cell.ops)
    for index, (op, sources) in enumerate(zip(cell.ops, cell.inputs)):
        for activation in ACTIVATIONS:
            for source in sources:
                grown = _replace(cell, index, op, (*(each for each in sources if each != source), new))
                yield Cell((*grown.ops, activation), (*grown.inputs, (source,)), cell.states)
            node = NUM_INPUTS + index
            behind = _redirect(cell, node, new)
            yield Cell((*behind.ops, activation), (*behind.inputs, (node,)), behind.states)


def _redirect(cell: Cell, old: int, new: int) -> Cell:
    """`new` instead of `old` wherever `old` is read or is a new hidden state."""
    inputs = tuple(tuple(sorted({new if source == old else source for source in reads})) for reads in cell.inputs)
    return Cell(cell.ops, inputs, tuple(new if state == old else state for state in cell.states))


def _removals(cell: Cell) -> Iterator[Cell]:
    for index, (op, sources) in enumerate(zip(cell.ops, cell.inputs)):
        if op in ACTIVATIONS:
            node = NUM_INPUTS + index
            joined = _redirect(cell, node, sources[0])
            kept = [joined.inputs[i] for i in range(len(cell.ops)) if i != index]
            inputs = tuple(tuple(source - (source > node) for source in reads) for reads in kept)
            states = tuple(state - (state > node) for state in joined.states)
            yield Cell(cell.ops[:index] + cell.ops[index + 1 :], inputs, states)
