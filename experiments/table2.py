"""Paper Table 2: search methods on NAS-Bench-201, validation and test accuracy over trials.

Runs whatever result files are missing below `<out>/<table>/`, then prints the table and writes
`<out>/<table>.md`, `.csv` and a search-curve plot per data set.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from experiments import cli
from experiments.aggregate import read_records, write_table
from experiments.methods import METHODS, is_invertnas
from experiments.plots import plot_table
from experiments.pool import run_all
from experiments.presets import DEFAULT, PRESETS
from experiments.runner import SearchTask
from invertnas.benchmarks.nasbench201 import DATASETS
from invertnas.errors import BudgetError, ConfigError, OutOfDomainError

ROOT = Path(__file__).resolve().parent.parent
FLAGS = flags.FLAGS
flags.DEFINE_list("dataset", list(DATASETS), "Data sets, comma separated.")
flags.DEFINE_list("methods", list(METHODS), "Methods, comma separated.")
flags.DEFINE_integer("queries", 192, "Budget of validation queries, initial set included.")
flags.DEFINE_integer("trials", 10, "Trials (seeds) per method and data set.")
flags.DEFINE_string("preset", DEFAULT, f"InvertNAS preset: {', '.join(PRESETS)}.")
flags.DEFINE_integer("seed", 0, "Seed of the first trial; trial i uses seed + i.")
flags.DEFINE_string("out", str(ROOT / "results"), "Results folder.")
flags.DEFINE_string("pretrained", str(ROOT / "pretrained"), "Folder of the shipped weights.")
flags.DEFINE_integer("members", None, "Flows in the ensemble of method invertnas; default: the preset's.")
flags.DEFINE_integer("jobs", 1, "Searches run side by side, each with its share of the cores.")


def tasks_from_flags(table: str) -> list[SearchTask]:
    """All searches of the table, seed by seed, so that early results cover every row.

    Raises:
        ConfigError, OutOfDomainError, BudgetError: for an unknown name or a number out of range.
    """
    _check_flags()
    return [
        SearchTask(
            table=table,
            method=method,
            benchmark="nasbench201",
            dataset=dataset,
            queries=FLAGS.queries,
            preset=FLAGS.preset,
            members=FLAGS.members if method == "invertnas" else None,
            seed=FLAGS.seed + trial,
            out=Path(FLAGS.out),
            pretrained=Path(FLAGS.pretrained),
        )
        for trial in range(FLAGS.trials)
        for method in dict.fromkeys(FLAGS.methods)
        for dataset in dict.fromkeys(FLAGS.dataset)
    ]


def _check_flags() -> None:
    for dataset in FLAGS.dataset:
        if dataset not in DATASETS:
            raise OutOfDomainError(f"got data set {dataset!r}; expected one of {', '.join(DATASETS)}")
    for method in FLAGS.methods:
        if method not in METHODS:
            raise ConfigError(f"got method {method!r}; expected one of {', '.join(METHODS)}")
    if FLAGS.preset not in PRESETS:
        raise ConfigError(f"got preset {FLAGS.preset!r}; expected one of {', '.join(PRESETS)}")
    for name in ("queries", "trials", "jobs"):
        if getattr(FLAGS, name) < 1:
            raise ConfigError(f"got --{name}={FLAGS[name].value}; expected at least 1")
    if FLAGS.seed < 0:
        raise ConfigError(f"got --seed={FLAGS.seed}; expected at least 0")
    initial = PRESETS[FLAGS.preset].search.initial
    if FLAGS.queries < initial and any(map(is_invertnas, FLAGS.methods)):
        raise BudgetError(
            f"got --queries={FLAGS.queries}; InvertNAS's initial set alone takes {initial}, raise the budget"
        )


def main(argv: Sequence[str]) -> None:
    """Run, aggregate, print and plot."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    name = "table2"
    run_all(tasks_from_flags(name), FLAGS.jobs)
    out = Path(FLAGS.out)
    records = read_records(out / name)
    print(write_table(out, name, "Table 2: NAS-Bench-201", records))
    plot_table(out, name, [record for record in records if record["queries"] == FLAGS.queries])


if __name__ == "__main__":
    cli.run(main)
