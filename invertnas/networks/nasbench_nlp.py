"""Recurrent cells of NAS-Bench-NLP as Keras RNN cells, and the benchmark's language model (Klyuchnikov et al., 2020).

The language model is an embedding, stacked recurrent layers, and a decoder that shares the embedding's matrix; so
the last layer is as wide as the embedding. The benchmark has 400 channels of embedding and layers of 600, 600 and 400.
"""

from __future__ import annotations

import itertools
from typing import Any

import keras

from invertnas.networks.cost import NetworkCost
from invertnas.seeding import seed_sequence
from invertnas.spaces.nasbench_nlp import NASBenchNLPSpace
from invertnas.spaces.nasbench_nlp.cell import BLEND, LEAKY_RELU, LINEAR, NUM_INPUTS, PROD, SIGM, SUM, TANH, Cell
from invertnas.spaces.nasbench_nlp.ops import arguments
from invertnas.spaces.spec import ArchSpec

CHANNELS, CELLS, EMBEDDING = 600, 3, 400
EMBEDDING_RANGE = 0.1
LEAK = 0.01
Tensor = Any


@keras.saving.register_keras_serializable(package="invertnas")
class RecurrentCell(keras.layers.Layer):
    """One step of a cell; give it to `keras.layers.RNN`.

    The output is the new hidden state 0. The operation linear sums a matrix product of each of its inputs, and a bias.
    Of the three inputs of blend, a * b + (1 - a) * c, a is a sigmoid if there is one among them, else the first in
    node order, as the space does not hold their order.

    Args:
        cell: the cell in the space's notation, e.g. ``"linear(x,h0);tanh(0)->1"``.
        units: width of the hidden states.
        seed: of the initial weights, uniform by Glorot & Bengio (2010); the biases are 0.

    Raises:
        OutOfDomainError: if `cell` is none of the space.
    """

    def __init__(self, cell: str, units: int, *, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        space = NASBenchNLPSpace()
        self.cell, self.units, self.seed = cell, units, seed
        self._cell: Cell = space.to_cell(space.from_string(cell))
        self.state_size = [units] * len(self._cell.states)
        self.output_size = units

    def build(self, input_shape: Any) -> None:
        """Make a kernel for every input of every linear operation: (C, units) from x, (units, units) from others."""
        self.kernels: dict[str, Any] = {}
        self.biases: dict[str, Any] = {}
        for node, (op, sources) in enumerate(zip(self._cell.ops, self._cell.inputs)):
            if op != LINEAR:
                continue
            for source in sources:
                width, name = self.units if source else int(input_shape[-1]), f"kernel_{node}_{source}"
                seed = int(seed_sequence(self.seed, f"network weights {self.name} {name}").generate_state(1)[0])
                initializer = keras.initializers.GlorotUniform(seed=seed)
                self.kernels[f"{node}_{source}"] = self.add_weight(
                    shape=(width, self.units), initializer=initializer, name=name
                )
            self.biases[str(node)] = self.add_weight(shape=(self.units,), initializer="zeros", name=f"bias_{node}")
        self.built = True

    def call(self, inputs: Tensor, states: Any, training: bool | None = None) -> tuple[Tensor, list[Tensor]]:
        """(B, C) input and hidden states (B, units) to (B, units) output and the new states."""
        given = list(states) if isinstance(states, (list, tuple)) else [states]
        values: list[Tensor] = [inputs, *given, *[None] * (NUM_INPUTS - 1 - len(given))]
        for node, (op, sources) in enumerate(zip(self._cell.ops, self._cell.inputs)):
            if op == LINEAR:
                products = [keras.ops.matmul(values[s], self.kernels[f"{node}_{s}"]) for s in sources]
                values.append(sum(products) + self.biases[str(node)])
            else:
                values.append(_elementwise(op, [values[source] for source in arguments(self._cell, op, sources)]))
        new = [values[state] for state in self._cell.states]
        return new[0], new

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "cell": self.cell, "units": self.units, "seed": self.seed}


