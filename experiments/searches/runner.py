"""Runs one search and writes one gzipped JSON; skips what is finished, resumes what was interrupted."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.searches.ablations import setting
from experiments.searches.benchmarks import open_analysis, open_benchmark
from experiments.searches.initial import BARE_INIT, settings_in
from experiments.searches.locks import alone
from experiments.searches.methods import BASELINES, ENSEMBLE, SINGLE, MethodArguments, build, is_invertnas, variant_name
from experiments.searches.records import compact, outcome, search_folder, stored_at
from invertnas.benchmarks.base import Analysis, Benchmark
from invertnas.errors import ArtefactError, BudgetError, OutOfDomainError, SearchExhaustedError
from invertnas.files.io import read_json, versions, write_json
from invertnas.initial import initial_settings
from invertnas.presets import completed
from invertnas.protocols import Optimizer
from invertnas.search.baselines.records import settings_of
from invertnas.spaces.records import record_of

CHECKPOINT_EVERY_S = 15.0
Report = Callable[[int, float], None]  # queries spent, best validation accuracy


@dataclasses.dataclass(frozen=True)
class SearchTask:
    """One cell of a table: a method on a data set with a seed.

    Attributes:
        table: name of the table that asks; shown in progress bars, of no effect.
        method: key of `experiments.searches.methods.METHODS`; see `name` for what stands in paths and records.
        benchmark: benchmark name.
        dataset: data set name.
        queries: budget.
        preset: preset of InvertNAS; "published" for baselines.
        members: flows in the ensemble, None for the preset's number.
        seed: master seed of the trial.
        out: results folder.
        pretrained: folder of the shipped weights.
        init: initial strategy of InvertNAS, of no effect on baselines.
    """

    table: str
    method: str
    benchmark: str
    dataset: str
    queries: int
    preset: str
    members: int | None
    seed: int
    out: Path
    pretrained: Path
    init: str = BARE_INIT

    @property
    def name(self) -> str:
        """Method and, where they are not the default, preset, ensemble size and initial strategy."""
        return variant_name(self.method, self.preset, self.members, self.init)

    @property
    def path(self) -> Path:
        """The result file."""
        folder = search_folder(self.out, self.name, self.benchmark, self.dataset)
        return folder / f"q{self.queries}" / f"seed_{self.seed}.json.gz"

    @property
    def partial(self) -> Path:
        """Folder of the checkpoint of an unfinished search."""
        return self.path.with_name(f"seed_{self.seed}.partial")

    def labels_of_method(self) -> dict[str, Any]:
        """What identifies the setting, for the record and for refusing to mix settings."""
        if not is_invertnas(self.method):
            return {"preset": "published", "init": BARE_INIT}
        return {"preset": self.preset, "init": self.init}


def run_search(task: SearchTask, report: Report | None = None) -> dict[str, Any]:
    """The finished record of a task: read if it exists, else searched, resuming a checkpoint.

    Args:
        task: what to run.
        report: called after each round.

    Returns:
        The content of `task.path`.

    Raises:
        InvertNASError: bad data set, budget, weights or folder, or a result or checkpoint of another
            setting in the way.
    """
    bench = open_benchmark(task.benchmark, task.queries)
    if task.dataset not in bench.datasets:
        raise OutOfDomainError(f"got data set {task.dataset!r}; expected one of {', '.join(bench.datasets)}")
    arguments = MethodArguments(
        bench.space, task.queries, task.preset, task.members, task.pretrained, task.seed, task.init
    )
    if (file := stored_at(task.path)) is not None:
        return _finished(task, file, bench.labels)
    _check_space(task)
    optimizer, config = build(task.method, arguments)
    _check_budget(task, config)
    with alone(task.path, f"{task.name} {task.dataset} seed {task.seed}"):
        if (file := stored_at(task.path)) is not None:  # by the process that held the lock
            return _finished(task, file, bench.labels)
        return _searched(_Progress(task, bench, optimizer, config), report)


def _searched(progress: _Progress, report: Report | None) -> dict[str, Any]:
    task, ledger = progress.task, progress.bench.ledger
    progress.resume()
    saved_at = time.monotonic()
    while ledger.remaining:
        try:
            progress.round()
        except SearchExhaustedError:
            if ledger.spent:
                progress.keep_shorter()
            raise
        if report is not None:
            report(ledger.spent, progress.best)
        if time.monotonic() - saved_at > CHECKPOINT_EVERY_S and ledger.remaining:
            progress.save()
            saved_at = time.monotonic()
    record = progress.record(open_analysis(task.benchmark))
    write_json(task.path, record)
    shutil.rmtree(task.partial, ignore_errors=True)
    return record


def _finished(task: SearchTask, file: Path, labels: str) -> dict[str, Any]:
    record: dict[str, Any] = read_json(file)
    compared = dict(record)
    wanted = {**task.labels_of_method(), "queries": task.queries, "seed": task.seed, "method": task.name}
    wanted["labels"] = labels  # of the benchmark now, which may since have got official ones
    if task.method in (ENSEMBLE, SINGLE):
        config = setting(task.preset, task.benchmark).with_members(1 if task.method == SINGLE else task.members)
        chosen = config.to_dict() | {"init": initial_settings(task.init, task.benchmark)}
        wanted["config"] = json.loads(json.dumps(chosen))  # as it reads back
        stored = record.get("config") or {}
        compared["config"] = completed(stored) | {"init": settings_in(stored)}
    elif task.method in BASELINES:
        wanted["config"] = json.loads(json.dumps(settings_of(task.method, task.benchmark)))
    different = [name for name, value in wanted.items() if compared.get(name) != value]
    if different:
        shown = [name for name in different if name != "config"]
        got = ", ".join(f"{name}={record.get(name)!r} (expected {wanted[name]!r})" for name in shown)
        raise ArtefactError(
            f"{file} was made with another setting: {got or 'the settings have changed since'}; "
            "choose another --out (OUT= of make) or delete the file"
        )
    return record


def _check_space(task: SearchTask) -> None:
    size = record_of(task.benchmark).size
    if size is not None and task.queries > size:
        raise BudgetError(
            f"got a budget of {task.queries} queries; {task.benchmark} has {size} architectures, lower the budget"
        )


def _check_budget(task: SearchTask, config: dict[str, Any]) -> None:
    initial = config.get("search", {}).get("initial", 1)
    if task.queries < initial:
        raise BudgetError(
            f"got a budget of {task.queries} queries; the initial set alone takes {initial}, raise the budget"
        )


class _Progress:
    """The loop's state: the curve so far, the ledger it was paid from, and the optimiser."""

    def __init__(self, task: SearchTask, bench: Benchmark, optimizer: Optimizer, config: dict[str, Any]) -> None:
        self.task, self.bench, self.optimizer, self.config = task, bench, optimizer, config
        setting = {**task.labels_of_method(), "labels": bench.labels, "config": config}
        self.setting = json.loads(json.dumps(setting))  # as it reads back from a checkpoint
        self.curve: list[dict[str, Any]] = []
        self.best = 0.0
        self.earlier_s, self.started = 0.0, time.perf_counter()

    @property
    def wall_s(self) -> float:
        """Seconds of searching, over all runs of an interrupted search."""
        return self.earlier_s + time.perf_counter() - self.started

    def round(self) -> None:
        """Ask, query within the budget, tell. Raises SearchExhaustedError if nothing new is asked."""
        spent = self.bench.ledger.spent
        archs, values = self.optimizer.ask(), list[float]()
        for arch in archs:
            if self.bench.ledger.remaining:
                values.append(self._query(arch))
        self.optimizer.tell(archs[: len(values)], values)
        if self.bench.ledger.spent == spent:
            raise SearchExhaustedError(
                f"{self.task.method} asked for nothing new after {spent} queries; lower the budget to {spent}, "
                "whose search is stored"
                if spent
                else f"{self.task.method} asked for nothing; expected architectures, check its settings"
            )

    def _query(self, arch: Any) -> float:
        spent = self.bench.ledger.spent
        value = self.bench.query(arch, self.task.dataset)
        if self.bench.ledger.spent > spent:  # a repeated question is free and no point of the curve
            self.curve.append({"arch": self.bench.space.to_string(arch), "val": value})
        self.best = max(self.best, value)
        return value

    def save(self) -> None:
        """Write a complete checkpoint beside the last one, then switch to it."""
        folder = self.task.partial / f"at_{len(self.curve)}"
        write_json(folder / "setting.json", self.setting)
        self.optimizer.save(folder)
        self._point_to(folder.name)
        for old in self.task.partial.glob("at_*"):
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)

    def _point_to(self, at: str | None) -> None:
        content = {"at": at, "setting": self.setting, "curve": self.curve, "wall_s": self.wall_s}
        write_json(self.task.partial / "latest.json", content)

    def resume(self) -> None:
        """Restore the last complete checkpoint, if any; its queries are booked again.

        Raises:
            OutputError: the folder cannot be written, found out before the first query.
            ArtefactError: the checkpoint is damaged or of another setting.
        """
        pointer = self.task.partial / "latest.json"
        if not pointer.exists():
            return self._point_to(None)
        saved = read_json(pointer)
        try:
            if saved["setting"] != self.setting:
                raise ArtefactError(f"{pointer} is of another setting; choose another --out or delete {pointer.parent}")
            if saved["at"] is not None:
                self.optimizer.load(pointer.parent / saved["at"])
            for entry in saved["curve"]:
                self._query(self.bench.space.from_string(entry["arch"]))
            self.earlier_s = float(saved["wall_s"])
        except (KeyError, TypeError, FileNotFoundError) as error:
            raise ArtefactError(
                f"{pointer} is damaged ({type(error).__name__}: {error}); delete {pointer.parent} and run again"
            ) from error

    def keep_shorter(self) -> None:
        """Write what there is as the finished search of so many queries, which it is: no method knows its budget."""
        shorter = dataclasses.replace(self.task, queries=len(self.curve))
        if stored_at(shorter.path) is None:
            write_json(shorter.path, self.record(open_analysis(self.task.benchmark)))
        shutil.rmtree(self.task.partial, ignore_errors=True)

    def record(self, analysis: Analysis) -> dict[str, Any]:
        """The result: only here, after the last query, are test accuracies looked up."""
        task = self.task
        record = {
            "method": task.name,
            "benchmark": task.benchmark,
            "dataset": task.dataset,
            **task.labels_of_method(),
            "labels": self.bench.labels,
            "members": self.config.get("inn", {}).get("members"),
            "seed": task.seed,
            "queries": len(self.curve),
            **outcome(self.curve, self.bench.space, analysis, task.dataset),
            "wall_s": self.wall_s,
            "curve": self.curve,
            "rounds": self.optimizer.diagnostics(),
            "config": self.config,
            "versions": versions(),
        }
        return compact(record)
