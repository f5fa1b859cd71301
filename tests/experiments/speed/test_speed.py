"""The benchmark counts what it says it counts; no timing is asserted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments.common.cli import ROOT
from experiments.speed import one_search, processes, step_parts
from experiments.speed.step_parts import fast_step_gflop, memory_gb_per_s, products_alone, roofline
from experiments.speed.timing import StepBench, median_s, rest_s, to_markdown
from invertnas.inn.flow import FlowEnsemble
from invertnas.presets import preset


def test_operations_of_a_step() -> None:
    kernels = 8 * (64 * 256 + 4 * 256 * 256 + 256 * 128)  # 4 couplings of 2 subnets at dimension 128
    assert StepBench(members=1, batch=4).gflop == pytest.approx(2 * 3 * 2 * kernels * 4 / 1e9)


def test_products_alone_are_all_products_of_a_step() -> None:
    bench = StepBench(members=2, batch=4)
    multiply = products_alone(bench)
    assert np.isfinite(multiply().numpy()).all()
    operations = multiply.get_concrete_function().graph.get_operations()
    products = [op for op in operations if op.type.startswith("BatchMatMul")]
    common = [op.inputs[0].shape[1 if op.get_attr("adj_x") else 2] for op in products]
    counted = sum(2 * inner * op.outputs[0].shape.num_elements() for inner, op in zip(common, products))
    assert counted / 1e9 == pytest.approx(bench.gflop)


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


def _record(fit_s: float, candidates_s: float, epochs: int, steps: int) -> dict[str, Any]:
    return {"fit_s": fit_s, "candidates_s": candidates_s, "fit": {"epochs": epochs, "steps": steps}}


def test_extrapolation_grows_with_the_steps_of_a_pass() -> None:
    """Rounds 0 and 1 are left out: the initial fit, and tracing."""
    first = [_record(50.0, 9.0, 60, 60), _record(20.0, 9.0, 60, 60)]
    known = [_record(2.0, 1.0, 4, 4 * 10), _record(2.4, 1.0, 4, 4 * 12), _record(7.0, 1.0, 10, 10 * 14)]
    assert rest_s(first + known, total=7) == pytest.approx(4 * (16 + 18) * 0.05 + 2 * 1.0)
    assert rest_s(first + known[:1], total=5) == pytest.approx(2 * (2.0 + 1.0))  # one round shows no growth


def test_median_leaves_the_warm_up_out() -> None:
    calls: list[int] = []
    assert median_s(lambda: calls.append(1), repeats=3, warm_up=2) < 1.0
    assert len(calls) == 5


def test_table_has_a_row_for_every_figure() -> None:
    text = to_markdown({"machine": {"cpu": "x", "cores": 2}, "step_s": 0.125, "by": {"1": 0.5}})
    assert text.splitlines()[2:] == ["| machine cores | 2 |", "| step_s | 0.125 |", "| by 1 | 0.5 |"]


def test_operations_of_the_fast_step_are_those_of_its_kernels() -> None:
    chosen = preset("fast", "nasbench201")
    flow = FlowEnsemble.create(chosen.with_members(1).inn_config(128))
    kernels = sum(int(np.prod(v.shape)) for v in flow.parameters if v.shape[1] > 1)
    assert fast_step_gflop() == pytest.approx(12 * kernels * chosen.train.batch_size / 1e9)


def test_roofline_is_compute_and_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_parts, "StepBench", lambda: StepBench(members=1, batch=4))
    monkeypatch.setattr(step_parts, "memory_gb_per_s", lambda: 10.0)
    found, bench = roofline(100.0, 0.5), StepBench(members=1, batch=4)
    weights = sum(int(np.prod(v.shape)) for v in bench.trainer.variables)
    assert found["roofline_compute_s"] == pytest.approx(bench.gflop / 100.0)
    assert found["roofline_traffic_s"] == pytest.approx(weights * 52 / 1e10)
    assert found["share_of_roofline"] == pytest.approx(2 * (found["roofline_compute_s"] + found["roofline_traffic_s"]))
    assert memory_gb_per_s(mb=1) > 0


def test_processes_are_timed_from_start_to_result(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def searches(*flags: str) -> tuple[float, list[dict[str, Any]]]:
        asked.append(flags)
        run = {"search_s": 4.0, "steps": 1400, "parts_of_a_round": {"fit_s": 0.1}}
        return 10.0, [run, run]

    monkeypatch.setattr(processes, "searches", searches)
    found = processes.bench_processes(0.25, 200.0, "--dataset=cifar10")
    assert all(flags[-1] == "--dataset=cifar10" for flags in asked)
    assert (found["single_process_s"], found["single_second_search_s"], found["bananas_s"]) == (6.0, 4.0, 10.0)
    assert found["arithmetic_single_s"] == pytest.approx(1.75) and found["arithmetic_ensemble_s"] == pytest.approx(17.5)


def test_a_search_counts_its_parts_and_steps() -> None:
    found = one_search.search("invertnas_single", 0, 37, "cifar10", 2, ROOT / "pretrained")
    assert found["rounds"] == 4 and found["steps"] == 3 * 40 + 3 * 40
    parts = found["parts_of_a_round"]
    assert set(parts) == {"fit_s", "invert_s", "predict_s", "decode_s", "select_s"}
    assert sum(parts[name] for name in ("fit_s", "invert_s", "select_s")) * 4 < found["search_s"]
    assert parts["decode_s"] < parts["invert_s"] and parts["predict_s"] < found["search_s"]
