"""``invertnas search`` and ``invertnas resume``: a live search with a progress bar, a table, a curve and a drawing."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path

from absl import flags
from tqdm import tqdm

from invertnas.commands.setup import METHODS, Setup, default_benchmark, read_setup
from invertnas.errors import ConfigError
from invertnas.presets import DEFAULT
from invertnas.reporting.cell import save_cell
from invertnas.reporting.page import best_rows, summary, write_report
from invertnas.running.log import LOG_FILE
from invertnas.running.measurement import Evaluation, Progress, RunResult
from invertnas.running.runner import run

CELL_PICTURE = "best_cell.png"


def search_flags() -> flags.FlagValues:
    """The flags of ``search``."""
    own = flags.FlagValues()
    text, number = flags.DEFINE_string, flags.DEFINE_integer
    text("benchmark", None, "Benchmark whose table answers, e.g. nasbench201.", flag_values=own)
    text("dataset", None, "Data set of the benchmark.", flag_values=own)
    text("space", None, "A space of your own, module:Class, or the name of one that ships.", flag_values=own)
    text("evaluate", None, "Your training, module:function: architecture to validation accuracy.", flag_values=own)
    text("method", METHODS[0], f"One of {', '.join(METHODS)}.", flag_values=own)
    number("queries", 100, "Trainings in all.", lower_bound=1, flag_values=own)
    number("seed", 0, "Seed of the search.", lower_bound=0, flag_values=own)
    text("preset", None, f"Preset of InvertNAS; default: {DEFAULT}.", flag_values=own)
    text("initial", None, "Initial set of InvertNAS: random, proxy or alignflow; default: random.", flag_values=own)
    text("weights", None, "Folder of the GVAE of a space of your own.", flag_values=own)
    number("workers", 1, "Trainings at a time, each in a process of its own.", lower_bound=1, flag_values=own)
    flags.DEFINE_enum("mode", "sync", ["sync", "async"], "Wait for all answers to a question, or not.", flag_values=own)
    text("out", None, "Folder of the run; default: a new one below runs/.", flag_values=own)
    return own


def resume_flags() -> flags.FlagValues:
    """The flags of ``resume``."""
    own = flags.FlagValues()
    flags.DEFINE_integer("queries", None, "Trainings in all, to go on with more.", lower_bound=1, flag_values=own)
    flags.DEFINE_integer("workers", None, "Trainings at a time; default: as before.", lower_bound=1, flag_values=own)
    return own


def search(values: flags.FlagValues, rest: list[str]) -> None:
    """Search and report. Raises InvertNASError of what it does, ConfigError for words that are no flags."""
    if rest:
        raise ConfigError(f"got {rest[0]!r}; expected flags only, such as --queries=100")
    if values.benchmark is not None and values.space is not None:
        raise ConfigError("got a space beside a benchmark, which has its own; expected one of the two; leave one out")
    bench = values.benchmark or (default_benchmark() if values.space is None and values.evaluate is None else None)
    setup = Setup(
        space=values.space or bench or "",
        benchmark=bench,
        dataset=values.dataset,
        evaluate=values.evaluate,
        method=values.method,
        queries=values.queries,
        seed=values.seed,
        preset=values.preset,
        initial=values.initial,
        weights=values.weights,
        workers=values.workers,
        mode=values.mode,
    )
    if values.out == "":
        raise ConfigError("got an empty --out; expected a folder; leave the flag out for a new one below runs/")
    out = Path(values.out or f"runs/{datetime.datetime.now():%Y%m%d-%H%M%S}")
    if (out / LOG_FILE).exists():
        before = dataclasses.replace(read_setup(out), queries=setup.queries, workers=setup.workers)
        if before != setup:
            raise ConfigError(f"got {out}, which holds {before.title}; expected a new folder; choose another --out")
    follow(setup, out)


def resume(values: flags.FlagValues, rest: list[str]) -> None:
    """Take up a search where it stands. Raises as `search`."""
    if len(rest) != 1:
        raise ConfigError(f"got {len(rest)} folders; expected one: invertnas resume DIR")
    out = Path(rest[0])
    setup = read_setup(out)
    setup = dataclasses.replace(setup, queries=values.queries or setup.queries, workers=values.workers or setup.workers)
    follow(setup, out)


def follow(setup: Setup, out: Path) -> RunResult:
    """Run a search with a bar, then print and draw what it found."""
    space, evaluate = setup.open_space(), setup.open_evaluate()
    method = setup.open_search(space)
    setup.write(out)
    with tqdm(total=setup.queries, unit="training", desc=setup.method, dynamic_ncols=True) as bar:
        result = run(
            method,
            evaluate,
            budget=setup.queries,
            workers=setup.workers,
            mode="async" if setup.mode == "async" else "sync",
            out=out,
            callbacks=[_moves(bar)],
        )
        bar.update(len(result.evaluations) - bar.n)
    print_result(result)
    page, picture = write_report(out, space, setup.title)
    if result.best is not None:
        save_cell(space, space.from_string(result.best.arch), out / CELL_PICTURE)
    print(f"\n{page}\n{picture}\n{out / CELL_PICTURE}")
    return result


def print_result(result: RunResult) -> None:
    """The summary and the best cells."""
    print()
    for name, text in summary(result):
        print(f"{name:32} {text}")
    print(f"\n{'#':>3} {'training':>8} {'accuracy':>9} {'predicted':>10}  cell")
    for rank, number, value, predicted, _, arch in best_rows(result, 5):
        print(f"{rank:>3} {number:>8} {value:>8}% {predicted + '%' if predicted else '':>10}  {arch}")
    if result.stopped is not None:
        print(f"\nended early: {result.stopped}")


def _moves(bar: tqdm[None]) -> Callable[[Evaluation, Progress], None]:
    def move(evaluation: Evaluation, progress: Progress) -> None:
        best = "none" if progress.best is None else f"{100 * (progress.best.value or 0):.2f} %"
        failed = f", {progress.failed} failed" if progress.failed else ""
        bar.set_postfix_str(f"round {evaluation.question}, best {best}{failed}", refresh=False)
        bar.update(progress.evaluations - bar.n)

    return move
