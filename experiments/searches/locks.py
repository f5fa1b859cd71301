"""One process per search: another one that comes to it waits, and then reads what the first has found."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
from tqdm import tqdm

from invertnas.errors import OutputError


@contextlib.contextmanager
def alone(path: Path, name: str) -> Iterator[None]:
    """Hold the lock of a result file; the system releases it when the process ends, however it ends.

    The lock's file is deleted after success only: whoever waited for it then finds the result. After a failure it
    stays, so that all who wait hold the same one.

    Args:
        path: result file.
        name: of the search, for the message of a process that waits.

    Raises:
        OutputError: the folder cannot be written.
    """
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            tqdm.write(f"{name}: another process is at this search; waiting for it", file=sys.stderr)
            lock.acquire()
    except OSError as error:
        raise OutputError(f"cannot write {path.parent}: {error.strerror}; choose a writable output folder") from error
    try:
        yield
        Path(lock.lock_file).unlink(missing_ok=True)
    finally:
        lock.release()
