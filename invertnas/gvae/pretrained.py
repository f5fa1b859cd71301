"""Stored GVAE weights as a contract: a weight file and a JSON that says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from invertnas.errors import ArtefactError, ConfigError
from invertnas.files.artefacts import load_weights, read_description, save_model
from invertnas.files.io import sha256_arrays
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.model import GVAE
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec, GraphBatch

NAMES = {  # of the files that ship; those of another space are gvae_<name>
    "nasbench101": "gvae_nb101",
    "nasbench201": "gvae_nb201",
    "nasbench301": "gvae_nb301",
    "nasbench_nlp": "gvae_nbnlp",
}


def gvae_paths(folder: Path, space_name: str) -> tuple[Path, Path]:
    """Weight and description file of a space of any name.

    Raises:
        ConfigError: the name cannot be part of a file's, or its files would be those of a space that ships.
    """
    stem = NAMES.get(space_name, f"gvae_{space_name}")
    if not space_name or set(space_name) & set("/\\\0"):
        raise ConfigError(f"got space name {space_name!r}; expected one that can be part of a file's name")
    if space_name not in NAMES and stem in NAMES.values():
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


def save_gvae(folder: Path, gvae: GVAE, space_name: str, *, data_sha256: str, seed: int, extra: dict[str, Any]) -> None:
    """Write weights, then their description with checksum, versions and `extra` (e.g. metrics).

    Args:
        folder: where to, made if it is not there.
        gvae: trained.
        space_name: `name` of the search space, a shipped one or your own.
        data_sha256: of the training graphs, see `GVAETrainer.data_sha256`.
        seed: of the training.
        extra: further entries of the description, JSON-ready.

    Raises:
        ConfigError: the name does not do for files, see `gvae_paths`.
        OutputError: the folder cannot be written.
    """
    weights, description = gvae_paths(folder, space_name)
    content = {"space": space_name, "config": gvae.config.to_dict(), "data_sha256": data_sha256, "seed": seed, **extra}
    save_model(weights, description, gvae, content)


def load_gvae(folder: Path, space: SearchSpace) -> GVAE:
    """The pretrained GVAE of a space, verified.

    Args:
        folder: where the weights lie: `pretrained/` of the repository, or where `save_gvae` wrote them.
        space: search space the weights must fit.

    Raises:
        DataMissingError: a file is missing.
        ArtefactError: checksum, space or tensor shapes disagree; the message names what differs.
    """
    weights, description = gvae_paths(folder, space.name)
    remedy = "pretrain a GVAE and write it with `save_gvae`"
    if space.name in NAMES:
        remedy = f"run `make pretrain_{NAMES[space.name].split('_')[-1]}`"
    told = read_description(weights, description, ("space", "config", "seed"), remedy)
    config = GVAEConfig.from_dict(told["config"])
    if told["space"] != space.name:
        raise ArtefactError(f"{description} describes the space {told['space']!r}; expected {space.name!r}")
    try:
        config.check_space(space)
    except ConfigError as error:
        raise ArtefactError(f"{description}: {error}") from error
    gvae = GVAE.create(config, seed=int(told["seed"]))
    load_weights(gvae, weights)
    return gvae
