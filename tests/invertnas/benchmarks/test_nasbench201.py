"""NAS-Bench-201 as a benchmark: values, ledger, what a search can reach, and damaged tables."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from invertnas.benchmarks.base import Analysis, Benchmark
from invertnas.benchmarks.nasbench201 import (
    COLUMN_IMAGES,
    DATASETS,
    DEFAULT_TABLE,
    FURTHER,
    NASBench201,
    NASBench201Analysis,
)
from invertnas.errors import ArtefactError, BudgetError, ConfigError, DataMissingError, OutOfDomainError
from invertnas.files.io import read_arrays, sha256_file, write_arrays
from invertnas.spaces import ArchSpec, NASBench201Space

ANALYSIS = NASBench201Analysis()
FIRST = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
EXACT = 1e-8


def percent(value: float) -> Any:
    """The percentage as a fraction, to the digits given (1e-6 percentage points)."""
    return pytest.approx(value / 100, abs=EXACT)


def test_first_row_is_the_one_of_the_release() -> None:
    arch = ANALYSIS.arch(0)
    assert ANALYSIS.space.to_string(arch) == FIRST and ANALYSIS.index(arch) == 0
    assert ANALYSIS.validation_accuracy(arch, "cifar10") == percent(81.982667)
    assert ANALYSIS.test_accuracy(arch, "cifar10") == percent(85.863333)
    assert ANALYSIS.validation_accuracy(arch, "cifar100", epochs=12) == percent(31.84)
    assert ANALYSIS.test_accuracy(arch, "imagenet16-120", epochs=12) == percent(17.0)
    assert ANALYSIS.table("cifar10")["halftrain_test"][0] == percent(81.52)
    assert ANALYSIS.table("imagenet16-120")["train"][0] == percent(28.135135)
    assert ANALYSIS.params(arch) == 0.129306


@pytest.mark.parametrize(
    ("dataset", "best_val", "val_index", "its_test", "best_test", "test_index"),
    [
        ("cifar10", 91.606667, 6111, 94.373333, 94.373333, 6111),
        ("cifar100", 73.493333, 9930, 73.513333, 73.513333, 9930),
        ("imagenet16-120", 46.733333, 10676, 46.2, 47.311111, 857),
    ],
)
def test_known_optima(
    dataset: str, best_val: float, val_index: int, its_test: float, best_test: float, test_index: int
) -> None:
    whole = ANALYSIS.table(dataset)
    assert ANALYSIS.optimum(dataset) == (percent(best_val), percent(best_test))
    assert (whole["val"].argmax(), whole["test"].argmax()) == (val_index, test_index)
    assert ANALYSIS.test_accuracy(ANALYSIS.arch(val_index), dataset) == percent(its_test)


def test_every_row_answers_with_its_own_value() -> None:
    space = NASBench201Space()
    whole = {dataset: ANALYSIS.table(dataset) for dataset in DATASETS}
    archs = [space.from_cell_ops(row) for row in whole["cifar10"]["ops"].tolist()]
    assert len(set(archs)) == 15_625
    for dataset in DATASETS:
        benchmark = NASBench201(15_625)
        assert [benchmark.query(arch, dataset) for arch in archs] == whole[dataset]["val"].tolist()
        assert benchmark.ledger.remaining == 0


def test_further_tasks_are_the_columns_of_their_names() -> None:
    benchmark = NASBench201(100)
    for index in (0, 857, 9930):
        arch = ANALYSIS.arch(index)
        for dataset in DATASETS:
            value = benchmark.query(arch, f"{dataset}-12ep")
            assert value == ANALYSIS.validation_accuracy(arch, dataset, epochs=12)
            assert value == ANALYSIS.validation_accuracy(arch, f"{dataset}-12ep")
            assert ANALYSIS.test_accuracy(arch, f"{dataset}-12ep") == ANALYSIS.test_accuracy(arch, dataset, epochs=12)
            assert value != ANALYSIS.validation_accuracy(arch, dataset)
        halftrain = benchmark.query(arch, "cifar10-halftrain-test")
        assert halftrain == ANALYSIS.table("cifar10")["halftrain_test"][index]
        assert halftrain == ANALYSIS.test_accuracy(arch, "cifar10-halftrain-test")
    assert benchmark.query(ANALYSIS.arch(0), "cifar100-12ep") == percent(31.84)


def test_further_tasks_have_their_own_optima_and_tables() -> None:
    for name in FURTHER:
        whole = ANALYSIS.table(name)
        assert set(whole) == {"ops", "val", "test", "params"}
        assert ANALYSIS.optimum(name) == (whole["val"].max(), whole["test"].max())
    assert ANALYSIS.optimum("cifar100-12ep")[0] < ANALYSIS.optimum("cifar100")[0]
    with pytest.raises(ConfigError, match="got epochs=12 with 'cifar10-12ep'; expected one of cifar10"):
        ANALYSIS.test_accuracy(ANALYSIS.arch(0), "cifar10-12ep", epochs=12)
    with pytest.raises(OutOfDomainError, match="got data set 'cifar10-90ep'; .*cifar10-12ep.*cifar10-halftrain-test"):
        NASBench201(1).query(ANALYSIS.arch(0), "cifar10-90ep")


def test_runs_per_cell_are_those_of_release_v1_1() -> None:
    assert np.bincount(ANALYSIS.table("cifar10")["n_seeds"]).tolist() == [0, 2_225, 5_439, 7_961]


def test_accuracies_are_means_of_whole_numbers_of_images() -> None:
    arrays = read_arrays(DEFAULT_TABLE)
    runs = arrays["n_seeds"].astype(np.int64)
    for name in ("cifar10_val", "cifar10_test", "cifar100_val", "imagenet16-120_test"):
        counts = arrays["counts"][list(COLUMN_IMAGES).index(name)].astype(np.int64)
        assert not (counts * runs % 6).any(), name


def test_table_is_small_and_described() -> None:
    assert DEFAULT_TABLE.stat().st_size <= 1_500_000
    assert sha256_file(DEFAULT_TABLE) in (DEFAULT_TABLE.parent / "SOURCES.md").read_text(encoding="utf-8")


def test_loaded_arrays_are_read_only() -> None:
    for array in ANALYSIS.table("cifar10").values():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_both_sides_fulfil_their_protocols() -> None:
    benchmark: Benchmark = NASBench201(1)
    analysis: Analysis = ANALYSIS
    assert (benchmark.name, benchmark.labels) == ("nasbench201", "embedded table")
    assert benchmark.datasets == (*DATASETS, *FURTHER)
    assert analysis.optimum("cifar10")[0] == benchmark.query(ANALYSIS.arch(6111), "cifar10")


def test_repeats_are_free_and_data_sets_are_paid_apart() -> None:
    benchmark = NASBench201(3)
    first, second = ANALYSIS.arch(0), ANALYSIS.arch(1)
    assert benchmark.query(first, "cifar10") == benchmark.query(first, "cifar10")
    assert benchmark.ledger.spent == 1
    assert benchmark.query(first, "cifar100") == percent(52.7)
    assert benchmark.query(second, "cifar10") == percent(90.769333)
    assert (benchmark.ledger.spent, benchmark.ledger.remaining) == (3, 0)
    assert [record.arch for record in benchmark.ledger.records] == [FIRST, FIRST, benchmark.space.to_string(second)]
    assert [record.val_accuracy for record in benchmark.ledger.records][1] == percent(52.7)


def test_query_beyond_the_budget_is_refused_but_known_ones_answer() -> None:
    benchmark = NASBench201(1)
    value = benchmark.query(ANALYSIS.arch(0), "cifar10")
    with pytest.raises(BudgetError, match="budget of 1"):
        benchmark.query(ANALYSIS.arch(1), "cifar10")
    assert benchmark.query(ANALYSIS.arch(0), "cifar10") == value
    assert benchmark.ledger.spent == 1


@pytest.mark.parametrize("budget", [0, -5])
def test_budget_must_be_positive(budget: int) -> None:
    with pytest.raises(BudgetError, match=f"got a budget of {budget}"):
        NASBench201(budget)


def test_unknown_questions_are_refused_without_cost() -> None:
    benchmark = NASBench201(1)
    foreign = ArchSpec((1, 0), ((0, 1),))
    for arch, dataset in ((ANALYSIS.arch(0), "ImageNet16-120"), (foreign, "cifar10")):
        with pytest.raises(OutOfDomainError, match="got .*"):
            benchmark.query(arch, dataset)
    assert benchmark.ledger.spent == 0
    with pytest.raises(OutOfDomainError, match="got data set 'mnist'; .* cifar10, cifar100, imagenet16-120"):
        ANALYSIS.optimum("mnist")
    with pytest.raises(OutOfDomainError, match="expected a whole number from 0 to 15624"):
        ANALYSIS.arch(15_625)
    with pytest.raises(OutOfDomainError, match="expected an architecture of nasbench201"):
        ANALYSIS.params(foreign)
    with pytest.raises(ConfigError, match="epochs=90"):
        ANALYSIS.test_accuracy(ANALYSIS.arch(0), "cifar10", epochs=90)


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
    benchmark = NASBench201(5)
    benchmark.query(ANALYSIS.arch(857), "imagenet16-120")
    test = ANALYSIS.test_accuracy(ANALYSIS.arch(857), "imagenet16-120")
    found = list(reachable(benchmark, set()))
    assert any(value is benchmark.ledger.records[0] for value in found)
    assert test not in [value for value in found if isinstance(value, float)]
    assert not any(isinstance(value, np.ndarray) and value.size > 64 for value in found)
    assert not any("test" in name or "optimum" in name for name in dir(benchmark) if not name.startswith("__"))


def test_nothing_is_read_before_the_first_use(tmp_path: Path) -> None:
    benchmark, analysis = NASBench201(1, tmp_path / "absent.npz"), NASBench201Analysis(tmp_path / "absent.npz")
    for use in (
        lambda: benchmark.query(ANALYSIS.arch(0), "cifar10"),
        lambda: benchmark.labels,
        lambda: analysis.optimum("cifar10"),
    ):
        with pytest.raises(DataMissingError, match="no NAS-Bench-201 table at .*benchmark_data.nb201"):
            use()
    assert benchmark.ledger.spent == 0


@pytest.mark.parametrize("damage", ["truncated", "bytes overwritten"])
def test_damaged_table_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.npz"
    shutil.copy(DEFAULT_TABLE, path)
    content = path.read_bytes()
    path.write_bytes(content[:-1000] if damage == "truncated" else content[:300_000] + bytes(99) + content[300_099:])
    with pytest.raises(ArtefactError, match="bad.npz"):
        NASBench201Analysis(path).optimum("cifar10")


@pytest.mark.parametrize("damage", ["lacks", "shapes", "each of the", "accuracies above 1", "unknown origin"])
def test_inconsistent_table_is_named(tmp_path: Path, damage: str) -> None:
    arrays = read_arrays(DEFAULT_TABLE)
    if damage == "lacks":
        del arrays["params"]
    elif damage == "shapes":
        arrays["counts"] = arrays["counts"][:, :-1]
    elif damage == "each of the":
        arrays["ops"][1] = arrays["ops"][0]
    elif damage == "accuracies above 1":
        arrays["counts"][0, 0] = 4_000_000
    else:
        arrays["origin"] = np.array("hearsay")
    path = tmp_path / "damaged.npz"
    write_arrays(path, arrays)
    with pytest.raises(ArtefactError, match=damage):
        NASBench201Analysis(path).optimum("cifar10")
