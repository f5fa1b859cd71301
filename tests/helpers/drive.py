"""A run in a process of its own, to be killed: ``python -m tests.helpers.drive OUT MARKS WORKERS MODE SLEEP_S``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import invertnas
from tests.helpers.trainings import ListSearch, Training

BUDGET = 16


def drive(out: Path, marks: Path, workers: int, mode: Any, sleep_s: float) -> invertnas.running.RunResult:
    """The run; the same call takes it up again."""
    training = Training(marks, sleep_s=sleep_s)
    return invertnas.run(ListSearch(), training, budget=BUDGET, workers=workers, mode=mode, out=out, save_every_s=0.5)


if __name__ == "__main__":
    drive(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], float(sys.argv[5]))
