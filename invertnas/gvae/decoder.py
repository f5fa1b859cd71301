"""Transformer decoder: latent per node -> operation logits and adjacency logits (paper section 3.1)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from invertnas.gvae.config import GVAEConfig
from invertnas.seeding import weight_seed


def positional_encoding(num_nodes: int, dim: int) -> np.ndarray:
    """(N, dim) fixed sinusoidal encoding: sines in the first half, cosines in the second."""
    half = dim // 2
    angles = np.arange(num_nodes)[:, None] / 10000 ** (np.arange(half)[None, :] / half)
    encoding = np.zeros((num_nodes, dim), np.float32)
    encoding[:, :half] = np.sin(angles)
    encoding[:, half : 2 * half] = np.cos(angles)
    return encoding


def _glorot(seed: int, *part: int | str) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=weight_seed(seed, "gvae", "decoder", *part))


@keras.saving.register_keras_serializable(package="invertnas")
class TransformerBlock(keras.layers.Layer):
    """Self-attention and feed-forward part, each with a residual and a layer normalisation behind it.

    Input and output: (B, N, model_dim).
    """

    def __init__(self, config: GVAEConfig, seed: int = 0, number: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.seed, self.number = config, seed, number
        expand, project = (_glorot(seed, "block", number, name) for name in ("expand", "project"))
        self.attention = keras.layers.MultiHeadAttention(
            config.heads,
            config.model_dim,
            kernel_initializer=_glorot(seed, "block", number, "attention"),
            name="attention",
        )
        self.expand = keras.layers.Dense(config.feed_forward, "relu", kernel_initializer=expand)
        self.project = keras.layers.Dense(config.model_dim, kernel_initializer=project)
        dropout_seed = weight_seed(seed, "gvae", "decoder", "block", number, "dropout")
        self.dropout = keras.layers.Dropout(config.ffn_dropout, seed=dropout_seed)
        self.norm_attention = keras.layers.LayerNormalization()
        self.norm_feed_forward = keras.layers.LayerNormalization()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build every child for (B, N, model_dim) inputs."""
        self.attention.build(input_shape, input_shape)
        self.expand.build(input_shape)
        self.project.build((*input_shape[:-1], self.config.feed_forward))
        self.norm_attention.build(input_shape)
        self.norm_feed_forward.build(input_shape)
        self.built = True

    def call(self, states: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Transformed node states of the same shape."""
        states = self.norm_attention(states + self.attention(states, states, training=training))
        update = self.dropout(self.project(self.expand(states)), training=training)
        return self.norm_feed_forward(states + update)

    def get_config(self) -> dict[str, Any]:
        """Everything `from_config` needs."""
        return {
            **super().get_config(),
            "config": self.config.to_dict(),
            "seed": self.seed,
            "number": self.number,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TransformerBlock:
        """Inverse of `get_config`."""
        return cls(**{**config, "config": GVAEConfig.from_dict(config["config"])})


@keras.saving.register_keras_serializable(package="invertnas")
class Decoder(keras.Model):
    """Maps latents to graphs.

    Input: (B, N, L). Output: operation logits (B, N, F) and adjacency logits (B, N, N, 2), one
    logit pair per entry. (The thesis code squeezes each entry through one ReLU unit shared by all,
    which can die and then decodes no valid graph; the paper gives only the output shapes.)
    """

    def __init__(self, config: GVAEConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.seed = config, seed
        self.embed = keras.layers.Dense(
            config.model_dim, use_bias=False, kernel_initializer=_glorot(seed, "embed"), name="embed"
        )
        self.encoding = positional_encoding(config.num_nodes, config.model_dim)
        self.blocks = [TransformerBlock(config, seed, index, name=f"block_{index}") for index in range(config.blocks)]
        self.op_head = keras.layers.Dense(config.num_ops, kernel_initializer=_glorot(seed, "ops"), name="ops")
        self.edge_head = keras.layers.Dense(
            2 * config.num_nodes, kernel_initializer=_glorot(seed, "edges"), name="edges"
        )

    def call(self, latent: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits of operations (B, N, F) and of edges (B, N, N, 2)."""
        states = self.embed(latent) * float(np.sqrt(self.config.model_dim)) + self.encoding
        for block in self.blocks:
            states = block(states, training=training)
        nodes = self.config.num_nodes
        return self.op_head(states), tf.reshape(self.edge_head(states), (-1, nodes, nodes, 2))

    def get_config(self) -> dict[str, Any]:
        """Everything `from_config` needs."""
        return {**super().get_config(), "config": self.config.to_dict(), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Decoder:
        """Inverse of `get_config`."""
        return cls(**{**config, "config": GVAEConfig.from_dict(config["config"])})
