"""Measure runs on Dask clusters of this machine; writes ``distributed.json`` after every run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from experiments.common import cli
from experiments.distributed.cluster import Cluster
from experiments.distributed.measure import Mode, distributed_run, kill_one_and_join_another, stop_one_for
from experiments.distributed.training import Sleep
from invertnas.files.io import write_json

FLAGS = flags.FlagValues()
_WORKERS = flags.DEFINE_list("workers", ["1", "2", "4", "8", "16", "32"], "Workers to measure.", flag_values=FLAGS)
_SLEEP = flags.DEFINE_float("sleep_s", 3.0, "Seconds that a training sleeps.", lower_bound=0, flag_values=FLAGS)
_ROUNDS = flags.DEFINE_integer("rounds", 8, "Trainings for each worker.", lower_bound=1, flag_values=FLAGS)
_OUT = flags.DEFINE_string("out", "results", "Folder for distributed.json.", flag_values=FLAGS)
TROUBLED = 4  # workers of the runs with trouble
SILENCE_S = 5.0


def main(argv: Sequence[str]) -> None:
    """Grow one cluster and measure at every size, then make trouble in another."""
    path, runs = Path(_OUT.value) / "distributed.json", list[dict[str, Any]]()

    def keep(run: dict[str, Any], name: str) -> None:
        runs.append({**run, "run": name})
        write_json(path, runs)
        print(runs[-1], flush=True)

    sizes, training = [int(text) for text in _WORKERS.value], Sleep(_SLEEP.value)
    with Cluster(min(sizes)) as cluster:
        for workers in sorted(sizes):
            cluster.grow(workers)
            keep(distributed_run(cluster, workers, "async", training, workers * _ROUNDS.value), "equal trainings")
            if workers <= TROUBLED:
                short = Sleep(_SLEEP.value / 3, spread=0.5)
                keep(distributed_run(cluster, workers, "sync", short, 16), "trainings of different lengths")
    with Cluster(TROUBLED, silence_s=SILENCE_S) as cluster:
        modes: tuple[Mode, ...] = ("sync", "async")
        for mode in modes:
            cluster.grow(TROUBLED)
            run = distributed_run(cluster, TROUBLED, mode, training, 20, kill_one_and_join_another)
            keep(run, "a worker killed in mid-training, another joins")
        cluster.grow(TROUBLED)
        run = distributed_run(cluster, TROUBLED, "sync", training, 20, stop_one_for(4 * SILENCE_S))
        keep(run, "a worker stopped, given up and continued")


if __name__ == "__main__":
    cli.run(main, FLAGS)
