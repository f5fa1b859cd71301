"""What the inverse path needs besides the networks: targets that are fractions, draws apart, graphs looked at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from invertnas.errors import ConfigError
from invertnas.gvae.model import GVAE
from invertnas.protocols import Draw
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec, FloatArray


def checked_targets(targets: Any) -> FloatArray:
    """(n,) accuracies to invert as float32. Raises ConfigError unless they are fractions, at least one."""
    try:
        values = np.asarray(targets, np.float32)
    except (TypeError, ValueError):
        values = np.zeros(0, np.float32)
    if values.ndim != 1 or not values.size or not ((values >= 0) & (values <= 1)).all():
        raise ConfigError(
            f"got targets {targets!r}; expected a list of accuracies, fractions from 0 to 1; divide percent by 100"
        )
    return values


def by_draw(latents: FloatArray, draws: Sequence[Draw]) -> list[FloatArray]:
    """(K, B, D) latents of all draws' targets -> the (K * n, D) of each draw, member by member."""
    ends = np.cumsum([len(draw.targets) for draw in draws])
    parts = (latents[:, end - len(draw.targets) : end] for end, draw in zip(ends, draws))
    return [part.reshape(-1, latents.shape[-1]) for part in parts]


def decode_distinct(space: SearchSpace, gvae: GVAE, latents: FloatArray) -> list[ArchSpec | None]:
    """Architectures of (B, D) latents, None where invalid; the space looks at graphs that are equal once."""
    ops, adjacency = gvae.decode(latents)
    rows = np.concatenate([ops, adjacency.reshape(len(ops), -1)], axis=1).astype(np.int16)
    _, first, place = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    archs = space.decode(ops[first], adjacency[first])
    return [archs[index] for index in place.ravel()]
