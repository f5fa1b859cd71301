"""Stored AlignFlow weights: which they are, which GVAE they belong to, and how well they translate."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invertnas.alignflow.config import AlignFlowConfig
from invertnas.alignflow.model import AlignFlow
from invertnas.checks import checked_path, checked_seed
from invertnas.errors import ArtefactError, DataMissingError
from invertnas.files.artefacts import load_weights, read_description, save_model
from invertnas.files.shipped import weights_folder
from invertnas.gvae.model import GVAE
from invertnas.gvae.pretrained import gvae_digest, gvae_paths
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import as_space, known

OWN = "train an AlignFlow with `AlignFlowTrainer` and write it there with `save_alignflow`"


def alignflow_paths(folder: Path, space_name: str) -> tuple[Path, Path]:
    """Weight and description file of a space, named as those of its GVAE; see `gvae_paths`, also for its errors."""
    weights, description = gvae_paths(folder, space_name)
    return (
        weights.with_name(weights.name.replace("gvae", "alignflow", 1)),
        description.with_name(description.name.replace("gvae", "alignflow", 1)),
    )


def save_alignflow(
    model: AlignFlow,
    gvae: GVAE,
    folder: str | os.PathLike[str],
    space: SearchSpace | str,
    *,
    data_sha256: str | None = None,
    seed: int = 0,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write weights, then their description with checksums and versions.

    Args:
        model: trained.
        gvae: whose latents it was trained on.
        folder: where to, made if it is not there.
        space: search space, or the name of one that ships.
        data_sha256: of the architectures; None to leave it out.
        seed: of the training.
        extra: further entries of the description, JSON-ready, such as metrics.

    Raises:
        ConfigError: the space is unknown, or its name does not do for files.
        OutputError: the folder cannot be written.
    """
    of = as_space(space)
    digest = {} if data_sha256 is None else {"data_sha256": data_sha256}
    content = {"space": of.name, "config": model.config.to_dict(), "gvae_sha256": gvae_digest(gvae), **digest}
    paths = alignflow_paths(checked_path(folder, "folder"), of.name)
    save_model(*paths, model, {**content, "seed": checked_seed(seed), **(extra or {})})


def load_alignflow(space: SearchSpace | str, gvae: GVAE, folder: str | os.PathLike[str] | None = None) -> AlignFlow:
    """The pretrained AlignFlow of a space, verified.

    Args:
        space: search space the weights must fit, or the name of one that ships.
        gvae: the model whose latents are to be translated; the one the weights were trained with.
        folder: where `save_alignflow` wrote the weights; None for those that come with InvertNAS.

    Raises:
        ConfigError: the space is unknown.
        DataMissingError: a file is missing.
        ArtefactError: checksum, space, GVAE or tensor shapes disagree; the message names what differs.
    """
    of = as_space(space)
    if folder is None and known(of.name) is None:
        raise DataMissingError(f"got space {of.name!r}, for which no weights ship; expected a folder: {OWN}")
    where = weights_folder() if folder is None else checked_path(folder, "folder")
    weights, description = alignflow_paths(where, of.name)
    told = read_description(weights, description, ("space", "config", "gvae_sha256", "seed"), OWN)
    config = AlignFlowConfig.from_dict(told["config"])
    got, expected = (told["space"], config.dim), (of.name, gvae.config.flat_dim)
    if got != expected:
        raise ArtefactError(f"{description} describes (space, dimension) {got}; expected {expected}")
    if told["gvae_sha256"] != gvae_digest(gvae):
        raise ArtefactError(
            f"{description} belongs to a GVAE with other weights ({told['gvae_sha256'][:12]}..., got "
            f"{gvae_digest(gvae)[:12]}...); load the GVAE it was trained with, or {OWN}"
        )
    model = AlignFlow.create(config, seed=int(told["seed"]))
    load_weights(model, weights, OWN)
    return model
