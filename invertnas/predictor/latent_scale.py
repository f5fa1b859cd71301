"""The affine map between the GVAE's latents and the INN's inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]  # float32 or float64


class LatentScale:
    """x -> R (x - shift) / scale, with R the identity or a reflection, and back.

    The accuracy takes the place of one feature of x: in a flow of coupling layers, and more so in one whose log-scales
    are bounded, that feature reaches the output by a product alone. What it says about other things than
    accuracy stays in the prediction, unless many steps shrink it. R turns the direction in which the latents
    of the space vary least into that place, so that it says next to nothing. A reflection is its own inverse
    and keeps volumes.

    Args:
        shift: (D,) subtracted from the latents.
        scale: divides them.
        axis: (D,) unit vector that R turns into feature `place`, None for no reflection.
        place: number of that feature.
    """

    def __init__(self, shift: Floats, scale: float, axis: Floats | None = None, place: int = -1) -> None:
        self.shift, self.scale = shift.astype(np.float32), scale
        self._mirror: Floats | None = None
        if axis is None:
            return
        normal = axis.astype(np.float64) * (-1.0 if axis[place] > 0 else 1.0)  # the larger of two, for accuracy
        normal[place] -= 1.0
        self._mirror = (normal / np.linalg.norm(normal)).astype(np.float32)[:, np.newaxis]

    def to_inn(self, latents: Any) -> Any:
        """(B, D) latents, an array or a tensor, as the INN sees them."""
        return self._reflected((latents - self.shift) / self.scale)

    def from_inn(self, x: Any) -> Any:
        """Inverse of `to_inn`."""
        return self._reflected(x) * self.scale + self.shift

    def _reflected(self, x: Any) -> Any:
        if self._mirror is None:
            return x
        return x - 2.0 * (x @ self._mirror) @ self._mirror.T


def least_variance(latents: Floats) -> Floats:
    """(D,) unit vector along which (n, D) latents vary least."""
    directions: Floats = np.linalg.eigh(np.cov(latents.astype(np.float64), rowvar=False))[1]
    return directions[:, 0]


def label_place(dim: int, layers: int) -> int:
    """The input feature that `layers` reversing layers carry to the last output."""
    return dim - 1 if layers % 2 == 0 else 0
