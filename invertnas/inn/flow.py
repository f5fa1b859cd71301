"""The ensemble of K invertible neural networks mapping x to [z, y] and exactly back."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from invertnas.inn.config import INNConfig
from invertnas.inn.coupling import StackedCoupling, StackedPermutation
from invertnas.inn.maps import flow_map
from invertnas.seeding import generator
from invertnas.stacked.devices import grow_memory
from invertnas.stacked.tape import Linear, linear


@keras.saving.register_keras_serializable(package="invertnas")
class FlowEnsemble(keras.Model):
    """K flows of `layers` times (permutation, two-sided coupling), weights stacked (paper App. C).

    The output's last feature is y, the others are z. `FlowEnsemble.create` returns a built model.

    Args:
        config: architecture.
        seed: of weights and permutations; members differ.
        stream: name of the component they are drawn for.
    """

    def __init__(self, config: INNConfig, seed: int = 0, stream: str = "inn", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.seed, self.stream = config, seed, stream
        indices = range(config.layers)
        self.permutations = [StackedPermutation(self._orders(i), name=f"permutation_{i}") for i in indices]
        self.couplings = [StackedCoupling(config, i, seed, stream, name=f"coupling_{i}") for i in indices]

    def _orders(self, layer: int) -> list[list[int]]:
        cfg = self.config
        if cfg.permutation == "reverse":
            return [list(range(cfg.dim))[::-1]] * cfg.members
        rng = generator(self.seed, self.stream, layer, "permutation")
        return [rng.permutation(cfg.dim).tolist() for _ in range(cfg.members)]

    @classmethod
    def create(cls, config: INNConfig, *, seed: int = 0) -> FlowEnsemble:
        """A model whose weights exist."""
        grow_memory()
        model = cls(config, seed, name="inn")
        model.build((config.members, None, config.dim))
        return model

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of all layers."""
        layers: list[keras.layers.Layer] = [*self.permutations, *self.couplings]
        for layer in layers:
            if not layer.built:
                layer.build(input_shape)
        self.built = True

    @property
    def parameters(self) -> list[tf.Variable]:
        """The trainable variables, kernels and biases of one layer after the other."""
        nets = [net for coupling in self.couplings for net in coupling.weights_of]
        return [variable for net in nets for pair in net for variable in pair]

    @property
    def orders(self) -> tf.Tensor:
        """(2, layers, K, D) int32 permutations and their inverses."""
        both = [[getattr(layer, name) for layer in self.permutations] for name in ("order", "inverse_order")]
        return tf.stack([tf.stack([tf.convert_to_tensor(order) for order in part]) for part in both])

    def transform(
        self, inputs: tf.Tensor, inverse: bool = False, through: Linear = linear
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As calling the model; `through` does the linear maps, see `invertnas.stacked.tape`."""
        return flow_map(self.config, self.parameters, self.orders, inputs, inverse, through)

    def call(self, inputs: tf.Tensor, inverse: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Map x to [z, y], or [z, y] to x if `inverse`.

        Args:
            inputs: (K, B, D).
            inverse: direction.

        Returns:
            (K, B, D) and the log-determinant (K, B) of that direction.
        """
        return self.transform(inputs, inverse)

    def get_config(self) -> dict[str, Any]:
        """Everything `from_config` needs."""
        return {**super().get_config(), "config": self.config.to_dict(), "seed": self.seed, "stream": self.stream}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> FlowEnsemble:
        """Inverse of `get_config`."""
        return cls(**{**config, "config": INNConfig(**config["config"])})
