"""A monotone scale for accuracies on which the differences among good architectures are what counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class SoftScale:
    """y -> (w(u) - shift) / scale with u = (y - centre) / unit, where w(u) is u above 0 and -log(1 - u) below.

    Accuracies of an untrained space fall far below its median, down to chance. On this scale they do not dominate the
    spread, and their order stays.

    Attributes:
        centre: median of the labels.
        unit: spread of those that are at least as good.
        shift, scale: mean and spread of w over the labels.
    """

    centre: float
    unit: float
    shift: float
    scale: float

    @classmethod
    def fit(cls, labels: npt.NDArray[Any]) -> SoftScale:
        """The scale on which (n,) labels have mean 0 and spread 1; n > 0."""
        values = np.asarray(labels, np.float64)
        centre = float(np.median(values))
        unit = max(float(values[values >= centre].std()), 1e-4)
        bent = _bent((values - centre) / unit)
        return cls(centre, unit, float(bent.mean()), max(float(bent.std()), 1e-9))

    def to_scale(self, labels: npt.NDArray[Any]) -> Array:
        """(n,) labels on the scale."""
        scaled: Array = (_bent((np.asarray(labels, np.float64) - self.centre) / self.unit) - self.shift) / self.scale
        return scaled

    def from_scale(self, scaled: Array) -> Array:
        """Inverse of `to_scale`."""
        bent = scaled * self.scale + self.shift
        labels: Array = self.centre + self.unit * np.where(bent > 0, bent, -np.expm1(-np.minimum(bent, 0.0)))
        return labels

    def slope(self, scaled: Array) -> Array:
        """Derivative of `from_scale`: what one unit of the scale is in labels, at (n,) places."""
        bent = scaled * self.scale + self.shift
        return self.unit * self.scale * np.exp(-np.minimum(bent, 0.0))


def _bent(values: Array) -> Array:
    bent: Array = np.where(values > 0, values, -np.log1p(-np.minimum(values, 0.0)))
    return bent
