"""What a fit does to n labels, pass by pass: rows, weights and random streams, without a network."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from invertnas.inn.config import INNTrainConfig
from invertnas.inn.schedule import Course
from invertnas.seeding import generator, tf_seed

FloatArray = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Plan:
    """The fit of one round; every array follows from these fields alone.

    Attributes:
        config: optimisation.
        seed: of shuffling, z, noise and bootstrap.
        members: K, flows in the ensemble.
        count: n, labels that train.
        round_index: 0 for the initial fit (Eq. 2), above for retraining (Eq. 3).
        new: labels among them that no fit before has seen; None if all are.
    """

    config: INNTrainConfig
    seed: int
    members: int
    count: int
    round_index: int = 0
    new: int | None = None

    @property
    def steps(self) -> int:
        """Steps per pass."""
        config = self.config
        whole = config.steps_per_epoch or math.ceil(self.count * config.repeat / config.batch_size)
        if self.round_index == 0 or config.steps_per_label is None or self.new is None:
            return whole
        return min(whole, max(self.new, 1) * config.steps_per_label)

    @property
    def weighted(self) -> bool:
        """Whether the losses are weighted by rank."""
        return self.config.rank_weighted and self.round_index > 0

    @property
    def restarts(self) -> bool:
        """Whether the fit starts from the initial weights, not from the last ones."""
        return self.round_index > 0 and not self.config.warm_start

    def course(self) -> Course:
        """The passes, with early stopping."""
        return Course(self.config, self.round_index)

    def bootstrap(self) -> FloatArray:
        """(K, n) weights of the labels: ones, or how often each member drew it."""
        if not self.config.bootstrap:
            return np.ones((self.members, self.count), np.float32)
        rng = generator(self.seed, "inn-bootstrap", self.round_index)
        draws = rng.multinomial(self.count, np.full(self.count, 1.0 / self.count), size=self.members)
        return draws.astype(np.float32)

    def order(self, epoch: int) -> npt.NDArray[np.int32]:
        """(steps, B) row numbers of a pass: shuffled sweeps over the repeated labels, the last batch filled up."""
        size = self.config.batch_size
        rng = generator(self.seed, "inn-shuffle", self.round_index, epoch)
        rows = np.tile(np.arange(self.count, dtype=np.int32), self.config.repeat)
        sweeps = math.ceil(self.steps * size / len(rows))
        order = np.concatenate([rng.permutation(rows) for _ in range(sweeps)])
        return order[: self.steps * size].reshape(self.steps, size)

    def noise_seed(self, epoch: int, part: str = "inn") -> npt.NDArray[np.int32]:
        """(2,) seed of z and noise in a pass; "gvae": of the GVAE's noise."""
        return tf_seed(self.seed, f"{part}-noise", self.round_index, epoch)

    def validation_seed(self) -> npt.NDArray[np.int32]:
        """(2,) seed of z in validation, the same for all passes."""
        return tf_seed(self.seed, "inn-validation")
