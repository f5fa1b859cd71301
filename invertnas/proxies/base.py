"""What a zero-cost proxy is: a score of untrained architectures (paper section 3.2 and F.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from invertnas.spaces.spec import ArchSpec

FloatArray = npt.NDArray[np.float64]


@runtime_checkable
class Proxy(Protocol):
    """Scores architectures without training.

    Attributes:
        name: short name used in file names, e.g. ``"nwot"``.
    """

    @property
    def name(self) -> str: ...

    def score(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """(B,) float64 scores, higher is better, never NaN; -inf where the network has no signal.

        The same seed gives the same scores, and an architecture's score does not depend on the other
        architectures of the call or on their order.

        Raises:
            OutOfDomainError: if an architecture is not in the proxy's search space.
        """
        ...
