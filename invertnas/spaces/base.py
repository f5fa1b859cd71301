"""The contract every search space fulfils; implement it to search a space of your own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from invertnas.spaces.spec import ArchSpec, GraphBatch, IntArray


@runtime_checkable
class SearchSpace(Protocol):
    """A set of architectures with sampling, encoding, identity and neighbourhood.

    Attributes:
        name: short name used in paths and tables, e.g. ``"nasbench201"``.
        op_names: the operation vocabulary; an operation index points into it. F = len(op_names).
        inner_ops: indices of the operations between inputs and output, those that paths are made of.
        num_nodes: N, the number of nodes after padding, over all cells.
        num_cells: cells of an architecture. With more than one, each is a block of N / num_cells nodes
            without edges to the others, and the GVAE embeds them one by one.
    """

    @property
    def name(self) -> str: ...

    @property
    def op_names(self) -> tuple[str, ...]: ...

    @property
    def inner_ops(self) -> tuple[int, ...]: ...

    @property
    def num_nodes(self) -> int: ...

    @property
    def num_cells(self) -> int: ...

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        """One architecture, uniformly at random where the space allows it."""
        ...

    def is_valid(self, arch: ArchSpec) -> bool:
        """Whether the graph is a member of the space."""
        ...

    def identity(self, arch: ArchSpec) -> str:
        """Canonical name: architectures of equal identity are one. Files hold `to_string` instead."""
        ...

    def isomorphism_class(self, arch: ArchSpec) -> str:
        """A key equal for architectures that compute the same function."""
        ...

    def to_string(self, arch: ArchSpec) -> str:
        """The space's own notation. Raises OutOfDomainError for an invalid graph."""
        ...

    def from_string(self, text: str) -> ArchSpec:
        """Inverse of `to_string`. Raises OutOfDomainError for malformed text."""
        ...

    def encode(self, archs: Sequence[ArchSpec]) -> GraphBatch:
        """(B, N, F) one-hot operations and (B, N, N) directed adjacency."""
        ...

    def decode(self, ops: IntArray, adjacency: IntArray) -> list[ArchSpec | None]:
        """Architectures of (B, N) operation indices and (B, N, N) 0/1 entries; None where invalid."""
        ...

    def paths(self, arch: ArchSpec, longest: int | None = None) -> tuple[set[tuple[int, ...]], ...]:
        """For each cell, the operation sequences of input-output paths (BANANAS' path encoding).

        Those of at most `longest` operations; None for all, of which large cells have too many to list.
        """
        ...

    def neighbours(self, arch: ArchSpec) -> list[ArchSpec]:
        """All valid architectures one edit away, in a fixed order."""
        ...

    def mutate(self, arch: ArchSpec, rng: np.random.Generator) -> ArchSpec:
        """One random neighbour, or a sample where an architecture has none."""
        ...
