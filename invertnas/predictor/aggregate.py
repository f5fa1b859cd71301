"""From K predictions to one: inverse distance weighting (paper Eq. 8) or the plain mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

EPSILON = 1e-8


def idw_weights(predictions: npt.ArrayLike, truth: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Weights w_k = 1 / (MSE_k + 1e-8), normalised to sum 1.

    The paper does not say on which data the MSE is taken; callers pass all labelled architectures.

    Args:
        predictions: (K, n).
        truth: (n,).

    Returns:
        (K,). Members whose error is not finite get weight 0; if none is finite, all are equal.
    """
    values = np.asarray(predictions, np.float64)
    mse = np.mean((values - np.asarray(truth, np.float64)) ** 2, axis=1)
    weights = np.where(np.isfinite(mse), 1.0 / (mse + EPSILON), 0.0)
    return weights / weights.sum() if weights.sum() > 0 else mean_weights(len(values))


def mean_weights(members: int) -> npt.NDArray[np.float64]:
    """Equal weights (K,) of sum 1."""
    return np.full(members, 1.0 / members)
