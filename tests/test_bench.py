"""The benchmark counts what it says it counts; no timing is asserted."""

from __future__ import annotations

import pytest

from experiments.timing import StepBench, median_s, rest_s, to_markdown


def test_operations_of_a_step() -> None:
    kernels = 8 * (64 * 256 + 4 * 256 * 256 + 256 * 128)  # 4 couplings of 2 subnets at dimension 128
    assert StepBench(members=1, batch=4).gflop == pytest.approx(2 * 3 * 2 * kernels * 4 / 1e9)


def test_a_step_trains_and_a_validation_does_not() -> None:
    bench = StepBench(members=1, batch=4)
    before = [variable.numpy() for variable in bench.trainer.variables]
    bench.validate()
    assert all((b == v.numpy()).all() for b, v in zip(before, bench.trainer.variables))
    bench.step()
    assert any((b != v.numpy()).any() for b, v in zip(before, bench.trainer.variables))


def test_gradients_of_fresh_weights_are_those_of_the_plain_step() -> None:
    measured = StepBench(members=1, batch=4).plain_difference()
    assert measured["gradient_distance_to_plain"] < 1e-4
    assert 0 < measured["gradient_distance_of_last_place"] < 1e-2
    assert measured["plain_step_s"] > 0


def test_extrapolation_follows_a_straight_line() -> None:
    """Rounds 0 and 1 are left out of the line: the initial fit, and tracing."""
    assert rest_s([50.0, 9.0, 2.0, 3.0, 4.0], total=8) == pytest.approx(5.0 + 6.0 + 7.0)
    assert rest_s([50.0, 9.0, 4.0, 3.0, 2.0], total=6) == pytest.approx(2.0)  # never below the fastest seen
    assert rest_s([50.0, 9.0, 2.0], total=5) == pytest.approx(2 * 2.0)


def test_median_leaves_the_warm_up_out() -> None:
    calls: list[int] = []
    assert median_s(lambda: calls.append(1), repeats=3, warm_up=2) < 1.0
    assert len(calls) == 5


def test_table_has_a_row_for_every_figure() -> None:
    text = to_markdown({"machine": {"cpu": "x", "cores": 2}, "step_s": 0.125, "by": {"1": 0.5}})
    assert text.splitlines()[2:] == ["| machine cores | 2 |", "| step_s | 0.125 |", "| by 1 | 0.5 |"]
