"""The scale of accuracies: monotone, invertible, mild to what is far below."""

from __future__ import annotations

import numpy as np

from invertnas.predictor.warp import SoftScale

LABELS = np.array([0.1, 0.1, 0.7, 0.88, 0.9, 0.91, 0.915, 0.93])


def test_order_stays_and_labels_come_back() -> None:
    scale = SoftScale.fit(LABELS)
    scaled = scale.to_scale(LABELS)
    np.testing.assert_allclose([scaled.mean(), scaled.std()], [0, 1], atol=1e-12)
    assert (np.diff(scaled)[1:] > 0).all()
    np.testing.assert_allclose(scale.from_scale(scaled), LABELS, rtol=1e-9)


def test_differences_among_good_ones_count_more() -> None:
    scaled, plain = SoftScale.fit(LABELS).to_scale(LABELS), (LABELS - LABELS.mean()) / LABELS.std()
    assert scaled[-1] - scaled[-3] > 3 * (plain[-1] - plain[-3])


def test_slope_is_the_derivative() -> None:
    scale, places, step = SoftScale.fit(LABELS), np.array([-2.0, -0.5, 0.3, 1.5]), 1e-6
    numerical = (scale.from_scale(places + step) - scale.from_scale(places - step)) / (2 * step)
    np.testing.assert_allclose(scale.slope(places), numerical, rtol=1e-5)


def test_equal_labels() -> None:
    scale = SoftScale.fit(np.full(3, 0.5))
    np.testing.assert_array_equal(scale.to_scale(np.full(2, 0.5)), 0.0)
    np.testing.assert_allclose(scale.from_scale(np.zeros(2)), 0.5)
