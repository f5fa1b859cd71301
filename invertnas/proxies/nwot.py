"""NWOT, the score of Mellor et al. (2021), "Neural Architecture Search without Training" (paper F.5).

A batch of B images passes an untrained network. The code of an image has one bit for each ReLU: 1 where the ReLU lets
the image through. Entry (i, j) of the kernel K counts the ReLUs at which the codes of images i and j agree. The score
is log|det K|. It is high where different images have different codes.

K is a sum of Gram matrices, so its determinant is never negative. The score is -inf where the determinant is zero: the
network then cannot tell images apart. A cell without a way from input to output is such a network.

NWOT needs ReLUs. It does not apply to the recurrent cells of NAS-Bench-NLP.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from types import MappingProxyType
from typing import Annotated, Literal, Protocol

import numpy as np

from invertnas.checks import Count, Range, Seed, check_fields
from invertnas.errors import ConfigError
from invertnas.proxies.base import FloatArray
from invertnas.proxies.images import NUM_IMAGES
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import known, load_class, records
from invertnas.spaces.spec import ArchSpec


@dataclasses.dataclass(frozen=True)
class NWOTConfig:
    """Size of the networks and of the batch.

    Attributes:
        channels: channels of the first stack, an even number above 4. Each reduction doubles them. On NAS-Bench-301
            they are the channels of a cell's nodes.
        cells: normal cells in each of the three stacks.
        batch: B, number of images, 2 to 128.
        image_size: pixels along each side: 8, 16 or 32. Sizes below 32 are means over blocks of pixels.
        seed: seed of the weights.

    Raises:
        ConfigError: a value is out of range.
    """

    channels: Annotated[int, Range(6, step=2)]
    cells: Count
    batch: Annotated[int, Range(2, NUM_IMAGES)]
    image_size: Literal[8, 16, 32]
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)


# FULL has the networks that the benchmarks train, SLIM smaller ones for a CPU.
# `experiments.studies.proxy_quality` measures how well either ranks.
FULL = MappingProxyType({of.name: NWOTConfig(*of.nwot_full) for of in records() if of.nwot_full is not None})
SLIM = MappingProxyType({of.name: NWOTConfig(*of.nwot_slim) for of in records() if of.nwot_slim is not None})
SETTINGS = MappingProxyType({"slim": SLIM, "full": FULL})


class Network(Protocol):
    """All candidate networks of a space on one batch."""

    def key(self, arch: ArchSpec) -> Hashable:
        """A key that is equal for architectures with the same network. Raises OutOfDomainError outside the space."""
        ...

    def kernel(self, arch: ArchSpec) -> FloatArray:
        """(B, B) kernel K of the architecture. Raises OutOfDomainError outside the space."""
        ...


class NWOT:
    """NWOT on one of the three image spaces; implements `invertnas.proxies.base.Proxy`.

    All architectures share their weights: one draw for each place in the network, operation and shape.

    Args:
        space: the space of NAS-Bench-101, NAS-Bench-201 or NAS-Bench-301.
        config: size of networks and batch; None for the space's entry in `SLIM`.

    Raises:
        ConfigError: the space is another one.
        DataMissingError, ArtefactError: the package's images are missing or damaged.
    """

    name = "nwot"

    def __init__(self, space: SearchSpace, config: NWOTConfig | None = None) -> None:
        record = known(space.name)
        if record is None or record.nwot is None or record.nwot_slim is None:
            raise ConfigError(f"got NWOT on {space.name!r}; expected one of {', '.join(SLIM)}")
        self.config = config or NWOTConfig(*record.nwot_slim)
        network = load_class(record.nwot)  # imports TensorFlow
        self._network: Network = network(self.config)
        self._scores: dict[Hashable, float] = {}

    def score(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """(B,) scores; -inf where K is singular. Raises OutOfDomainError outside the space."""
        return np.array([self._score(arch) for arch in archs], np.float64)

    def _score(self, arch: ArchSpec) -> float:
        key = self._network.key(arch)
        if key not in self._scores:
            self._scores[key] = log_det(self._network.kernel(arch))
        return self._scores[key]


def log_det(kernel: FloatArray) -> float:
    """log det of a (B, B) sum of Gram matrices; -inf if it is not positive or not a number."""
    if not np.isfinite(kernel).all():
        return -np.inf
    sign, value = np.linalg.slogdet(kernel)
    return float(value) if sign > 0 and np.isfinite(value) else -np.inf
