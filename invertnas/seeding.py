"""One master seed, one independent stream per component and round."""

from __future__ import annotations

import zlib

import numpy as np


def seed_sequence(seed: int, component: str, *index: int) -> np.random.SeedSequence:
    """The stream of one component ("split", "init", "candidates", ...) at one index, e.g. a round.

    Streams of different components, indices or seeds are independent, and a stream does not
    depend on what was drawn before, so an interrupted run needs no generator state to resume.
    """
    return np.random.SeedSequence(seed, spawn_key=(zlib.crc32(component.encode()), *index))


def generator(seed: int, component: str, *index: int) -> np.random.Generator:
    """NumPy generator of that stream."""
    return np.random.default_rng(seed_sequence(seed, component, *index))


def tf_seed(seed: int, component: str, *index: int) -> np.ndarray:
    """(2,) int32 seed of that stream, for TensorFlow's stateless random functions."""
    return seed_sequence(seed, component, *index).generate_state(2).view(np.int32)
