"""Costs of searches: arithmetic counted from the configuration, growth from the rounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.searches.ablations import setting
from experiments.searches.records import search_folder
from experiments.tables.cost import (
    exponent,
    growth,
    kernel_entries,
    round_seconds,
    tradeoff,
    training_tflop,
    write_cost,
)
from experiments.tables.definitions import TABLES
from invertnas.files.io import write_json
from invertnas.inn.config import INNConfig
from invertnas.spaces import NASBench201Space


def record(queries: int, seconds: float, *, name: str = "fast", members: int = 10, **fields: Any) -> dict[str, Any]:
    """A search whose rounds take `seconds` each, with cells of the space in order."""
    config = setting(name, "nasbench201").with_members(members).to_dict()
    rounds = [
        {"round": r, "fit_s": 0.75 * seconds, "candidates_s": 0.25 * seconds, "fit": {"steps": 40}}
        for r in range(-(-(queries - 30) // 5))
    ]
    archs = [arch for _, arch in zip(range(queries), NASBench201Space().all())]
    curve = [{"arch": NASBench201Space().to_string(arch), "val": 0.4 + i / 10000} for i, arch in enumerate(archs)]
    given: dict[str, Any] = {
        "method": "invertnas",
        "benchmark": "nasbench201",
        "dataset": "imagenet16-120",
        "preset": name,
    }
    given |= {"labels": "embedded table", "members": members, "seed": 0}
    given |= {"queries": queries, "best_val": curve[-1]["val"], "wall_s": 9.0}
    return json.loads(json.dumps({**given, "curve": curve, "rounds": rounds, "config": config, **fields}))


def store(out: Path, content: dict[str, Any]) -> None:
    folder = search_folder(out, content["method"], content["benchmark"], content["dataset"])
    write_json(folder / f"q{content['queries']}" / f"seed_{content['seed']}.json", content)


@pytest.mark.parametrize(("dim", "members", "layers", "hidden_layers", "hidden"), [(8, 2, 3, 1, 5), (7, 1, 2, 3, 4)])
def test_kernels_are_counted_as_they_are(dim: int, members: int, layers: int, hidden_layers: int, hidden: int) -> None:
    from invertnas.inn.flow import FlowEnsemble

    shape: dict[str, Any] = {"members": members, "layers": layers, "hidden_layers": hidden_layers, "hidden": hidden}
    flow = FlowEnsemble.create(INNConfig(dim=dim, **shape))
    kernels = [variable for variable in flow.trainable_variables if "kernel" in variable.path]
    assert kernel_entries(shape, dim) == sum(int(np.prod(variable.shape)) for variable in kernels)


def test_arithmetic_grows_with_steps_and_members() -> None:
    one, ten, long = record(100, 1.0, members=1), record(100, 1.0), record(400, 1.0)
    flops = [training_tflop(r) or 0.0 for r in (one, ten, long)]
    assert flops[1] == pytest.approx(10 * flops[0]) and flops[2] == pytest.approx(flops[1] * 74 / 14)
    assert flops[1] == pytest.approx(14 * 40 * 64 * 12 * kernel_entries(ten["config"]["inn"], 128) / 1e12)
    assert training_tflop(record(100, 1.0, name="fast_e2e")) is None  # the GVAE's work is not counted


def test_seconds_are_those_of_the_rounds_before_the_budget() -> None:
    whole = record(400, 2.0)
    assert [round_seconds(whole, budget) for budget in (31, 100, 192, 400)] == pytest.approx([2, 28, 66, 148])


def test_exponent_of_known_growth() -> None:
    assert exponent([100, 192, 400], [3 * n**1.5 for n in (100, 192, 400)]) == pytest.approx(1.5)


def test_growth_needs_searches_of_400_queries(tmp_path: Path) -> None:
    store(tmp_path, record(192, 1.0))
    assert growth(tmp_path).empty
    for seed, seconds in enumerate((1.0, 3.0)):
        store(tmp_path, record(400, seconds, seed=seed))
    (row,) = [row for _, row in growth(tmp_path).iterrows()]
    assert (row["method"], row["trials"], row["seconds_100"], row["seconds_400"]) == ("invertnas", 2, 28.0, 148.0)
    assert row["exponent_mean"] == pytest.approx(exponent([100, 192, 400], [14, 33, 74]))
    assert row["exponent_std"] == pytest.approx(0) and row["seconds_per_query"] == pytest.approx((148 - 66) / 208)


def test_every_setting_of_the_pool_is_on_the_plot(tmp_path: Path) -> None:
    store(tmp_path, record(192, 1.0))
    store(tmp_path, record(400, 1.0, seed=1))
    store(tmp_path, record(192, 1.0, members=3, method="invertnas-k3"))
    store(tmp_path, record(192, 1.0, name="fast_e2e", method="invertnas-fast_e2e"))
    store(tmp_path, record(192, 1.0, method="random", config={}))
    store(tmp_path, record(100, 1.0, method="invertnas-paper"))
    frame = tradeoff(tmp_path)
    assert frame["method"].tolist() == ["invertnas-k3", "invertnas", "invertnas-fast_e2e"]
    assert frame["trials"].tolist() == [1, 2, 1] and frame["steps_mean"].tolist() == [1320] * 3
    assert frame["wall_s_mean"].tolist() == [9.0] * 3  # of the search that was run to 192 queries alone
    assert frame["val_mean"].tolist() == pytest.approx([41.91] * 3)
    np.testing.assert_equal(frame["val_std"].to_numpy(), [np.nan, 0, np.nan])  # one trial has no deviation
    text = write_cost(tmp_path, TABLES["tradeoff"], [])
    assert "| InvertNAS, fast_e2e | 10 | 1 | 1320 | – | 9 | 41.91 | 192 |" in text
    assert text.count("# ") == 2 and (tmp_path / "figures" / "tradeoff.png").stat().st_size > 5_000
    assert len(pd.read_csv(tmp_path / "tradeoff.csv")) == 3 and len(pd.read_csv(tmp_path / "cost.csv")) == 1


def test_an_empty_pool_gives_empty_tables(tmp_path: Path) -> None:
    assert "| Setting |" in write_cost(tmp_path, TABLES["tradeoff"], [])
    assert not (tmp_path / "figures").exists()
