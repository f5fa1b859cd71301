"""The ensemble of K invertible neural networks mapping x to [z, y] and exactly back."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from invertnas.inn.config import INNConfig
from invertnas.inn.coupling import StackedCoupling, StackedPermutation


@keras.saving.register_keras_serializable(package="invertnas")
class FlowEnsemble(keras.Model):
    """K flows of `layers` times (permutation, two-sided coupling), weights stacked (paper App. C).

    The output's last feature is y, the others are z. `FlowEnsemble.create` returns a built model.

    Args:
        config: architecture.
        seed: of weights and permutations; members differ.
    """

    def __init__(self, config: INNConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.seed = config, seed
        self.permutations, self.couplings = [], []
        for index in range(config.layers):
            self.permutations.append(StackedPermutation(self._orders(index), name=f"permutation_{index}"))
            coupling = StackedCoupling(
                config.members,
                config.dim,
                config.hidden_layers,
                config.hidden,
                log_scale_bound=config.log_scale_bound,
                head_scale=config.head_scale,
                matmul_dtype=config.matmul_dtype,
                seed=seed * config.layers + index,
                name=f"coupling_{index}",
            )
            self.couplings.append(coupling)

    def _orders(self, layer: int) -> list[list[int]]:
        cfg = self.config
        if cfg.permutation == "reverse":
            return [list(range(cfg.dim))[::-1]] * cfg.members
        rng = np.random.default_rng((self.seed, layer))
        return [rng.permutation(cfg.dim).tolist() for _ in range(cfg.members)]

    @classmethod
    def create(cls, config: INNConfig, *, seed: int = 0) -> FlowEnsemble:
        """A model whose weights exist."""
        model = cls(config, seed, name="inn")
        model(tf.zeros((config.members, 1, config.dim)))
        return model

    def call(self, inputs: tf.Tensor, inverse: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Map x to [z, y], or [z, y] to x if `inverse`.

        Args:
            inputs: (K, B, D).
            inverse: direction.

        Returns:
            (K, B, D) and the log-determinant (K, B) of that direction.
        """
        states, total = inputs, tf.zeros(tf.shape(inputs)[:2])
        layers = [layer for pair in zip(self.permutations, self.couplings) for layer in pair]
        for layer in reversed(layers) if inverse else layers:
            states, log_det = layer(states, inverse=inverse)
            total += log_det
        return states, total

    def get_config(self) -> dict[str, Any]:
        """Everything `from_config` needs."""
        return {**super().get_config(), "config": self.config.to_dict(), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> FlowEnsemble:
        """Inverse of `get_config`."""
        return cls(**{**config, "config": INNConfig(**config["config"])})
