"""Settings of the predictor, apart from it so that they can be read without TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Literal

from invertnas.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class PredictorConfig:
    """How the INN sees latents and accuracies.

    Attributes:
        aggregate: "idw" (paper Eq. 8) or "mean".
        scale_latent: False feeds the GVAE mean as it is (paper); True subtracts the mean
            and divides by the overall spread (one number) over random architectures of the space.
        scale_accuracy: False trains on fractions (paper); True standardises them by the median and
            the spread of the better half of the labels, and clips far below.
        clip_low: lowest standardised accuracy, when scaled.
    """

    aggregate: Literal["idw", "mean"] = "idw"
    scale_latent: bool = False
    scale_accuracy: bool = False
    clip_low: float = -3.0

    def __post_init__(self) -> None:
        if self.aggregate not in ("idw", "mean"):
            raise ConfigError(f"got aggregate={self.aggregate!r}; expected 'idw' or 'mean'")
