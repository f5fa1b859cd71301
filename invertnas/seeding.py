"""One master seed, one independent stream per component and round."""

from __future__ import annotations

import zlib

import numpy as np


def seed_sequence(seed: int, component: str, *index: int | str) -> np.random.SeedSequence:
    """The stream of one component ("split", "init", "candidates", ...) at one index, e.g. a round.

    An index may hold names, too: `seed_sequence(0, "inn", 2, "net1", "kernel", 0)` is the stream of one weight.

    Streams of different components, indices or seeds are independent, and a stream does not
    depend on what was drawn before, so an interrupted run needs no generator state to resume.
    """
    return np.random.SeedSequence(seed, spawn_key=tuple(_key(part) for part in (component, *index)))


def _key(part: int | str) -> int:
    return zlib.crc32(part.encode()) if isinstance(part, str) else part


def weight_seed(seed: int, component: str, *index: int | str) -> int:
    """One number of that stream, for initialisers of Keras."""
    return int(seed_sequence(seed, component, *index).generate_state(1)[0])


def generator(seed: int, component: str, *index: int | str) -> np.random.Generator:
    """NumPy generator of that stream."""
    return np.random.default_rng(seed_sequence(seed, component, *index))


def tf_seed(seed: int, component: str, *index: int | str) -> np.ndarray:
    """(2,) int32 seed of that stream, for TensorFlow's stateless random functions."""
    return seed_sequence(seed, component, *index).generate_state(2).view(np.int32)
