"""A run on a Dask cluster in a process of its own, to be killed: ``... SCHEDULER_FILE OUT MARKS MODE``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import invertnas
from tests.helpers.trainings import ListSearch, Training

BUDGET = 12


def drive(scheduler_file: str, out: Path, marks: Path, mode: Any) -> invertnas.running.RunResult:
    """The run; the same call takes it up again."""
    import distributed

    connect: Any = distributed.Client  # carries no types
    with connect(scheduler_file=scheduler_file, set_as_default=False) as client:
        with client.get_executor(pure=False) as executor:
            training = Training(marks, sleep_s=0.4)
            return invertnas.run(
                ListSearch(), training, budget=BUDGET, executor=executor, workers=2, mode=mode, out=out
            )


if __name__ == "__main__":
    drive(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
