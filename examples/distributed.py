"""Trainings on a cluster: give the address of a Dask scheduler, or let this start two workers on this machine.

    python examples/distributed.py                        # two processes here
    python examples/distributed.py tcp://10.0.0.1:8786    # your own; started with `dask scheduler` and `dask worker`

Needs `pip install invertnas[distributed]`. Replace `train` by your training run and the space by your own. Run it again
after an interruption, whatever ended it: what is recorded in `runs/distributed` is not trained again.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import invertnas
from invertnas import ArchSpec, Measurement, NASBench201Space
from invertnas.running import Evaluation, Progress, RunResult
from invertnas.search.baselines import RegularizedEvolution, RegularizedEvolutionConfig

BUDGET = 24


def train(arch: ArchSpec) -> Measurement:
    """Stands in for a training run on a worker: convolutions help, and some cells do not fit into memory."""
    time.sleep(0.2)
    convolutions = sum(op in (2, 3) for op in arch.ops)
    if convolutions == 6:
        raise MemoryError("this cell is too large for the worker")
    return Measurement(0.5 + 0.07 * convolutions, costs={"convolutions": convolutions})


def search(address: str | None, out: Path, budget: int = BUDGET) -> RunResult:
    """Search with as many trainings at a time as the cluster has workers, more when others join."""
    import distributed

    dask: Any = distributed  # it carries no types
    where: Any = address or dask.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    config = RegularizedEvolutionConfig(population_size=10, tournament_size=4)
    method = RegularizedEvolution(NASBench201Space(), config, seed=0)
    with dask.Client(where) as client, client.get_executor(pure=False) as executor:
        result = invertnas.run(
            method,
            train,
            budget=budget,
            executor=executor,
            workers=lambda: max(1, len(client.scheduler_info(n_workers=-1)["workers"])),
            mode="async",
            out=out,
            callbacks=[show],
        )
    if address is None:
        where.close()
    return result


def show(evaluation: Evaluation, progress: Progress) -> None:
    """One line for each finished training."""
    value = "failed" if evaluation.value is None else f"{100 * evaluation.value:.1f} %"
    print(f"{progress.evaluations:3}/{progress.budget} {value:>8} on {evaluation.worker}  {evaluation.arch}")


def main() -> None:
    """Search and print the best."""
    result = search(sys.argv[1] if len(sys.argv) > 1 else None, Path("runs/distributed"))
    if result.best is not None:
        print(f"best of {len(result.evaluations)}: {result.best.arch}")


if __name__ == "__main__":
    main()
