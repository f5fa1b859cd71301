"""Trainable Keras networks of architectures, and their costs, for the four spaces of the benchmarks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from invertnas.errors import ConfigError
from invertnas.networks import nasbench101, nasbench201, nasbench301, nasbench_nlp
from invertnas.networks.cost import CostLayers, NetworkCost, Shape
from invertnas.networks.layers import KerasLayers
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import NB101, NB201, NB301, NBNLP
from invertnas.spaces.spec import ArchSpec

# An image is halved twice.
MIN_PIXELS = 4


@dataclasses.dataclass(frozen=True)
class _Kind:
    """How the networks of a space are made.

    Attributes:
        network: writes an image network in `Layers`; None for the language model.
        channels: of the benchmark.
        cells: of the benchmark.
        least: smallest channels and cells.
        settings: names of further settings.
        momentum: of BatchNorm's running means.
    """

    network: Callable[..., Any] | None
    channels: int
    cells: int
    least: tuple[int, int] = (1, 1)
    settings: tuple[str, ...] = ()
    momentum: float = 0.9


_KINDS = {
    NB201.name: _Kind(
        nasbench201.network, nasbench201.CHANNELS, nasbench201.CELLS, (1, 1), ("prune",), nasbench201.MOMENTUM
    ),
    # Five nodes may share the channels of a cell's output.
    NB101.name: _Kind(nasbench101.network, nasbench101.CHANNELS, nasbench101.CELLS, (5, 1), (), nasbench101.MOMENTUM),
    # A factorised reduction needs two channels; three cells are a normal one and two reductions.
    NB301.name: _Kind(nasbench301.network, nasbench301.CHANNELS, nasbench301.CELLS, (2, 3), (), nasbench301.MOMENTUM),
    NBNLP.name: _Kind(None, nasbench_nlp.CHANNELS, nasbench_nlp.CELLS, (1, 1), ("embedding",)),
}


def build_keras(
    space: SearchSpace,
    arch: ArchSpec | str,
    input_shape: Sequence[int],
    classes: int,
    *,
    seed: int,
    channels: int | None = None,
    cells: int | None = None,
    **settings: Any,
) -> keras.Model:
    """The network of an architecture in its benchmark's skeleton, ready for `compile`.

    The model returns logits: compile it with a loss `from_logits=True`. Image networks consist of Keras' own layers, so
    a file that `save` wrote loads wherever Keras is; a language model needs `import invertnas.networks` first.

    Args:
        space: NASBench201Space, NASBench101Space, NASBench301Space or NASBenchNLPSpace.
        arch: an architecture of the space, or its string.
        input_shape: (height, width, channels) of an image, at least 4 pixels each way; (steps,) for words.
        classes: classes, or words of the vocabulary.
        seed: of the initial weights.
        channels: channels of the first cells, or the width of the recurrent layers; None for the benchmark's 16 (201),
            128 (101), 32 (301) or 600 (NLP).
        cells: cells of a stack (201: 5, 101: 3), cells in all (301: 8) or recurrent layers (NLP: 3).
        **settings: ``prune=True`` (201) leaves out what the output does not depend on, which the benchmark counts and
            computes; ``embedding=400`` (NLP) is the width of the embedding and of the last layer.

    Returns:
        (B, H, W, C) float images to (B, classes) logits, or (B, steps) whole numbers to (B, steps, classes) logits.

    Raises:
        ConfigError: a space without networks, a size out of range, or a setting that the space does not have.
        OutOfDomainError: an architecture outside the space.
    """
    kind, arch, channels, cells = _checked(space, arch, input_shape, classes, channels, cells, settings)
    if kind.network is None:
        words = keras.Input(tuple(input_shape), dtype="int32", name="words_in")
        logits = nasbench_nlp.language_model(
            space, arch, words, classes, channels, cells, seed=seed, **settings  # type: ignore[arg-type]
        )
        return keras.Model(words, logits, name=space.name)
    images = keras.Input(tuple(input_shape), name="images")
    layers = KerasLayers(seed, momentum=kind.momentum)
    logits = kind.network(layers, space, arch, images, classes, channels, cells, **settings)
    return keras.Model(images, logits, name=space.name)


def network_cost(
    space: SearchSpace,
    arch: ArchSpec | str,
    input_shape: Sequence[int],
    classes: int,
    *,
    channels: int | None = None,
    cells: int | None = None,
    **settings: Any,
) -> NetworkCost:
    """Parameters and multiply-adds of the network of `build_keras`, in a millisecond, as nothing is built.

    Arguments and errors are those of `build_keras`. The parameters are those the benchmarks publish.
    """
    kind, arch, channels, cells = _checked(space, arch, input_shape, classes, channels, cells, settings)
    if kind.network is None:
        (steps,) = input_shape
        return nasbench_nlp.model_cost(
            space, arch, steps, classes, channels, cells, **settings  # type: ignore[arg-type]
        )
    layers = CostLayers()
    kind.network(layers, space, arch, Shape(*input_shape), classes, channels, cells, **settings)
    return layers.cost


def count_parameters(model: keras.Model) -> int:
    """Trainable parameters of a Keras model; `network_cost` knows them without a model."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def _checked(
    space: SearchSpace,
    arch: ArchSpec | str,
    input_shape: Sequence[int],
    classes: int,
    channels: int | None,
    cells: int | None,
    settings: dict[str, Any],
) -> tuple[_Kind, ArchSpec, int, int]:
    """The space's kind, the architecture as a graph, and sizes with defaults put in."""
    if space.name not in _KINDS:
        raise ConfigError(
            f"got space {space.name!r}, which has no network here; expected one of {', '.join(_KINDS)}; build the "
            "network of a space of your own from the graph of the architecture"
        )
    kind = _KINDS[space.name]
    unknown = sorted(set(settings) - set(kind.settings))
    if unknown:
        raise ConfigError(
            f"got the setting {unknown[0]!r} for {space.name}; expected "
            f"{' or '.join(kind.settings) or 'no further settings'}; leave it out"
        )
    channels = kind.channels if channels is None else channels
    cells = kind.cells if cells is None else cells
    sizes = {"channels": (channels, kind.least[0]), "cells": (cells, kind.least[1]), "classes": (classes, 1)}
    if "embedding" in settings:
        sizes["embedding"] = settings["embedding"], 1
    for name, (value, least) in sizes.items():
        _check_size(name, value, least)
    _check_input(input_shape, 1 if kind.network is None else 3)
    return kind, space.from_string(arch) if isinstance(arch, str) else arch, channels, cells


def _check_input(input_shape: Sequence[int], length: int) -> None:
    if len(input_shape) != length:
        raise ConfigError(
            f"got input_shape {tuple(input_shape)}; expected "
            f"{'(height, width, channels) of an image' if length == 3 else '(steps,) of a sequence of words'}"
        )
    for axis, value in enumerate(input_shape):
        _check_size(f"input_shape[{axis}]", value, MIN_PIXELS if length == 3 and axis < 2 else 1)


def _check_size(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"got {name}={value!r}; expected a whole number, at least {least}")
