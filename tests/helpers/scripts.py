"""The scripts: where they are, which flags they define, and calling one's `main` within the tests' process."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import flags
from absl.testing import flagsaver

SCRIPTS = Path(__file__).resolve().parents[2] / "experiments"


def flag_names(path: Path) -> set[str]:
    """Names of the absl flags that a file defines."""
    calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    return {
        ast.literal_eval(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr.startswith("DEFINE_")
    }


def script_path(name: str) -> Path:
    """The file of a script below `experiments`, by its dotted name."""
    path = SCRIPTS.joinpath(*name.split("."))
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


@contextlib.contextmanager
def set_flags(own: flags.FlagValues, **values: Any) -> Iterator[None]:
    """A script's own flags as its command line would leave them; the old values return at the end."""
    saved = flagsaver.save_flag_values(own)
    try:
        own.mark_as_parsed()
        for name, value in values.items():
            setattr(own, name, value)
        yield
    finally:
        flagsaver.restore_flag_values(saved, own)
