"""What a search on the command line is: a description that fits into a JSON file, and the objects that it names."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

from invertnas.benchmarks.registry import benchmark_names, open_benchmark
from invertnas.build import build_search
from invertnas.checks import suggestion
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import read_json, write_json
from invertnas.presets import DEFAULT
from invertnas.protocols import Optimizer
from invertnas.running.worker import Evaluate
from invertnas.search.baselines.records import methods, open_method
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import known, open_space
from invertnas.spaces.spec import ArchSpec

SETUP_FILE = "run.json"
RANDOM = "random"
BASELINES = tuple(record.name for record in methods())
METHODS = ("invertnas", *BASELINES)


@dataclasses.dataclass(frozen=True)
class Setup:
    """A search by names.

    Attributes:
        space: name of a space, or "module:Class" of one's own.
        benchmark: name of a benchmark, None to train with `evaluate`.
        dataset: data set of the benchmark, None without one.
        evaluate: "module:function" that trains an architecture, None on a benchmark.
        method: one of `METHODS`.
        queries: trainings in all.
        seed: of every random choice of the search.
        preset: preset of InvertNAS, None for a baseline.
        initial: initial strategy of InvertNAS, None for a baseline.
        weights: folder of the GVAE's weights, None for those that ship.
        workers: trainings at a time.
        mode: "sync" or "async".

    Raises:
        ConfigError: a name is unknown, or a setting has no effect.
    """

    space: str
    benchmark: str | None
    dataset: str | None
    evaluate: str | None
    method: str
    queries: int
    seed: int
    preset: str | None
    initial: str | None
    weights: str | None
    workers: int
    mode: str

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            hint = suggestion(self.method, METHODS)
            raise ConfigError(f"got method {self.method!r}; expected one of {', '.join(METHODS)}{hint}")
        if (self.benchmark is None) == (self.evaluate is None):
            raise ConfigError(
                "got both a benchmark and a training function, or neither; expected --benchmark with --dataset, or "
                "--space with --evaluate=module:function"
            )
        if self.benchmark is None and self.dataset is not None:
            raise ConfigError(f"got dataset {self.dataset!r} without a benchmark, where it has no effect; leave it out")
        for name in ("preset", "initial", "weights"):
            if self.method in BASELINES and getattr(self, name) is not None:
                raise ConfigError(f"got {name} for {self.method!r}, where it has no effect; leave it out")

    def open_space(self) -> SearchSpace:
        """The search space. Raises ConfigError for an unknown one."""
        if ":" not in self.space:
            return open_space(self.space)
        space = load_object(self.space, "space")
        made: Any = space() if isinstance(space, type) else space
        if not isinstance(made, SearchSpace):
            raise ConfigError(f"got space {self.space!r}; expected a SearchSpace, such as a GraphSpace of your own")
        return made

    def open_evaluate(self) -> Evaluate:
        """The training: of one's own, or the benchmark's validation accuracy.

        Raises:
            ConfigError: it is not found.
            OutOfDomainError: the benchmark has no such data set.
        """
        if self.evaluate is not None:
            function: Evaluate = load_object(self.evaluate, "evaluate")
            return function
        benchmark, dataset = str(self.benchmark), self.dataset
        names = open_benchmark(benchmark, 1).datasets
        if dataset not in names:
            hint = suggestion(str(dataset), names)
            raise ConfigError(f"got dataset {dataset!r}; expected one of {', '.join(names)}{hint}; pass --dataset")
        return Query(benchmark, str(dataset), self.queries)

    def open_search(self, space: SearchSpace) -> Optimizer:
        """A search ready for its first question. Raises DataMissingError without weights of a space of one's own."""
        if self.method in BASELINES:
            return open_method(self.method, space, seed=self.seed)
        if known(space.name) is None and self.weights is None:
            raise DataMissingError(
                f"got space {space.name!r}, for which no weights ship; expected --weights=folder of a GVAE that "
                "save_gvae wrote, or --method=evolution, which needs none"
            )
        return build_search(
            space, preset=self.preset or DEFAULT, initial=self.initial or RANDOM, folder=self.weights, seed=self.seed
        )

    @property
    def title(self) -> str:
        """What is searched by what, for headings."""
        what = self.space if self.benchmark is None else f"{self.benchmark}, {self.dataset}"
        return f"{self.method} on {what}, seed {self.seed}"

    def write(self, folder: Path) -> None:
        """Write the description into a run's folder."""
        write_json(folder / SETUP_FILE, dataclasses.asdict(self))


class Query:
    """A benchmark's validation accuracy as a training; small enough to go to other processes.

    Args:
        benchmark: its name.
        dataset: its data set.
        budget: of the ledger.
    """

    def __init__(self, benchmark: str, dataset: str, budget: int) -> None:
        self.benchmark, self.dataset, self.budget = benchmark, dataset, budget
        self._bench: Any = None

    def __call__(self, arch: ArchSpec) -> float:
        if self._bench is None:
            self._bench = open_benchmark(self.benchmark, self.budget)
        return float(self._bench.query(arch, self.dataset))

    def __reduce__(self) -> tuple[Any, ...]:
        return Query, (self.benchmark, self.dataset, self.budget)


def read_setup(folder: Path) -> Setup:
    """The description in a run's folder. Raises DataMissingError without one, ArtefactError for a damaged one."""
    path = folder / SETUP_FILE
    if not path.is_file():
        raise DataMissingError(f"no {SETUP_FILE} in {folder}; expected the folder of a search; name its --out")
    content = read_json(path)
    try:
        return Setup(**content)
    except TypeError as error:
        raise ArtefactError(f"{path} is damaged ({error}); search into a new folder") from error


def load_object(path: str, what: str) -> Any:
    """What "module:name" stands for. Raises ConfigError if there is no such thing."""
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"got {what} {path!r} ({error}); expected module:name of what can be imported from here"
        ) from error


def default_benchmark() -> str:
    """The benchmark whose cells all ship: the second of the tables."""
    return benchmark_names()[1]
