"""Atomic writing, checksums and provenance: one place for everything that touches the disk."""

from __future__ import annotations

import gzip
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
GZIP = ".gz"  # ending of the names of files that are gzipped
VERSIONED = ("tensorflow", "keras", "numpy")


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
    """Write UTF-8 text atomically; gzipped where the name ends in `.gz`, the same text to the same bytes."""
    content = gzip.compress(text.encode(), mtime=0) if path.suffix == GZIP else text.encode()
    write_atomic(path, lambda temporary: temporary.write_bytes(content))


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically: two-space indented with a final newline, or dense and gzipped as `.json.gz`."""
    layout: dict[str, Any] = {"separators": (",", ":")} if path.suffix == GZIP else {"indent": 2}
    write_text(path, json.dumps(content, **layout) + "\n")


def read_json(path: Path) -> Any:
    """Parse a JSON file, gzipped where its name ends in `.gz`.

    Raises:
        DataMissingError: there is none.
        ArtefactError: it is not JSON, or damaged.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataMissingError(f"found no {path}; expected a file; name the folder it was written to") from error
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read ({error.strerror}); make it a readable file") from error
    try:
        return json.loads((gzip.decompress(content) if path.suffix == GZIP else content).decode())
    except (json.JSONDecodeError, UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
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
