"""Shipped GVAE weights as a contract: a weight file and a JSON that says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from invertnas.errors import ArtefactError, DataMissingError
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.model import GVAE
from invertnas.io import read_json, sha256_file, versions, write_atomic, write_json
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
    write_atomic(weights, lambda temporary: gvae.save_weights(temporary))
    content = {
        "space": space_name,
        "config": gvae.config.to_dict(),
        "data_sha256": data_sha256,
        "weights_sha256": sha256_file(weights),
        "seed": seed,
        "versions": versions(),
        **extra,
    }
    write_json(description, content)


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
    for path in (weights, description):
        if not path.exists():
            raise DataMissingError(
                f"no {path}; run `make pretrain_{NAMES[space.name].split('_')[-1]}` or restore the file"
            )
    told = read_json(description)
    missing = [name for name in ("space", "config", "weights_sha256", "seed") if name not in told]
    if missing:
        raise ArtefactError(f"{description} lacks {', '.join(missing)}; restore the shipped file")
    config = GVAEConfig.from_dict(told["config"])
    expected = (space.name, space.num_nodes, len(space.op_names))
    got = (told["space"], config.cells * config.num_nodes, config.num_ops)
    if got != expected:
        raise ArtefactError(f"{description} describes (space, nodes, operations) {got}; expected {expected}")
    digest = sha256_file(weights)
    if digest != told["weights_sha256"]:
        raise ArtefactError(
            f"{weights} has sha256 {digest[:12]}..., {description.name} says {told['weights_sha256'][:12]}...; "
            "the weights are damaged or foreign, restore the shipped pair"
        )
    gvae = GVAE.create(config, seed=int(told["seed"]))
    load_weights(gvae, weights)
    return gvae


def load_weights(gvae: GVAE, path: Path) -> None:
    """Load a weight file into a built model. Raises ArtefactError naming what does not fit."""
    try:
        gvae.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise ArtefactError(f"{path} does not fit the configured GVAE: {error}; restore the shipped pair") from error
