"""What trainers of whole epochs share: resume, reports, checkpoints, history, best weights at the end."""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from invertnas.errors import ArtefactError, TrainingError
from invertnas.files.io import read_arrays, write_arrays

CHECKPOINT_EVERY_S = 60.0
Report = Callable[[int, dict[str, float]], None]  # epochs run, losses of the last


@dataclasses.dataclass
class Progress:
    """Where a training stands; a trainer may add fields, all of them numbers.

    Attributes:
        epoch: epochs run.
        best_loss: lowest validation loss so far.
        best_epoch: its epoch, below 0 until a validation loss is finite.
    """

    epoch: int = 0
    best_loss: float = float("inf")
    best_epoch: int = -1


class EpochTrainer(ABC):
    """Trains a Keras model epoch by epoch, and continues exactly from a checkpoint.

    A trainer implements `finished`, `_train`, `_variables` and `_identity`, and sets the attributes.

    Attributes:
        model: with Keras' `get_weights` and `set_weights`.
        progress: where it stands.
        best: weights of the best epoch.
        history: named losses of every epoch.
        seconds: wall and processor seconds of all epochs, over interruptions.
    """

    model: Any
    progress: Any

    def _begin(self, progress: Progress) -> None:
        """Set what every trainer starts from; `model` must be there."""
        self.progress, self.best = progress, self._weights()
        self.history: list[dict[str, float]] = []
        self.seconds = {"wall": 0.0, "cpu": 0.0}

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether the epochs or the patience are used up."""

    @abstractmethod
    def _train(self) -> dict[str, float]:
        """One pass of training and one of validation: named losses, among them `val_total`."""

    @abstractmethod
    def _variables(self) -> Sequence[Any]:
        """Variables that a checkpoint holds: of the model, its optimisers, and whatever else changes."""

    @abstractmethod
    def _identity(self) -> str:
        """What a checkpoint must agree in."""

    def run_epoch(self) -> dict[str, float]:
        """One pass over the training data and one validation; returns the named losses."""
        started, progress = (time.perf_counter(), time.process_time()), self.progress
        losses = self._train()
        if losses["val_total"] < progress.best_loss:
            progress.best_loss, progress.best_epoch = losses["val_total"], progress.epoch
            self.best = self._weights()
        self._after(losses)
        progress.epoch += 1
        self.history.append(self._row(losses))
        self.seconds["wall"] += time.perf_counter() - started[0]
        self.seconds["cpu"] += time.process_time() - started[1]
        return losses

    def _after(self, losses: dict[str, float]) -> None:
        """Whatever follows from the losses of an epoch, before it is counted."""

    def _row(self, losses: dict[str, float]) -> dict[str, float]:
        """What the history says of an epoch that was just counted."""
        return {"epoch": self.progress.epoch, **losses}

    def run(self, checkpoint: Path | None = None, report: Report | None = None) -> Any:
        """Train until `finished`, and return the model with its best weights.

        Args:
            checkpoint: file to resume from and to write to about once a minute, and at the end.
            report: called after each epoch.

        Raises:
            TrainingError: no epoch's validation loss was finite, so that there are no best weights.
        """
        if checkpoint is not None and checkpoint.exists():
            self.load(checkpoint)
        saved_at = time.monotonic()
        while not self.finished:
            losses = self.run_epoch()
            if report is not None:
                report(self.progress.epoch, losses)
            if checkpoint is not None and time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                self.save(checkpoint)
                saved_at = time.monotonic()
        if checkpoint is not None:
            self.save(checkpoint)
        if self.progress.best_epoch < 0:
            raise TrainingError(
                f"got no finite validation loss in {self.progress.epoch} epochs; expected at least one: lower "
                "learning_rate or set clip_norm, and start without the old checkpoint"
            )
        self.model.set_weights(self.best)
        return self.model

    def save(self, path: Path) -> None:
        """Write variables, best weights, progress, seconds and history atomically."""
        arrays: dict[str, np.ndarray] = {f"state_{i}": v.numpy() for i, v in enumerate(self._variables())}
        arrays |= {f"best_{i}": value for i, value in enumerate(self.best)}
        arrays["progress"] = np.array(dataclasses.astuple(self.progress))
        arrays["seconds"] = np.array(list(self.seconds.values()))
        arrays["history"] = np.array([list(row.values()) for row in self.history])
        arrays["history_names"] = np.array(list(self.history[0]) if self.history else [])
        arrays["identity"] = np.array(self._identity())
        write_arrays(path, arrays)

    def load(self, path: Path) -> None:
        """Continue from `save`. Raises ArtefactError if it belongs to another run."""
        arrays = read_arrays(path)
        if str(arrays.get("identity")) != self._identity():
            raise ArtefactError(
                f"checkpoint {path} is of another configuration or data set; delete it or choose another folder"
            )
        for index, variable in enumerate(self._variables()):
            variable.assign(arrays[f"state_{index}"])
        self.best = [arrays[f"best_{index}"] for index in range(len(self.best))]
        kinds = [type(value) for value in dataclasses.astuple(self.progress)]
        values = [kind(value) for kind, value in zip(kinds, arrays["progress"].tolist(), strict=True)]
        self.progress = type(self.progress)(*values)
        self.seconds = dict(zip(self.seconds, arrays["seconds"].tolist()))
        self.history = [dict(zip(arrays["history_names"].tolist(), row)) for row in arrays["history"].tolist()]

    def _weights(self) -> list[np.ndarray]:
        return [np.array(weight) for weight in self.model.get_weights()]
