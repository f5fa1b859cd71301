"""Malformed inputs at every public door: a named error of one sentence with got, expected, a fix; or a good value."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from invertnas.alignflow.config import AlignFlowConfig, AlignFlowTrainConfig
from invertnas.benchmarks.base import QueryLedger
from invertnas.benchmarks.nasbench101 import NASBench101
from invertnas.benchmarks.nasbench201 import NASBench201, NASBench201Analysis
from invertnas.benchmarks.nasbench301 import NASBench301
from invertnas.benchmarks.nasbench_macro import NASBenchMacro
from invertnas.benchmarks.nasbench_nlp import NASBenchNLP
from invertnas.errors import InvertNASError
from invertnas.gvae.config import GVAEConfig, GVAETrainConfig
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.predictor.config import PredictorConfig
from invertnas.presets import preset
from invertnas.search.baselines import (
    BananasConfig,
    BayesianConfig,
    LocalSearchConfig,
    RandomSearchConfig,
    RegularizedEvolutionConfig,
)
from invertnas.search.config import CandidateConfig, SearchConfig
from invertnas.search.optimizer import InvertNAS
from invertnas.spaces import ArchSpec, NASBench201Space
from invertnas.spaces.graph_space import GraphSpace
from invertnas.spaces.nasbench101 import NASBench101Space
from invertnas.spaces.nasbench301 import NASBench301Space
from invertnas.spaces.nasbench_macro import NASBenchMacroSpace
from invertnas.spaces.nasbench_nlp import NASBenchNLPSpace
from tests.helpers import effort
from tests.helpers.fakes import SMALL_SEARCH, SPACE, FakeSurrogate
from tests.helpers.searches import METHODS
from tests.helpers.spaces import Words

SPACES: list[GraphSpace] = [
    NASBench101Space(), SPACE, NASBench301Space(), NASBenchNLPSpace(), NASBenchMacroSpace(), Words(),
]  # fmt: skip
BENCHMARKS: list[Any] = [NASBench101, NASBench201, NASBench301, NASBenchNLP, NASBenchMacro]
MALFORMED: list[Any] = [
    None, True, -1, 0, 1.5, 10**30, float("nan"), float("inf"), -float("inf"), "", "x", "0.5", "\0", b"x", [], [None],
    {}, {"a": 1}, (), (1, "a"), set(), object(), int, np.nan, np.array([1, 2]), np.array("x"), np.float32(0.5),
    ArchSpec((0, 1), ((0, 1),)), ArchSpec((), ()), Path("/no/such/folder"), lambda: None, range(3), 3 + 4j,
]  # fmt: skip
CONFIGS: list[Callable[..., Any]] = [
    SearchConfig, CandidateConfig, functools.partial(INNConfig, dim=8), INNTrainConfig, PredictorConfig,
    functools.partial(GVAEConfig, num_nodes=4, num_ops=5), GVAETrainConfig, RandomSearchConfig, LocalSearchConfig,
    RegularizedEvolutionConfig, BayesianConfig, BananasConfig, AlignFlowTrainConfig,
]  # fmt: skip


def tried(call: Callable[[], Any]) -> InvertNASError | None:
    """The error of a call with a malformed input, which must be a named one; None if the value was good after all."""
    effort.COUNTS["malformed inputs"] += 1
    try:
        call()
    except InvertNASError as error:
        effort.COUNTS["malformed inputs refused"] += 1
        text = str(error)
        assert text and "\n" not in text and "Traceback" not in text, f"no sentence: {text!r}"
        assert re.search(r"got |no |found |lacks |is no |unknown |cannot ", text), f"says not what was got: {text!r}"
        return error
    return None


def fields(config: Callable[..., Any]) -> Iterator[str]:
    yield from (field.name for field in dataclasses.fields(type(config())))


@pytest.mark.parametrize(
    "config", CONFIGS, ids=lambda config: getattr(config, "__name__", None) or config.func.__name__
)
def test_fields_of_configurations(config: Callable[..., Any]) -> None:
    for name in fields(config):
        for value in MALFORMED:
            tried(lambda: config(**{name: value}))


def doors_of_spaces(space: GraphSpace, value: Any) -> list[Callable[[], Any]]:
    names = ["to_string", "identity", "isomorphism_class", "neighbours", "paths", "to_networkx", "parse"]
    names += ["is_valid"] * (space.name != "words")
    names += [name for name in dir(space) if name.startswith(("to_", "from_")) and name not in names]
    unchecked = ("from_cell_ops", "from_layer_ops", "from_matrix")  # of those who know what they hand over; two inputs
    calls = [functools.partial(getattr(space, name), value) for name in names if name not in unchecked]
    arch = space.sample(np.random.default_rng(0))
    if isinstance(space, NASBench101Space):
        calls += [
            functools.partial(space.from_matrix, value, value),
            functools.partial(space.from_matrix, [[0]], value),
        ]
    return [*calls, lambda: space.mutate(value, np.random.default_rng(0)), lambda: space.encode([arch, value])]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_doors_of_spaces(space: GraphSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in MALFORMED:
        for call in doors_of_spaces(space, value):
            tried(call)


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_doors_of_benchmarks(benchmark: Any) -> None:
    bench = benchmark(3)
    arch = bench.space.sample(np.random.default_rng(0))
    for value in MALFORMED:
        tried(lambda: benchmark(value))
        assert tried(lambda: bench.query(value, bench.datasets[0])) is not None
        assert tried(lambda: bench.query(arch, value)) is not None
        tried(lambda: QueryLedger(value))
        if value is not None:
            tried(lambda: benchmark(3, value).query(arch, bench.datasets[0]))
    assert bench.ledger.spent == 0


def test_doors_of_the_analysis() -> None:
    analysis, arch = NASBench201Analysis(), SPACE.sample(np.random.default_rng(0))
    for value in MALFORMED:
        for call in (analysis.validation_accuracy, analysis.test_accuracy):
            assert tried(lambda: call(value, "cifar10")) is not None
            assert tried(lambda: call(arch, value)) is not None
            tried(lambda: call(arch, "cifar10", value))
        for one in (analysis.arch, analysis.index, analysis.params, analysis.optimum, analysis.table):
            tried(lambda: one(value))


@pytest.mark.parametrize("name", METHODS)
def test_doors_of_searches(name: str, tmp_path: Path) -> None:
    make = METHODS[name]
    for value in MALFORMED:
        search = make(0)
        asked = search.ask()
        tried(lambda: make(value))
        tried(lambda: make(0, value)) if name != "invertnas" else None
        tried(lambda: make(0).ask(value)) if not isinstance(value, int) or value < 9 else None
        tried(lambda: search.tell(value, [0.5]))
        tried(lambda: search.tell([value], [0.5]))
        tried(lambda: search.tell(asked[:1], value))
        tried(lambda: search.tell(asked[1:2], [value]))
        tried(lambda: search.load(value))
        tried(lambda: search.save(value)) if not isinstance(value, (str, Path)) or not str(value).strip("\0") else None


def test_doors_of_invertnas() -> None:
    for value in MALFORMED:
        tried(lambda: InvertNAS(SPACE, FakeSurrogate(), value, seed=0))
        tried(lambda: InvertNAS(SPACE, FakeSurrogate(), SMALL_SEARCH, initial=value, seed=0))
        tried(lambda: InvertNAS(SPACE, FakeSurrogate(), SMALL_SEARCH, initial=[value] * 6, seed=0))
        tried(lambda: InvertNAS(value, FakeSurrogate(), SMALL_SEARCH, seed=0))
        tried(lambda: preset(value, SPACE.name))
        tried(lambda: AlignFlowConfig(value))
        for part in ("ops", "edges"):
            tried(lambda: ArchSpec(**({"ops": (0, 1), "edges": ((0, 1),)} | {part: value})))


@given(text=st.text(max_size=60))
@effort.FIXED
def test_texts_of_any_kind(text: str) -> None:
    for space in SPACES:
        tried(lambda: space.parse(text))
        tried(lambda: space.from_string(text))


@given(data=st.recursive(st.none() | st.integers(-9, 9) | st.text(max_size=4), lambda e: st.lists(e, max_size=8)))
@effort.FIXED
def test_nested_lists_of_any_kind(data: Any) -> None:
    for space in SPACES:
        tried(lambda: space.parse(data))
        tried(lambda: space.parse({"matrix": data, "ops": data}))
        tried(lambda: space.parse({"normal": data, "normal_concat": data, "reduce": data, "reduce_concat": data}))
    tried(lambda: ArchSpec(data, data))


@given(data=st.data())
@effort.FIXED
def test_notations_with_one_character_changed(data: Any) -> None:
    space: GraphSpace = data.draw(st.sampled_from(SPACES))
    arch = space.sample(np.random.default_rng(data.draw(st.integers(0, 99))))
    texts = [space.to_string(arch), *([str(space.to_genotype(arch))] if isinstance(space, NASBench301Space) else [])]
    text = data.draw(st.sampled_from(texts))
    place, character = data.draw(st.integers(0, len(text) - 1)), data.draw(st.characters())
    for changed in (text[:place] + character + text[place + 1 :], text[:place], text[place:], text + character):
        tried(lambda: space.parse(changed))


@pytest.mark.slow
@given(text=st.text())
@effort.LONG
def test_many_texts_of_any_kind(text: str) -> None:
    for space in SPACES:
        tried(lambda: space.parse(text))


def test_the_fuzzer_can_fail() -> None:
    def raw() -> None:
        raise KeyError("raw")

    with pytest.raises(KeyError):
        tried(raw)
    assert isinstance(SPACE, NASBench201Space)
