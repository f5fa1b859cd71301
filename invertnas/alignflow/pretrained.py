"""Stored AlignFlow weights: which they are, which GVAE they belong to, and how well they translate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from invertnas.alignflow.config import AlignFlowConfig
from invertnas.alignflow.model import AlignFlow
from invertnas.errors import ArtefactError
from invertnas.files.artefacts import load_weights, read_description, save_model
from invertnas.gvae.model import GVAE
from invertnas.gvae.pretrained import NAMES, gvae_digest, gvae_paths
from invertnas.spaces.base import SearchSpace


def alignflow_paths(folder: Path, space_name: str) -> tuple[Path, Path]:
    """Weight and description file of a space, named as those of its GVAE; see `gvae_paths`, also for its errors."""
    weights, description = gvae_paths(folder, space_name)
    return (
        weights.with_name(weights.name.replace("gvae", "alignflow", 1)),
        description.with_name(description.name.replace("gvae", "alignflow", 1)),
    )


def save_alignflow(
    folder: Path, model: AlignFlow, gvae: GVAE, space_name: str, *, data_sha256: str, seed: int, extra: dict[str, Any]
) -> None:
    """Write weights, then their description with checksums, versions and `extra` (e.g. metrics).

    Args:
        folder: where to.
        model: trained.
        gvae: whose latents it was trained on.
        space_name: search space.
        data_sha256: of the architectures.
        seed: of the training.
        extra: further entries of the description.
    """
    content = {
        "space": space_name,
        "config": model.config.to_dict(),
        "gvae_sha256": gvae_digest(gvae),
        "data_sha256": data_sha256,
        "seed": seed,
        **extra,
    }
    save_model(*alignflow_paths(folder, space_name), model, content)


def load_alignflow(folder: Path, space: SearchSpace, gvae: GVAE) -> AlignFlow:
    """The pretrained AlignFlow of a space, verified.

    Args:
        folder: where the weights lie, `pretrained/` of the repository.
        space: search space the weights must fit.
        gvae: the model whose latents are to be translated; the one the weights were trained with.

    Raises:
        DataMissingError: a file is missing.
        ArtefactError: checksum, space, GVAE or tensor shapes disagree; the message names what differs.
    """
    weights, description = alignflow_paths(folder, space.name)
    remedy = "train an AlignFlow and write it with `save_alignflow`"
    if space.name in NAMES:
        remedy = f"run `make train_{description.stem}`"
    told = read_description(weights, description, ("space", "config", "gvae_sha256", "seed"), remedy)
    config = AlignFlowConfig.from_dict(told["config"])
    got, expected = (told["space"], config.dim), (space.name, gvae.config.flat_dim)
    if got != expected:
        raise ArtefactError(f"{description} describes (space, dimension) {got}; expected {expected}")
    if told["gvae_sha256"] != gvae_digest(gvae):
        raise ArtefactError(
            f"{description} belongs to a GVAE with other weights ({told['gvae_sha256'][:12]}..., got "
            f"{gvae_digest(gvae)[:12]}...); load the GVAE it was trained with, or {remedy}"
        )
    model = AlignFlow.create(config, seed=int(told["seed"]))
    load_weights(model, weights)
    return model
