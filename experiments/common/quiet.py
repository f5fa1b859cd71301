"""Nothing on the console but what a script says: TensorFlow's start-up lines are held back.

TensorFlow writes them while it is imported, before any of its settings is read. So they are caught at the file
descriptor, and shown after all where the import fails or the user asked for them.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import types
from collections.abc import Iterator, Sequence

from absl import flags

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"  # of TensorFlow; 0 shows everything
LOUD = "0"


def hold_back_startup(module: str = "tensorflow") -> None:
    """Import `module` quietly when it is first imported; without effect where that has happened."""
    if module not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(module))


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Nothing reaches the process's standard error, from C++ code either; all of it does after an exception."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def loud() -> bool:
    """Whether the user asked for the lines: by `-v=1` or more, or by TensorFlow's own variable."""
    known = flags.FLAGS.is_parsed() and "verbosity" in flags.FLAGS and bool(flags.FLAGS["verbosity"].present)
    return os.environ.get(LOG_LEVEL) == LOUD or (known and flags.FLAGS.verbosity > 0)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module as the others would, and wraps its loader; once."""

    def __init__(self, module: str) -> None:
        self.module = module

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    """Another loader, quietly."""

    def __init__(self, wrapped: importlib.abc.Loader) -> None:
        self.wrapped = wrapped

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self.wrapped.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.wrapped  # what the module sees of its loader
        with contextlib.nullcontext() if loud() else quiet_stderr():
            self.wrapped.exec_module(module)
