"""Any table of the paper or the thesis: `--table=NAME`, see `experiments.tables` for what it compares.

Runs whatever searches are missing below `<out>/searches/`, then prints the table and writes
`<out>/<table>.md`, `.csv` and, where the table has them, a search-curve plot per data set.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from experiments import cli
from experiments.aggregate import write_table
from experiments.cost import write_cost
from experiments.methods import ENSEMBLE, METHODS, is_invertnas
from experiments.plots import plot_table
from experiments.pool import run_all
from experiments.presets import DEFAULT, MIXED, PRESETS
from experiments.quality import write_quality
from experiments.records import longest_or
from experiments.runner import SearchTask
from experiments.tables import TABLES, Place, Row, Table, collect, grid, table_named
from invertnas.errors import BudgetError, ConfigError, OutOfDomainError

ROOT = Path(__file__).resolve().parent.parent
REPORTS = {"accuracy": write_table, "quality": write_quality, "cost": write_cost}
FLAGS = flags.FLAGS
flags.DEFINE_string("table", "table2", f"Table: {', '.join(TABLES)}.")
flags.DEFINE_list("dataset", None, "Data sets to search, comma separated; default: the table's.")
flags.DEFINE_list("methods", None, "Methods to search, comma separated; default: the table's.")
flags.DEFINE_integer("queries", None, "Budget of validation queries, initial set included; default: the table's.")
flags.DEFINE_integer("trials", None, "Trials (seeds) per row and data set; default: the table's.")
flags.DEFINE_string("preset", None, f"InvertNAS preset in place of {DEFAULT}: {', '.join(PRESETS)}.")
flags.DEFINE_bool("mixed_precision", False, "Products of the INNs in bfloat16: faster, the inverse less exact.")
flags.DEFINE_integer("seed", 0, "Seed of the first trial; trial i uses seed + i.")
flags.DEFINE_string("out", str(ROOT / "results"), "Results folder.")
flags.DEFINE_string("pretrained", str(ROOT / "pretrained"), "Folder of the shipped weights.")
flags.DEFINE_integer("members", None, "Flows in the ensemble of method invertnas; default: the preset's.")
flags.DEFINE_integer("jobs", 1, "Searches run side by side, each with its share of the cores.")
flags.DEFINE_bool("dry_run", False, "List the missing searches and stop.")


def tasks_from_flags(table: Table) -> list[SearchTask]:
    """All searches of a table from `table_from_flags`, seed by seed, so that early results cover every row.

    Raises:
        ConfigError, OutOfDomainError, BudgetError: for an unknown name or a number out of range.
    """
    methods = FLAGS.methods or list(dict.fromkeys(row.method for row in table.rows))
    datasets = FLAGS.dataset or [place.dataset for place in table.places]
    _check_names(table, methods, datasets)
    wanted = [(row, place) for row, place in grid(table) if row.method in methods and place.dataset in datasets]
    return [
        _task(table, row, place, seed)
        for seed in range(FLAGS.seed, FLAGS.seed + (FLAGS.trials or table.trials))
        for row, place in wanted
        if not row.optional
    ]


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
    )
    initial = PRESETS[row.preset].search.initial
    if is_invertnas(row.method) and task.queries < initial:
        raise BudgetError(
            f"got --queries={task.queries}; InvertNAS's initial set alone takes {initial}, raise the budget"
        )
    return dataclasses.replace(task, queries=longest_or(task.path.parent.parent, seed, task.queries))


def table_from_flags() -> Table:
    """The named table, with the budget, preset and members of the flags among its rows.

    Raises:
        ConfigError: for an unknown name, a number out of range, or a flag the table has no use for.
    """
    _check_numbers()
    table = table_named(FLAGS.table)
    if FLAGS.queries is not None:
        places = [dataclasses.replace(place, budgets=_with(place.budgets, FLAGS.queries)) for place in table.places]
        rows = [dataclasses.replace(r, budgets=r.budgets and _with(r.budgets, FLAGS.queries)) for r in table.rows]
        table = dataclasses.replace(table, places=tuple(places), rows=tuple(rows))
    if FLAGS.preset is None and FLAGS.members is None and not FLAGS.mixed_precision:
        return table
    if any(row.preset != DEFAULT or row.members is not None for row in table.rows if not row.optional):
        raise ConfigError(
            f"{table.name} compares presets or members itself; leave out --preset, --members, --mixed_precision"
        )
    asked = [_changed(row) for row in table.rows if not row.optional]
    others = [dataclasses.replace(row, optional=True) for row in table.rows if row not in asked]
    kept = [row for row in others if row.variant not in {row.variant for row in asked}]
    return dataclasses.replace(table, rows=(*asked, *kept))


def _with(budgets: tuple[int, ...], queries: int) -> tuple[int, ...]:
    return tuple(sorted({*budgets, queries}))


def _changed(row: Row) -> Row:
    if not is_invertnas(row.method):
        return row
    members = FLAGS.members if row.method == ENSEMBLE else None
    preset = (FLAGS.preset or row.preset) + (MIXED if FLAGS.mixed_precision else "")
    if preset not in PRESETS:
        raise ConfigError(f"got --mixed_precision with preset {FLAGS.preset!r}, which has no such form")
    return dataclasses.replace(row, preset=preset, members=members)


def _check_numbers() -> None:
    for name in ("queries", "trials", "jobs", "members"):
        if getattr(FLAGS, name) is not None and getattr(FLAGS, name) < 1:
            raise ConfigError(f"got --{name}={FLAGS[name].value}; expected at least 1")
    if FLAGS.seed < 0:
        raise ConfigError(f"got --seed={FLAGS.seed}; expected at least 0")
    if FLAGS.preset is not None and FLAGS.preset not in PRESETS:
        raise ConfigError(f"got preset {FLAGS.preset!r}; expected one of {', '.join(PRESETS)}")


def _check_names(table: Table, methods: Sequence[str], datasets: Sequence[str]) -> None:
    known = list(dict.fromkeys(place.dataset for place in table.places))
    for dataset in datasets:
        if dataset not in known:
            raise OutOfDomainError(f"got data set {dataset!r}; expected one of {', '.join(known)}")
    rows = [method for method in METHODS if method in {row.method for row in table.rows}]
    for method in methods:
        if method not in rows:
            raise ConfigError(f"got method {method!r}; expected one of {', '.join(rows)}")


def main(argv: Sequence[str]) -> None:
    """Run, aggregate, print and plot."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    table = table_from_flags()
    tasks = tasks_from_flags(table)
    if FLAGS.dry_run:
        return print(*(task.path for task in tasks if not task.path.exists()), sep="\n")
    run_all(tasks, FLAGS.jobs)
    out = Path(FLAGS.out)
    records = collect(table, out, range(FLAGS.seed, FLAGS.seed + max(FLAGS.trials or 0, table.trials)))
    print(REPORTS[table.report](out, table, records))
    if table.curves:
        plot_table(out, table, records)


if __name__ == "__main__":
    cli.run(main)
