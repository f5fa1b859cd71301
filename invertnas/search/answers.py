"""What every optimiser's `tell` accepts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from invertnas.errors import ConfigError
from invertnas.spaces.spec import ArchSpec


def checked_answers(archs: Sequence[ArchSpec], accuracies: Sequence[float | None]) -> list[float | None]:
    """The accuracies as floats, in order; None, a failed training, stays None.

    Args:
        archs: n architectures; only their number is checked.
        accuracies: n fractions in [0, 1] or None.

    Raises:
        ConfigError: if the lengths differ or are zero, or an accuracy is neither None nor a fraction.
    """
    if len(archs) != len(accuracies) or not len(archs):
        raise ConfigError(
            f"got {len(archs)} architectures with {len(accuracies)} accuracies; expected as many of one as of the "
            "other, at least one; tell each architecture with its own accuracy"
        )
    return [None if accuracy is None else _fraction(accuracy) for accuracy in accuracies]


def _fraction(accuracy: Any) -> float:
    try:
        value = float(accuracy)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value <= 1:  # nor where it is no number
        raise ConfigError(
            f"got accuracy {accuracy!r}; expected a fraction in [0, 1]; divide percent by 100, and tell InvertNAS "
            "None for a training that failed"
        )
    return value
