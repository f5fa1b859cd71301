"""What one training gives back, and what the record of a run keeps of it."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
from collections.abc import Mapping
from typing import Any

from invertnas.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Measurement:
    """The result of a training.

    Attributes:
        value: validation accuracy, a fraction in [0, 1]; not a number where the training diverged.
        costs: further numbers by name, such as ``{"parameters": 1.2e6}``; kept in the record.
        info: anything else that JSON can hold, such as a learning curve; kept in the record.

    Raises:
        ConfigError: a value that is no fraction, a cost that is no number, or what JSON cannot hold.
    """

    value: float
    costs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        value = _number("the value of a training", self.value)
        if not (math.isnan(value) or 0 <= value <= 1):
            raise ConfigError(
                f"got {self.value!r} as the value of a training; expected a validation accuracy as a fraction in "
                "[0, 1]; divide percent by 100"
            )
        object.__setattr__(self, "value", value)
        costs = {str(name): _number(f"the cost {name!r}", cost) for name, cost in self.costs.items()}
        object.__setattr__(self, "costs", costs)
        try:
            object.__setattr__(self, "info", json.loads(json.dumps(dict(self.info))))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"got info {self.info!r} ({error}); expected a dictionary of what JSON can hold"
            ) from error


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One finished training: a line of the log.

    Attributes:
        number: place among all architectures asked for, from 0.
        question: number of the question it was part of, from 0.
        arch: the architecture in the space's notation.
        value: validation accuracy, a fraction; None where the training failed.
        costs: of the `Measurement`.
        info: of the `Measurement`.
        predicted: what the search predicted when it asked, a fraction; None where it predicts nothing.
        evaluate_s: seconds that the training took.
        started_at: when it began, in seconds since 1970.
        worker: host and process that did it.
        error: why it failed, or None.
        attempts: how often it was begun; more than one where a worker was lost.
    """

    number: int
    question: int
    arch: str
    value: float | None
    costs: Mapping[str, float]
    info: Mapping[str, Any]
    predicted: float | None
    evaluate_s: float
    started_at: float
    worker: str
    error: str | None
    attempts: int

    @property
    def failed(self) -> bool:
        """Whether there is no value."""
        return self.value is None


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is, as callbacks see it.

    Attributes:
        evaluations: finished trainings, failed ones included.
        budget: trainings in all.
        failed: those without a value.
        best: the best evaluation so far; None before the first value.
        wall_s: seconds since this call of `run` began.
    """

    evaluations: int
    budget: int
    failed: int
    best: Evaluation | None
    wall_s: float


@dataclasses.dataclass(frozen=True)
class RunResult:
    """A run as a whole.

    Attributes:
        evaluations: finished trainings in the order in which they were asked for.
        stopped: why the run ended before its budget, or None.
    """

    evaluations: tuple[Evaluation, ...]
    stopped: str | None = None

    @property
    def best(self) -> Evaluation | None:
        """The evaluation with the highest value, the first of equal ones; None if all failed."""
        return best_of(self.evaluations)

    @property
    def best_values(self) -> tuple[float | None, ...]:
        """The best value after each evaluation, in the order in which they were asked for."""
        found: list[float | None] = []
        for evaluation in self.evaluations:
            known = [value for value in (*found[-1:], evaluation.value) if value is not None]
            found.append(max(known, default=None))
        return tuple(found)


def best_of(evaluations: tuple[Evaluation, ...]) -> Evaluation | None:
    """The evaluation with the highest value, the first of equal ones; None without any value."""
    known = [evaluation for evaluation in evaluations if evaluation.value is not None]
    return max(known, key=lambda evaluation: (evaluation.value or 0.0, -evaluation.number), default=None)


def _number(what: str, given: Any) -> float:
    value = given
    if not isinstance(value, numbers.Real):
        try:
            value = given.item()  # of an array or tensor of one element
        except (AttributeError, ValueError):
            value = None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ConfigError(f"got {given!r} as {what}; expected a number; return what float() makes of it")
    return float(value)
