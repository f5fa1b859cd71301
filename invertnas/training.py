"""The loop that trainers of whole epochs share: resume, report, checkpoints, best weights at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from invertnas.errors import TrainingError

CHECKPOINT_EVERY_S = 60.0
Report = Callable[[int, dict[str, float]], None]  # epochs run, losses of the last


class EpochTrainer(Protocol):
    """What the loop needs of a trainer.

    Attributes:
        model: with Keras' `set_weights`.
        best: weights of the best epoch.
        progress: with `epoch`, the number of epochs run, and `best_epoch`, below 0 until a validation loss is finite.
        finished: whether the epochs or the patience are used up.
    """

    model: Any
    best: Any
    progress: Any

    @property
    def finished(self) -> bool: ...

    def run_epoch(self) -> dict[str, float]: ...

    def save(self, path: Path) -> None: ...

    def load(self, path: Path) -> None: ...


def run_to_end(trainer: EpochTrainer, checkpoint: Path | None = None, report: Report | None = None) -> None:
    """Train until `finished`, then give the model its best weights.

    Args:
        trainer: trained in place.
        checkpoint: file to resume from and to write to about once a minute, and at the end.
        report: called after each epoch.

    Raises:
        TrainingError: no epoch's validation loss was finite, so that there are no best weights.
    """
    if checkpoint is not None and checkpoint.exists():
        trainer.load(checkpoint)
    saved_at = time.monotonic()
    while not trainer.finished:
        losses = trainer.run_epoch()
        if report is not None:
            report(trainer.progress.epoch, losses)
        if checkpoint is not None and time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
            trainer.save(checkpoint)
            saved_at = time.monotonic()
    if checkpoint is not None:
        trainer.save(checkpoint)
    if trainer.progress.best_epoch < 0:
        raise TrainingError(
            f"got no finite validation loss in {trainer.progress.epoch} epochs; expected at least one: lower "
            "learning_rate or set clip_norm, and start without the old checkpoint"
        )
    trainer.model.set_weights(trainer.best)
