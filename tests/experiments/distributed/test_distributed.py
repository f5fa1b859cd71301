"""Runs on a real Dask cluster over TCP on loopback: workers killed, stopped, joining; a driver killed; failures."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import invertnas
from experiments.distributed.cluster import ROOT, Cluster
from experiments.distributed.measure import distributed_run, efficiency, kill_one_and_join_another, stop_one_for
from experiments.distributed.training import Sleep
from invertnas.running import Evaluation, RunResult, read_run
from invertnas.spaces import NASBench201Space
from tests.helpers.drive_dask import BUDGET, drive
from tests.helpers.trainings import ALL, SPACE, ListSearch, Training, begun, score

TEXTS = [SPACE.to_string(arch) for arch in ALL[:30]]
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs invertnas[distributed]"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of sockets that a killed process leaves
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(2) as running:
        yield running


def test_a_worker_is_killed_and_another_joins(cluster: Cluster) -> None:
    run = distributed_run(cluster, 2, "sync", Sleep(0.3), 16, kill_one_and_join_another)
    assert run["same_as_serial"] and run["killed_workers"] == 1 and run["evaluations"] == 16
    assert run["lost"] == run["doubled"] == 0


@pytest.mark.slow
def test_asynchronously_too(cluster: Cluster) -> None:
    cluster.grow(2)
    run = distributed_run(cluster, 2, "async", Sleep(0.3), 16, kill_one_and_join_another)
    assert run["same_as_serial"] is None and run["killed_workers"] == 1 and run["evaluations"] == 16
    assert run["lost"] == run["doubled"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_worker_that_is_stopped_given_up_and_continued_doubles_nothing(mode: Any) -> None:
    with Cluster(2, silence_s=10.0) as cluster:
        run = distributed_run(cluster, 2, mode, Sleep(0.5), 12, stop_one_for(30.0))
    assert run["evaluations"] == 12 and run["lost"] == run["doubled"] == 0 and run["same_as_serial"] is not False


@pytest.mark.slow
def test_failing_and_slow_trainings(cluster: Cluster, tmp_path: Path) -> None:
    cluster.grow(2)
    training = Training(tmp_path, sleep_s=0.05, fails=(TEXTS[1],), slow=(TEXTS[2],), diverges=(TEXTS[5],))
    with cluster.client.get_executor(pure=False) as executor:
        search = ListSearch()
        result = invertnas.run(search, training, budget=9, executor=executor, workers=2, mode="async")
    assert begun(tmp_path) == {text: 1 for text in TEXTS[:9]}
    expected = {SPACE.to_string(arch): score(arch) for arch in ALL[:9]} | {TEXTS[1]: None, TEXTS[5]: None}
    assert search.told == expected and {e.arch for e in result.evaluations if e.failed} == {TEXTS[1], TEXTS[5]}
    ends = {e.arch: e.started_at + e.evaluate_s for e in result.evaluations}
    assert ends[TEXTS[3]] < ends[TEXTS[2]]  # the slow one kept nobody


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_killed_driver_is_taken_up_on_the_same_cluster(cluster: Cluster, mode: Any, tmp_path: Path) -> None:
    cluster.grow(2)
    out, marks = tmp_path / "out", tmp_path / "marks"
    marks.mkdir()
    file = str(cluster.scheduler_file)
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.drive_dask", file, str(out), str(marks), mode], cwd=ROOT
    )
    try:
        end, log = time.monotonic() + 90, out / "log.jsonl"
        while not (log.exists() and log.read_text().count('"evaluation"') >= 4):
            assert time.monotonic() < end and driver.poll() is None
            time.sleep(0.02)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    told = read_run(out).evaluations
    result = drive(file, out, marks, mode)
    assert sorted(e.arch for e in result.evaluations) == sorted(TEXTS[:BUDGET]) and len(told) < BUDGET
    assert all(e in result.evaluations for e in told) and all(begun(marks)[e.arch] == 1 for e in told)


def test_efficiency_counts_idle_seconds() -> None:
    def one(number: int, started_at: float, evaluate_s: float) -> Evaluation:
        return Evaluation(number, 0, "x", 0.5, {}, {}, None, evaluate_s, started_at, "w", None, 1)

    assert efficiency(RunResult((one(0, 0.0, 2.0), one(1, 0.0, 1.0), one(2, 1.0, 1.0))), 2) == 1.0
    assert efficiency(RunResult((one(0, 0.0, 2.0), one(1, 0.0, 1.0))), 2) == 0.75


def test_the_value_of_a_sleep_follows_from_the_architecture() -> None:
    arch = NASBench201Space().from_cell_ops((2,) * 6)
    assert Sleep(0.0)(arch) == Sleep(0.001, 0.5)(arch) and 0 <= Sleep(0.0)(arch) < 1
