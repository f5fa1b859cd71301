"""Every task x every method x the same seeds, to 150 queries: searches what is missing, then reports.

python -m experiments.suite                          # the report's seeds, 0 to 9
python -m experiments.suite --chosen_on --seed=100   # what settings may be chosen on
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from experiments.common import cli
from experiments.searches.initial import DEFAULT_INIT, INITS
from experiments.searches.methods import METHODS, is_invertnas, variant_name
from experiments.searches.pool import run_all
from experiments.searches.records import longest_or
from experiments.searches.runner import SearchTask
from experiments.suite.measures import read_task
from experiments.suite.plots import plot_suite
from experiments.suite.report import write_report
from experiments.suite.tasks import QUERIES, TASKS, TRIALS, Task, task_named
from invertnas.errors import BudgetError, ConfigError
from invertnas.presets import DEFAULT, PRESETS

FLAGS = flags.FlagValues()
_TASKS = flags.DEFINE_list("tasks", None, "Tasks, comma separated; default: all.", flag_values=FLAGS)
_METHODS = flags.DEFINE_list("methods", list(METHODS), "Methods, comma separated.", flag_values=FLAGS)
_PRESETS = flags.DEFINE_list("preset", [DEFAULT], "Presets of InvertNAS, comma separated.", flag_values=FLAGS)
_INIT = flags.DEFINE_enum("init", DEFAULT_INIT, INITS, "Initial strategy of InvertNAS.", flag_values=FLAGS)
_QUERIES = flags.DEFINE_integer("queries", QUERIES, "Budget of each search.", lower_bound=1, flag_values=FLAGS)
_TRIALS = flags.DEFINE_integer("trials", TRIALS, "Seeds per task and method.", lower_bound=1, flag_values=FLAGS)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the first trial; trial i uses seed + i.", flag_values=FLAGS)
_CHOSEN = flags.DEFINE_bool("chosen_on", False, "Only the tasks settings may be chosen on.", flag_values=FLAGS)
_REPORT = flags.DEFINE_bool("report_only", False, "Search nothing; report what is there.", flag_values=FLAGS)
_JOBS = flags.DEFINE_integer("jobs", 1, "Searches run side by side.", lower_bound=1, flag_values=FLAGS)
_OUT = flags.DEFINE_string("out", str(cli.ROOT / "results"), "Results folder.", flag_values=FLAGS)
_PRETRAINED = flags.DEFINE_string(
    "pretrained", str(cli.ROOT / "pretrained"), "Folder of the shipped weights.", flag_values=FLAGS
)


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A method, with a preset if it is InvertNAS."""

    method: str
    preset: str

    @property
    def variant(self) -> str:
        """Its name in paths."""
        return variant_name(self.method, self.preset, None, _INIT.value)


def chosen_tasks() -> list[Task]:
    """The tasks of the flags. Raises ConfigError for an unknown name, or if none is left."""
    named = [task_named(name) for name in _TASKS.value] if _TASKS.value else list(TASKS)
    left = [task for task in named if task.chosen_on or not _CHOSEN.value]
    if not left:
        raise ConfigError(
            f"got --chosen_on with --tasks={','.join(_TASKS.value or ())}; expected one that is chosen on"
        )
    return left


def contestants() -> list[Contestant]:
    """The methods of the flags, baselines once and InvertNAS once a preset. Raises ConfigError, BudgetError."""
    for name in _METHODS.value:
        if name not in METHODS:
            raise ConfigError(f"got method {name!r}; expected one of {', '.join(METHODS)}")
    for name in _PRESETS.value:
        if name not in PRESETS:
            raise ConfigError(f"got preset {name!r}; expected one of {', '.join(PRESETS)}")
        initial = PRESETS[name].search.initial
        if any(map(is_invertnas, _METHODS.value)) and _QUERIES.value < initial:
            raise BudgetError(f"got --queries={_QUERIES.value}; preset {name} starts with {initial}, raise the budget")
    found = [
        Contestant(method, preset)
        for method in _METHODS.value
        for preset in (_PRESETS.value if is_invertnas(method) else [DEFAULT])
    ]
    return list(dict.fromkeys(found))


def searches(tasks: Sequence[Task], methods: Sequence[Contestant]) -> list[SearchTask]:
    """All searches, seed by seed, so that early results cover every task and method."""
    return [
        _search(task, one, _SEED.value + trial) for trial in range(_TRIALS.value) for task in tasks for one in methods
    ]


def _search(task: Task, one: Contestant, seed: int) -> SearchTask:
    found = SearchTask(
        table="suite",
        method=one.method,
        benchmark=task.benchmark,
        dataset=task.dataset,
        queries=_QUERIES.value,
        preset=one.preset,
        members=None,
        seed=seed,
        out=Path(_OUT.value),
        pretrained=Path(_PRETRAINED.value),
        init=_INIT.value,
    )
    return dataclasses.replace(found, queries=longest_or(found.path.parent.parent, seed, found.queries))


def main(argv: Sequence[str]) -> None:
    """Search what is missing, write `<out>/suite.csv`, `suite.md` and the pictures, print the page."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    if _SEED.value < 0:
        raise ConfigError(f"got --seed={_SEED.value}; expected at least 0")
    tasks, methods, out = chosen_tasks(), contestants(), Path(_OUT.value)
    if not _REPORT.value:
        run_all(searches(tasks, methods), _JOBS.value)
    seeds, names = range(_SEED.value, _SEED.value + _TRIALS.value), [one.variant for one in methods]
    found = [read_task(out, task, names, seeds, _QUERIES.value, out / "suite") for task in tasks]
    results = [result for result in found if result is not None]
    if not results:
        raise ConfigError(f"got --report_only with no finished search in {out}; run without it, or pass another --out")
    print(write_report(out, results, _QUERIES.value))
    plot_suite(out, results, _QUERIES.value)


if __name__ == "__main__":
    cli.run(main, FLAGS)
