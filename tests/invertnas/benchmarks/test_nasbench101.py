"""NAS-Bench-101 as a benchmark: embedded labels, ledger, what a search can reach, and damaged tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from invertnas.benchmarks.base import Analysis, Benchmark
from invertnas.benchmarks.nasbench101.benchmark import (
    DATASETS,
    DEFAULT_QUALITY,
    DEFAULT_TABLE,
    EMBEDDED,
    OFFICIAL,
    OFFICIAL_OPTIMUM,
    SOURCES,
    NASBench101,
    NASBench101Analysis,
    surrogate_quality,
)
from invertnas.errors import ArtefactError, BudgetError, DataMissingError, OutOfDomainError
from invertnas.files.io import read_arrays, sha256_file, write_arrays
from invertnas.spaces import ArchSpec
from invertnas.spaces.nasbench101.space import NUM_CELLS

ANALYSIS = NASBench101Analysis(DEFAULT_TABLE)
SPACE = ANALYSIS.space
IMPUTED, CONVERTED, MEAN = SOURCES
SMALLEST = SPACE.from_string("1 input output")


def test_measured_means_are_those_of_the_release() -> None:
    # Mean validation and test accuracy of three runs, as the release has them.
    for text, val, test in (
        ("1 input output", 0.834034, 0.837707),
        ("101 input conv3x3-bn-relu output", 0.936632, 0.930455),
        ("111 input maxpool3x3 output", 0.890091, 0.887954),
    ):
        arch = SPACE.from_string(text)
        assert ANALYSIS.sources(arch) == (MEAN, MEAN)
        assert ANALYSIS.validation_accuracy(arch, "cifar10") == pytest.approx(val, abs=5e-7)
        assert ANALYSIS.test_accuracy(arch, "cifar10") == pytest.approx(test, abs=5e-7)


def test_converted_maximum_lies_below_it() -> None:
    # The first cell by hash; its best run has 0.930489.
    arch = SPACE.from_string(
        "100110100001001010101 input conv3x3-bn-relu maxpool3x3 conv3x3-bn-relu conv3x3-bn-relu conv1x1-bn-relu output"
    )
    assert ANALYSIS.sources(arch) == (CONVERTED, MEAN)
    assert 0.923 < ANALYSIS.validation_accuracy(arch, "cifar10") < 0.9300
    assert 0.917 < ANALYSIS.test_accuracy(arch, "cifar10") < 0.925


def test_optimum_is_that_of_the_labels_in_force() -> None:
    whole = ANALYSIS.table("cifar10")
    val, test = ANALYSIS.optimum("cifar10")
    assert (val, test) == (whole["val"].max(), whole["test"].max())
    # Every test mean is that of the release, the best validation mean is not among the measured ones.
    assert test == pytest.approx(OFFICIAL_OPTIMUM[1], abs=1e-6) and abs(val - OFFICIAL_OPTIMUM[0]) < 0.003
    assert (whole["test_source"] == SOURCES.index(MEAN)).all() and (whole["test"] == test).sum() == 1
    assert ANALYSIS.optimum("cifar10-test") == (test, test)


def test_search_by_test_accuracy_is_a_data_set_of_its_own() -> None:
    benchmark = NASBench101(2, DEFAULT_TABLE)
    by_validation, by_test = (benchmark.query(SMALLEST, name) for name in ("cifar10", "cifar10-test"))
    assert (
        by_test == ANALYSIS.test_accuracy(SMALLEST, "cifar10") == ANALYSIS.validation_accuracy(SMALLEST, "cifar10-test")
    )
    assert by_test != by_validation and benchmark.ledger.spent == 2


def test_labels_and_their_kinds_are_as_stated() -> None:
    whole, quality = ANALYSIS.table("cifar10"), surrogate_quality()
    assert len(whole["codes"]) == NUM_CELLS and (np.diff(whole["codes"].astype(np.int64)) > 0).all()
    for kind in ("val", "test"):
        counted = np.bincount(whole[f"{kind}_source"], minlength=3)
        assert dict(zip(SOURCES, counted.tolist())) == quality[f"{kind}_cells"]
    measured = (whole["val_source"] > 0).mean()
    assert EMBEDDED == f"embedded: test measured, validation {100 * measured:.0f} % measured, rest imputed from test"
    assert whole["val"].min() > 0.05 and 0.94 < whole["val"].max() < 0.955
    difference = whole["val"] - whole["test"]
    assert abs(np.median(difference) - 0.006) < 0.001


def test_imputation_reaches_what_is_asked_of_it() -> None:
    quality = surrogate_quality()
    held_out, alone = quality["validation"], quality["test_alone"]
    assert held_out["all"]["cells"] == alone["all"]["cells"] == 1_773
    assert held_out["all"]["kendall_tau"] >= 0.94 and held_out["best tenth"]["kendall_tau"] >= 0.70
    for part in ("all", "above 85%", "best tenth"):
        assert held_out[part]["kendall_tau"] > alone[part]["kendall_tau"]
    labels = quality["by_share"][str(quality["residual"]["share"])]
    assert labels["with_validation"]["all"] >= 0.925 and labels["with_validation"]["best tenth"] >= 0.60


def test_imputed_labels_differ_from_test_as_measured_ones_do() -> None:
    whole, quality = ANALYSIS.table("cifar10"), surrogate_quality()
    labels = quality["by_share"][str(quality["residual"]["share"])]["with_test"]
    for part, tolerance in (("all", 0.01), ("best tenth", 0.03)):
        assert labels[part] == pytest.approx(quality["measured_with_test"][part], abs=tolerance)
    # Among cells of one test accuracy, the imputed ones are spread nearly as the measured means are.
    gap = whole["val"] - whole["test"]
    chosen = (whole["test"] > 0.925) & (whole["test"] < 0.935)
    imputed, measured = (gap[chosen & (whole["val_source"] == source)].std() for source in (0, 2))
    assert 0.75 < imputed / measured < 1.15


def test_table_is_small_and_described() -> None:
    sources = (DEFAULT_TABLE.parent / "SOURCES.md").read_text(encoding="utf-8")
    assert DEFAULT_TABLE.stat().st_size <= 6_000_000 and sha256_file(DEFAULT_TABLE) in sources
    assert all(digest in sources for digest in str(read_arrays(DEFAULT_TABLE)["source_sha256"]).split())
    quality = json.loads(DEFAULT_QUALITY.read_text(encoding="utf-8"))
    for part in ("all", "best tenth"):
        assert f"{quality['validation'][part]['kendall_tau']:.3f}" in sources


def test_rows_codes_and_architectures_belong_together() -> None:
    benchmark = NASBench101(300, DEFAULT_TABLE)
    whole = ANALYSIS.table("cifar10")
    for row in np.random.default_rng(0).integers(NUM_CELLS, size=300).tolist():
        arch = ANALYSIS.arch(row)
        assert SPACE.code(arch) == whole["codes"][row] and ANALYSIS.index(arch) == row
        assert benchmark.query(arch, "cifar10") == whole["val"][row] == ANALYSIS.validation_accuracy(arch, "cifar10")
        assert ANALYSIS.test_accuracy(arch, "cifar10") == whole["test"][row]
    assert ANALYSIS.arch(0) == SMALLEST


def test_loaded_arrays_are_read_only() -> None:
    for array in ANALYSIS.table("cifar10").values():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_both_sides_fulfil_their_protocols() -> None:
    benchmark: Benchmark = NASBench101(1, DEFAULT_TABLE)
    analysis: Analysis = ANALYSIS
    assert (benchmark.name, benchmark.datasets, benchmark.labels) == ("nasbench101", DATASETS, EMBEDDED)
    assert "imputed from test" in ANALYSIS.labels == benchmark.labels
    best = analysis.optimum("cifar10")[0]
    assert best is not None and best > benchmark.query(SMALLEST, "cifar10")


def test_isomorphic_cells_are_paid_once() -> None:
    benchmark = NASBench101(2, DEFAULT_TABLE)
    arch = SPACE.from_string("110011 input conv3x3-bn-relu maxpool3x3 output")
    mirrored = ArchSpec((1, 4, 3, 0), arch.edges)
    idle = ArchSpec((1, 4, 2, 3, 0), ((0, 1), (0, 2), (0, 3), (1, 4), (3, 4)))
    assert len({benchmark.query(same, "cifar10") for same in (arch, mirrored, idle, arch)}) == 1
    assert benchmark.ledger.spent == 1 and benchmark.ledger.records[0].arch == SPACE.to_string(arch)
    benchmark.query(SMALLEST, "cifar10")
    with pytest.raises(BudgetError, match="budget of 2"):
        benchmark.query(SPACE.from_string("101 input maxpool3x3 output"), "cifar10")
    assert benchmark.query(idle, "cifar10") == benchmark.ledger.records[0].val_accuracy


def test_unknown_questions_are_refused_without_cost() -> None:
    benchmark = NASBench101(1, DEFAULT_TABLE)
    foreign = ArchSpec((1, 0), ())
    for arch, dataset in ((SMALLEST, "cifar100"), (foreign, "cifar10")):
        with pytest.raises(OutOfDomainError, match="got .*"):
            benchmark.query(arch, dataset)
        with pytest.raises(OutOfDomainError, match="got .*"):
            ANALYSIS.test_accuracy(arch, dataset)
    assert benchmark.ledger.spent == 0
    with pytest.raises(OutOfDomainError, match="got data set 'mnist'; NAS-Bench-101 has cifar10, cifar10-test"):
        ANALYSIS.optimum("mnist")
    with pytest.raises(OutOfDomainError, match="expected a whole number from 0 to 423623"):
        ANALYSIS.arch(NUM_CELLS)


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
    benchmark = NASBench101(5, DEFAULT_TABLE)
    benchmark.query(SMALLEST, "cifar10")
    test = ANALYSIS.test_accuracy(SMALLEST, "cifar10")
    found = list(reachable(benchmark, set()))
    assert any(value is benchmark.ledger.records[0] for value in found)
    assert test not in [value for value in found if isinstance(value, float)]
    assert not any(isinstance(value, np.ndarray) and value.size > 64 for value in found)
    names = [name for name in dir(benchmark) if not name.startswith("__")]
    assert not any("test" in name or "optimum" in name or "source" in name for name in names)


def test_nothing_is_read_before_the_first_use(tmp_path: Path) -> None:
    benchmark, analysis = NASBench101(1, tmp_path / "absent.npz"), NASBench101Analysis(tmp_path / "absent.npz")
    for use in (
        lambda: benchmark.query(SMALLEST, "cifar10"),
        lambda: benchmark.labels,
        lambda: analysis.optimum("cifar10"),
    ):
        with pytest.raises(DataMissingError, match="no NAS-Bench-101 table at .*benchmark_data.nb101.build"):
            use()
    with pytest.raises(DataMissingError, match="no surrogate figures"):
        surrogate_quality(tmp_path / "absent.json")
    assert benchmark.ledger.spent == 0


@pytest.mark.parametrize("damage", ["truncated", "bytes overwritten"])
def test_damaged_table_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.npz"
    shutil.copy(DEFAULT_TABLE, path)
    content = path.read_bytes()
    path.write_bytes(content[:-1000] if damage == "truncated" else content[:300_000] + bytes(99) + content[300_099:])
    with pytest.raises(ArtefactError, match="bad.npz"):
        NASBench101Analysis(path).optimum("cifar10")


def small_table(count: int = 4) -> dict[str, np.ndarray]:
    """A part of an official table: the first cells."""
    codes = ANALYSIS.table("cifar10")["codes"][:count]
    return {
        "steps": np.diff(codes, prepend=np.uint32(0)),
        "val": np.linspace(0.1, 0.9, count),
        "test": np.linspace(0.9, 0.1, count),
        "denominator": np.array(1),
        "val_source": np.full(count, 2, np.uint8),
        "test_source": np.full(count, 2, np.uint8),
        "origin": np.array(OFFICIAL),
        "source_sha256": np.array("0"),
    }


def test_part_of_the_official_table_answers_for_its_cells_only(tmp_path: Path) -> None:
    path = tmp_path / "part.npz"
    write_arrays(path, small_table())
    benchmark = NASBench101(9, path)
    assert benchmark.labels == OFFICIAL
    assert [benchmark.query(ANALYSIS.arch(row), "cifar10") for row in range(4)] == np.linspace(0.1, 0.9, 4).tolist()
    with pytest.raises(DataMissingError, match="holds 4 of the 423624 cells"):
        benchmark.query(ANALYSIS.arch(4), "cifar10")
    assert benchmark.ledger.spent == 4


DAMAGE = {
    "lacks": lambda arrays: arrays.pop("test_source"),
    "has shapes": lambda arrays: arrays.update(val=arrays["val"][:-1]),
    "one row for each of 423624": lambda arrays: arrays.update(origin=np.array(EMBEDDED)),
    "unknown origin": lambda arrays: arrays.update(origin=np.array("hearsay")),
    "each cell once": lambda arrays: arrays["steps"].__setitem__(1, 0),
    "by ascending code": lambda arrays: arrays["steps"].__setitem__(1, 2**32 - 1),
    "accuracies outside": lambda arrays: arrays["val"].__setitem__(0, 1.5),
    "accuracies outside 0..1": lambda arrays: arrays["test"].__setitem__(0, np.nan),
    "unknown source": lambda arrays: arrays["val_source"].__setitem__(0, 3),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_inconsistent_table_is_named(tmp_path: Path, message: str) -> None:
    arrays = small_table()
    DAMAGE[message](arrays)
    path = tmp_path / "damaged.npz"
    write_arrays(path, arrays)
    with pytest.raises(ArtefactError, match=message):
        NASBench101Analysis(path).optimum("cifar10")
