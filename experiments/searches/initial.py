"""Initial strategies of InvertNAS in scripts: their titles, and their settings in stored records."""

from __future__ import annotations

from typing import Any

from invertnas.initial import INITS

__all__ = ["BARE_INIT", "DEFAULT_INIT", "FILES", "INITS", "INIT_TITLES", "settings_in"]
INIT_TITLES = {"random": "random", "proxy": "zero-cost proxy", "alignflow": "AlignFlow"}
FILES = "files"  # entry of a stored configuration: checksums of what the strategy read
BARE_INIT = "random"  # its searches stand under the method's bare name
DEFAULT_INIT = "random"  # what tables search with unless they or --init say otherwise


def settings_in(config: dict[str, Any]) -> dict[str, Any]:
    """The settings in a stored configuration, without checksums; random where it is older than the others."""
    stored = config.get("init", {"name": BARE_INIT})
    return {key: value for key, value in stored.items() if key != FILES}
