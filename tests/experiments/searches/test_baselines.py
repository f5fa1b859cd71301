"""The baselines with their published settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.searches.benchmarks import BENCHMARKS, space_of
from invertnas.errors import ConfigError
from invertnas.files.io import read_json
from invertnas.search.baselines import Bananas
from invertnas.search.baselines.records import MethodRecord, methods, open_method, register_method, settings_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_bananas_counts_whole_lengths_of_paths(benchmark: str) -> None:
    optimizer, stored = open_method("bananas", benchmark), settings_of("bananas", benchmark)
    assert isinstance(optimizer, Bananas)
    paths, ops = optimizer.encoder.paths, len(space_of(benchmark).inner_ops)
    longest = max(map(len, paths))
    assert len(paths) == sum(ops**length for length in range(stored["shortest_path"], longest + 1)) == stored["cutoff"]
    assert longest == {"nasbench101": 3, "nasbench301": 3, "nasbench_macro": 1}.get(benchmark, 2)


def test_a_direct_edge_is_a_path_of_nas_bench_101() -> None:
    assert [settings_of("bananas", name)["shortest_path"] for name in BENCHMARKS] == [0, 1, 1, 1, 1]


def test_an_unknown_baseline_is_named() -> None:
    with pytest.raises(ConfigError, match="got method 'banana'; expected one of random, .*did you mean 'bananas'"):
        settings_of("banana", "nasbench101")
    with pytest.raises(ConfigError, match="got seed=None"):
        open_method("random", "nasbench201", seed=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="got method 'random', which is another one's name"):
        register_method(MethodRecord("random", "Mine", "examples.own_space:OwnSpace"))
    register_method(methods()[0])  # again, as a module imported twice does


@pytest.mark.parametrize("method", ["random", "local_search", "evolution", "bayesian", "bananas"])
def test_committed_searches_hold_the_settings_of(method: str) -> None:
    paths = sorted((ROOT / "results" / "searches" / method).rglob("seed_*.json.gz"))
    assert paths
    for path in paths:
        record = read_json(path)
        assert record["config"] == json.loads(json.dumps(settings_of(method, record["benchmark"]))), path
