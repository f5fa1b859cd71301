"""What AlignFlow is trained on in each search space, and how (paper F.5, H, Table 11)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from invertnas.errors import ConfigError
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import record_of, records
from invertnas.spaces.reduced import is_reduced, sample_reduced
from invertnas.spaces.spec import ArchSpec

if TYPE_CHECKING:  # TensorFlow stays out of the import
    from invertnas.alignflow.model import AlignFlow
    from invertnas.alignflow.train import AlignFlowTrainer
    from invertnas.gvae.model import GVAE

# Architectures of each domain, training and validation together (Table 11).
SIZES = {record.name: record.alignflow_size for record in records() if record.alignflow_size is not None}
MEASURED = 2_000  # held-out architectures of each domain that the metrics are taken on


def domains(space: SearchSpace, seed: int, size: int | None = None) -> tuple[list[ArchSpec], list[ArchSpec]]:
    """Distinct architectures of the reduced and of the full space, in random order.

    In NAS-Bench-201 the spaces hold 4,096 and 15,625; elsewhere `size` are sampled of each.

    Raises:
        ConfigError: for a space without an entry in SIZES.
    """
    if space.name not in SIZES:
        raise ConfigError(f"got space {space.name!r}; expected one of {', '.join(SIZES)}")
    count, whole = SIZES[space.name] if size is None else size, getattr(space, "all", None)
    if SIZES[space.name] == record_of(space.name).size and whole is not None:
        full = list(whole())
        both = [arch for arch in full if is_reduced(space, arch)], full
        orders = [generator(seed, "alignflow-data", d).permutation(len(archs))[:count] for d, archs in enumerate(both)]
        return [both[0][row] for row in orders[0]], [both[1][row] for row in orders[1]]
    samplers: tuple[Callable[[np.random.Generator], ArchSpec], ...]
    samplers = (lambda rng: sample_reduced(space, rng)), space.sample
    found = [_distinct(space, count, generator(seed, "alignflow-data", d), s) for d, s in enumerate(samplers)]
    return found[0], found[1]


def _distinct(
    space: SearchSpace, count: int, rng: np.random.Generator, sample: Callable[[np.random.Generator], ArchSpec]
) -> list[ArchSpec]:
    found = dict[str, ArchSpec]()
    while len(found) < count:
        arch = sample(rng)
        found.setdefault(space.identity(arch), arch)
    return list(itertools.islice(found.values(), count))


def held_out_metrics(
    trainer: AlignFlowTrainer, model: AlignFlow, gvae: GVAE, space: SearchSpace, archs: tuple[list[ArchSpec], ...]
) -> dict[str, Any]:
    """`translation_metrics` of the validation parts of both domains."""
    from invertnas.alignflow.translate import translation_metrics

    parts = [[all_of[row] for row in rows[:MEASURED]] for all_of, (_, rows) in zip(archs, trainer.splits)]
    return translation_metrics(model, gvae, space, parts[0], parts[1])
