"""How others write cells of NAS-Bench-201: the benchmark's index, NASLib's indices, nested tuples; here and back.

The string of the benchmark is also that of NATS-Bench's topology space. The order of the index is the benchmark's own
and follows no rule; `data/nasbench201_order.npy` has the position of each index in `NASBench201Space.all()`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from invertnas.errors import OutOfDomainError
from invertnas.spaces.notation import Notation, is_list, is_whole
from invertnas.spaces.spec import ArchSpec, IntArray

if TYPE_CHECKING:
    from invertnas.spaces.nasbench201 import NASBench201Space

ORDER_FILE = Path(__file__).parent / "data" / "nasbench201_order.npy"
NUM_CELLS, NUM_KINDS, FIRST = 15_625, 5, 2  # operation indices of a cell are 2 to 6
# NASLib's operation 0 to 4 (skip, none, 3x3, 1x1, pooling) -> ours; and our node of each of its edges, which it orders
# by the feature map that they leave: 0-1, 0-2, 0-3, 1-2, 1-3, 2-3.
NASLIB_OPS = (5, 6, 3, 2, 4)
NASLIB_NODES = (0, 1, 3, 2, 4, 5)


@functools.lru_cache(maxsize=1)
def _order() -> tuple[IntArray, IntArray]:
    """Position in `all()` of each index, and the index of each position."""
    positions = np.load(ORDER_FILE, allow_pickle=False).astype(np.int64)
    return positions, np.argsort(positions)


def to_index(cell: Sequence[int]) -> int:
    """The benchmark's number of a valid cell's six operation indices."""
    position = functools.reduce(lambda code, op: code * NUM_KINDS + op - FIRST, cell, 0)
    return int(_order()[1][position])


def from_index(index: int) -> tuple[int, ...]:
    """The six operation indices of one of the benchmark's numbers. Raises OutOfDomainError."""
    if not is_whole(index) or not 0 <= index < NUM_CELLS:
        raise OutOfDomainError(f"got index {index!r}; expected a whole number from 0 to {NUM_CELLS - 1}")
    position = int(_order()[0][index])
    return tuple(FIRST + position // NUM_KINDS**place % NUM_KINDS for place in range(5, -1, -1))


def to_naslib(cell: Sequence[int]) -> tuple[int, ...]:
    """NASLib's indices of a valid cell's six operation indices."""
    return tuple(NASLIB_OPS.index(cell[node]) for node in NASLIB_NODES)


def from_naslib(indices: Sequence[int]) -> tuple[int, ...]:
    """Inverse of `to_naslib`. Raises OutOfDomainError."""
    given: list[Any] = list(indices) if is_list(indices) else [indices]
    if len(given) != 6 or not all(is_whole(index) and 0 <= index < NUM_KINDS for index in given):
        raise OutOfDomainError(f"got {given}; expected six operation indices of NASLib, each from 0 to 4")
    cell = [0] * 6
    for node, index in zip(NASLIB_NODES, given):
        cell[node] = NASLIB_OPS[index]
    return tuple(cell)


def others(space: NASBench201Space) -> tuple[Notation, ...]:
    """The notations besides graph and string, which is NATS-Bench's too."""
    return (
        Notation("index of the benchmark", "0 to 15624", _is_index, lambda given: space.from_index(int(given))),
        Notation("NASLib op indices", "six of 0 to 4", lambda given: _is_naslib(given), space.from_naslib),
        Notation(
            "nested tuples", "((op, 0),), ((op, 0), (op, 1)), ((op, 0), (op, 1), (op, 2))", _is_nested,
            lambda given: _from_nested(space, given),
        ),
    )  # fmt: skip


def _is_text(given: Any) -> bool:
    return isinstance(given, str)


def _is_index(given: Any) -> bool:
    return is_whole(given) and getattr(given, "ndim", 0) == 0 or (_is_text(given) and given.strip().isdecimal())


def _is_naslib(given: Any) -> bool:
    return is_list(given, 6) and all(is_whole(index) for index in given)


def _is_nested(given: Any) -> bool:
    return is_list(given, 3) and all(is_list(node, size + 1) for size, node in enumerate(given))


def _from_nested(space: NASBench201Space, given: Sequence[Sequence[tuple[str, int]]]) -> ArchSpec:
    nodes = ["|" + "".join(f"{op}~{source}|" for op, source in node) for node in given]
    return space.from_string("+".join(nodes))
