"""Attributes as the INN and the Gaussian process see them: of the graph, and scores that cost no training."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from invertnas.errors import ConfigError
from invertnas.spaces.attributes import graph_attributes
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec, FloatArray

FAR = 4.0  # standard deviations at which attributes are clipped
LOW = 0.02  # scores below this quantile, and infinite ones, count as this quantile


@dataclasses.dataclass(frozen=True)
class FreeScores:
    """Scores of some architectures of a space that need no training, such as a zero-cost proxy's.

    Attributes:
        archs: M architectures, distinct.
        values: (M, S), higher or lower for better; -inf where a network has no signal.

    Raises:
        ConfigError: there is not one row for each architecture, or a column has no finite value.
    """

    archs: tuple[ArchSpec, ...]
    values: npt.NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or len(self.archs) != len(self.values) or not len(self.archs):
            raise ConfigError(
                f"got scores {self.values.shape} of {len(self.archs)} architectures; expected (M, S), one row for each"
            )
        if np.isnan(self.values).any() or not np.isfinite(self.values).any(axis=0).all():
            raise ConfigError("got scores that are NaN or infinite throughout; expected numbers, or -inf for some")

    def digest(self) -> str:
        """SHA-256 of architectures and values."""
        return hashlib.sha256(repr(self.archs).encode() + np.ascontiguousarray(self.values).tobytes()).hexdigest()


class AttributeScale:
    """Standardises the attributes of a space over given architectures; those that never vary are left out.

    Args:
        space: gives the graph's attributes.
        archs: architectures of which mean and spread are taken; those of `scores` where there are any.
        scores: further attributes of some architectures.
    """

    def __init__(self, space: SearchSpace, archs: Sequence[ArchSpec], scores: FreeScores | None = None) -> None:
        self.space = space
        raw = graph_attributes(space, archs)
        self._kept = raw.std(axis=0) > 1e-6
        self._mean, self._std = raw[:, self._kept].mean(axis=0), raw[:, self._kept].std(axis=0)
        self._seen = dict[ArchSpec, FloatArray]()
        self._known = dict[str, FloatArray]()
        if scores is not None:
            scaled = _scaled_scores(scores.values)
            self._known = {space.identity(arch): row for arch, row in zip(scores.archs, scaled)}

    @property
    def graph_count(self) -> int:
        """Attributes of the graph that vary."""
        return int(self._kept.sum())

    @property
    def score_count(self) -> int:
        """S, 0 without scores."""
        return len(next(iter(self._known.values()))) if self._known else 0

    def of_graph(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """(B, G) of about zero mean and unit variance."""
        if new := [arch for arch in dict.fromkeys(archs) if arch not in self._seen]:
            raw = graph_attributes(self.space, new)[:, self._kept]
            self._seen |= zip(new, np.clip((raw - self._mean) / self._std, -FAR, FAR).astype(np.float32))
        return np.stack([self._seen[arch] for arch in archs])

    def scores(self, archs: Sequence[ArchSpec], otherwise: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """(B, S) scores of about zero mean and unit variance, those of `otherwise` (B, S) where they are not known."""
        found = np.clip(otherwise, -FAR, FAR).astype(np.float32)
        for row, arch in enumerate(archs):
            known = self._known.get(self.space.identity(arch))
            if known is not None:
                found[row] = known
        return found


def _scaled_scores(values: npt.NDArray[np.floating[Any]]) -> FloatArray:
    columns = []
    for column in np.asarray(values, np.float64).T:
        finite = np.isfinite(column)
        low = np.quantile(column[finite], LOW)
        clipped = np.where(finite, np.maximum(np.where(finite, column, low), low), low)
        columns.append((clipped - clipped.mean()) / max(float(clipped.std()), 1e-9))
    return np.clip(np.stack(columns, axis=1), -FAR, FAR).astype(np.float32)
