"""A training that sleeps, for measuring what is around trainings."""

from __future__ import annotations

import dataclasses
import time
import zlib

from invertnas.spaces.spec import ArchSpec


@dataclasses.dataclass(frozen=True)
class Sleep:
    """Takes so many seconds and gives a value that follows from the architecture alone.

    Attributes:
        sleep_s: seconds.
        spread: share by which the seconds of architectures differ, up and down.
    """

    sleep_s: float
    spread: float = 0.0

    def __call__(self, arch: ArchSpec) -> float:
        value = zlib.crc32(repr(arch).encode()) / 2**32
        time.sleep(self.sleep_s * (1 + self.spread * (2 * value - 1)))
        return value
