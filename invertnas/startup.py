"""A quick and quiet start of commands: nothing on the console but what they say, no import beside the point.

TensorFlow writes start-up lines while it is imported, before any of its settings is read. So they are caught at the
file descriptor, and shown after all where the import fails or the user asked for them. Keras imports Matplotlib, for
galleries of images, wherever it is installed; this takes as long as half of TensorFlow.

For the processes of commands. A program that imports `invertnas` as a library decides for itself.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"  # of TensorFlow; 0 shows everything
LOUD = "0"
Loud = Callable[[], bool]
Around = Callable[[], AbstractContextManager[None]]


def prepare(loud: Loud = lambda: False) -> None:
    """Before TensorFlow is imported; imports nothing itself.

    TensorFlow is imported quietly, Keras without pictures, and oneDNN's kernels are on on every x86 processor.
    TensorFlow turns oneDNN on by itself only where there is AVX-512. With AVX2 alone its products of ten stacked
    matrices are two to three times as fast as Eigen's; results differ in rounding. A value that the user has set
    in the environment stays.

    Args:
        loud: whether the user asked for the lines, besides TensorFlow's own variable; called at the import.
    """
    hold_back_startup(loud=loud)
    _watch("keras", lambda: hidden_modules("matplotlib"))
    os.environ.setdefault(LOG_LEVEL, "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def hold_back_startup(module: str = "tensorflow", loud: Loud = lambda: False) -> None:
    """Import `module` quietly when it is first imported; without effect where that has happened."""
    _watch(module, lambda: contextlib.nullcontext() if loud() or loud_by_variable() else quiet_stderr())


@contextlib.contextmanager
def hidden_modules(*names: str) -> Iterator[None]:
    """Modules that are not loaded yet look as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def _watch(module: str, around: Around) -> None:
    """Enter a context for the first import of a module; without effect where that has happened."""
    watched = {finder.module for finder in sys.meta_path if isinstance(finder, _Finder)}
    if module not in sys.modules and module not in watched:
        sys.meta_path.insert(0, _Finder(module, around))


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


def loud_by_variable() -> bool:
    """Whether the user asked for the lines by TensorFlow's own variable."""
    return os.environ.get(LOG_LEVEL) == LOUD


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module as the others would, and wraps its loader; once."""

    def __init__(self, module: str, around: Around) -> None:
        self.module, self.around = module, around

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self.around)
        return spec


class _Loader(importlib.abc.Loader):
    """Another loader, in a context."""

    def __init__(self, wrapped: importlib.abc.Loader, around: Around) -> None:
        self.wrapped, self.around = wrapped, around

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self.wrapped.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.wrapped  # what the module sees of its loader
        with self.around():
            self.wrapped.exec_module(module)
