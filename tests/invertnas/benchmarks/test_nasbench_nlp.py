"""NAS-Bench-NLP as a benchmark: logged values, surrogate, features, ledger, damaged files."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from invertnas.benchmarks.base import Analysis, Benchmark
from invertnas.benchmarks.nasbench_nlp.benchmark import DEFAULT_TABLE, NASBenchNLP, NASBenchNLPAnalysis
from invertnas.benchmarks.nasbench_nlp.surrogate import DEFAULT_SURROGATE, DIVERGED_LOSS, NLPSurrogate
from invertnas.errors import ArtefactError, BudgetError, DataMissingError, OutOfDomainError
from invertnas.files.io import read_arrays, sha256_file, write_arrays
from invertnas.spaces import ArchSpec
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace

SPACE = NASBenchNLPSpace()
ANALYSIS = NASBenchNLPAnalysis()
# The plain recurrent network and the GRU, the first and third recipe of the logs.
PLAIN = SPACE.from_string("linear(x,h0);tanh(0)->1")
GRU = SPACE.from_string("linear(x,h0);linear(x,h0);sigm(0);sigm(1);prod(h0,2);linear(x,4);tanh(5);blend(h0,3,6)->7")
# Cells that no log has: an activation of an activation occurs nowhere in the logs.
UNLOGGED = tuple(
    SPACE.from_string(text)
    for text in ("linear(x,h0);tanh(0);tanh(1)->2", "linear(x,h0);leaky_relu(0);leaky_relu(1);leaky_relu(2)->3")
)


def test_both_sides_fulfil_their_protocols() -> None:
    benchmark: Benchmark = NASBenchNLP(1)
    analysis: Analysis = ANALYSIS
    assert (benchmark.name, benchmark.datasets, benchmark.labels) == ("nasbench_nlp", ("ptb",), "tabular + surrogate")
    assert analysis.optimum("ptb") == (None, None)
    assert ANALYSIS.origin == "collected logs"


@pytest.mark.parametrize(
    ("arch", "val", "test"),
    # The plain network ran 28 times, the GRU once.
    [(PLAIN, 4.940998, 4.903733), (GRU, 4.49758, 4.461293)],
    ids=["28 runs", "one run"],
)
def test_logged_cells_answer_with_their_runs(arch: ArchSpec, val: float, test: float) -> None:
    assert NASBenchNLP(1).query(arch, "ptb") == pytest.approx(1 - val / 100, abs=2e-8)
    assert ANALYSIS.validation_accuracy(arch, "ptb") == pytest.approx(1 - val / 100, abs=2e-8)
    assert ANALYSIS.test_accuracy(arch, "ptb") == pytest.approx(1 - test / 100, abs=2e-8)
    assert ANALYSIS.source(arch) == "tabular"
    assert ANALYSIS.params(arch) == {PLAIN: 5.7316, GRU: 9.1748}[arch]


def test_unlogged_cells_answer_with_the_surrogate() -> None:
    loss = NLPSurrogate().loss([SPACE.to_cell(arch) for arch in UNLOGGED])
    for arch, expected in zip(UNLOGGED, loss):
        assert ANALYSIS.source(arch) == "surrogate"
        assert NASBenchNLP(1).query(arch, "ptb") == 1 - expected / 100
        assert ANALYSIS.validation_accuracy(arch, "ptb") is None and ANALYSIS.test_accuracy(arch, "ptb") is None
    assert 4.4 < loss[0] < 5.5


def test_surrogate_alone_is_an_option() -> None:
    benchmark = NASBenchNLP(2, tabular=False)
    assert benchmark.labels == "surrogate"
    value = benchmark.query(GRU, "ptb")
    assert value == 1 - NLPSurrogate().loss([SPACE.to_cell(GRU)])[0] / 100
    assert value != ANALYSIS.validation_accuracy(GRU, "ptb")
    assert value == pytest.approx(ANALYSIS.validation_accuracy(GRU, "ptb"), abs=0.005)


def test_order_of_nodes_does_not_change_the_value() -> None:
    shuffled = SPACE.from_string(
        "linear(x,h0);sigm(0);prod(h0,1);linear(x,h0);sigm(3);linear(x,2);tanh(5);blend(h0,4,6)->7"
    )
    benchmark = NASBenchNLP(1)
    assert benchmark.query(shuffled, "ptb") == benchmark.query(GRU, "ptb")
    assert benchmark.ledger.spent == 1 and benchmark.ledger.records[0].arch == SPACE.to_string(shuffled)


def test_every_logged_cell_has_a_value_in_range() -> None:
    archs = ANALYSIS.logged()
    values = np.array([ANALYSIS.validation_accuracy(arch, "ptb") for arch in archs[::50]], float)
    assert len(archs) == 7_222
    assert (values >= 1 - DIVERGED_LOSS / 100 - 1e-12).all() and (values < 0.956).all()
    best = ANALYSIS.best_logged("ptb")
    assert best == (pytest.approx(1 - 4.4830546 / 100, abs=2e-8), pytest.approx(1 - 4.441434 / 100, abs=1e-8))


def test_mean_over_runs_counts_diverged_ones(tmp_path: Path) -> None:
    path = tmp_path / "small.npz"
    arrays = {
        "cells": np.array([SPACE.identity(PLAIN).encode(), SPACE.identity(GRU).encode()]),
        "cell_of_run": np.array([0, 1, 0, 0], np.uint16),
        "val": np.array([5.0, np.nan, np.nan, 12.0], np.float32),
        "test": np.array([4.5, np.nan, np.nan, 4.0], np.float32),
        "origin": np.array("official logs"),
        "source_sha256": np.array("0"),
    }
    write_arrays(path, arrays)
    benchmark, analysis = NASBenchNLP(5, path), NASBenchNLPAnalysis(path)
    assert benchmark.query(PLAIN, "ptb") == pytest.approx(1 - (5 + 2 * np.log(10_000)) / 300)
    assert benchmark.query(GRU, "ptb") == pytest.approx(1 - np.log(10_000) / 100)
    assert analysis.test_accuracy(PLAIN, "ptb") == pytest.approx(1 - (8.5 + np.log(10_000)) / 300)
    assert analysis.origin == "official logs" and analysis.logged() == (PLAIN, GRU)
    assert NASBenchNLP(1, path).labels == "official logs + surrogate"


def test_repeats_are_free_and_the_budget_holds() -> None:
    benchmark = NASBenchNLP(1)
    value = benchmark.query(PLAIN, "ptb")
    assert benchmark.query(PLAIN, "ptb") == value and benchmark.ledger.remaining == 0
    with pytest.raises(BudgetError, match="budget of 1"):
        benchmark.query(GRU, "ptb")
    with pytest.raises(BudgetError, match="got a budget of 0"):
        NASBenchNLP(0)


def test_unknown_questions_are_refused_without_cost() -> None:
    benchmark = NASBenchNLP(1)
    for arch, dataset in ((PLAIN, "wikitext"), (ArchSpec((1, 0), ((0, 1),)), "ptb")):
        with pytest.raises(OutOfDomainError, match="got .*"):
            benchmark.query(arch, dataset)
    with pytest.raises(OutOfDomainError, match="NAS-Bench-NLP has ptb"):
        ANALYSIS.optimum("cifar10")
    assert benchmark.ledger.spent == 0


def reachable(value: object, seen: set[int]) -> Iterator[object]:
    """Everything in the attributes, properties and containers of an object, private ones included."""
    if id(value) in seen or isinstance(value, (str, bytes, type)):
        return
    seen.add(id(value))
    yield value
    if isinstance(value, Mapping):
        members = list(value.values())
    elif isinstance(value, (tuple, list, set)):
        members = list(value)
    else:
        names = [name for name in dir(value) if not name.startswith("__")] if hasattr(value, "__dict__") else []
        members = [getattr(value, name) for name in names]
    for member in members:
        yield from reachable(member, seen)


def test_a_search_reaches_neither_test_values_nor_the_table() -> None:
    benchmark = NASBenchNLP(5)
    benchmark.query(GRU, "ptb")
    found = list(reachable(benchmark, set()))
    assert any(value is benchmark.ledger.records[0] for value in found)
    assert ANALYSIS.test_accuracy(GRU, "ptb") not in [value for value in found if isinstance(value, float)]
    assert not any(isinstance(value, np.ndarray) and value.size > 64 for value in found)
    assert not any("test" in name or "optimum" in name for name in dir(benchmark) if not name.startswith("__"))


def test_files_are_small_and_described() -> None:
    folder = DEFAULT_TABLE.parent
    sources = (folder / "SOURCES.md").read_text(encoding="utf-8")
    assert DEFAULT_TABLE.stat().st_size + DEFAULT_SURROGATE.stat().st_size <= 5_000_000
    for path in (DEFAULT_TABLE, DEFAULT_SURROGATE):
        assert sha256_file(path) in sources
    quality = json.loads((folder / "nasbench_nlp_quality.json").read_text(encoding="utf-8"))
    assert quality["census"]["unique"] == 12_107 and quality["census"]["unique_fitting"] == 7_258
    assert quality["surrogate"]["completed"]["kendall_tau"] >= 0.62
    assert str(quality["surrogate"]["completed"]["kendall_tau"]) in sources


def test_nothing_is_read_before_the_first_use(tmp_path: Path) -> None:
    benchmark = NASBenchNLP(1, tmp_path / "absent.npz")
    analysis = NASBenchNLPAnalysis(tmp_path / "absent.npz")
    for use in (lambda: benchmark.query(GRU, "ptb"), lambda: analysis.best_logged("ptb")):
        with pytest.raises(DataMissingError, match="no NAS-Bench-NLP table at .*data_nbnlp"):
            use()
    with pytest.raises(DataMissingError, match="no surrogate .*data_nbnlp"):
        NASBenchNLP(1, surrogate=tmp_path / "absent.npz").query(UNLOGGED[0], "ptb")
    assert benchmark.ledger.spent == 0


@pytest.mark.parametrize("damage", ["truncated", "lacks", "different lengths", "twice", "unknown origin", "outside"])
def test_damaged_table_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.npz"
    shutil.copy(DEFAULT_TABLE, path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    else:
        arrays = read_arrays(path)
        if damage == "lacks":
            del arrays["val"]
        elif damage == "different lengths":
            arrays["val"] = arrays["val"][1:]
        elif damage == "twice":
            arrays["cells"][1] = arrays["cells"][0]
        elif damage == "unknown origin":
            arrays["origin"] = np.array("hearsay")
        else:
            arrays["test"][3] = 107.5
        write_arrays(path, arrays)
    message = "cannot be read" if damage == "truncated" else damage
    with pytest.raises(ArtefactError, match=f"bad.npz.*{message}"):
        NASBenchNLPAnalysis(path).best_logged("ptb")


class FakeModel:
    """Stands in for the official ensemble: a curve that ends at the number of nodes."""

    def predict(self, config: list[int], representation: str, with_noise: bool, search_space: str) -> Any:
        assert (representation, with_noise, search_space) == ("compact", False, "nlp")
        return np.linspace(90.0, 95.0 + np.count_nonzero(config[169:182]) / 100, 50)[None]


@pytest.mark.parametrize("module", ["nas_bench_x11.api", "nasbench301"])
def test_official_surrogate_gives_exactly_its_values(
    module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded: list[str] = []

    def load_ensemble(folder: str) -> FakeModel:
        loaded.append(folder)
        return FakeModel()

    for name in ("nas_bench_x11", "nas_bench_x11.api", "nasbench301"):
        monkeypatch.setitem(sys.modules, name, None)
    if module == "nas_bench_x11.api":
        monkeypatch.setitem(sys.modules, "nas_bench_x11", type(sys)("nas_bench_x11"))
    monkeypatch.setitem(sys.modules, module, type("module", (), {"load_ensemble": staticmethod(load_ensemble)}))
    benchmark = NASBenchNLP(5, tabular=False, official=tmp_path)
    assert benchmark.labels == "official surrogate nbnlp_v01"
    assert benchmark.query(PLAIN, "ptb") == pytest.approx(0.9502)
    assert benchmark.query(GRU, "ptb") == pytest.approx(0.9508)
    assert loaded == [str(tmp_path)]
    mixed = NASBenchNLP(5, official=tmp_path)
    assert mixed.labels == "tabular + official surrogate nbnlp_v01"
    assert mixed.query(GRU, "ptb") == ANALYSIS.validation_accuracy(GRU, "ptb")
    assert mixed.query(UNLOGGED[0], "ptb") == pytest.approx(0.9503)


def test_missing_official_parts_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="no folder at .*nbnlp_v01"):
        NASBenchNLP(1, tabular=False, official=tmp_path / "absent").query(GRU, "ptb")
    for name in ("nas_bench_x11", "nas_bench_x11.api", "nasbench301"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataMissingError, match="github.com/automl/nas-bench-x11"):
        NASBenchNLP(1, tabular=False, official=tmp_path).query(GRU, "ptb")
