"""NAS-Bench-Macro as a benchmark: values, ledger, what a search can reach, and damaged tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from invertnas.benchmarks.base import Analysis, Benchmark
from invertnas.benchmarks.nasbench_macro import (
    DATASETS,
    DEFAULT_TABLE,
    LABELS,
    NASBenchMacro,
    NASBenchMacroAnalysis,
)
from invertnas.errors import ArtefactError, BudgetError, DataMissingError, OutOfDomainError
from invertnas.files.io import read_arrays, sha256_file, write_arrays
from invertnas.spaces import ArchSpec

ANALYSIS = NASBenchMacroAnalysis()
SPACE = ANALYSIS.space
BEST = SPACE.from_string("22212220")


def exact(*percents: float) -> list[Any]:
    return [pytest.approx(percent / 100, abs=1e-9) for percent in percents]


def test_values_are_those_of_the_release() -> None:
    benchmark = NASBenchMacro(9)
    for text, runs, params, flops in (
        ("02012100", (89.47, 88.95, 89.17), 0.890666, 47.327744),
        ("11111221", (92.18, 92.22, 92.51), 2.181386, 65.012224),
        ("00011110", (85.37, 85.23, 85.23), 1.118378, 31.390208),
    ):
        arch = SPACE.from_string(text)
        assert [benchmark.query(arch, name) for name in DATASETS] == exact(*runs)
        assert (ANALYSIS.params(arch), ANALYSIS.flops(arch)) == (params, flops)
        assert ANALYSIS.mean_accuracy(arch) == exact(sum(runs) / 3)[0]
        assert ANALYSIS.test_accuracy(arch, "cifar10-run1") == exact((runs[1] + runs[2]) / 2)[0]
        assert ANALYSIS.test_accuracy(arch, "cifar10-run3") == exact((runs[0] + runs[1]) / 2)[0]


def test_best_network_by_the_mean_of_three() -> None:
    runs = ANALYSIS.table("cifar10-run1")["runs"]
    assert SPACE.identity(ANALYSIS.arch(int(runs.mean(1).argmax()))) == SPACE.identity(BEST)
    assert runs.mean(1).max() == pytest.approx(0.9312667, abs=1e-6)
    assert [ANALYSIS.optimum(name)[0] for name in DATASETS] == exact(93.28, 93.45, 93.39)


def test_rows_and_architectures_belong_together() -> None:
    benchmark = NASBenchMacro(400)
    whole = ANALYSIS.table("cifar10-run2")
    for row in np.random.default_rng(0).integers(6_561, size=300).tolist():
        arch = ANALYSIS.arch(row)
        assert ANALYSIS.index(arch) == row
        assert benchmark.query(arch, "cifar10-run2") == whole["val"][row]
        assert ANALYSIS.validation_accuracy(arch, "cifar10-run2") == whole["val"][row]
        assert ANALYSIS.test_accuracy(arch, "cifar10-run2") == whole["test"][row]


def test_strings_of_one_network_are_one_query_and_have_one_value() -> None:
    first, second = SPACE.from_string("21200110"), SPACE.from_string("21200101")
    benchmark = NASBenchMacro(1)
    assert benchmark.query(first, DATASETS[0]) == benchmark.query(second, DATASETS[0])
    assert benchmark.ledger.spent == 1 and benchmark.ledger.records[0].arch == "21200110"
    whole = ANALYSIS.table(DATASETS[0])
    rows = np.column_stack([whole["runs"], whole["params"], whole["flops"]])
    assert len(np.unique(whole["runs"], axis=0)) == 3_969
    canonical = [ANALYSIS.index(SPACE.from_string(SPACE.identity(arch))) for arch in SPACE.all()]
    assert (rows == rows[canonical]).all()


def test_table_is_small_and_described() -> None:
    sources = (DEFAULT_TABLE.parent / "SOURCES.md").read_text(encoding="utf-8")
    assert DEFAULT_TABLE.stat().st_size <= 100_000 and sha256_file(DEFAULT_TABLE) in sources
    assert str(read_arrays(DEFAULT_TABLE)["source_sha256"]) in sources


def test_both_sides_fulfil_their_protocols() -> None:
    benchmark: Benchmark = NASBenchMacro(1)
    analysis: Analysis = ANALYSIS
    assert (benchmark.name, benchmark.datasets, benchmark.labels) == ("nasbench_macro", DATASETS, LABELS[0])
    assert "test accuracies" in ANALYSIS.labels == benchmark.labels
    assert analysis.optimum(DATASETS[0])[0] is not None


def test_repeats_are_free_and_runs_are_paid_apart() -> None:
    benchmark = NASBenchMacro(2)
    assert benchmark.query(BEST, "cifar10-run1") == benchmark.query(BEST, "cifar10-run1")
    assert benchmark.ledger.spent == 1
    benchmark.query(BEST, "cifar10-run2")
    with pytest.raises(BudgetError, match="budget of 2"):
        benchmark.query(BEST, "cifar10-run3")
    assert [record.arch for record in benchmark.ledger.records] == ["22212220"] * 2


def test_unknown_questions_are_refused_without_cost() -> None:
    benchmark = NASBenchMacro(1)
    foreign = ArchSpec((1, 0), ((0, 1),))
    for arch, dataset in ((BEST, "cifar10"), (foreign, "cifar10-run1")):
        with pytest.raises(OutOfDomainError, match="got .*"):
            benchmark.query(arch, dataset)
        with pytest.raises(OutOfDomainError, match="got .*"):
            ANALYSIS.test_accuracy(arch, dataset)
    assert benchmark.ledger.spent == 0
    with pytest.raises(OutOfDomainError, match="got data set 'cifar10'; NAS-Bench-Macro has cifar10-run1"):
        ANALYSIS.optimum("cifar10")
    with pytest.raises(OutOfDomainError, match="expected 0 to 6560"):
        ANALYSIS.arch(6_561)


def test_a_search_holds_neither_the_other_runs_nor_the_table() -> None:
    benchmark = NASBenchMacro(5)
    benchmark.query(BEST, "cifar10-run1")
    held = vars(benchmark)
    assert set(held) == {"space", "ledger", "_path"} and not any(isinstance(v, np.ndarray) for v in held.values())
    names = [name for name in dir(benchmark) if not name.startswith("__")]
    assert not any("test" in name or "optimum" in name for name in names)


def test_loaded_arrays_are_read_only() -> None:
    for array in ANALYSIS.table("cifar10-run1").values():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_nothing_is_read_before_the_first_use(tmp_path: Path) -> None:
    benchmark, analysis = NASBenchMacro(1, tmp_path / "absent.npz"), NASBenchMacroAnalysis(tmp_path / "absent.npz")
    for use in (
        lambda: benchmark.query(BEST, DATASETS[0]),
        lambda: benchmark.labels,
        lambda: analysis.optimum(DATASETS[0]),
    ):
        with pytest.raises(DataMissingError, match="no NAS-Bench-Macro table at .*make data_macro"):
            use()
    assert benchmark.ledger.spent == 0


DAMAGE = {
    "lacks params": lambda arrays: arrays.pop("params"),
    "has shapes": lambda arrays: arrays.update(counts=arrays["counts"][:-1]),
    "accuracies above 1": lambda arrays: arrays["counts"].__setitem__((0, 0), 10_001),
    "unknown origin": lambda arrays: arrays.update(origin=np.array("hearsay")),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_inconsistent_table_is_named(tmp_path: Path, message: str) -> None:
    arrays = read_arrays(DEFAULT_TABLE)
    DAMAGE[message](arrays)
    path = tmp_path / "damaged.npz"
    write_arrays(path, arrays)
    with pytest.raises(ArtefactError, match=message):
        NASBenchMacroAnalysis(path).optimum(DATASETS[0])
    path.write_bytes(DEFAULT_TABLE.read_bytes()[:-100])
    with pytest.raises(ArtefactError, match="damaged"):
        NASBenchMacroAnalysis(path).optimum(DATASETS[0])
