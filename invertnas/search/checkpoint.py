"""Saved searches: one JSON file that is moved into place, and the folder of the surrogate's files that it names."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from invertnas.errors import ArtefactError, ConfigError, InvertNASError, OutputError
from invertnas.files.fingerprint import check_fingerprint
from invertnas.files.io import read_json, sha256_file, write_json
from invertnas.protocols import Surrogate
from invertnas.search.answers import checked_accuracy
from invertnas.search.history import History
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec

STATE_FILE = "optimizer.json"
STATE_FORMAT = 2
_BOUND = ("method", "seed", "space.name")  # without these a fingerprint says nothing
_PLACE = re.compile(r"surrogate_(\d+)")


def digest(identities: Iterable[str]) -> str:
    """Hexadecimal SHA-256 of some identities in order."""
    return hashlib.sha256("\n".join(identities).encode()).hexdigest()


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the state file, then drop surrogates of earlier saves. Raises OutputError."""
    write_json(folder / STATE_FILE, {"format": STATE_FORMAT, **state})
    for place in _places(folder).values():
        if place.name != state["parts"].get("folder"):
            shutil.rmtree(place, ignore_errors=True)


def read_state(folder: Path, fingerprint: dict[str, Any]) -> dict[str, Any]:
    """The content of a state file that belongs to the search of this fingerprint.

    Raises:
        DataMissingError: there is none.
        ArtefactError: it is damaged or of another format.
        ConfigError: it belongs to another search.
    """
    path = folder / STATE_FILE
    state = read_json(path)
    if not isinstance(state, dict):
        raise ArtefactError(f"{path} holds no JSON object; delete the folder and start again")
    if state.get("format") != STATE_FORMAT:
        raise ArtefactError(
            f"{path} is of format {state.get('format')!r}; expected {STATE_FORMAT}; tell the accuracies in it to a new "
            "search"
        )
    saved = state.get("fingerprint")
    if not isinstance(saved, dict) or not set(_BOUND) <= saved.keys():
        raise ArtefactError(f"{path} does not say what it belongs to; delete the folder and start again")
    check_fingerprint(path, saved, fingerprint)
    return state


@contextlib.contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Turn whatever a damaged state raises into an ArtefactError that names the file."""
    path = folder / STATE_FILE
    try:
        yield
    except ArtefactError as error:
        raise ArtefactError(f"{path}: {error}") from error
    except InvertNASError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ArtefactError(f"{path} is damaged ({error!r}); delete the folder and start again") from error


def history_to_json(space: SearchSpace, history: History) -> dict[str, Any]:
    """Evaluated architectures as pairs of string and accuracy, failed and open ones as strings."""
    name = space.to_string
    return {
        "evaluated": [[name(history.archs[key]), value] for key, value in history.accuracies.items()],
        "failed": [name(arch) for arch in history.failed.values()],
        "open": [name(arch) for arch in history.open.values()],
        "tells": history.tells,
    }


def history_from_json(space: SearchSpace, state: dict[str, Any]) -> History:
    """Inverse of `history_to_json`.

    Raises:
        ArtefactError: the space cannot read a string, an accuracy is no fraction, or an architecture stands twice.
        LookupError, TypeError, ValueError: it is no such state.
    """
    history = History(space)
    texts, values = zip(*state["evaluated"], strict=True) if state["evaluated"] else ((), ())
    for arch, value in zip(strings_to_archs(space, texts), values, strict=True):
        _once(space, history, arch)
        try:
            history.add(arch, checked_accuracy(value))
        except ConfigError as error:
            raise ArtefactError(f"{error}: delete the folder and start again") from error
    for name, kept in (("failed", history.failed), ("open", history.open)):
        for arch in strings_to_archs(space, state[name]):
            kept[_once(space, history, arch)] = arch
    history.tells = int(state["tells"])
    return history


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


def save_surrogate(surrogate: Surrogate, folder: Path) -> dict[str, Any]:
    """Save into a new folder inside `folder`; returns its name and the SHA-256 of each file by name.

    Raises:
        OutputError: it cannot be written.
    """
    place = folder / f"surrogate_{max(_places(folder), default=0) + 1}"
    try:
        place.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"cannot write {place}: {error.strerror}; choose a writable output folder") from error
    surrogate.save(place)
    files = {path.name: sha256_file(path) for path in sorted(place.glob("[!.]*")) if path.is_file()}
    return {"folder": place.name, "files": files}


def load_surrogate(surrogate: Surrogate, folder: Path, parts: dict[str, Any]) -> None:
    """Load what `save_surrogate` wrote.

    Raises:
        ArtefactError: a file is missing or is not the one that was saved.
    """
    if not _PLACE.fullmatch(str(parts["folder"])):
        raise ValueError(f"got folder {parts['folder']!r}; expected one of a surrogate")
    place = folder / parts["folder"]
    for name, expected in dict(parts["files"]).items():
        path = place / Path(name).name
        found = sha256_file(path) if path.is_file() else None
        if found != expected:
            raise ArtefactError(
                f"{path} is {'missing' if found is None else 'not the one'} of the save that wrote {STATE_FILE} "
                f"(SHA-256 {found}, expected {expected}); load another checkpoint, or tell the accuracies in "
                f"{STATE_FILE} to a new search"
            )
    surrogate.load(place)


def _places(folder: Path) -> dict[int, Path]:
    """Folders of saved surrogates by number."""
    found = ((_PLACE.fullmatch(path.name), path) for path in folder.glob("surrogate_*"))
    return {int(match[1]): path for match, path in found if match}


def _once(space: SearchSpace, history: History, arch: ArchSpec) -> str:
    identity = space.identity(arch)
    if history.known(identity):
        raise ArtefactError(f"{space.to_string(arch)} stands there twice; delete the folder and start again")
    return identity
