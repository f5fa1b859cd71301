"""One run on a cluster, and what its log says: efficiency, losses, doubles, and whether it equals a serial run."""

from __future__ import annotations

import collections
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import invertnas
from experiments.distributed.cluster import Cluster
from experiments.distributed.training import Sleep
from invertnas.running import RunResult, read_events
from invertnas.search.baselines import RandomSearch, RegularizedEvolution, RegularizedEvolutionConfig
from invertnas.spaces.nasbench201 import NASBench201Space

Mode = Literal["sync", "async"]
Trouble = Callable[[Cluster], int]  # makes trouble while a run goes on; returns the number of workers killed
SEED = 0


def distributed_run(
    cluster: Cluster,
    workers: int,
    mode: Mode,
    training: Sleep,
    budget: int,
    trouble: Trouble | None = None,
) -> dict[str, Any]:
    """Run a search on the cluster.

    Args:
        cluster: with at least `workers` workers.
        workers: trainings at a time.
        mode: of the run; the synchronous one is compared with the same search in this process.
        training: what is run.
        budget: trainings in all.
        trouble: runs beside it in a thread.

    Returns:
        `workers, mode, efficiency, evaluations, lost, doubled, killed_workers, same_as_serial`, which is None in the
        asynchronous mode; `sleep_s`; and `load_per_core`, processes of anybody's that waited for a core meanwhile.
    """
    killed: list[int] = []
    helper = threading.Thread(target=lambda: killed.append(trouble(cluster) if trouble else 0))
    with tempfile.TemporaryDirectory() as folder:
        helper.start()
        with cluster.client.get_executor(pure=False) as executor:
            result = invertnas.run(
                _search(mode), training, budget=budget, executor=executor, workers=workers, mode=mode, out=folder
            )
        helper.join()
        events = read_events(Path(folder))
    asked = [text for event in events if event["event"] == "ask" for text in event["archs"]]
    recorded = collections.Counter(event["arch"] for event in events if event["event"] == "evaluation")
    same = _essence(result) == _essence(serial_run(mode, training, budget)) if mode == "sync" else None
    return {
        "workers": workers,
        "mode": mode,
        "efficiency": round(efficiency(result, workers), 4),
        "evaluations": len(result.evaluations),
        "lost": sum(text not in recorded for text in asked[:budget]),
        "doubled": sum(count - 1 for count in recorded.values()),
        "killed_workers": killed[0],
        "same_as_serial": same,
        "sleep_s": training.sleep_s,
        "load_per_core": round(os.getloadavg()[0] / (os.cpu_count() or 1), 2),
    }


def serial_run(mode: Mode, training: Sleep, budget: int) -> RunResult:
    """The same search in this process, without the sleep."""
    return invertnas.run(_search(mode), Sleep(0.0), budget=budget)


def efficiency(result: RunResult, workers: int) -> float:
    """Seconds of training as a share of the seconds that the workers had, from the first start to the last end."""
    begin = min(each.started_at for each in result.evaluations)
    end = max(each.started_at + each.evaluate_s for each in result.evaluations)
    return sum(each.evaluate_s for each in result.evaluations) / (workers * (end - begin))


def kill_one_and_join_another(cluster: Cluster) -> int:
    """When a worker is in the middle of a training, end it without a word; then another one joins."""
    victim = _busy_one(cluster)
    cluster.kill(victim)
    cluster.join()
    return 1


def stop_one_for(seconds: float) -> Trouble:
    """Trouble like a cut network: a worker stops in mid-training, is given up, and goes on later."""

    def stop(cluster: Cluster) -> int:
        victim = _busy_one(cluster)
        victim.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        victim.send_signal(signal.SIGCONT)
        return 0

    return stop


def _busy_one(cluster: Cluster) -> Any:
    while not (busy := cluster.busy()):
        time.sleep(0.05)
    return busy[0]


def _search(mode: str) -> Any:
    space = NASBench201Space()
    if mode == "async":
        return RandomSearch(space, seed=SEED)
    return RegularizedEvolution(space, RegularizedEvolutionConfig(population_size=12, tournament_size=4), seed=SEED)


def _essence(result: RunResult) -> list[tuple[Any, ...]]:
    return [(each.number, each.question, each.arch, each.value, each.error) for each in result.evaluations]
