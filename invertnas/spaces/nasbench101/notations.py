"""How others write cells of NAS-Bench-101: matrix and operations, the MD5 name, NASLib's tuple; here and back.

The names are hashes, which cannot be turned back. `data/nasbench101_hashes.npy` has the first two bytes of each cell's
name in the order of `NASBench101Space.all()`; of the six or seven cells that share them one has the whole name.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from invertnas.errors import OutOfDomainError
from invertnas.spaces.notation import Notation, is_list, is_whole
from invertnas.spaces.spec import ArchSpec

if TYPE_CHECKING:
    from invertnas.spaces.nasbench101.space import NASBench101Space

HASH_FILE = Path(__file__).parent.parent / "data" / "nasbench101_hashes.npy"
# The names of the operation indices, as in the space, which imports this module; and NASLib's numbers of them.
NAMES = ("output", "input", "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3")
NASLIB_OPS = (1, 0, 4, 2, 3)
_HASH = re.compile(r"[0-9a-f]{32}")
_FIELDS = (("matrix", "ops"), ("original_matrix", "original_ops"), ("module_adjacency", "module_operations"))


def to_matrix(arch: ArchSpec) -> tuple[list[list[int]], list[str]]:
    """(n, n) entries and n names of a valid graph of n nodes."""
    size = len(arch.ops)
    return [[int((x, y) in arch.edges) for y in range(size)] for x in range(size)], [NAMES[op] for op in arch.ops]


def from_matrix(space: NASBench101Space, matrix: Any, ops: Sequence[str]) -> ArchSpec:
    """The canonical cell of (n, n) entries and n names. Raises OutOfDomainError."""
    if not is_list(ops) or not all(isinstance(op, str) for op in ops):
        raise OutOfDomainError(f"got operations {ops!r}; expected a list of {', '.join(NAMES)}")
    try:
        rows = np.asarray(matrix)
    except ValueError:  # rows of different lengths
        rows = np.zeros(0)
    size = len(ops)
    unknown = [op for op in ops if op not in NAMES]
    if rows.shape != (size, size) or not np.isin(rows, (0, 1)).all() or np.tril(rows).any() or unknown:
        raise OutOfDomainError(
            f"got a matrix {rows.tolist()} with operations {list(ops)}; expected an upper triangular square of 0 and 1 "
            f"with one of {', '.join(NAMES)} for each row"
        )
    edges = tuple(pair for pair in itertools.combinations(range(size), 2) if rows[pair])
    return space.canonical(ArchSpec(tuple(NAMES.index(op) for op in ops), edges))


def to_naslib(arch: ArchSpec) -> tuple[int, ...]:
    """NASLib's tuple of a valid graph."""
    matrix, _ = to_matrix(arch)
    return (*itertools.chain.from_iterable(matrix), *(NASLIB_OPS.index(op) for op in arch.ops))


def from_hash(space: NASBench101Space, name: str) -> ArchSpec:
    """The cell of an MD5 name. Raises OutOfDomainError."""
    text = name.strip().lower() if isinstance(name, str) else ""
    if not _HASH.fullmatch(text):
        raise OutOfDomainError(f"got {name!r}; expected an MD5 name of 32 hexadecimal digits")
    for code in _codes_of(space)[_prefixes() == int(text[:4], 16)].tolist():
        arch = space.from_code(code)
        if space.identity(arch) == text:
            return arch
    raise OutOfDomainError(f"got {name!r}, which names no cell of nasbench101; expected one of its 423,624 MD5 names")


@functools.lru_cache(maxsize=1)
def _prefixes() -> np.ndarray:
    return np.load(HASH_FILE, allow_pickle=False)


@functools.lru_cache(maxsize=1)
def _codes_of(space: NASBench101Space) -> np.ndarray:
    """The code of every cell, ascending."""
    return np.fromiter((space.code(arch) for arch in space.all()), np.uint32)


def others(space: NASBench101Space) -> tuple[Notation, ...]:
    """The notations besides graph and string."""
    return (
        Notation("MD5 name", "32 hexadecimal digits", _is_hash, space.from_hash),
        Notation(
            "matrix and operations",
            "(matrix, ops), or a mapping or object with these fields",
            lambda given: _pair(given) is not None,
            lambda given: from_matrix(space, *(_pair(given) or ((), ()))),
        ),
        Notation("NASLib tuple", "n * n entries, then n of 0 to 4", _is_naslib, lambda g: _from_naslib(space, g)),
    )


def _is_hash(given: Any) -> bool:
    return isinstance(given, str) and _HASH.fullmatch(given.strip().lower()) is not None


def _pair(given: Any) -> tuple[Any, Any] | None:
    """Matrix and operations of a pair, a mapping or an object such as the benchmark's ModelSpec."""
    for matrix, ops in _FIELDS:
        if isinstance(given, Mapping) and matrix in given and ops in given:
            return given[matrix], given[ops]
        if not isinstance(given, Mapping) and hasattr(given, matrix) and hasattr(given, ops):
            return getattr(given, matrix), getattr(given, ops)
    two = is_list(given, 2) and is_list(given[0]) and is_list(given[1])
    return (given[0], given[1]) if two and all(isinstance(op, str) for op in given[1]) else None


def _is_naslib(given: Any) -> bool:
    sizes = {size * size + size for size in range(2, 8)}
    return is_list(given) and len(given) in sizes and all(is_whole(entry) for entry in given)


def _from_naslib(space: NASBench101Space, given: Sequence[int]) -> ArchSpec:
    entries = [int(entry) for entry in given]
    size = next(size for size in range(2, 8) if size * size + size == len(entries))
    if not all(0 <= op < len(NAMES) for op in entries[-size:]):
        raise OutOfDomainError(f"got operations {entries[-size:]}; expected {size} of NASLib's, each from 0 to 4")
    ops = [NAMES[NASLIB_OPS[op]] for op in entries[-size:]]
    return from_matrix(space, np.reshape(entries[:-size], (size, size)), ops)
