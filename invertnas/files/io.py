"""Atomic writing, checksums and provenance: one place for everything that touches the disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from invertnas.errors import ArtefactError, DataMissingError, OutputError
from invertnas.files.shipped import remedy

AGAIN = "delete it and run again"
VERSIONED = ("tensorflow", "keras", "spektral", "numpy")


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place.

    A crash leaves either the old file or the new one, never a part.

    Raises:
        OutputError: if the folder cannot be created or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix="".join(path.suffixes))
        os.close(handle)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose a writable output folder") from error
    temporary = Path(name)
    try:
        write(temporary)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; free some space or choose another folder") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomic(path, lambda temporary: temporary.write_bytes(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, two-space indented, with a final newline."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Parse a JSON file. Raises DataMissingError if there is none, ArtefactError if it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataMissingError(f"found no {path}; expected a file; name the folder it was written to") from error
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read ({error.strerror}); make it a readable file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{path} is not valid JSON ({error}); {remedy(path, AGAIN)}") from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], compress: bool = False) -> None:
    """Write named arrays as .npz atomically."""
    save = np.savez_compressed if compress else np.savez
    write_atomic(path, lambda temporary: save(temporary, allow_pickle=False, **dict(arrays)))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read every array of an .npz file. Raises DataMissingError if there is none, ArtefactError if it is damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise DataMissingError(f"found no {path}; expected a file; name the folder it was written to") from error
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ArtefactError(f"{path} cannot be read ({error}); {remedy(path, AGAIN)}") from error


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def sha256_arrays(*arrays: np.ndarray) -> str:
    """Hexadecimal SHA-256 of the arrays' shapes, types and values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide numerical results."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in VERSIONED}
