"""Stored GVAE weights as a contract: a weight file and a JSON that says what it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from invertnas.checks import checked_path, checked_seed
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.artefacts import load_weights, read_description, save_model
from invertnas.files.io import sha256_arrays
from invertnas.files.shipped import weights_folder
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.model import GVAE
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import as_space, known, records
from invertnas.spaces.spec import ArchSpec, GraphBatch

OWN = "train a GVAE with `GVAETrainer` and write it there with `save_gvae`"


def gvae_paths(folder: Path, space_name: str) -> tuple[Path, Path]:
    """Weight and description file of a space of any name.

    Raises:
        ConfigError: the name cannot be part of a file's, or its files would be those of a space that ships.
    """
    if not space_name or set(space_name) & set("/\\\0"):
        raise ConfigError(f"got space name {space_name!r}; expected one that can be part of a file's name")
    record = known(space_name)
    stem = f"gvae_{space_name if record is None else record.stem}"
    if record is None and any(other.stem == space_name for other in records()):
        raise ConfigError(
            f"got space name {space_name!r}, but {stem} are shipped weights; give your space another name"
        )
    return folder / f"{stem}.weights.h5", folder / f"{stem}.json"


def gvae_digest(gvae: GVAE) -> str:
    """SHA-256 of a GVAE's weights, in the order of its variables."""
    return sha256_arrays(*gvae.get_weights())


def reconstruction_metrics(gvae: GVAE, space: SearchSpace, graphs: GraphBatch) -> dict[str, float]:
    """Shares of graphs that are reconstructed exactly, and whose decoded latent is valid.

    Args:
        gvae: a trained model.
        space: judges validity.
        graphs: B encoded architectures.

    Returns:
        `exact_reconstruction` (of whole architectures), `exact_cells` and `validity`, fractions.
    """
    ops, adjacency = gvae.decode(gvae.encode(graphs))
    present = graphs.ops.any(axis=-1)
    same = ((ops == graphs.ops.argmax(axis=-1)) | ~present) & (adjacency == graphs.adjacency).all(axis=2)
    same_cells = same.reshape(len(same), gvae.config.cells, -1).all(axis=2)
    valid: list[ArchSpec | None] = space.decode(ops, adjacency)
    return {
        "exact_reconstruction": float(np.mean(same_cells.all(axis=1))),
        "exact_cells": float(np.mean(same_cells)),
        "validity": float(np.mean([arch is not None for arch in valid])),
    }


def save_gvae(
    gvae: GVAE,
    folder: str | os.PathLike[str],
    space: SearchSpace | str,
    *,
    data_sha256: str | None = None,
    seed: int = 0,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write weights, then their description with checksum and versions.

    Args:
        gvae: trained.
        folder: where to, made if it is not there.
        space: search space, or the name of one that ships.
        data_sha256: of the training graphs, see `GVAETrainer.data_sha256`; None to leave it out.
        seed: of the training.
        extra: further entries of the description, JSON-ready, such as metrics.

    Raises:
        ConfigError: the GVAE does not fit the space, or the space's name does not do for files, see `gvae_paths`.
        OutputError: the folder cannot be written.
    """
    of = as_space(space)
    gvae.config.check_space(of)
    weights, description = gvae_paths(checked_path(folder, "folder"), of.name)
    digest = {} if data_sha256 is None else {"data_sha256": data_sha256}
    content = {"space": of.name, "config": gvae.config.to_dict(), **digest, "seed": checked_seed(seed)}
    save_model(weights, description, gvae, {**content, **(extra or {})})


def load_gvae(
    space: SearchSpace | str | os.PathLike[str], folder: SearchSpace | str | os.PathLike[str] | None = None
) -> GVAE:
    """The pretrained GVAE of a space, verified. The folder may also come first, before a space.

    Args:
        space: search space the weights must fit, or the name of one that ships.
        folder: where `save_gvae` wrote the weights; None for those that come with InvertNAS.

    Raises:
        ConfigError: the space is unknown.
        DataMissingError: a file is missing.
        ArtefactError: checksum, space or tensor shapes disagree; the message names what differs.
    """
    given: Any = (folder, space) if isinstance(folder, SearchSpace) else (space, folder)
    of, folder = as_space(given[0]), given[1]
    if folder is None and known(of.name) is None:
        raise DataMissingError(f"got space {of.name!r}, for which no weights ship; expected a folder: {OWN}")
    where = weights_folder() if folder is None else checked_path(folder, "folder")
    weights, description = gvae_paths(where, of.name)
    told = read_description(weights, description, ("space", "config", "seed"), OWN)
    config = GVAEConfig.from_dict(told["config"])
    if told["space"] != of.name:
        raise ArtefactError(f"{description} describes the space {told['space']!r}; expected {of.name!r}")
    try:
        config.check_space(of)
    except ConfigError as error:
        raise ArtefactError(f"{description}: {error}") from error
    gvae = GVAE.create(config, seed=int(told["seed"]))
    load_weights(gvae, weights, OWN)
    return gvae
