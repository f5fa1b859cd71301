"""Notations of architectures: how a space recognises one, reads it, and says which it was."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from invertnas.errors import OutOfDomainError
from invertnas.spaces.spec import ArchSpec

if TYPE_CHECKING:
    import networkx

_SHOWN = 200  # characters of what was given, in a message


class Parsed(NamedTuple):
    """An architecture, and the name of the notation it was given in."""

    arch: ArchSpec
    notation: str


class Notation(NamedTuple):
    """One notation of a space.

    Attributes:
        name: what it is called.
        form: an example or pattern, for messages.
        looks: whether something is meant in this notation; must not raise.
        read: the architecture; raises OutOfDomainError, or what Python raises, for what is malformed.
    """

    name: str
    form: str
    looks: Callable[[Any], bool]
    read: Callable[[Any], ArchSpec]


def parse(given: Any, notations: Sequence[Notation], space: str) -> Parsed:
    """The architecture by the first notation that recognises it.

    Raises:
        OutOfDomainError: none does, or the one that does cannot read it.
    """
    for notation in notations:
        if not notation.looks(given):
            continue
        try:
            return Parsed(notation.read(given), notation.name)
        except OutOfDomainError:
            raise
        except (
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            SyntaxError,
            OverflowError,
            RecursionError,
        ) as error:
            raise OutOfDomainError(
                f"got {shown(given)}, which looks like {space}'s {notation.name} but cannot be read ({error}); "
                f"expected {notation.form}"
            ) from error
    forms = "; ".join(f"{notation.name} ({notation.form})" for notation in notations)
    raise OutOfDomainError(f"got {shown(given)}; expected an architecture of {space} in one of its notations: {forms}")


def shown(given: Any) -> str:
    """What was given, shortened."""
    text = repr(given)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, Python's or NumPy's, and no bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_list(value: Any, length: int | None = None) -> bool:
    """Whether it is a list, tuple or array of that length, or of any."""
    listed = isinstance(value, (list, tuple)) or (hasattr(value, "tolist") and getattr(value, "ndim", 0) > 0)
    return listed and (length is None or len(value) == length)


def to_networkx(arch: ArchSpec, op_names: Sequence[str]) -> networkx.DiGraph:
    """The graph with node numbers from 0 and each node's operation, by name, as its attribute "op"."""
    import networkx

    graph = networkx.DiGraph()
    graph.add_nodes_from((node, {"op": op_names[op]}) for node, op in enumerate(arch.ops))
    graph.add_edges_from(arch.edges)
    return graph


def from_networkx(graph: networkx.DiGraph, op_names: Sequence[str]) -> ArchSpec:
    """Inverse of `to_networkx`; nodes of other names are numbered in topological order, those given first first.

    Raises:
        OutOfDomainError: a cycle, or a node without an operation of the space.
    """
    if not is_networkx(graph):
        raise OutOfDomainError(
            f"got {shown(graph)}; expected a DiGraph of networkx; other notations are read by parse()"
        )
    import networkx

    names = list(graph.nodes)
    if sorted(names, key=repr) != sorted(range(len(names)), key=repr):
        place = {name: index for index, name in enumerate(names)}
        if not networkx.is_directed_acyclic_graph(graph):
            raise OutOfDomainError("got a graph with a cycle; expected an acyclic one; drop an edge of the cycle")
        names = list(networkx.lexicographical_topological_sort(graph, key=place.__getitem__))
    else:
        names.sort()
    number = {name: index for index, name in enumerate(names)}
    ops = [graph.nodes[name].get("op") for name in names]
    for op in ops:
        if op not in op_names:
            raise OutOfDomainError(
                f"got a node with op={op!r}; expected one of {', '.join(op_names)}, as the attribute 'op' of each node"
            )
    edges = sorted((number[source], number[target]) for source, target in graph.edges)
    return ArchSpec(tuple(op_names.index(op) for op in ops), tuple(edges))


def is_networkx(value: Any) -> bool:
    """Whether it is a directed graph of networkx, which is not imported for the question."""
    return type(value).__module__.startswith("networkx.") and hasattr(value, "nodes") and hasattr(value, "edges")
