"""Where an architecture enters from outside: a graph of the space, or a string in its notation; nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from invertnas.errors import ConfigError, OutOfDomainError
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


def accepted(space: SearchSpace, arch: ArchSpec | str) -> ArchSpec:
    """The graph itself, or that of its string.

    Args:
        space: whose architecture it must be.
        arch: a valid graph, or what `space.from_string` reads.

    Raises:
        OutOfDomainError: it is neither.
    """
    given: Any = arch
    if isinstance(given, str):
        return _read(space, given)
    if not isinstance(given, ArchSpec) or not _is_valid(space, given):
        raise OutOfDomainError(
            f"got {given!r}; expected an architecture of {space.name}, an ArchSpec or its string; pass what ask() or "
            "sample() returned, or convert results of your own with from_string() or parse()"
        )
    return given


def graph_of(space: SearchSpace, arch: ArchSpec | str) -> ArchSpec:
    """As `accepted`, but a graph is not looked at; the caller checks it. Raises OutOfDomainError."""
    return arch if isinstance(arch, ArchSpec) else accepted(space, arch)


def checked_text(text: Any, space: str) -> str:
    """A text. Raises OutOfDomainError for anything else."""
    if not isinstance(text, str):
        raise OutOfDomainError(f"got {text!r}; expected a string of {space}; other notations are read by parse()")
    return text


def accepted_all(space: SearchSpace, archs: Iterable[ArchSpec | str]) -> list[ArchSpec]:
    """`accepted` of each of several architectures.

    Raises:
        ConfigError: `archs` is one architecture, or nothing to iterate over.
        OutOfDomainError: an entry is no architecture of the space.
    """
    return [accepted(space, arch) for arch in listed(archs, "architectures")]


def listed(values: Iterable[Any], name: str) -> list[Any]:
    """The entries of any iterable. Raises ConfigError for a text, a single architecture and what cannot be iterated."""
    given: Any = values
    if isinstance(given, Iterable) and not isinstance(given, (str, bytes, ArchSpec)):
        with contextlib.suppress(TypeError):  # of an array without dimensions
            return list(given)
    raise ConfigError(f"got {given!r}; expected several {name}; pass a list, of one entry if there is one")


def _is_valid(space: SearchSpace, arch: ArchSpec) -> bool:
    """`is_valid`, which in a space of the user's own may fail on a graph of another one."""
    if not all(0 <= op < len(space.op_names) for op in arch.ops):
        return False
    try:
        return bool(space.is_valid(arch))
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return False


def _read(space: SearchSpace, text: str) -> ArchSpec:
    try:
        return space.from_string(text)
    except OutOfDomainError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError) as error:  # of a space of the user's own
        raise OutOfDomainError(
            f"got {text!r}, which {space.name} cannot read ({error!r}); expected a string that its to_string wrote; "
            "pass the ArchSpec, or mend from_string"
        ) from error
