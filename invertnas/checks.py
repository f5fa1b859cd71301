"""Checks of what enters from outside: fields of configurations from their annotations, and public arguments.

A configuration names the range of a number beside its type, and calls `check_fields(self)` once::

    @dataclasses.dataclass(frozen=True)
    class Config:
        members: Count = 10
        share: Annotated[float, Range(0, 1, above=True)] = 0.5
        schedule: Literal["cosine", "two_stage"] = "cosine"

        def __post_init__(self) -> None:
            check_fields(self)
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import numbers
import os
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from invertnas.errors import ConfigError

SEED_END = 2**63  # seeds are below


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`; None is no bound. Finite ones alone, whatever the bounds.

    Attributes:
        low: lower bound.
        high: upper bound.
        above: whether the lower bound itself is excluded.
        below: whether the upper bound itself is excluded.
        step: what a number must be a multiple of, None for any.
    """

    low: float | None = None
    high: float | None = None
    above: bool = False
    below: bool = False
    step: int | None = None

    def __contains__(self, value: float) -> bool:
        if not math.isfinite(value) or (self.step is not None and value % self.step):
            return False
        if self.low is not None and (value < self.low or (self.above and value == self.low)):
            return False
        return self.high is None or not (value > self.high or (self.below and value == self.high))

    def __str__(self) -> str:
        """Words for a message, such as "at least 1"."""
        low = None if self.low is None else f"{'above' if self.above else 'at least'} {self.low:g}"
        high = None if self.high is None else f"{'below' if self.below else 'at most'} {self.high:g}"
        if (self.low, self.high, self.above) == (0, None, True):
            low = "a positive number"
        step = None if self.step is None else f"a multiple of {self.step}"
        return " and ".join(part for part in (low, high, step) if part is not None) or "a finite number"


Count = Annotated[int, Range(1)]
Whole = Annotated[int, Range(0)]
Seed = Annotated[int, Range(0, SEED_END, below=True)]
Positive = Annotated[float, Range(0, above=True)]
NonNegative = Annotated[float, Range(0)]
Fraction = Annotated[float, Range(0, 1)]
Share = Annotated[float, Range(0, 1, above=True)]  # of something, never nothing


def check_fields(config: Any) -> None:
    """Check every field of a dataclass instance against its annotation.

    A NumPy number is replaced by Python's, so that the configuration can be written as JSON, and a list by a tuple.

    Args:
        config: instance of a dataclass whose annotations are of the kinds in `checked`.

    Raises:
        ConfigError: for the first field that does not fit; the message names it.
    """
    owner: Any = type(config)
    for name, hint in _hints(owner).items():
        value = getattr(config, name)
        got = checked(value, hint, name, owner.__name__)
        if got is not value:
            object.__setattr__(config, name, got)


def checked(value: Any, hint: Any, name: str, owner: str) -> Any:
    """A value that fits an annotation, NumPy numbers as Python's.

    Args:
        value: what was given.
        hint: bool, int, float, str, a class, a `Literal`, `tuple[T, ...]`, `tuple[T, U]`, `Annotated[T, Range(...)]`
            or a union of these.
        name: of the field or argument, for the message.
        owner: configuration or function it belongs to, for the message.

    Raises:
        ConfigError: it does not fit.
    """
    fits, plain = _match(value, hint)
    if fits:
        return plain
    advice = ""
    choices = [choice for part in _options(hint) if typing.get_origin(part) is Literal for choice in _choices(part)]
    if choices:
        advice = suggestion(value, choices)
    elif isinstance(value, (int, float)) and value > 1 and "at most 1" in describe(hint):
        advice = ": divide percent by 100"
    raise ConfigError(f"got {name}={value!r}; expected {describe(hint)}{advice}, in {owner}")


def describe(hint: Any) -> str:
    """What an annotation takes, in words."""
    options = list(_options(hint))
    if len(options) > 1:
        return " or ".join(describe(option) for option in options)
    if hint is type(None) or hint is None:
        return "None"
    if typing.get_origin(hint) is Literal:
        return listed([repr(choice) for choice in _choices(hint)])
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if inner[-1] is Ellipsis:
            return f"a tuple of which each is {describe(inner[0])}"
        return f"a tuple of {len(inner)}: {', '.join(map(describe, inner))}"
    base, ranges = _split(hint)
    words = {bool: "True or False", int: "a whole number", float: "a finite number", str: "a text"}
    if not ranges:
        return words.get(base, f"an instance of {getattr(base, '__name__', base)}")
    return f"{'a whole number, ' if base is int else ''}{' and '.join(map(str, ranges))}"


