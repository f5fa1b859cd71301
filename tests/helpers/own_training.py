"""A space and a training of one's own, as the command line finds them by module:name."""

from __future__ import annotations

from invertnas.spaces import ArchSpec, NASBench201Space
from tests.helpers.trainings import score


class OwnSpace(NASBench201Space):
    """The cells of NAS-Bench-201 under another name."""

    name = "own_cells"


def train(arch: ArchSpec) -> float:
    """Fails for cells that begin with `none`."""
    if arch.ops[1] == 6:
        raise MemoryError("too large")
    return score(arch)