@keras.saving.register_keras_serializable(package="invertnas")
class TiedEmbedding(keras.layers.Layer):
    """An embedding whose matrix also turns vectors into logits of words: ``layer(vectors, reverse=True)``.

    Args:
        vocabulary: V, the number of words.
        width: C, the channels of a word's vector.
        seed: of the initial matrix, uniform in [-0.1, 0.1]; the bias of the logits is 0.
    """

    def __init__(self, vocabulary: int, width: int, *, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary, self.width, self.seed = vocabulary, width, seed
        draw = int(seed_sequence(seed, f"network weights {self.name}").generate_state(1)[0])
        uniform = keras.initializers.RandomUniform(-EMBEDDING_RANGE, EMBEDDING_RANGE, seed=draw)
        self.matrix = self.add_weight(shape=(vocabulary, width), initializer=uniform, name="matrix")
        self.bias = self.add_weight(shape=(vocabulary,), initializer="zeros", name="bias")

    def call(self, inputs: Tensor, reverse: bool = False) -> Tensor:
        """(B, T) words to (B, T, C) vectors, or in reverse (B, T, C) vectors to (B, T, V) logits."""
        if not reverse:
            return keras.ops.take(self.matrix, inputs, axis=0)
        return keras.ops.matmul(inputs, keras.ops.transpose(self.matrix)) + self.bias

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "vocabulary": self.vocabulary, "width": self.width, "seed": self.seed}


def language_model(
    space: NASBenchNLPSpace, arch: ArchSpec, x: Tensor, classes: int, channels: int, cells: int,
    *, seed: int, embedding: int = EMBEDDING,
) -> Tensor:  # fmt: skip
    """(B, T, V) logits of the next words after (B, T) words.

    Args:
        space: the search space.
        arch: a cell of it.
        x: whole numbers in 0..V - 1.
        classes: V.
        channels: width of all layers but the last.
        cells: recurrent layers.
        seed: of the initial weights.
        embedding: width of the embedding and of the last layer.
    """
    text = space.to_string(arch)  # raises OutOfDomainError outside the space
    words = TiedEmbedding(classes, embedding, seed=seed, name="words")
    value = words(x)
    for number, width in enumerate(layer_widths(channels, cells, embedding)):
        cell = RecurrentCell(text, width, seed=seed, name=f"cell{number}")
        value = keras.layers.RNN(cell, return_sequences=True, name=f"layer{number}")(value)
    return words(value, reverse=True)


def layer_widths(channels: int, cells: int, embedding: int) -> list[int]:
    """Widths of the recurrent layers, first to last."""
    return [channels] * (cells - 1) + [embedding]


def model_cost(
    space: NASBenchNLPSpace, arch: ArchSpec, steps: int, classes: int, channels: int, cells: int,
    *, embedding: int = EMBEDDING,
) -> NetworkCost:  # fmt: skip
    """Counts of the language model; the multiply-adds are those of a sequence of `steps` words."""
    cell = space.to_cell(arch)
    linear = [sources for op, sources in zip(cell.ops, cell.inputs) if op == LINEAR]
    of_x = sum(0 in sources for sources in linear)
    of_hidden = sum(len(sources) for sources in linear) - of_x
    widths = layer_widths(channels, cells, embedding)
    products = sum(
        width * (of_x * inputs + of_hidden * width) for inputs, width in itertools.pairwise([embedding, *widths])
    )
    parameters = products + len(linear) * sum(widths) + classes * (embedding + 1)
    return NetworkCost(parameters, steps * (products + classes * embedding))


def _elementwise(op: int, reads: list[Tensor]) -> Tensor:
    first = reads[0]
    if op == SIGM:
        return keras.ops.sigmoid(first)
    if op == TANH:
        return keras.ops.tanh(first)
    if op == LEAKY_RELU:
        return keras.ops.leaky_relu(first, LEAK)
    if op == SUM:
        return first + reads[1]
    if op == PROD:
        return first * reads[1]
    assert op == BLEND
    return first * reads[1] + (1 - first) * reads[2]
