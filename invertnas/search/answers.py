"""What every optimiser's `tell` accepts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from invertnas.errors import ConfigError, OutOfDomainError
from invertnas.search.history import History
from invertnas.spaces.accept import accepted_all, listed
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


def checked_answers(
    space: SearchSpace, history: History, archs: Iterable[ArchSpec | str], accuracies: Iterable[float | None]
) -> dict[str, tuple[ArchSpec, float | None]]:
    """Architectures with their accuracies by identity, in order; None, a failed training, stays None.

    Args:
        space: reads strings and gives identities.
        history: what has an accuracy already.
        archs: n architectures or their strings, from any iterable.
        accuracies: n fractions in [0, 1] or None, from any iterable.

    Raises:
        ConfigError: if the lengths differ or are zero, or an accuracy is neither None nor a fraction.
        OutOfDomainError: if an architecture is not of the space, has an accuracy already, or stands here twice.
    """
    given, values = listed(archs, "architectures"), listed(accuracies, "accuracies")
    if len(given) != len(values) or not given:
        raise ConfigError(
            f"got {len(given)} architectures with {len(values)} accuracies; expected as many of one as of the "
            "other, at least one; tell each architecture with its own accuracy"
        )
    told = dict[str, tuple[ArchSpec, float | None]]()
    for arch, value in zip(accepted_all(space, given), values):
        key = space.identity(arch)
        if key in told or key in history:
            raise OutOfDomainError(
                f"got {space.to_string(arch)}, which is told twice; expected architectures without an accuracy so "
                "far; tell each once, with the mean if it was trained several times"
            )
        told[key] = arch, None if value is None else checked_accuracy(value)
    return told


def checked_accuracy(accuracy: Any) -> float:
    """An accuracy as a float. Raises ConfigError unless it is a number in [0, 1]."""
    try:
        value = math.nan if isinstance(accuracy, (str, bytes)) or np.ndim(accuracy) else float(accuracy)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value <= 1:  # nor where it is no number
        raise ConfigError(
            f"got accuracy {accuracy!r}; expected a fraction in [0, 1]; divide percent by 100, and tell "
            "None for a training that failed"
        )
    return value
