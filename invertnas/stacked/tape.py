"""Stacked linear maps, and a tape that forms the gradient of each kernel in one product.

The training step uses every kernel twice, in the forward and in the inverse direction. Plain
differentiation makes one gradient tensor per use and adds them. With 25 million weights that costs
more memory traffic than Adam itself, so `LinearTape` keeps the inputs of both uses and multiplies
them, row below row, with their gradients once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

_active: list[LinearTape] = []


def linear(inputs: tf.Tensor, kernel: tf.Variable, bias: tf.Variable) -> tf.Tensor:
    """`inputs @ kernel + bias` for each member.

    Args:
        inputs: (K, B, in).
        kernel: (K, in, out).
        bias: (K, 1, out).

    Returns:
        (K, B, out), of the dtype of `inputs`.
    """
    outputs = tf.matmul(inputs, tf.cast(kernel, inputs.dtype)) + tf.cast(bias, inputs.dtype)
    if _active:
        _active[-1].record(kernel, bias, inputs, outputs)
    return outputs


class LinearTape:
    """Gradients with respect to kernels and biases that are used in `linear` and nowhere else.

    Inside `recording()` the variables themselves are not differentiated: their gradients follow from
    the gradients of the outputs, dW = sum over uses of X^T G and db = sum of G over rows.

    Args:
        variables: the trainable variables, all of them kernels or biases of `linear`.
    """

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        self.variables = list(variables)
        self._tape = tf.GradientTape(watch_accessed_variables=False)
        self._uses: list[tuple[tf.Variable, tf.Variable, tf.Tensor, tf.Tensor]] = []

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Everything computed inside is recorded."""
        _active.append(self)
        try:
            with self._tape:
                yield
        finally:
            _active.remove(self)

    def record(self, kernel: tf.Variable, bias: tf.Variable, inputs: tf.Tensor, outputs: tf.Tensor) -> None:
        """Note one use."""
        self._tape.watch(outputs)
        self._uses.append((kernel, bias, inputs, outputs))

    def gradients(self, objective: tf.Tensor) -> list[tf.Tensor]:
        """Gradients of a scalar, one for each of `variables`; zeros for a variable without a use."""
        outer = self._tape.gradient(
            objective, [outputs for *_, outputs in self._uses], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        inputs_of, outer_of = dict[int, list[tf.Tensor]](), dict[int, list[tf.Tensor]]()
        for (kernel, bias, inputs, _), gradient in zip(self._uses, outer):
            inputs_of.setdefault(id(kernel), []).append(inputs)
            outer_of.setdefault(id(kernel), []).append(gradient)
            outer_of.setdefault(id(bias), []).append(gradient)
        return [self._gradient(v, inputs_of.get(id(v), []), outer_of.get(id(v), [])) for v in self.variables]

    @staticmethod
    def _gradient(variable: tf.Variable, inputs: list[tf.Tensor], outer: list[tf.Tensor]) -> tf.Tensor:
        if not outer:
            return tf.zeros_like(variable)
        rows = tf.concat(outer, axis=1)
        if not inputs:
            return tf.reduce_sum(tf.cast(rows, variable.dtype), axis=1, keepdims=True)
        return tf.cast(tf.matmul(tf.concat(inputs, axis=1), rows, transpose_a=True), variable.dtype)
