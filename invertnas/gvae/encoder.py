"""Graph encoder: GIN message passing on the undirected graph, then mean and log-variance heads.

Paper section 3.1: five GIN layers of 128, 128, 128, 128, 16 channels (Spektral).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from spektral.layers.convolutional.gin_conv import GINConvBatch

from invertnas.gvae.config import GVAEConfig
from invertnas.seeding import weight_seed


@keras.saving.register_keras_serializable(package="invertnas")
class GINLayer(keras.layers.Layer):
    """One message-passing step H = MLP((1 + eps) X + A X), by Spektral's batch-mode GIN.

    Spektral's layer is built eagerly here, since Keras would otherwise trace its build in a scratch
    graph, and is run once, since its inner MLP has no weights before its first call. Its kernels
    of equal shape would start identical (one shared initialiser); each gets a seed of its own. (An
    `assign` in `build` would be lost: Keras builds inside a stateless scope and initialises later.)

    Args:
        channels: C, output channels.
        mlp_hidden: hidden layers of width C in the MLP (each followed by batch normalisation).
        activation: of the MLP's last layer.
        seed: of the kernels.
        number: of the layer in the encoder; part of the kernels' stream.

    Input: [(B, N, F), (B, N, N)]. Output: (B, N, C).
    """

    def __init__(
        self,
        channels: int,
        mlp_hidden: int = 0,
        activation: str = "relu",
        seed: int = 0,
        number: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels, self.mlp_hidden, self.activation_name = channels, mlp_hidden, activation
        self.seed, self.number = seed, number
        self.gin = GINConvBatch(
            channels,
            mlp_hidden=[channels] * mlp_hidden,
            activation=activation,
            kernel_initializer=_seeded(seed, number),
        )

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """Create all weights, with distinct kernels."""
        nodes, features = input_shape[0][-2], input_shape[0][-1]
        with tf.init_scope():
            self.gin.build([(None, nodes, features), (None, nodes, nodes)])
            self.gin([tf.zeros((1, nodes, features)), tf.zeros((1, nodes, nodes))])
        self.built = True

    def call(self, inputs: list[tf.Tensor], training: bool = False) -> tf.Tensor:
        """(B, N, C) node states after one step."""
        return self.gin(inputs, training=training)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor needs."""
        own = {
            "channels": self.channels,
            "mlp_hidden": self.mlp_hidden,
            "activation": self.activation_name,
            "seed": self.seed,
            "number": self.number,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="invertnas")
class Encoder(keras.Model):
    """Maps a graph to the mean and log-variance of its latent, per node.

    Input: [(B, N, F) operations, (B, N, N) directed adjacency]. The adjacency is made undirected
    (A or A^T), without self loops or normalisation. With `node_positions`, each node's one-hot
    position (N) stands beside its operation. Output: two (B, N, L) tensors.
    """

    def __init__(self, config: GVAEConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.seed = config, seed
        last = len(config.gin_channels) - 1
        self.steps = [
            GINLayer(
                channels,
                config.gin_mlp_hidden,
                "linear" if index == last else "relu",
                seed=seed,
                number=index,
                name=f"gin_{index}",
            )
            for index, channels in enumerate(config.gin_channels)
        ]
        self.norms = [keras.layers.BatchNormalization(name=f"norm_{index}") for index in range(last + 1)]
        self.mean_head = _dense(config.latent_dim, seed, "mean")
        self.log_var_head = _dense(config.latent_dim, seed, "log_var")

    def call(self, inputs: list[tf.Tensor], training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and log-variance, both (B, N, L)."""
        states, adjacency = inputs
        if self.config.node_positions:
            positions = tf.eye(self.config.num_nodes, batch_shape=tf.shape(states)[:1])
            states = tf.concat([states, positions], axis=-1)
        undirected = tf.maximum(adjacency, tf.transpose(adjacency, (0, 2, 1)))
        for step, norm in zip(self.steps, self.norms):
            states = norm(step([states, undirected], training=training), training=training)
        return self.mean_head(states), self.log_var_head(states)

    def get_config(self) -> dict[str, Any]:
        """Everything `from_config` needs."""
        return {**super().get_config(), "config": self.config.to_dict(), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Encoder:
        """Inverse of `get_config`."""
        return cls(**{**config, "config": GVAEConfig.from_dict(config["config"])})


def _seeded(seed: int, layer: int) -> Callable[..., tf.Tensor]:
    """Glorot-uniform initialiser that takes the next stream on every call."""
    count = itertools.count()

    def initialise(shape: Any, dtype: Any = None) -> tf.Tensor:
        drawn = weight_seed(seed, "gvae", "encoder", "gin", layer, next(count))
        return keras.initializers.GlorotUniform(seed=drawn)(shape, dtype)

    return initialise


def _dense(units: int, seed: int, name: str) -> keras.layers.Dense:
    drawn = weight_seed(seed, "gvae", "encoder", name)
    return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed=drawn), name=name)
