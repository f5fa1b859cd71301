"""Settings of the predictor, apart from it so that they can be read without TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from invertnas.checks import Count, Positive, Range, check_fields
from invertnas.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class PredictorConfig:
    """How the INN sees latents and accuracies.

    Attributes:
        aggregate: "idw" (paper Eq. 8) or "mean".
        scale_latent: False feeds the GVAE mean as it is (paper); True subtracts the mean
            and divides by the overall spread (one number) over random architectures of the space.
        label_axis: which feature the accuracy takes the place of: "feature", the last latent feature (paper),
            or "least_variance", the direction in which random architectures of the space vary least,
            see `invertnas.predictor.latent_scale`. (With random permutations no single feature is taken.)
        scale_accuracy: False trains on fractions (paper); True standardises them by the median and
            the spread of the better half of the labels, and clips far below.
        uncertainty: what `InvertiblePredictor.uncertainty` is. "members": the spread of the members' predictions.
            "gaussian_process": the standard deviation of a Gaussian process on the latents of what is labelled,
            which grows with the distance from it; a single INN has one, too. (Neither is in the paper.)
        clip_low: lowest standardised accuracy, when scaled.
        finetune: "frozen" trains the INNs alone (paper); "end_to_end" trains encoder and decoder with
            them, see `invertnas.predictor.finetune` (thesis, single INN).
        ranking: what predicts accuracies. "inn": the INN's forward path (paper). "process": a Gaussian process on the
            graph, its attributes and those the INN predicts, see `invertnas.predictor.guided`; the INN then proposes
            architectures and predicts their zero-cost scores.
        refit: rounds from one fit of the INN to the next, with ranking="process", whose process is fitted each round.
        gvae_learning_rate: Adam step of the GVAE at the start of a fit, end to end (thesis: 1e-3, one
            Adam for all); it falls as the INNs' does.
        encoder_reverse: whether the reverse loss trains the encoder too, end to end. False: regression
            and latent loss alone (thesis code, which freezes the GVAE for that update).
    """

    aggregate: Literal["idw", "mean"] = "idw"
    scale_latent: bool = False
    label_axis: Literal["feature", "least_variance"] = "feature"
    scale_accuracy: bool = False
    uncertainty: Literal["members", "gaussian_process"] = "members"
    clip_low: Annotated[float, Range(high=0)] = -3.0
    finetune: Literal["frozen", "end_to_end"] = "frozen"
    ranking: Literal["inn", "process"] = "inn"
    refit: Count = 1
    gvae_learning_rate: Positive = 1e-3
    encoder_reverse: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.ranking == "inn" and self.refit != 1:
            raise ConfigError(f"got refit={self.refit} with ranking='inn', which fits every round; expected 1")
        if self.ranking == "process" and (self.uncertainty, self.finetune) != ("gaussian_process", "frozen"):
            raise ConfigError(
                f"got uncertainty={self.uncertainty!r}, finetune={self.finetune!r} with ranking='process'; expected "
                "'gaussian_process' and 'frozen'"
            )
