"""Base class of search spaces: all that follows from the graphs alone, so that a space needs two methods only."""

from __future__ import annotations

import abc
import functools
import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from invertnas.errors import ConfigError, OutOfDomainError
from invertnas.spaces.accept import accepted, checked_text, graph_of
from invertnas.spaces.notation import Notation, Parsed, from_networkx, is_networkx, parse, to_networkx
from invertnas.spaces.spec import ArchSpec, GraphBatch, IntArray, encode_graphs, graph_paths

if TYPE_CHECKING:
    import networkx

_EDGE = re.compile(r"(\d+)-(\d+)")


@functools.lru_cache(maxsize=64)
def _check_words(space: str, op_names: tuple[str, ...]) -> None:
    """Raise ConfigError unless words that are joined by spaces, and followed by edges, can be told apart again."""
    for index, name in enumerate(op_names):
        if not isinstance(name, str) or name.split() != [name] or _EDGE.fullmatch(name) or name in op_names[:index]:
            raise ConfigError(
                f"got operation name {name!r} in {space}; expected distinct words without white space that do not "
                "look like an edge, as 3-3 does; rename it, e.g. conv_3x3, or override to_string and from_string"
            )


class GraphSpace(abc.ABC):
    """Base of search spaces; with `sample`, `is_valid` and the attributes it is an `invertnas.spaces.SearchSpace`.

    The defaults suit cells of exactly `num_nodes` nodes, where two different graphs are two architectures. Override
    methods where nodes are padded, where isomorphic graphs are one architecture, or where an edit is something else.

    Attributes:
        name: short name used in paths and tables.
        op_names: the operation vocabulary; for the default strings distinct words, none of the form ``3-3``.
        inner_ops: indices of the operations between input and output.
        num_nodes: N, over all cells.
        num_cells: cells side by side in an architecture.
        string_form: what its strings look like, for messages.
    """

    name: str
    op_names: tuple[str, ...]
    inner_ops: tuple[int, ...]
    num_nodes: int
    num_cells: int = 1
    string_form: str = "as to_string writes it"

    @abc.abstractmethod
    def sample(self, rng: np.random.Generator) -> ArchSpec:
        """One architecture, uniformly at random where the space allows it."""

    @abc.abstractmethod
    def is_valid(self, arch: ArchSpec) -> bool:
        """Whether the graph is a member of the space."""

    def to_string(self, arch: ArchSpec | str) -> str:
        """Operations in node order, then edges: ``input conv output 0-1 1-2``.

        Raises:
            OutOfDomainError: for a graph that is not valid.
            ConfigError: if `op_names` do not allow to read the string back.
        """
        _check_words(self.name, tuple(self.op_names))
        arch = accepted(self, arch)
        return " ".join([*(self.op_names[op] for op in arch.ops), *(f"{a}-{b}" for a, b in arch.edges)])

    def from_string(self, text: str) -> ArchSpec:
        """Inverse of `to_string`.

        Raises:
            OutOfDomainError: for malformed text or another space's architecture.
            ConfigError: if `op_names` do not allow to read any string.
        """
        _check_words(self.name, tuple(self.op_names))
        words = checked_text(text, self.name).split()
        matches = [_EDGE.fullmatch(word) for word in words]
        ops = [word for word, match in zip(words, matches) if not match]
        if not set(ops) <= set(self.op_names) or any(matches[: len(ops)]):
            raise OutOfDomainError(
                f"got {text!r}; expected operations of {self.name}, {', '.join(self.op_names)}, then edges as 0-1"
            )
        edges = sorted((int(match[1]), int(match[2])) for match in matches if match)
        arch = ArchSpec(tuple(map(self.op_names.index, ops)), tuple(edges))
        return accepted(self, arch)

    def identity(self, arch: ArchSpec | str) -> str:
        """The string: different graphs are different architectures. Raises OutOfDomainError for an invalid graph."""
        return self.to_string(arch)

    def isomorphism_class(self, arch: ArchSpec | str) -> str:
        """The identity: no two architectures are taken to compute the same. Raises OutOfDomainError."""
        return self.identity(arch)

    def encode(self, archs: Sequence[ArchSpec | str]) -> GraphBatch:
        """(B, N, F) one-hot operations and (B, N, N) directed adjacency of the graphs as they are."""
        return encode_graphs([graph_of(self, arch) for arch in archs], self.num_nodes, len(self.op_names))

    def decode(self, ops: IntArray, adjacency: IntArray) -> list[ArchSpec | None]:
        """Architectures of (B, N) operation indices and (B, N, N) 0/1 entries; None where the graph is not valid."""
        archs: list[ArchSpec | None] = []
        for labels, entries in zip(ops.tolist(), adjacency != 0):
            sources, targets = np.nonzero(entries)
            forward = bool((sources < targets).all())
            arch = ArchSpec(tuple(labels), tuple(zip(sources.tolist(), targets.tolist()))) if forward else None
            archs.append(arch if arch is not None and self.is_valid(arch) else None)
        return archs

    def paths(self, arch: ArchSpec | str, longest: int | None = None) -> tuple[set[tuple[int, ...]], ...]:
        """Operation sequences from the first to the last node, at most `longest` of them, of the one cell."""
        return (graph_paths(accepted(self, arch), longest),)

    def neighbours(self, arch: ArchSpec | str) -> list[ArchSpec]:
        """Valid graphs that differ in the operation of one node, then those that differ in one edge.

        Raises OutOfDomainError for an invalid graph.
        """
        arch = accepted(self, arch)
        edited = [
            ArchSpec(arch.ops[:node] + (op,) + arch.ops[node + 1 :], arch.edges)
            for node in range(len(arch.ops))
            for op in self.inner_ops
            if op != arch.ops[node]
        ]
        for pair in itertools.combinations(range(len(arch.ops)), 2):
            edited.append(ArchSpec(arch.ops, tuple(sorted({*arch.edges} ^ {pair}))))
        return [graph for graph in edited if self.is_valid(graph)]

    def mutate(self, arch: ArchSpec | str, rng: np.random.Generator) -> ArchSpec:
        """One of the neighbours, uniformly; a sample of the space where there is none. Raises OutOfDomainError."""
        options = self.neighbours(arch)
        return options[int(rng.integers(len(options)))] if options else self.sample(rng)

    def parse(self, given: Any) -> Parsed:
        """The architecture in whatever notation it is given, and the notation's name.

        Args:
            given: an ArchSpec, a string, a networkx graph, or what else `notations` names.

        Raises:
            OutOfDomainError: it is in none of them, or malformed.
        """
        return parse(given, self.notations(), self.name)

    def notations(self) -> tuple[Notation, ...]:
        """What `parse` understands, in the order in which it tries."""
        return (
            Notation("graph", "an ArchSpec", lambda given: isinstance(given, ArchSpec), lambda g: accepted(self, g)),
            *self._other_notations(),
            Notation(
                "networkx graph", "a DiGraph whose nodes have the attribute 'op'", is_networkx, self.from_networkx
            ),
            Notation("string", self.string_form, lambda g: isinstance(g, str), lambda g: self.from_string(g.strip())),
        )

    def to_networkx(self, arch: ArchSpec | str) -> networkx.DiGraph:
        """The graph with node numbers and each node's operation, by name, as "op". Raises OutOfDomainError."""
        return to_networkx(accepted(self, arch), self.op_names)

    def from_networkx(self, graph: networkx.DiGraph) -> ArchSpec:
        """Inverse of `to_networkx`. Raises OutOfDomainError for a graph that is no architecture of the space."""
        return accepted(self, from_networkx(graph, self.op_names))

    def _other_notations(self) -> tuple[Notation, ...]:
        """Notations of others for the same architectures."""
        return ()
