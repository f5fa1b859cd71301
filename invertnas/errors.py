"""Named errors. Each message says what was got, what was expected and how to fix it."""

from __future__ import annotations


class InvertNASError(Exception):
    """Base of every error that InvertNAS raises on purpose."""


class ConfigError(InvertNASError, ValueError):
    """A configuration value is unknown, out of range or contradicts another one."""


class OutOfDomainError(InvertNASError, ValueError):
    """An architecture or data set does not belong to the search space or benchmark."""


class BudgetError(InvertNASError, ValueError):
    """A query would exceed the budget, or the budget cannot hold the initial set."""


class DataMissingError(InvertNASError, FileNotFoundError):
    """A data or weight file is not where it was looked for."""


class ArtefactError(InvertNASError, ValueError):
    """A file exists but is corrupted, foreign or disagrees with its description."""


class OutputError(InvertNASError, OSError):
    """A result or checkpoint cannot be written where it was asked for."""


class TrainingError(InvertNASError, ArithmeticError):
    """A training run has come to nothing: its losses are not finite, or its model does not do what it must."""


class SearchExhaustedError(InvertNASError, RuntimeError):
    """Every architecture a method can reach has been queried before the budget was spent."""


class WorkerError(InvertNASError, RuntimeError):
    """The executor of a run takes no more trainings."""
