"""Runs with workers that are processes, and what happens when one of them, or the driver, is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import invertnas
from invertnas.errors import ConfigError, WorkerError
from invertnas.running import ProcessWorkers, RunResult, read_run
from tests.helpers.drive import BUDGET, drive
from tests.helpers.trainings import ALL, SPACE, ListSearch, Training, begun, score

ROOT = Path(__file__).resolve().parents[3]
TEXTS = [SPACE.to_string(arch) for arch in ALL[:30]]


def essence(result: RunResult) -> list[tuple[Any, ...]]:
    """What must not depend on workers, interruptions and the clock."""
    return [(e.number, e.question, e.arch, e.value, e.costs, e.info, e.error is None) for e in result.evaluations]


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_the_synchronous_record_is_the_same_for_any_number_of_workers() -> None:
    training = Training(fails=(TEXTS[4],), slow=(TEXTS[0],), sleep_s=0.01)
    expected = invertnas.run(ListSearch(), training, budget=8)
    for workers in (2, 4):
        search = ListSearch()
        found = invertnas.run(search, training, budget=8, workers=workers)
        assert essence(found) == essence(expected) and [len(told) for told in search.tells] == [3, 3, 2]
        assert 1 < len({e.worker for e in found.evaluations}) <= workers


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_killed_worker_takes_no_other_training_with_it(mode: Any, tmp_path: Path) -> None:
    training = Training(tmp_path, sleep_s=0.05, kills=(TEXTS[1],))
    search = ListSearch()
    result = invertnas.run(search, training, budget=8, workers=2, mode=mode)
    attempts = {e.arch: e.attempts for e in result.evaluations}
    assert attempts == {text: 1 + (text == TEXTS[1]) for text in TEXTS[:8]} == begun(tmp_path)
    assert search.told == {SPACE.to_string(arch): score(arch) for arch in ALL[:8]}


def test_a_training_that_kills_every_worker_fails_in_the_end(tmp_path: Path) -> None:
    search = ListSearch()
    result = invertnas.run(search, Training(tmp_path, kills=(TEXTS[2],), deaths=9), budget=4, workers=2, retries=1)
    assert begun(tmp_path)[TEXTS[2]] == 2 and search.told[TEXTS[2]] is None
    error = result.evaluations[2].error
    assert error is not None and error.startswith("the worker was lost 2 times: BrokenProcessPool")


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_killed_driver_loses_nothing_and_leaves_nobody(mode: Any, tmp_path: Path) -> None:
    out, marks = tmp_path / "out", tmp_path / "marks"
    marks.mkdir()
    command = [sys.executable, "-m", "tests.helpers.drive", str(out), str(marks), "2", mode, "0.3"]
    driver = subprocess.Popen(command, cwd=ROOT)
    log = out / "log.jsonl"
    try:
        wait_until(lambda: log.exists() and log.read_text().count('"evaluation"') >= 5)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    told = read_run(out).evaluations
    workers = {int(e.worker.rpartition(":")[2]) for e in told}
    wait_until(lambda: not any(alive(pid) for pid in workers))
    assert 5 <= len(told) < BUDGET and len(begun(marks)) > len(told)  # something was under way
    result = drive(out, marks, 1, mode, 0.0)
    assert sorted(e.arch for e in result.evaluations) == sorted(TEXTS[:BUDGET])
    assert all(evaluation in result.evaluations for evaluation in told)
    counts = begun(marks)
    assert all(counts[e.arch] == 1 for e in told) and max(counts.values()) == 2


def test_workers_start_with_their_environments() -> None:
    with ProcessWorkers(2, [{"CUDA_VISIBLE_DEVICES": str(number)} for number in range(2)]) as workers:
        first = workers.submit(os.getenv, "CUDA_VISIBLE_DEVICES")
        second = workers.submit(os.getenv, "CUDA_VISIBLE_DEVICES")
        assert (first.result(), second.result()) == ("0", "1")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_no_more_calls_than_workers() -> None:
    with ProcessWorkers(1) as workers:
        workers.submit(time.sleep, 0.5)
        with pytest.raises(RuntimeError, match="all 1 workers are busy"):
            workers.submit(os.getpid)


@pytest.mark.parametrize("given", [(0,), (True,), (2, [{}])])
def test_wrong_workers_are_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="got"):
        ProcessWorkers(*given)


def test_a_process_pool_that_breaks_ends_the_run_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """A pool of the standard library does not survive the loss of a worker; the log does."""
    training = Training(tmp_path / "marks", kills=(TEXTS[1],))
    (tmp_path / "marks").mkdir()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool, pytest.raises(WorkerError, match="takes no more work"):
        invertnas.run(ListSearch(), training, budget=5, executor=pool, out=tmp_path / "out")
    done = [e.arch for e in read_run(tmp_path / "out").evaluations]
    result = invertnas.run(ListSearch(), training, budget=5, out=tmp_path / "out")
    assert len(result.evaluations) == 5 and all(begun(tmp_path / "marks")[text] == 1 for text in done)
