"""Fingerprints: the settings that a saved state belongs to, so that no other object loads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from invertnas.errors import ArtefactError, ConfigError


def fingerprint(parts: dict[str, Any]) -> dict[str, Any]:
    """Numbers, texts and lists by dotted names such as "inn.hidden", as JSON gives them back.

    Args:
        parts: values by name; dictionaries are taken apart, NumPy numbers become Python's.
    """
    flat: dict[str, Any] = {}
    for name, value in parts.items():
        inner = fingerprint(value) if isinstance(value, dict) else None
        flat |= {name: value} if inner is None else {f"{name}.{key}": entry for key, entry in inner.items()}
    result: dict[str, Any] = json.loads(json.dumps(flat, default=lambda value: value.item()))
    return result


def check_fingerprint(path: Path, saved: str | dict[str, Any], mine: dict[str, Any]) -> None:
    """Compare a file's fingerprint with that of what it is to be loaded into.

    A field that only one of the two has is not compared: it is newer than the other one.

    Args:
        path: the file, for the message.
        saved: its fingerprint, as JSON or read from it.
        mine: `fingerprint` of what is there.

    Raises:
        ConfigError: a field differs; the message names it, what the file says and what was expected.
        ArtefactError: `saved` is no JSON object.
    """
    try:
        told = json.loads(saved) if isinstance(saved, str) else saved
    except json.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        raise ArtefactError(f"{path} has the fingerprint {saved!r}; expected a JSON object; delete the folder")
    for name, value in mine.items():
        if name in told and told[name] != value:
            raise ConfigError(
                f"got {path}, saved with {name}={told[name]!r}; expected {name}={value!r}, as here: load it into what "
                "it was saved from, or choose another folder"
            )
