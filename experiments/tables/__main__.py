"""Any table of the paper or the thesis: `--table=NAME`, see `experiments.tables.definitions` for what it compares.

Runs whatever searches are missing below `<out>/searches/`, then prints the table and writes
`<out>/<table>.md`, `.csv` and, where the table has them, a search-curve plot per data set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from experiments.common import cli
from experiments.searches.ablations import MIXED, SETTINGS
from experiments.searches.initial import DEFAULT_INIT, INITS
from experiments.searches.methods import ENSEMBLE, METHODS, is_invertnas
from experiments.searches.pool import run_all
from experiments.searches.records import longest_or, stored_at
from experiments.searches.runner import SearchTask
from experiments.tables.definitions import TABLES, grid, table_named
from experiments.tables.reports import publish
from experiments.tables.spec import Place, Row, Table
from invertnas.checks import suggestion
from invertnas.errors import BudgetError, ConfigError, OutOfDomainError
from invertnas.presets import DEFAULT

FLAGS = flags.FLAGS
flags.DEFINE_string("table", "table2", f"Table: {', '.join(TABLES)}.")
flags.DEFINE_list("benchmark", None, "Benchmarks to search, comma separated; default: the table's.")
flags.DEFINE_list("dataset", None, "Data sets to search, comma separated; default: the table's.")
flags.DEFINE_list("methods", None, "Methods to search, comma separated; default: the table's.")
flags.DEFINE_integer("queries", None, "Budget of validation queries, initial set included; default: the table's.")
flags.DEFINE_integer("trials", None, "Trials (seeds) per row and data set; default: the table's.")
flags.DEFINE_string("preset", None, f"InvertNAS preset in place of {DEFAULT}: {', '.join(SETTINGS)}.")
flags.DEFINE_enum("init", None, INITS, f"Initial strategy of InvertNAS; default: the table's, mostly {DEFAULT_INIT}.")
flags.DEFINE_bool("mixed_precision", False, "Products of the INNs in bfloat16: faster, the inverse less exact.")
flags.DEFINE_integer("seed", 0, "Seed of the first trial; trial i uses seed + i.")
flags.DEFINE_string("out", str(cli.ROOT / "results"), "Results folder.")
flags.DEFINE_string("pretrained", str(cli.ROOT / "pretrained"), "Folder of the shipped weights.")
flags.DEFINE_integer("members", None, "Flows in the ensemble of method invertnas; default: the preset's.")
flags.DEFINE_integer("jobs", 1, "Searches run side by side, each with its share of the cores.")
flags.DEFINE_bool("dry_run", False, "List the missing searches and stop.")
flags.DEFINE_bool("kl_only", False, "Table 4 without searching: initial sets and their divergence.")


def tasks_from_flags(table: Table) -> list[SearchTask]:
    """All searches of a table from `table_from_flags`, seed by seed, so that early results cover every row.

    Raises:
        ConfigError, OutOfDomainError, BudgetError: for an unknown name or a number out of range.
    """
    methods = FLAGS.methods or list(dict.fromkeys(row.method for row in table.rows))
    _check_methods(table, methods)
    places = places_from_flags(table)
    wanted = [(row, place) for row, place in grid(table) if row.method in methods and place in places]
    return [
        _task(table, row, place, FLAGS.seed + trial)
        for trial in range(FLAGS.trials or table.trials)
        for row, place in wanted
        if not row.optional and trial < (FLAGS.trials or row.trials or place.trials or table.trials)
    ]


def places_from_flags(table: Table) -> list[Place]:
    """The table's places on the benchmarks and data sets of the flags.

    Raises:
        OutOfDomainError: for an unknown name, or names that do not go together.
    """
    for kind, title in (("benchmark", "benchmark"), ("dataset", "data set")):
        known = list(dict.fromkeys(getattr(place, kind) for place in table.places))
        for name in getattr(FLAGS, kind) or ():
            if name not in known:
                raise OutOfDomainError(f"got {title} {name!r}; expected one of {', '.join(known)}")
    benchmarks, datasets = FLAGS.benchmark, FLAGS.dataset
    chosen = [place for place in table.places if not benchmarks or place.benchmark in benchmarks]
    chosen = [place for place in chosen if not datasets or place.dataset in datasets]
    if not chosen:
        raise OutOfDomainError(f"{table.name} has no data set {', '.join(datasets)} of {', '.join(benchmarks)}")
    return chosen


def _task(table: Table, row: Row, place: Place, seed: int) -> SearchTask:
    task = SearchTask(
        table=table.name,
        method=row.method,
        benchmark=place.benchmark,
        dataset=place.dataset,
        queries=FLAGS.queries or max(table.asked(row, place)),
        preset=row.preset,
        members=row.members,
        seed=seed,
        out=Path(FLAGS.out),
        pretrained=Path(FLAGS.pretrained),
        init=row.init,
    )
    initial = SETTINGS[row.preset].search.initial
    if is_invertnas(row.method) and task.queries < initial:
        raise BudgetError(
            f"got --queries={task.queries}; InvertNAS's initial set alone takes {initial}, raise the budget"
        )
    return dataclasses.replace(task, queries=longest_or(task.path.parent.parent, seed, task.queries))


def table_from_flags() -> Table:
    """The named table, with the budget, preset, members and initial strategy of the flags among its rows.

    Rows of a method that the table has as optional ones alone are asked for by `--methods`. Where the table
    compares initial strategies itself, `--init` picks among its rows.

    Raises:
        ConfigError: for an unknown name, a number out of range, or a flag the table has no use for.
    """
    _check_numbers()
    table = table_named(FLAGS.table)
    if FLAGS.queries is not None:
        places = [dataclasses.replace(place, budgets=_with(place.budgets, FLAGS.queries)) for place in table.places]
        rows = [dataclasses.replace(r, budgets=r.budgets and _with(r.budgets, FLAGS.queries)) for r in table.rows]
        table = dataclasses.replace(table, places=tuple(places), rows=tuple(rows))
    table = _picked(table)
    _check_effects(table)
    setting = FLAGS.preset is not None or FLAGS.members is not None or FLAGS.mixed_precision
    if not setting and FLAGS.init is None:
        return table
    if setting and any(row.preset != DEFAULT or row.members is not None for row in table.rows if not row.optional):
        raise ConfigError(
            f"{table.name} compares presets or members itself; leave out --preset, --members, --mixed_precision"
        )
    asked = [_changed(row) for row in table.rows if not row.optional]
    others = [dataclasses.replace(row, optional=True) for row in table.rows if row not in asked]
    kept = [row for row in others if row.variant not in {row.variant for row in asked}]
    return dataclasses.replace(table, rows=(*asked, *kept))


def _picked(table: Table) -> Table:
    always = {row.method for row in table.rows if not row.optional}
    named = [row for row in table.rows if row.method in (FLAGS.methods or ()) and row.method not in always]
    rows = [dataclasses.replace(row, optional=False) if row in named else row for row in table.rows]
    compared = {row.init for row in rows if is_invertnas(row.method) and not row.optional}
    if FLAGS.init is not None and len(compared) > 1:
        others = [row for row in rows if is_invertnas(row.method) and row.init != FLAGS.init]
        rows = [dataclasses.replace(row, optional=True) if row in others else row for row in rows]
    return dataclasses.replace(table, rows=tuple(rows))


def _with(budgets: tuple[int, ...], queries: int) -> tuple[int, ...]:
    return tuple(sorted({*budgets, queries}))


def _changed(row: Row) -> Row:
    if not is_invertnas(row.method):
        return row
    members = FLAGS.members if row.method == ENSEMBLE else None
    preset = (FLAGS.preset or row.preset) + (MIXED if FLAGS.mixed_precision else "")
    if preset not in SETTINGS:
        raise ConfigError(f"got --mixed_precision with preset {FLAGS.preset!r}, which has no such form")
    return dataclasses.replace(row, preset=preset, members=members, init=FLAGS.init or row.init)


def _check_numbers() -> None:
    for name in ("queries", "trials", "jobs", "members"):
        if getattr(FLAGS, name) is not None and getattr(FLAGS, name) < 1:
            raise ConfigError(f"got --{name}={FLAGS[name].value}; expected at least 1")
    if FLAGS.seed < 0:
        raise ConfigError(f"got --seed={FLAGS.seed}; expected at least 0")
    if FLAGS.kl_only and table_named(FLAGS.table).report != "initial":
        raise ConfigError(f"got --kl_only with {FLAGS.table}; expected a table of initial sets, table4")
    if FLAGS.preset is not None and FLAGS.preset not in SETTINGS:
        near = suggestion(FLAGS.preset, SETTINGS)
        raise ConfigError(f"got preset {FLAGS.preset!r}; expected one of {', '.join(SETTINGS)}{near}")


def _check_effects(table: Table) -> None:
    asked = {row.method for row in table.rows if not row.optional and row.method in (FLAGS.methods or [row.method])}
    for flag, readers in (
        *((name, set(filter(is_invertnas, METHODS))) for name in ("preset", "init", "mixed_precision")),
        ("members", {ENSEMBLE}),
    ):
        if getattr(FLAGS, flag) and asked and not asked & readers:
            given = f"--{flag}" if flag == "mixed_precision" else f"--{flag}={getattr(FLAGS, flag)}"
            raise ConfigError(
                f"got {given} with {', '.join(sorted(asked))} alone; expected {' or '.join(sorted(readers))} among the "
                f"methods: leave out --{flag}"
            )
    if FLAGS.kl_only:
        for flag in ("queries", "methods", "members", "preset"):
            if getattr(FLAGS, flag) is not None:
                raise ConfigError(f"got --{flag} with --kl_only, which searches nothing; leave out one of them")


def _check_methods(table: Table, methods: Sequence[str]) -> None:
    rows = [method for method in METHODS if method in {row.method for row in table.rows}]
    for method in methods:
        if method not in rows:
            raise ConfigError(f"got method {method!r}; expected one of {', '.join(rows)}{suggestion(method, rows)}")


def main(argv: Sequence[str]) -> None:
    """Run, aggregate, print and plot."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    table = table_from_flags()
    tasks = tasks_from_flags(table)
    if FLAGS.dry_run:
        return print(*(task.path for task in tasks if stored_at(task.path) is None), sep="\n")
    if not FLAGS.kl_only:
        run_all(tasks, FLAGS.jobs)
    seeds = range(FLAGS.seed, FLAGS.seed + max(FLAGS.trials or 0, table.trials))
    print(publish(table, Path(FLAGS.out), seeds, places_from_flags(table), Path(FLAGS.pretrained)))


if __name__ == "__main__":
    cli.run(main)
