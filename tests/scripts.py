"""Calling a script's `main` within the tests' process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from absl import flags
from absl.testing import flagsaver


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
