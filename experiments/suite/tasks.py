"""The tasks of the suite as data: what is searched, and whether settings may be chosen on it."""

from __future__ import annotations

import dataclasses

from invertnas.errors import ConfigError
from invertnas.spaces.records import MACRO, NB101, NB201, NB301, NBNLP

QUERIES = 150
TRIALS = 10
# Settings are chosen on seeds from here on, and reported on seeds from 0 on.
CHOOSING_SEED = 100


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set of a benchmark.

    Attributes:
        name: of the task in files.
        benchmark, dataset: what is searched; a data set whose name ends in "test" or "run<n>" answers with a test
            accuracy, which is then what a search maximises.
        chosen_on: whether settings may be chosen on it, on seeds from `CHOOSING_SEED` on.
    """

    name: str
    benchmark: str
    dataset: str
    chosen_on: bool = False


TASKS = (
    Task("cifar10-200ep", NB201.name, "cifar10", chosen_on=True),
    Task("cifar100-200ep", NB201.name, "cifar100"),
    Task("imagenet16-120-200ep", NB201.name, "imagenet16-120"),
    Task("cifar10-12ep", NB201.name, "cifar10-12ep"),
    Task("cifar100-12ep", NB201.name, "cifar100-12ep"),
    Task("imagenet16-120-12ep", NB201.name, "imagenet16-120-12ep", chosen_on=True),
    Task("cifar10-halftrain-test", NB201.name, "cifar10-halftrain-test"),
    Task("nb101-validation", NB101.name, "cifar10", chosen_on=True),
    Task("nb101-test", NB101.name, "cifar10-test"),
    Task("nb301-validation", NB301.name, "cifar10", chosen_on=True),
    Task("nbnlp-validation", NBNLP.name, "ptb"),
    Task("macro-run1", MACRO.name, "cifar10-run1", chosen_on=True),
    Task("macro-run2", MACRO.name, "cifar10-run2"),
    Task("macro-run3", MACRO.name, "cifar10-run3"),
)


def task_named(name: str) -> Task:
    """The task. Raises ConfigError for an unknown name."""
    for task in TASKS:
        if task.name == name:
            return task
    raise ConfigError(f"got task {name!r}; expected one of {', '.join(task.name for task in TASKS)}")
