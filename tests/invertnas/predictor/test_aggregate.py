"""Aggregation of the members' predictions."""

from __future__ import annotations

import numpy as np
import pytest

from invertnas.predictor.aggregate import idw_weights, mean_weights
from tests.helpers import reference_losses as ref


def test_idw_equals_reference() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(20)
    predictions = truth + rng.normal(size=(4, 20)) * np.array([0.01, 0.1, 1.0, 3.0])[:, None]
    weights = idw_weights(predictions, truth)
    np.testing.assert_allclose(weights, ref.idw_weights(predictions, truth), rtol=1e-9)
    assert weights.sum() == pytest.approx(1.0)
    assert list(np.argsort(-weights)) == [0, 1, 2, 3]


def test_idw_by_hand() -> None:
    # Squared errors 1, 4 and 0.25 give 1 : 1/4 : 4.
    np.testing.assert_allclose(idw_weights([[1.0], [2.0], [0.5]], [0.0]), np.array([4, 1, 16]) / 21, rtol=1e-6)


def test_perfect_member_takes_all_but_epsilon() -> None:
    weights = idw_weights([[0.5, 0.7], [0.6, 0.8]], [0.5, 0.7])
    np.testing.assert_allclose(weights[1], 1e-8 / 0.01, rtol=1e-3)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_non_finite_member_gets_no_weight(poison: float) -> None:
    predictions = np.array([[1.0, 1.0], [0.0, poison], [2.0, 2.0]])
    np.testing.assert_allclose(idw_weights(predictions, [0.0, 0.0]), [0.8, 0.0, 0.2], rtol=1e-6)
    np.testing.assert_array_equal(idw_weights(np.full((4, 2), poison), [0.0, 0.0]), [0.25] * 4)


def test_mean_weights() -> None:
    np.testing.assert_array_equal(mean_weights(4), [0.25] * 4)
