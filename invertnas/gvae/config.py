"""Hyperparameters of the graph VAE (paper section 3.1, Eq. 1, Appendix H, Table 10)."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from invertnas.checks import Count, NonNegative, Positive, Range, Seed, Whole, check_fields
from invertnas.errors import ConfigError
from invertnas.spaces.base import SearchSpace


@dataclasses.dataclass(frozen=True)
class GVAEConfig:
    """Architecture and loss of the GVAE.

    Attributes:
        num_nodes: N, nodes of one padded cell: `num_nodes // num_cells` of the space.
        num_ops: F, operation labels.
        latent_dim: L, latent numbers per node.
        gin_channels: output channels of each message-passing GIN layer (paper: five layers).
        gin_mlp_hidden: hidden layers inside the MLP of each GIN layer.
        noise_scale: factor on the standard deviation when sampling the latent.
        blocks: transformer blocks of the decoder.
        model_dim: decoder embedding width.
        heads: attention heads; each has `model_dim` key dimensions.
        feed_forward: hidden width of a block's feed-forward part.
        ffn_dropout: dropout behind the feed-forward part (paper: none stated; thesis code: 0.1).
        node_weight: factor of the operation cross-entropy.
        edge_weight: factor of the adjacency cross-entropy.
        kl_weight: factor of the KL divergence.
        node_positions: whether the encoder sees each node's position, one-hot beside its operation, so that a
            node's latent can name its neighbours (paper: operations alone).
        cells: cells of an architecture, embedded one by one (paper: 2 in NAS-Bench-301, else 1).
    """

    num_nodes: Count
    num_ops: Count
    latent_dim: Count = 16
    gin_channels: tuple[Count, ...] = (128, 128, 128, 128, 16)
    gin_mlp_hidden: Whole = 0
    noise_scale: NonNegative = 0.05
    blocks: Count = 3
    model_dim: Count = 32
    heads: Count = 3
    feed_forward: Count = 256
    ffn_dropout: Annotated[float, Range(0, 1, below=True)] = 0.0
    node_weight: NonNegative = 1.0
    edge_weight: NonNegative = 1.0
    kl_weight: NonNegative = 0.16
    node_positions: bool = False
    cells: Count = 1

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.gin_channels:
            raise ConfigError("got no gin_channels; expected the output channels of at least one GIN layer")

    @property
    def flat_dim(self) -> int:
        """D = cells * N * L, the dimension the INN works in."""
        return self.cells * self.num_nodes * self.latent_dim

    def check_space(self, space: SearchSpace) -> None:
        """Raises ConfigError unless architectures of the space have as many cells, nodes and operations."""
        got = (self.cells, self.cells * self.num_nodes, self.num_ops)
        expected = (space.num_cells, space.num_nodes, len(space.op_names))
        if got != expected:
            raise ConfigError(
                f"got a GVAE of (cells, nodes of all cells, operations) {got}; expected those of the space "
                f"{space.name!r}, {expected}: pretrain a GVAE of its own on it"
            )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_dict` restores it."""
        return {**dataclasses.asdict(self), "gin_channels": list(self.gin_channels)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> GVAEConfig:
        """Inverse of `to_dict`. Raises ConfigError for unknown or missing fields."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"got unknown GVAE fields {unknown}; expected some of {sorted(known)}")
        if missing := sorted({"num_nodes", "num_ops"} - set(values)):
            raise ConfigError(f"got no {missing}; expected every GVAE configuration to name them")
        return cls(**{**values, "gin_channels": tuple(values.get("gin_channels", cls.gin_channels))})


@dataclasses.dataclass(frozen=True)
class GVAETrainConfig:
    """Optimisation of the GVAE (paper Appendix H, Table 10).

    Attributes:
        epochs: upper bound on training epochs.
        batch_size: graphs per step.
        learning_rate: initial Adam step.
        lr_factor: ReduceLROnPlateau factor.
        lr_patience: epochs without improvement before the rate falls.
        lr_min: smallest rate.
        stop_patience: epochs without improvement before training stops.
        clip_norm: bound on the norm of the gradient over all weights, 0 for none (paper: none stated). With the
            larger rates a single step can otherwise throw a run back for good.
        seed: master seed of split, initial weights, shuffling and noise.
    """

    epochs: Count = 500
    batch_size: Count = 64
    learning_rate: Positive = 1e-3
    lr_factor: Annotated[float, Range(0, 1, above=True, below=True)] = 0.1
    lr_patience: Count = 50
    lr_min: Positive = 1e-5
    stop_patience: Count = 100
    clip_norm: NonNegative = 0.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.lr_min > self.learning_rate:
            raise ConfigError(f"got lr_min={self.lr_min}; expected at most learning_rate={self.learning_rate}")
