"""Course of one fit: the learning rate of every pass, the best pass, where a stage or the fit ends, its report."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from invertnas.inn.config import INNTrainConfig


@dataclasses.dataclass(frozen=True)
class Pass:
    """One pass of a fit; the rate falls by a half cosine over its stage from `first` to `last`.

    Attributes:
        epoch: its number in the fit.
        number: its number in the stage.
        passes: passes of the stage, if its patience does not run out.
        first: learning rate at the start of the stage.
        last: at its end; equal to `first` for a constant rate.
    """

    epoch: int
    number: int
    passes: int
    first: float
    last: float

    @property
    def begins_stage(self) -> bool:
        """Whether it is the first of a later stage, which starts from the best weights so far."""
        return self.number == 0 < self.epoch

    def span(self, steps: int) -> npt.NDArray[np.float32]:
        """Steps of the stage that are done and in all, last rate, and by how much the first is above it."""
        return np.array([self.number * steps, self.passes * steps, self.last, self.first - self.last], np.float32)

    def rates(self, steps: int) -> npt.NDArray[np.float64]:
        """(steps,) learning rate of each step."""
        done = (self.number + np.arange(steps) / steps) / self.passes
        return self.last + (self.first - self.last) * 0.5 * (1 + np.cos(np.pi * done))


@dataclasses.dataclass(frozen=True)
class FitReport:
    """What happened in one fit.

    Attributes:
        epochs: passes run.
        steps: gradient steps run.
        best_epoch: pass of the best mean validation loss (the last one without validation data).
        losses: named training losses of the last pass, mean over the members with a finite total.
        val_total: that validation loss, or None without validation data.
        skipped: steps each member sat out so far because its gradient was not finite.
    """

    epochs: int
    steps: int
    best_epoch: int
    losses: dict[str, float]
    val_total: float | None
    skipped: list[int]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return dataclasses.asdict(self)


class Course:
    """Passes of one fit, with early stopping (paper Appendix H).

    "cosine" has one stage. "two_stage" has two of half the passes each. A stage ends after its passes,
    or when the patience runs out: so many passes after its first one or the best one, if that is later.

    Args:
        config: optimisation.
        round_index: 0 for the initial fit, above for retraining.

    Attributes:
        epochs: passes run so far.
        best: lowest loss told so far.
        best_epoch: its pass, -1 before there is one.
    """

    def __init__(self, config: INNTrainConfig, round_index: int) -> None:
        retrain, rates = round_index > 0, (config.learning_rate, config.final_learning_rate)
        passes = config.retrain_epochs if retrain else config.initial_epochs
        self.patience = config.retrain_patience if retrain else config.initial_patience
        halves = ((passes - passes // 2, rates[0], rates[0]), (passes // 2, rates[1], rates[1]))
        self._stages = halves if config.schedule == "two_stage" else ((passes, *rates),)
        self.epochs, self.best, self.best_epoch = 0, math.inf, -1

    def __iter__(self) -> Iterator[Pass]:
        """The passes to run; `tell` each one's loss before asking for the next."""
        for passes, first, last in self._stages:
            start = self.epochs
            for number in range(passes):
                self.epochs += 1
                yield Pass(start + number, number, passes, first, last)
                if self.epochs - 1 - max(self.best_epoch, start) >= self.patience:
                    break

    def tell(self, loss: float) -> bool:
        """Whether the loss of the pass just run is the lowest so far."""
        better = loss < self.best
        if better:
            self.best, self.best_epoch = loss, self.epochs - 1
        return better
