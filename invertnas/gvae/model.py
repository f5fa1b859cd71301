"""The graph VAE: encoder and decoder under one roof, with NumPy-facing encode and decode."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.decoder import Decoder
from invertnas.gvae.encoder import Encoder
from invertnas.gvae.losses import edge_loss, kl_loss, node_loss
from invertnas.spaces.spec import FloatArray, GraphBatch, IntArray, join_cells, split_cells
from invertnas.stacked.compiled import Compiled
from invertnas.stacked.devices import grow_memory

CHUNK = 4096  # graphs per inference call; bounds memory


@keras.saving.register_keras_serializable(package="invertnas")
class GVAE(keras.Model):
    """Graph variational autoencoder (paper section 3.1).

    `GVAE.create` returns a model whose weights exist, ready for training or `load_weights`.
    """

    def __init__(self, config: GVAEConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.seed = config, seed
        self.encoder = Encoder(config, seed, name="encoder")
        self.decoder = Decoder(config, seed, name="decoder")

    @classmethod
    def create(cls, config: GVAEConfig, *, seed: int = 0) -> GVAE:
        """A built model: every weight is created by one eager pass over an empty graph."""
        grow_memory()
        model = cls(config, seed, name="gvae")
        nodes = config.num_nodes
        model([tf.zeros((1, nodes, config.num_ops)), tf.zeros((1, nodes, nodes))])
        return model

    def call(
        self, inputs: list[tf.Tensor], noise: tf.Tensor | None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Reconstruct graphs.

        Args:
            inputs: [(B, N, F) operations, (B, N, N) adjacency].
            noise: (B, N, L) standard normal sample, or None to decode the mean.
            training: whether batch statistics and dropout are used.

        Returns:
            Operation logits (B, N, F), edge logits (B, N, N, 2), mean and log-variance (B, N, L).
        """
        mean, log_var = self.encoder(inputs, training=training)
        latent = mean
        if noise is not None:
            latent = mean + self.config.noise_scale * tf.exp(0.5 * log_var) * noise
        op_logits, edge_logits = self.decoder(latent, training=training)
        return op_logits, edge_logits, mean, log_var

    def losses_of(self, inputs: list[tf.Tensor], noise: tf.Tensor | None, training: bool) -> dict[str, tf.Tensor]:
        """Named scalars `node`, `edge`, `kl` and their weighted sum `total` (Eq. 1)."""
        op_logits, edge_logits, mean, log_var = self(inputs, noise=noise, training=training)
        terms = {
            "node": node_loss(inputs[0], op_logits),
            "edge": edge_loss(inputs[1], edge_logits),
            "kl": kl_loss(mean, log_var),
        }
        cfg = self.config
        total = cfg.node_weight * terms["node"] + cfg.edge_weight * terms["edge"] + cfg.kl_weight * terms["kl"]
        return {**terms, "total": total}

    def encode(self, graphs: GraphBatch) -> FloatArray:
        """Latent means of B architectures, flattened row-major to (B, D), with inference statistics."""
        cells = split_cells(graphs, self.config.cells)
        encode, variables = self._inference.encode, _values(self.encoder)
        blocks = [slice(start, start + CHUNK) for start in range(0, len(cells), CHUNK)]
        parts = [encode(variables, cells.ops[block], cells.adjacency[block]).numpy() for block in blocks]
        return np.concatenate([np.zeros((0, self.cell_dim), np.float32), *parts]).reshape(-1, self.config.flat_dim)

    def decode(self, latents: FloatArray) -> tuple[IntArray, IntArray]:
        """Most probable graphs of (B, D) latents: (B, N) operations and (B, N, N) adjacency, all cells joined."""
        rows, nodes = latents.reshape(-1, self.cell_dim), self.config.num_nodes
        ops, adjacency = [np.zeros((0, nodes), np.int64)], [np.zeros((0, nodes, nodes), np.int64)]
        decode, variables = self._inference.decode, _values(self.decoder)
        for start in range(0, len(rows), CHUNK):
            part = decode(variables, rows[start : start + CHUNK])
            ops.append(part[0].numpy())
            adjacency.append(part[1].numpy())
        return join_cells(np.concatenate(ops), np.concatenate(adjacency), self.config.cells)

    @property
    def cell_dim(self) -> int:
        """N * L, latent numbers of one cell."""
        return self.config.num_nodes * self.config.latent_dim

    @property
    def _inference(self) -> _Inference:
        """The compiled inference of this configuration, shared by all models of it in the process."""
        if self.config not in _compiled:
            _compiled[self.config] = _Inference(self)
        return _compiled[self.config]

    def get_config(self) -> dict[str, Any]:
        """Everything `from_config` needs."""
        return {**super().get_config(), "config": self.config.to_dict(), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> GVAE:
        """Inverse of `get_config`."""
        return cls(**{**config, "config": GVAEConfig.from_dict(config["config"])})


class _Inference:
    """Encoding and decoding as compiled functions of weights and data.

    Args:
        template: the first model of a configuration; the others' weights take the place of its own.
    """

    def __init__(self, template: GVAE) -> None:
        self.config, self.template = template.config, template
        nodes = self.config.num_nodes
        graphs = tf.TensorSpec((None, nodes, self.config.num_ops)), tf.TensorSpec((None, nodes, nodes))
        self.encode = Compiled(self._encode, graphs)
        self.decode = Compiled(self._decode, (tf.TensorSpec((None, template.cell_dim)),))

    def _encode(self, variables: list[list[tf.Variable]], ops: tf.Tensor, adjacency: tf.Tensor) -> tf.Tensor:
        """(B, N * L) means."""
        (mean, _), _ = self.template.encoder.stateless_call(*_read(variables), [ops, adjacency], training=False)
        return tf.reshape(mean, (-1, self.template.cell_dim))

    def _decode(self, variables: list[list[tf.Variable]], latents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(B, N) most probable operations, (B, N, N) adjacency."""
        shaped = tf.reshape(latents, (-1, self.config.num_nodes, self.config.latent_dim))
        logits, _ = self.template.decoder.stateless_call(*_read(variables), shaped, training=False)
        return tf.argmax(logits[0], axis=-1), tf.argmax(logits[1], axis=-1)


_compiled: dict[GVAEConfig, _Inference] = {}


def _values(model: keras.Model) -> list[list[tf.Variable]]:
    """Trainable and other variables, as TensorFlow's."""
    return [[v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables)]


def _read(variables: list[list[tf.Variable]]) -> list[list[tf.Tensor]]:
    return [[tf.convert_to_tensor(variable) for variable in part] for part in variables]
