"""What a measured validation accuracy has and an imputed one lacks: the deviation of the cell's three runs.

An imputed label without it would follow the test accuracy too closely, and the best imputed cells would be less
spread than the best measured ones.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from invertnas.errors import ConfigError

Accuracies = npt.NDArray[np.float64]
# Deviations come from measured cells at most so many ranks away by prediction.
WINDOW = 40
# With the whole deviation, an imputed label would differ from the true one by both deviations. At this share it
# still ranks unmeasured cells as well as the test accuracy alone does, and agrees with the test accuracy nearly as
# the measured labels do; the table's JSON has the figures at each share of `SHARES`.
SHARE = 0.75
SHARES = (0.0, 0.5, 0.75, 1.0)


@dataclasses.dataclass(frozen=True)
class Residual:
    """Deviations of measured means from their held-out predictions, by ascending prediction.

    Attributes:
        predicted: (P,) held-out predictions, ascending.
        deviation: (P,) measured minus predicted.
    """

    predicted: Accuracies
    deviation: Accuracies

    @classmethod
    def of(cls, predicted: Accuracies, measured: Accuracies) -> Residual:
        """From (P,) held-out predictions and measured means. Raises ConfigError if there are none."""
        if not len(predicted):
            raise ConfigError("got no measured validation means; expected some to measure the deviation on")
        order = np.argsort(predicted, kind="stable")
        return cls(predicted[order], (measured - predicted)[order])

    def draw(self, predicted: Accuracies, rng: np.random.Generator, share: float = SHARE) -> Accuracies:
        """(K,) labels in [0, 1]: each prediction plus a share of the deviation of a measured cell near it."""
        near = np.searchsorted(self.predicted, predicted) + rng.integers(-WINDOW, WINDOW + 1, len(predicted))
        chosen = np.clip(near, 0, len(self.predicted) - 1)
        return np.clip(predicted + share * self.deviation[chosen], 0, 1)
