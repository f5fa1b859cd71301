"""AlignFlow: two flows that share a latent, and two discriminators, stacked as members of one network each."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from invertnas.alignflow.config import AlignFlowConfig
from invertnas.inn.flow import FlowEnsemble
from invertnas.spaces.spec import FloatArray
from invertnas.stacked.mlp import StackedMLP, mlp
from invertnas.stacked.tape import Linear, linear

REDUCED, FULL = 0, 1  # domains A and B of the paper


@keras.saving.register_keras_serializable(package="invertnas")
class AlignFlow(keras.Model):
    """Translates latents between two domains through a shared latent z ~ N(0, I) (paper Appendix E).

    Domain d has a flow G_d: x -> z; the translation of x from A to B is G_B^-1(G_A(x)), hence the way
    back returns x. Tensors hold both domains, first axis REDUCED, FULL. Flows and discriminators work on
    standardised latents, (latent - shift) / scale; shift and scale are weights that training sets.

    `AlignFlow.create` returns a model whose weights exist.
    """

    def __init__(self, config: AlignFlowConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.seed = config, seed
        self.flows = FlowEnsemble(config.flows(), seed, stream="alignflow flows", name="flows")
        shape = (2, 1, config.disc_layers, config.disc_hidden)
        self.discriminators = StackedMLP(*shape, seed=seed, stream=("alignflow discriminators",), name="discriminators")
        fixed: dict[str, Any] = {"shape": (config.dim,), "trainable": False}
        self.shift = self.add_weight(initializer="zeros", name="shift", **fixed)
        self.scale = self.add_weight(initializer="ones", name="scale", **fixed)

    @classmethod
    def create(cls, config: AlignFlowConfig, *, seed: int = 0) -> AlignFlow:
        """A model whose weights exist."""
        model = cls(config, seed, name="alignflow")
        model.flows.build((2, None, config.dim))
        model.discriminators.build((2, None, config.dim))
        model.built = True
        return model

    def call(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Everything the generators' loss needs.

        Args:
            inputs: (2, B, D) standardised latents of both domains.

        Returns:
            z (2, B, D) and its log-determinants (2, B); the translations (2, B, D), row d being those
            into domain d; the discriminators' scores of them (2, B, 1).
        """
        return self.translations(inputs)

    def translations(self, inputs: tf.Tensor, through: Linear = linear) -> tuple[tf.Tensor, ...]:
        """As calling the model; `through` does the linear maps, see `invertnas.stacked.tape`."""
        z, log_det = self.flows.transform(inputs, through=through)
        translated, _ = self.flows.transform(tf.reverse(z, (0,)), inverse=True, through=through)
        return z, log_det, translated, self.judge(translated, through)

    def judge(self, latents: tf.Tensor, through: Linear = linear) -> tf.Tensor:
        """(2, B, 1) scores of the discriminators on (2, B, D) standardised latents."""
        return mlp(latents, self.discriminators.pairs, through=through)

    def standardise(self, latents: FloatArray) -> FloatArray:
        """(B, D) GVAE latents -> the same in the model's units."""
        return (latents - self.shift.numpy()) / self.scale.numpy()

    def translate(self, latents: FloatArray, target: int = FULL) -> FloatArray:
        """(B, D) GVAE latents of the other domain -> (B, D) latents in domain `target`."""
        translated = self._translate(tf.constant(self.standardise(latents), tf.float32), tf.constant(target))
        return translated.numpy() * self.scale.numpy() + self.shift.numpy()

    def cycle_error(self, latents: FloatArray, source: int = REDUCED) -> float:
        """Largest distance of any feature, in standardised units, from itself there and back."""
        back = self.translate(self.translate(latents, 1 - source), source)
        return float(np.abs(self.standardise(back) - self.standardise(latents)).max(initial=0.0))

    @tf.function(input_signature=[tf.TensorSpec((None, None)), tf.TensorSpec((), tf.int32)], autograph=False)
    def _translate(self, x: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        x = tf.ensure_shape(x, (None, self.config.dim))
        _, _, translated, _ = self(tf.tile(x[tf.newaxis], (2, 1, 1)))
        return translated[target]

    def get_config(self) -> dict[str, Any]:
        """Everything `from_config` needs."""
        return {**super().get_config(), "config": self.config.to_dict(), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> AlignFlow:
        """Inverse of `get_config`."""
        return cls(**{**config, "config": AlignFlowConfig.from_dict(config["config"])})
