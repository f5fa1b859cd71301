"""Hyperparameters of the INN ensemble (paper section 3.1, Appendices C, D and H, Tables 12-15)."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from invertnas.checks import Count, NonNegative, Positive, Range, Whole, check_fields
from invertnas.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class INNConfig:
    """Architecture of K coupling flows of equal shape.

    Attributes:
        dim: D = N * L, dimension of x and of [z, y].
        members: K, flows in the ensemble (paper: 10; 1 for "single").
        layers: two-sided affine coupling layers per flow.
        hidden_layers: hidden layers of each subnet.
        hidden: width of each hidden layer.
        log_scale_bound: the log-scale is `bound * tanh(.)`, so a factor lies in exp(+-bound).
        permutation: fixed order of the features before each layer: "reverse" for all, or "random",
            another one for each member and layer.
        head_scale: factor on the initial kernel of the last subnet layer; 1 is Glorot's, below 1
            the flow starts nearer to a permutation.
        matmul_dtype: of the matrix products inside the subnets. With "bfloat16" weights and everything
            outside the subnets stay float32, but the inverse is exact only to about bfloat16's step.
        targets: T, outputs that stand for something: the last is the accuracy, the T - 1 before it are attributes of
            the architecture, see `invertnas.inn.vector` (paper: 1). The others are z.

    Raises:
        ConfigError: a value is out of range, or the targets leave no z.
    """

    dim: Annotated[int, Range(2)]  # a coupling splits the features
    members: Count = 10
    layers: Count = 4
    hidden_layers: Count = 5
    hidden: Count = 256
    log_scale_bound: Positive = 1.0
    permutation: Literal["reverse", "random"] = "reverse"
    head_scale: NonNegative = 1.0
    matmul_dtype: Literal["float32", "bfloat16"] = "float32"
    targets: Count = 1

    def __post_init__(self) -> None:
        check_fields(self)
        if self.targets >= self.dim:
            raise ConfigError(f"got targets={self.targets}; expected fewer than dim={self.dim}, so that there is a z")

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class INNTrainConfig:
    """Objective and optimisation of the ensemble (paper Eq. 2 and 3, Appendix H, Tables 12-15).

    One pass is `steps_per_epoch` steps, or one sweep over the labels repeated `repeat` times.

    Attributes:
        reg_weight: alpha, factor of the regression loss.
        rev_weight: beta, factor of the reverse loss.
        latent_weight: gamma, factor of the latent MMD.
        kappa: smoothing of the rank weights of Eq. 3.
        rank_weighted: whether retraining weights regression and reverse loss by rank.
        repeat: times each label is repeated.
        batch_size: rows per step.
        steps_per_epoch: None for a full sweep over the repeated labels.
        steps_per_label: steps of a later round's pass for each label that is new in it, at most those above; None
            for as many as above, however few labels are new (paper). For rounds of single labels, which start from
            weights that have seen all others.
        initial_epochs: passes of the initial fit.
        retrain_epochs: passes of each later round.
        initial_patience: passes without a better validation loss before the initial fit stops.
        retrain_patience: the same for later rounds.
        learning_rate: Adam step at the start of a fit.
        final_learning_rate: Adam step at its end.
        schedule: "cosine" reaches it by a half cosine over the fit (paper: NAS-Bench-101 and -201);
            "two_stage" trains at the one rate, then at the other (paper: NAS-Bench-301 and -NLP). Each
            stage ends when the patience runs out, or after half of the passes.
        clip_norm: bound on each member's global gradient norm.
        target_noise: standard deviation of the noise on y in the reverse loss.
        warm_start: whether a later round continues from the last weights and moments, or starts again
            from the initial ones.
        bootstrap: whether each member weights the labels by a bootstrap sample of its own.
        attribute_weight: factor of the attributes' squared error, with several targets.
        pretrain_steps: steps on the attributes of unlabelled architectures before the first fit, with several targets.
    """

    reg_weight: NonNegative = 5.0
    rev_weight: NonNegative = 1.0
    latent_weight: NonNegative = 10.0
    kappa: Positive = 0.01
    rank_weighted: bool = True
    repeat: Count = 20
    batch_size: Count = 64
    steps_per_epoch: Count | None = None
    steps_per_label: Count | None = None
    initial_epochs: Count = 500
    retrain_epochs: Count = 50
    initial_patience: Count = 50
    retrain_patience: Count = 10
    learning_rate: Positive = 1e-3
    final_learning_rate: NonNegative = 0.0
    schedule: Literal["cosine", "two_stage"] = "cosine"
    clip_norm: Positive = 5.0
    target_noise: NonNegative = 1e-4
    warm_start: bool = True
    bootstrap: bool = False
    attribute_weight: NonNegative = 1.0
    pretrain_steps: Whole = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.schedule == "two_stage" and self.final_learning_rate == 0:
            raise ConfigError("got final_learning_rate=0 with schedule='two_stage'; expected a positive number")
        if self.schedule == "two_stage" and min(self.initial_epochs, self.retrain_epochs) < 2:
            raise ConfigError("got one pass with schedule='two_stage'; expected at least one in each stage")
