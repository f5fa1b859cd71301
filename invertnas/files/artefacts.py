"""Stored weights as a contract: a weight file, and a JSON with its checksum that says what it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from invertnas.errors import ArtefactError, DataMissingError
from invertnas.files.io import read_json, sha256_file, versions, write_atomic, write_json
from invertnas.files.shipped import remedy


def save_model(weights: Path, description: Path, model: keras.Model, content: dict[str, Any]) -> None:
    """Write the weights, then their description: `content` with checksum and versions."""
    write_atomic(weights, lambda temporary: model.save_weights(temporary))
    write_json(description, {**content, "weights_sha256": sha256_file(weights), "versions": versions()})


def read_description(weights: Path, description: Path, fields: Sequence[str], own: str) -> dict[str, Any]:
    """The description of a weight file whose checksum agrees.

    Args:
        weights: the weight file.
        description: the JSON beside it.
        fields: entries the description must have, besides the checksum.
        own: how to make the files anew, for the message where they did not come with InvertNAS.

    Raises:
        DataMissingError: a file is missing.
        ArtefactError: the description lacks an entry, or the checksum disagrees.
    """
    for path in (weights, description):
        if not path.exists():
            raise DataMissingError(f"no {path}; {remedy(path, own)}")
    told: dict[str, Any] = read_json(description)
    missing = [name for name in (*fields, "weights_sha256") if name not in told]
    if missing:
        raise ArtefactError(f"{description} lacks {', '.join(missing)}; {remedy(description, own)}")
    digest = sha256_file(weights)
    if digest != told["weights_sha256"]:
        raise ArtefactError(
            f"{weights} has sha256 {digest[:12]}..., {description.name} says {told['weights_sha256'][:12]}...; "
            f"the weights are damaged or foreign: {remedy(weights, own)}"
        )
    return told


def load_weights(model: keras.Model, path: Path, own: str = "restore the pair of files") -> None:
    """Load a weight file into a built model. Raises ArtefactError naming what does not fit; `own` as above."""
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        name = type(model).__name__
        raise ArtefactError(f"{path} does not fit the configured {name}: {error}; {remedy(path, own)}") from error
