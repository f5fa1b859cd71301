"""What the search knows of its partners: optimisers are asked and told, surrogates fit and invert."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from invertnas.errors import ConfigError
from invertnas.spaces.spec import ArchSpec

FloatArray = npt.NDArray[np.float32]


class Draw(NamedTuple):
    """One try of the inverse path, its random numbers drawn.

    Attributes:
        targets: (n,) accuracies, fractions.
        z: (n, D - 1) sampled z.
        noise: (K * n, D) noise on the inverted latents, in their own unit; None for none.
    """

    targets: FloatArray
    z: FloatArray
    noise: FloatArray | None


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Architectures with their validation accuracies (fractions), in query order."""

    archs: tuple[ArchSpec, ...] = ()
    accuracies: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.archs)

    def extend(self, archs: Sequence[ArchSpec], accuracies: Sequence[float]) -> Labelled:
        """A copy with more entries at the end. Raises ConfigError unless there is one accuracy per architecture."""
        if len(archs) != len(accuracies):
            raise ConfigError(
                f"got {len(archs)} architectures with {len(accuracies)} accuracies; expected as many of one as of the "
                "other; pass each architecture with its own accuracy"
            )
        return Labelled(self.archs + tuple(archs), self.accuracies + tuple(float(a) for a in accuracies))


class Optimizer(Protocol):
    """A search method. The loop belongs to the caller: ask, evaluate, tell, repeat.

    All randomness comes from the seed given at construction, and the files written by `save` hold all that
    changes: an optimiser constructed with the same arguments that loads them continues exactly as the original.
    """

    def ask(self, count: int | None = None) -> list[ArchSpec]:
        """What is open, or the next question if nothing is; or `count` more, whatever is open. At least one.

        Distinct and never told before. Without `count`, asking again before `tell` gives the same ones.

        Raises:
            SearchExhaustedError: if there is none left.
        """
        ...

    def tell(self, archs: Iterable[ArchSpec | str], accuracies: Iterable[float | None]) -> None:
        """Validation accuracies (fractions) of any architectures of the space; None for a training that failed."""
        ...

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the state, an unanswered question included."""
        ...

    def load(self, folder: str | os.PathLike[str]) -> None:
        """Restore what `save` wrote."""
        ...

    def diagnostics(self) -> list[dict[str, Any]]:
        """One JSON-ready record per round: candidates, validity, uniqueness, novelty, times."""
        ...


class Surrogate(Protocol):
    """A performance predictor that can be run backwards."""

    def fit(self, train: Labelled, val: Labelled, *, round_index: int) -> dict[str, Any]:
        """Train on labelled architectures; round 0 is the initial fit. Returns a JSON-ready report."""
        ...

    def predict(self, archs: Sequence[ArchSpec]) -> tuple[FloatArray, FloatArray]:
        """Aggregated accuracy (B,) and the members' accuracies (K, B), in fractions."""
        ...

    def uncertainty(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """Standard deviations (B,) of the predicted accuracies, in fractions."""
        ...

    def invert(
        self, targets: FloatArray, *, z_std: float, latent_noise: float, rng: np.random.Generator
    ) -> list[ArchSpec | None]:
        """Decoded architectures of (n,) target accuracies, n per member, None where invalid.

        Args:
            targets: accuracies to invert, fractions.
            z_std: standard deviation of the sampled z.
            latent_noise: standard deviation of the noise on the inverted latent, in units of the
                latent's own spread.
            rng: source of z and noise.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write everything `load` needs to continue exactly."""
        ...

    def load(self, folder: Path) -> None:
        """Restore what `save` wrote."""
        ...


@runtime_checkable
class DrawsAhead(Protocol):
    """A surrogate whose `invert` is `invert_drawn([draw(...)])[0]`, so that many tries cost one call."""

    def draw(self, targets: FloatArray, *, z_std: float, latent_noise: float, rng: np.random.Generator) -> Draw:
        """The random numbers that `invert` would draw."""
        ...

    def invert_drawn(self, draws: Sequence[Draw]) -> list[list[ArchSpec | None]]:
        """What `invert` would return for each."""
        ...


@runtime_checkable
class Improves(Protocol):
    """A surrogate with a probability of accuracies to expect an improvement under, as selection "ei" needs it."""

    def improvement(self, archs: Sequence[ArchSpec], pending: Sequence[ArchSpec] = ()) -> FloatArray:
        """Logarithms (B,) of the expected improvements on the best label.

        Args:
            archs: B architectures.
            pending: asked for without an answer so far; they count as answered by their predictions.
        """
        ...
