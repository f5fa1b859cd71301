"""Whole processes, from their start to their result, as a user waits for them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from typing import Any

from experiments.common.cli import ROOT

Runs = list[dict[str, Any]]


def timed(*command: str) -> tuple[float, str]:
    """Seconds of a command in the checkout, and what it printed. Raises CalledProcessError if it fails."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, done.stdout


def searches(method: str, *flags: str) -> tuple[float, Runs]:
    """Seconds of a process of `experiments.speed.one_search`, and its record of each search."""
    seconds, printed = timed("-m", "experiments.speed.one_search", f"--method={method}", *flags)
    runs: Runs = json.loads(printed.splitlines()[-1])
    return seconds, runs


def bench_processes(single_step_gflop: float, peak_gflops: float, *flags: str) -> dict[str, Any]:
    """Seconds of searches of 192 queries with `fast`, of the baselines, and of the training's arithmetic.

    Args:
        single_step_gflop: of a training step of one flow.
        peak_gflops: rate of large products.
        flags: of every search, such as --dataset.
    """
    single_s, runs = searches("invertnas_single", "--searches=2", *flags)
    ensemble_s, ensemble = searches("invertnas", *flags)
    record = {
        "single_process_s": single_s - runs[1]["search_s"],
        "single_second_search_s": runs[1]["search_s"],
        "single_batch1_s": searches("invertnas_single", "--batch=1", *flags)[0],
        "ensemble_process_s": ensemble_s,
        "ten_trials_single_s": searches("invertnas_single", "--searches=10", *flags)[0],
        "arithmetic_single_s": runs[1]["steps"] * single_step_gflop / peak_gflops,
        "arithmetic_ensemble_s": 10 * ensemble[0]["steps"] * single_step_gflop / peak_gflops,
        "parts_of_a_round_single": runs[1]["parts_of_a_round"],
        "parts_of_a_round_ensemble": ensemble[0]["parts_of_a_round"],
    }
    return record | {f"{name}_s": searches(name, *flags)[0] for name in ("bananas", "bayesian")}


def bench_commands(jobs: int) -> dict[str, float]:
    """Seconds of Table 2 from nothing, and of the fast tests. Minutes each."""
    with tempfile.TemporaryDirectory() as out:
        table = timed("-m", "experiments.tables", "--table=table2", f"--jobs={jobs}", f"--out={out}")[0]
    return {"table2_from_nothing_s": table, "tests_s": timed("-m", "pytest", "-q")[0]}
