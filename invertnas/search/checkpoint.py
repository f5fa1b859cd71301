"""The two halves of a checkpoint: the surrogate's files, and the optimiser's, which names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from invertnas.errors import ArtefactError
from invertnas.files.io import sha256_file
from invertnas.protocols import Labelled, Surrogate
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec

STATE_FILE = "optimizer.json"


def save_surrogate(surrogate: Surrogate, folder: Path) -> dict[str, str]:
    """Save the surrogate; returns the SHA-256 of each file that this wrote into `folder`, by name."""
    before = _stamps(folder)
    surrogate.save(folder)
    return {name: sha256_file(folder / name) for name, stamp in _stamps(folder).items() if before.get(name) != stamp}


def check_files(folder: Path, digests: dict[str, str]) -> None:
    """Raise ArtefactError unless the files in `folder` are those that `save_surrogate` wrote."""
    for name, digest in digests.items():
        path = folder / name
        found = sha256_file(path) if path.is_file() else None
        if found != digest:
            raise ArtefactError(
                f"{path} is {'missing' if found is None else 'not the one'} of the save that wrote {STATE_FILE} "
                f"(SHA-256 {found}, expected {digest}), as if a save was cut short; load another checkpoint, or tell "
                f"the accuracies in {STATE_FILE} to a new search"
            )


def labels_to_rows(space: SearchSpace, labelled: Labelled) -> list[list[Any]]:
    """Pairs of string and accuracy."""
    return [[space.to_string(arch), value] for arch, value in zip(labelled.archs, labelled.accuracies, strict=True)]


def rows_to_labels(space: SearchSpace, rows: Sequence[Sequence[Any]]) -> Labelled:
    """Inverse of `labels_to_rows`. Raises what `strings_to_archs` does, TypeError or ValueError for no pairs."""
    return Labelled().extend(strings_to_archs(space, [text for text, _ in rows]), [value for _, value in rows])


def strings_to_archs(space: SearchSpace, texts: Sequence[str]) -> list[ArchSpec]:
    """Architectures of their strings.

    Raises:
        TypeError: if an entry is no string.
        ArtefactError: if the space cannot read a string; says that the file is not to be thrown away for it.
    """
    archs = []
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"got {text!r} for an architecture; expected a string")
        try:
            archs.append(space.from_string(text))
        except (ValueError, TypeError, LookupError) as error:
            raise ArtefactError(
                f"{space.name} cannot read the architecture {text!r} ({error}); expected a string that its to_string "
                "wrote; keep the folder, its accuracies are good, and load it with the space it was saved with or "
                "after from_string is mended"
            ) from error
    return archs


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when a file is written, for each in `folder` but the optimiser's own and temporary ones."""
    paths = [path for path in folder.glob("[!.]*") if path.name != STATE_FILE and path.is_file()]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}
