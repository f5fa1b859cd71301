"""Stacked linear maps, and a tape that forms the gradient of each kernel in one product.

The training step uses every kernel twice, in the forward and in the inverse direction. Plain
differentiation makes one gradient tensor per use and adds them. With 25 million weights that costs
more memory traffic than Adam itself, so `LinearTape` keeps the inputs of both uses and multiplies
them, row below row, with their gradients once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from invertnas.errors import TrainingError

Linear = Callable[[tf.Tensor, Any, Any], tf.Tensor]  # inputs, kernel, bias -> outputs


def linear(inputs: tf.Tensor, kernel: tf.Variable, bias: tf.Variable) -> tf.Tensor:
    """`inputs @ kernel + bias` for each member.

    Args:
        inputs: (K, B, in).
        kernel: (K, in, out).
        bias: (K, 1, out).

    Returns:
        (K, B, out), of the dtype of `inputs`.
    """
    return tf.matmul(inputs, tf.cast(kernel, inputs.dtype)) + tf.cast(bias, inputs.dtype)


class LinearTape:
    """Gradients with respect to kernels and biases that are used in `tape.linear` and nowhere else.

    Inside `recording()` the variables themselves are not differentiated: their gradients follow from
    the gradients of the outputs, dW = sum over uses of X^T G and db = sum of G over rows. Kernels and
    biases of other networks may pass through `tape.linear` too; they are differentiated through.

    Args:
        variables: the trainable variables, all of them kernels or biases.
    """

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        self.variables = list(variables)
        self._places = {variable.ref(): place for place, variable in enumerate(self.variables)}
        self._tape = tf.GradientTape(watch_accessed_variables=False)
        self._uses: list[tuple[int | None, int | None, tf.Tensor, tf.Tensor]] = []

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Everything computed inside is recorded."""
        with self._tape:
            yield

    def linear(self, inputs: tf.Tensor, kernel: tf.Variable, bias: tf.Variable) -> tf.Tensor:
        """As the function `linear`, and noted."""
        outputs = linear(inputs, kernel, bias)
        self._tape.watch(outputs)
        self._uses.append((self._places.get(kernel.ref()), self._places.get(bias.ref()), inputs, outputs))
        return outputs

    def gradients(self, objective: tf.Tensor) -> list[tf.Tensor]:
        """Gradients of a scalar, one for each of `variables`.

        Raises:
            TrainingError: a variable went through no `tape.linear` on the way to the objective.
        """
        outer = self._tape.gradient(objective, [outputs for *_, outputs in self._uses])
        rows_of, outer_of = dict[int, list[tf.Tensor]](), dict[int, list[tf.Tensor]]()
        for (kernel, bias, inputs, _), gradient in zip(self._uses, outer):
            if gradient is None:
                continue
            for place in (kernel, bias):
                if place is not None:
                    outer_of.setdefault(place, []).append(gradient)
            if kernel is not None:
                rows_of.setdefault(kernel, []).append(inputs)
        if missing := [v.name for place, v in enumerate(self.variables) if place not in outer_of]:
            raise TrainingError(
                f"got no gradient of {', '.join(missing)}; expected every trainable variable on the way to the loss, "
                "through tape.linear"
            )
        return [
            self._gradient(variable, rows_of.get(place, []), outer_of[place])
            for place, variable in enumerate(self.variables)
        ]

    @staticmethod
    def _gradient(variable: tf.Variable, inputs: list[tf.Tensor], outer: list[tf.Tensor]) -> tf.Tensor:
        rows = tf.concat(outer, axis=1)
        if not inputs:
            return tf.reduce_sum(tf.cast(rows, variable.dtype), axis=1, keepdims=True)
        return tf.cast(tf.matmul(tf.concat(inputs, axis=1), rows, transpose_a=True), variable.dtype)
