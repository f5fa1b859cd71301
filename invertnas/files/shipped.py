"""Files that come with InvertNAS: where the pretrained weights lie, and what to do about a damaged file.

The weights lie in `invertnas/pretrained`, which in a checkout is a link to `pretrained` beside the package.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
REINSTALL = "reinstall InvertNAS, or in a checkout restore the file with git"


def weights_folder() -> Path:
    """Folder of the pretrained weights, of an installed package or of a checkout."""
    return (PACKAGE / "pretrained").resolve()


def is_shipped(path: Path) -> bool:
    """Whether a file is one of those that come with InvertNAS."""
    return any(path.resolve().is_relative_to(folder) for folder in (PACKAGE, weights_folder()))


def remedy(path: Path, otherwise: str) -> str:
    """What to do about a file that is missing or damaged: `otherwise`, unless it came with InvertNAS."""
    return REINSTALL if is_shipped(path) else otherwise
