"""Functions of variables and tensors whose graph is built once, whichever objects' variables they are called with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

_traces: dict[str, int] = {}


def trace_counts() -> dict[str, int]:
    """How often each `Compiled` function of this process built its graph, by name."""
    return dict(_traces)


class Compiled:
    """A function whose graph is built at the first call and serves every later one.

    The variables are arguments of the graph, so those of another object with the same shapes need no new one.

    Args:
        function: of one nest of variables, and of tensors.
        specs: of the tensors. Dimensions that differ between calls are None.
        jit: whether XLA compiles the graph.
    """

    def __init__(self, function: Callable[..., Any], specs: Sequence[tf.TensorSpec], *, jit: bool = False) -> None:
        self._function, self.specs, self._jit = function, list(specs), jit
        self.name = function.__qualname__
        self._graph: Any = None

    def __call__(self, variables: Any, *tensors: Any) -> Any:
        """Outputs as tensors."""
        given = [tf.convert_to_tensor(value, spec.dtype) for value, spec in zip(tensors, self.specs, strict=True)]
        if self._graph is None:
            traced = tf.function(self._counted, autograph=False, jit_compile=self._jit or None)
            self._graph = traced.get_concrete_function(variables, *self.specs)
        return self._graph(variables, *given)

    def _counted(self, variables: Any, *tensors: tf.Tensor) -> Any:
        _traces[self.name] = _traces.get(self.name, 0) + 1
        return self._function(variables, *tensors)