def listed(words: list[str]) -> str:
    """ "a, b or c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def suggestion(got: Any, choices: Iterable[Any]) -> str:
    """ ": did you mean 'x'?" for the choice whose name is nearest, or nothing where none is near."""
    names = {str(choice).casefold(): choice for choice in choices}
    near = difflib.get_close_matches(str(got).casefold(), names, n=1)
    return f": did you mean {names[near[0]]!r}?" if near else ""


def checked_choice(value: Any, choices: Iterable[str], name: str) -> str:
    """One of some names. Raises ConfigError that lists them, with the nearest."""
    known = list(choices)
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"got {name} {value!r}; expected one of {', '.join(known)}{suggestion(value, known)}")
    return value


def checked_seed(value: Any, name: str = "seed") -> int:
    """A master seed: a whole number of at least 0. Raises ConfigError; None is refused, as it cannot be repeated."""
    fits, plain = _match(value, Seed)
    if not fits:
        raise ConfigError(
            f"got {name}={value!r}; expected {describe(Seed)}; pass one, such as 0, to repeat a run by it"
        )
    return int(plain)


def checked_count(value: Any, name: str, least: int = 1) -> int:
    """A whole number of at least `least`. Raises ConfigError."""
    return int(_argument(value, Annotated[int, Range(least)], name))


def checked_fraction(value: Any, name: str) -> float:
    """A number from 0 to 1. Raises ConfigError; for percent, the message says to divide."""
    return float(_argument(value, Fraction, name))


def checked_number(value: Any, name: str, within: Range = Range()) -> float:
    """A finite number within a range. Raises ConfigError."""
    return float(_argument(value, Annotated[float, within], name))


def checked_path(value: Any, name: str = "path") -> Path:
    """A path from a text or path object, `~` expanded. Raises ConfigError for anything else, and for an empty text."""
    if not isinstance(value, (str, os.PathLike)) or not str(value) or "\0" in str(value):
        raise ConfigError(f"got {name} {value!r}; expected a path: name a file or folder, such as 'runs/search'")
    return Path(value).expanduser()


def _argument(value: Any, hint: Any, name: str) -> Any:
    fits, plain = _match(value, hint)
    if not fits:
        percent = isinstance(value, (int, float)) and value > 1 and hint == Fraction
        raise ConfigError(
            f"got {name}={value!r}; expected {describe(hint)}{': divide percent by 100' if percent else ''}"
        )
    return plain


@functools.lru_cache(maxsize=None)
def _hints(owner: type) -> dict[str, Any]:
    hints = typing.get_type_hints(owner, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(owner)}


def _options(hint: Any) -> Iterator[Any]:
    """The members of a union, or the annotation itself."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        yield from typing.get_args(hint)
    else:
        yield hint


def _split(hint: Any) -> tuple[Any, list[Range]]:
    """The type of an annotation, and the ranges beside it."""
    if typing.get_origin(hint) is Annotated:
        base, *extras = typing.get_args(hint)
        return base, [extra for extra in extras if isinstance(extra, Range)]
    return typing.get_origin(hint) or hint, []


def _choices(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint)


def _match(value: Any, hint: Any) -> tuple[bool, Any]:
    """Whether a value fits an annotation, and the value as it is to be kept."""
    options = list(_options(hint))
    if len(options) > 1:
        return next((found for option in options if (found := _match(value, option))[0]), (False, value))
    origin = typing.get_origin(hint)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in _choices(hint)), value
    if origin is tuple:
        return _match_tuple(value, typing.get_args(hint))
    base, ranges = _split(hint)
    if base in (int, float):
        kind = numbers.Integral if base is int else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind):
            return False, value
        plain: Any = value.item() if hasattr(value, "item") else value
        return math.isfinite(plain) and all(plain in allowed for allowed in ranges), plain
    return (value is None) if base in (None, type(None)) else isinstance(value, base), value


def _match_tuple(value: Any, inner: tuple[Any, ...]) -> tuple[bool, Any]:
    if not isinstance(value, (tuple, list)):
        return False, value
    hints = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
    if len(hints) != len(value):
        return False, value
    found = [_match(entry, hint) for entry, hint in zip(value, hints)]
    fits, plain = all(fit for fit, _ in found), tuple(kept for _, kept in found)
    return fits, value if plain == value else plain
