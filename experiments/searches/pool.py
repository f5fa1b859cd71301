"""Runs many searches with progress bars, in this process or in several."""

from __future__ import annotations

import concurrent.futures
import itertools
import multiprocessing
import os
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from experiments.common.cores import limit_threads, share_cores
from experiments.searches.methods import is_invertnas
from experiments.searches.runner import SearchTask, run_search


def run_all(tasks: Sequence[SearchTask], jobs: int) -> None:
    """Run every task, `jobs` at a time, each job with its share of the cores.

    A bar counts queries over all tasks, with an ETA; finished tasks count at once.
    """
    if jobs <= 1:
        _run_here(tasks)
        return
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with concurrent.futures.ProcessPoolExecutor(jobs, context, initializer=limit_threads, initargs=(threads,)) as pool:
        futures = {pool.submit(_search_quietly, task): task for task in tasks}
        with tqdm(total=len(tasks), unit="search", desc=tasks[0].table if tasks else "") as bar:
            try:
                for future in concurrent.futures.as_completed(futures):
                    best = future.result()
                    task = futures[future]
                    bar.set_postfix_str(f"{task.name} {task.dataset} seed {task.seed}: {100 * best:.2f} %")
                    bar.update()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _run_here(tasks: Sequence[SearchTask]) -> None:
    if any(is_invertnas(task.method) for task in tasks):
        share_cores()
    with tqdm(total=sum(task.queries for task in tasks), unit="query") as bar:
        for number, task in enumerate(tasks, start=1):
            name = f"{task.name} {task.dataset} seed {task.seed} ({number}/{len(tasks)})"
            before, rounds = bar.n, itertools.count(1)

            def report(spent: int, best: float, base: int = before, count: Iterator[int] = rounds) -> None:
                bar.set_postfix_str(f"round {next(count)}, {spent} queries, best val {100 * best:.2f} %")
                bar.update(base + spent - bar.n)

            bar.set_description(name)
            run_search(task, report)
            bar.update(before + task.queries - bar.n)


def _search_quietly(task: SearchTask) -> float:
    return float(run_search(task)["best_val"])
