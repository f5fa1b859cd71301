"""Hyperparameters of AlignFlow (paper section 3.2, Appendices E and H, Table 11)."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from invertnas.checks import Count, NonNegative, Positive, Range, Seed, Whole, check_fields
from invertnas.errors import ConfigError
from invertnas.inn.config import INNConfig


@dataclasses.dataclass(frozen=True)
class AlignFlowConfig:
    """Architecture: one flow and one discriminator for each of the two domains.

    Attributes:
        dim: D, dimension of the GVAE latent.
        layers: two-sided affine coupling layers of a flow.
        hidden: width of the hidden layers of a coupling's subnets.
        hidden_layers: hidden layers of a subnet (paper: not stated).
        log_scale_bound: see `INNConfig` (paper: not stated).
        head_scale: factor on the initial last kernel of a subnet; small, so that the first translation
            is nearly the identity (paper: not stated).
        disc_hidden: width of the discriminators' hidden layers.
        disc_layers: hidden layers of a discriminator; ReLU.
    """

    dim: Annotated[int, Range(2)]  # a coupling splits the features
    layers: Count = 4
    hidden: Count = 128
    hidden_layers: Count = 1
    log_scale_bound: Positive = 1.0
    head_scale: NonNegative = 0.01
    disc_hidden: Count = 128
    disc_layers: Count = 3

    def __post_init__(self) -> None:
        check_fields(self)

    def flows(self) -> INNConfig:
        """The two flows as one ensemble. Raises ConfigError."""
        return INNConfig(
            dim=self.dim,
            members=2,
            layers=self.layers,
            hidden_layers=self.hidden_layers,
            hidden=self.hidden,
            log_scale_bound=self.log_scale_bound,
            head_scale=self.head_scale,
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_dict` restores it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AlignFlowConfig:
        """Inverse of `to_dict`. Raises ConfigError for unknown or missing fields."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"got unknown AlignFlow fields {unknown}; expected some of {sorted(known)}")
        if "dim" not in values:
            raise ConfigError("got no dim; expected every AlignFlow configuration to name it")
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class AlignFlowTrainConfig:
    """Objective and optimisation (paper Appendix H, Table 11; AlignFlow, Grover et al., 2020).

    The paper leaves `nll_weight`, `noise`, `buffer` and the standardisation open; what they do is measured
    in results/alignflow_sweep_nasbench201.md.

    Attributes:
        nll_weight: lambda, factor of the negative log-likelihood, summed over the D features.
        noise: standard deviation of Gaussian noise on the standardised latents of a step. Architectures
            are a discrete set, whose likelihood would grow without bound otherwise.
        standardise: "overall" subtracts the full space's mean latent and divides by one spread;
            "feature" divides each feature by its own; "none" takes latents as they are.
        buffer: earlier translations kept for the discriminators, 0 for none (AlignFlow's code: 50).
        clip_norm: bound on the gradient norm of each flow and discriminator, None for none.
        batch_size: latents of each domain per step.
        learning_rate: Adam step of flows and discriminators.
        epochs: upper bound on passes over the larger domain.
        min_epochs: passes before early stopping may end the training.
        patience: passes without a better validation loss before it does.
        seed: master seed of split, weights, shuffling and noise.
    """

    nll_weight: NonNegative = 0.1
    noise: NonNegative = 0.1
    standardise: Literal["overall", "feature", "none"] = "overall"
    buffer: Whole = 0
    clip_norm: Positive | None = None
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    epochs: Count = 40
    min_epochs: Count = 20
    patience: Count = 10
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.buffer != 0 and self.buffer < self.batch_size:
            raise ConfigError(f"got buffer={self.buffer}; expected 0 or at least the batch of {self.batch_size}")

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return dataclasses.asdict(self)
