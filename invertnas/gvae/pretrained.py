"""Shipped GVAE weights as a contract: a weight file and a JSON that says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from invertnas.artefacts import load_weights, read_description, save_model
from invertnas.errors import ArtefactError
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.model import GVAE
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec, GraphBatch

NAMES = {
    "nasbench101": "gvae_nb101",
    "nasbench201": "gvae_nb201",
    "nasbench301": "gvae_nb301",
    "nasbench_nlp": "gvae_nbnlp",
}


def gvae_paths(folder: Path, space_name: str) -> tuple[Path, Path]:
    """Weight and description file of a space. Raises ArtefactError if none is known."""
    if space_name not in NAMES:
        raise ArtefactError(f"got space {space_name!r}; expected one of {sorted(NAMES)}, for which weights ship")
    return folder / f"{NAMES[space_name]}.weights.h5", folder / f"{NAMES[space_name]}.json"


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
    """Write weights, then their description with checksum, versions and `extra` (e.g. metrics)."""
    weights, description = gvae_paths(folder, space_name)
    content = {"space": space_name, "config": gvae.config.to_dict(), "data_sha256": data_sha256, "seed": seed, **extra}
    save_model(weights, description, gvae, content)


def load_gvae(folder: Path, space: SearchSpace) -> GVAE:
    """The pretrained GVAE of a space, verified.

    Args:
        folder: where the weights lie, `pretrained/` of the repository.
        space: search space the weights must fit.

    Raises:
        DataMissingError: a file is missing.
        ArtefactError: checksum, space or tensor shapes disagree; the message names what differs.
    """
    weights, description = gvae_paths(folder, space.name)
    command = f"make pretrain_{NAMES[space.name].split('_')[-1]}"
    told = read_description(weights, description, ("space", "config", "seed"), command)
    config = GVAEConfig.from_dict(told["config"])
    expected = (space.name, space.num_nodes, len(space.op_names))
    got = (told["space"], config.cells * config.num_nodes, config.num_ops)
    if got != expected:
        raise ArtefactError(f"{description} describes (space, nodes, operations) {got}; expected {expected}")
    gvae = GVAE.create(config, seed=int(told["seed"]))
    load_weights(gvae, weights)
    return gvae
