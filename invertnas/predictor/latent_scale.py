"""The affine map between the GVAE's latents and the INN's inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]  # float32 or float64


class LatentScale:
    """x -> R (x - shift) / scale and its inverse, where R is the identity or a reflection.

    The flow's last output is the accuracy. Its coupling layers carry one input feature to that output. The prediction
    of the accuracy therefore contains that feature, whatever else it means. R turns the direction in which the latents
    of the space vary least into that feature, so that it carries next to nothing else. A reflection is its own
    inverse and keeps volumes.

    Args:
        shift: (D,) vector subtracted from the latents.
        scale: number that divides them.
        axis: (D,) unit vector that R turns into feature `place`; None for R = identity.
        place: index of that feature, see `label_place`.
    """

    def __init__(self, shift: Floats, scale: float, axis: Floats | None = None, place: int = -1) -> None:
        self.shift, self.scale = shift.astype(np.float32), scale
        self._mirror: Floats | None = None
        if axis is None:
            return
        sign = -1.0 if axis[place] > 0 else 1.0  # of the two, the one without cancellation
        normal = sign * axis.astype(np.float64)
        normal[place] -= 1.0
        self._mirror = (normal / np.linalg.norm(normal)).astype(np.float32)[:, np.newaxis]

    def to_inn(self, latents: Any) -> Any:
        """(B, D) latents, array or tensor, mapped to the inputs of the INN."""
        return self._reflected((latents - self.shift) / self.scale)

    def from_inn(self, x: Any) -> Any:
        """(B, D) inputs of the INN, array or tensor, mapped back to latents: the inverse of `to_inn`."""
        return self._reflected(x) * self.scale + self.shift

    def _reflected(self, x: Any) -> Any:
        if self._mirror is None:
            return x
        return x - 2.0 * (x @ self._mirror) @ self._mirror.T


def least_variance(latents: Floats) -> Floats:
    """(D,) unit vector of the direction in which (n, D) latents vary least."""
    directions: Floats = np.linalg.eigh(np.cov(latents.astype(np.float64), rowvar=False))[1]
    return directions[:, 0]


def label_place(dim: int, layers: int) -> int:
    """Index of the input feature that a flow carries to its last output; each of its `layers` reverses the features."""
    return dim - 1 if layers % 2 == 0 else 0
