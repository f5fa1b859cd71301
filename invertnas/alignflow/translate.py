"""Architectures through AlignFlow: encoded, translated, decoded (paper section 3.2), and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from invertnas.alignflow.model import FULL, REDUCED, AlignFlow
from invertnas.gvae.model import GVAE
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


def translate(
    model: AlignFlow, gvae: GVAE, space: SearchSpace, archs: Sequence[ArchSpec], target: int = FULL
) -> list[ArchSpec | None]:
    """Translate architectures of the other domain into domain `target`; None where the decoded graph is invalid.

    Args:
        model: trained on latents of `gvae`.
        gvae: encodes (means) and decodes.
        space: the full search space.
        archs: B architectures of the reduced space, or of the full one if `target` is REDUCED.
        target: FULL or REDUCED.
    """
    latents = gvae.encode(space.encode(archs))
    return space.decode(*gvae.decode(model.translate(latents, target)))


def translation_metrics(
    model: AlignFlow, gvae: GVAE, space: SearchSpace, reduced: Sequence[ArchSpec], full: Sequence[ArchSpec]
) -> dict[str, Any]:
    """How held-out architectures come through.

    Args:
        model: trained on latents of `gvae`.
        gvae: encodes and decodes.
        space: the full search space.
        reduced: architectures of the reduced space; these are translated.
        full: architectures of the full space, to compare with.

    Returns:
        `cycle_error`: the largest of any feature, there and back from either domain, in standardised units;
        `validity`: share of translations that decode to architectures; among these, `changed`: share that
        differ from their source, `distinct`: distinct ones per translation, `kept_ops`: share of inner
        nodes that keep their operation (of pairs with as many nodes);
        `ops`: shares of each inner operation in "reduced", "translated" and "full"; `ops_distance`:
        half the sum of absolute differences between the last two, 0 to 1; `untranslated_ops_distance`: the
        same between "reduced" and "full".
    """
    images = translate(model, gvae, space, reduced)
    pairs = [(source, image) for source, image in zip(reduced, images) if image is not None]
    translated = [image for _, image in pairs]
    names = [space.identity(image) for image in translated]
    same_size = [(source, image) for source, image in pairs if len(source.ops) == len(image.ops)]
    rates = {"reduced": _rates(space, reduced), "translated": _rates(space, translated), "full": _rates(space, full)}
    cycle = [model.cycle_error(gvae.encode(space.encode(archs)), d) for d, archs in ((REDUCED, reduced), (FULL, full))]
    inner = [(a in space.inner_ops, a == b) for s, t in same_size for a, b in zip(s.ops, t.ops)]
    return {
        "cycle_error": max(cycle),
        "validity": len(pairs) / len(reduced),
        "changed": _share([space.identity(source) != name for (source, _), name in zip(pairs, names)]),
        "distinct": len(set(names)) / max(len(names), 1),
        "kept_ops": _share([same for counts, same in inner if counts]),
        "ops": {kind: {space.op_names[op]: value for op, value in rate.items()} for kind, rate in rates.items()},
        "ops_distance": _distance(rates["translated"], rates["full"]),
        "untranslated_ops_distance": _distance(rates["reduced"], rates["full"]),
    }


def _rates(space: SearchSpace, archs: Sequence[ArchSpec]) -> dict[int, float]:
    """Share of each inner operation."""
    counts = {op: sum(arch.ops.count(op) for arch in archs) for op in space.inner_ops}
    return {op: count / max(sum(counts.values()), 1) for op, count in counts.items()}


def _distance(first: dict[int, float], second: dict[int, float]) -> float:
    return 0.5 * sum(abs(first[op] - second[op]) for op in first)


def _share(flags: Sequence[bool]) -> float:
    return float(np.mean(flags)) if flags else 0.0
