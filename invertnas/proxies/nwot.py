"""NWOT: the score of Mellor et al. (2021), "Neural Architecture Search without Training" (paper F.5).

A batch of images passes a randomly initialised network. Each image has a binary code, which of the network's ReLUs
let it through; K counts for every two images where their codes agree, and the score is log|det K|: the less alike the
codes of different images, the higher. NWOT needs ReLUs, so it does not apply to the recurrent cells of
NAS-Bench-NLP.

K is a sum of Gram matrices, so its determinant is not negative. Where it is zero, as for a cell without a
way from input to output, images cannot be told apart and the score is -inf.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Hashable, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np

from invertnas.errors import ConfigError
from invertnas.proxies.base import FloatArray
from invertnas.proxies.images import NUM_IMAGES, SIZE
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


@dataclasses.dataclass(frozen=True)
class NWOTConfig:
    """Networks and batch.

    Attributes:
        channels: C of the first stack (NAS-Bench-301: of a cell's nodes); doubled at each reduction.
        cells: normal cells in each of the three stacks.
        batch: images, at least 2.
        image_size: pixels along each side; the smaller ones are means over blocks.
        seed: of the weights.

    Raises:
        ConfigError: a value is out of range.
    """

    channels: int
    cells: int
    batch: int
    image_size: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.channels < 5 or self.channels % 2 or self.cells < 1 or not 2 <= self.batch <= NUM_IMAGES:
            raise ConfigError(
                f"got channels={self.channels}, cells={self.cells}, batch={self.batch}; expected an even number of "
                f"channels above 4, at least 1 cell, and 2 to {NUM_IMAGES} images"
            )
        if self.image_size not in (8, 16, 32):
            raise ConfigError(f"got image_size={self.image_size}; expected 8, 16 or {SIZE}")


# The networks that the benchmarks train, and ours for two CPU cores: `experiments.studies.proxy_quality` measures both.
FULL = MappingProxyType(
    {
        "nasbench101": NWOTConfig(channels=128, cells=3, batch=128, image_size=32),
        "nasbench201": NWOTConfig(channels=16, cells=5, batch=128, image_size=32),
        "nasbench301": NWOTConfig(channels=32, cells=2, batch=128, image_size=32),
    }
)
SLIM = MappingProxyType(
    {
        "nasbench101": NWOTConfig(channels=16, cells=1, batch=32, image_size=16),
        "nasbench201": NWOTConfig(channels=16, cells=1, batch=32, image_size=16),
        "nasbench301": NWOTConfig(channels=8, cells=2, batch=16, image_size=16),
    }
)
SETTINGS = MappingProxyType({"slim": SLIM, "full": FULL})
_NETWORKS = {
    "nasbench101": ("networks_nb101", "NB101Network"),
    "nasbench201": ("networks_nb201", "NB201Network"),
    "nasbench301": ("networks_nb301", "NB301Network"),
}


class Network(Protocol):
    """All candidate networks of a space on one batch."""

    def key(self, arch: ArchSpec) -> Hashable:
        """Equal for architectures that are one network. Raises OutOfDomainError outside the space."""
        ...

    def kernel(self, arch: ArchSpec) -> FloatArray:
        """(B, B) kernel K of the architecture. Raises OutOfDomainError outside the space."""
        ...


class NWOT:
    """NWOT on one of the three image spaces; implements `invertnas.proxies.base.Proxy`.

    Weights are drawn once for each place in the network, operation and shape, and shared by all architectures.

    Args:
        space: NAS-Bench-101, NAS-Bench-201 or NAS-Bench-301.
        config: default is the space's entry in `SLIM`.

    Raises:
        ConfigError: for another space.
        DataMissingError, ArtefactError: the package's images are missing or damaged.
    """

    name = "nwot"

    def __init__(self, space: SearchSpace, config: NWOTConfig | None = None) -> None:
        if space.name not in _NETWORKS:
            raise ConfigError(f"got NWOT on {space.name!r}; expected one of {', '.join(_NETWORKS)}")
        self.config = config or SLIM[space.name]
        module, name = _NETWORKS[space.name]
        network = getattr(importlib.import_module(f"invertnas.proxies.{module}"), name)  # imports TensorFlow
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
