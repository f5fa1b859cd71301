"""The embedded NAS-Bench-101 labels: features, known values, conversions, cross-fitting."""

from __future__ import annotations

import csv
import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

from experiments.benchmark_data.nb101 import official_test
from experiments.benchmark_data.nb101 import quality as nb101_quality
from experiments.benchmark_data.nb101.features import COMPOSITIONS, LAST, channels, features, parameters, unpack
from experiments.benchmark_data.nb101.known import CSV_SHA256, Known, check_csv, read_known
from experiments.benchmark_data.nb101.labels import (
    Conversion,
    Labels,
    ShiftToTest,
    assemble,
    embedded_table,
    fit_conversion,
    fit_shift_to_test,
)
from experiments.benchmark_data.nb101.residual import Residual
from experiments.benchmark_data.nb101.surrogate import TreeConfig, cross_fit, predict, to_accuracy, to_score
from invertnas.benchmarks.nasbench101.benchmark import DEFAULT_TABLE, SOURCES
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import read_arrays, write_arrays
from invertnas.spaces import ArchSpec
from invertnas.spaces.nasbench101.graph import CODE_BASE, canonical_masks
from invertnas.spaces.nasbench101.space import OP_LABELS, NASBench101Space

SPACE = NASBench101Space()
NAN = float("nan")


@pytest.fixture(scope="module")
def archs() -> list[ArchSpec]:
    rng = np.random.default_rng(0)
    return [*itertools.islice(SPACE.all(), 120), *(SPACE.sample(rng) for _ in range(400))]


@pytest.fixture(scope="module")
def codes(archs: list[ArchSpec]) -> np.ndarray:
    return np.array([SPACE.code(arch) for arch in archs], np.uint32)


def test_codes_unpack_to_the_same_graphs(archs: list[ArchSpec], codes: np.ndarray) -> None:
    cells = unpack(codes)
    for arch, nodes, labels, edges in zip(archs, cells.nodes, cells.labels, cells.edges):
        assert nodes == len(arch.ops)
        assert labels[1 : nodes - 1].tolist() == [OP_LABELS[op] for op in arch.ops[1:-1]]
        assert set(labels[nodes - 1 :]) | {labels[0]} == {-1}
        moved = {(x, LAST if y == nodes - 1 else y) for x, y in arch.edges}
        assert {(int(x), int(y)) for x, y in np.argwhere(edges)} == moved


# Parameter counts that the release states.
PARAMETERS = {
    "1 input output": 882_570,
    "111 input conv1x1-bn-relu output": 2_793_866,
    "101 input conv1x1-bn-relu output": 1_920_138,
    "101 input maxpool3x3 output": 882_570,
    "111 input maxpool3x3 output": 1_756_298,
    "111 input conv3x3-bn-relu output": 11_051_402,
    "100110100001001010101 input conv3x3-bn-relu maxpool3x3 conv3x3-bn-relu conv3x3-bn-relu conv1x1-bn-relu "
    "output": 8_555_530,
}


@pytest.mark.parametrize(("text", "count"), PARAMETERS.items(), ids=str)
def test_parameter_counts_of_the_release(text: str, count: int) -> None:
    code = SPACE.code(SPACE.from_string(text))
    assert parameters(unpack(np.array([code], np.uint32)))[0, -1] == count


def test_channels_are_shared_among_what_feeds_the_output() -> None:
    # 1, 2 and 3 feed the output and share 128 channels; 1 also feeds 2, which does not change its own.
    arch = ArchSpec((1, 3, 3, 3, 0), ((0, 1), (0, 3), (1, 2), (1, 4), (2, 4), (3, 4)))
    found = channels(unpack(np.array([SPACE.code(arch)], np.uint32)), 128)[0]
    assert sorted(found.tolist()) == [0, 0, 0, 0, 42, 43, 43]
    # A node that does not feed the output is as wide as the widest it feeds.
    chain = ArchSpec((1, 3, 2, 0), ((0, 1), (1, 2), (2, 3)))
    assert channels(unpack(np.array([SPACE.code(chain)], np.uint32)), 256)[0].tolist() == [0, 256, 256, 0, 0, 0, 0]


def test_paths_are_counted_by_their_operations(archs: list[ArchSpec], codes: np.ndarray) -> None:
    inputs = features(unpack(codes))
    assert inputs.shape == (len(codes), 282) and np.isfinite(inputs).all() and inputs.dtype == np.float32
    # The 56 counts stand before their total; the last blocks are 6 lengths, 3 x 5 measures and 12 of flow.
    start = inputs.shape[1] - 12 - 15 - 6 - 1 - len(COMPOSITIONS)
    for arch, row in list(zip(archs, inputs))[::7]:
        expected = dict.fromkeys(COMPOSITIONS, 0)
        stack: list[tuple[int, tuple[int, ...]]] = [(0, ())]
        while stack:
            node, path = stack.pop()
            if node == len(arch.ops) - 1:
                expected[path.count(0), path.count(1), path.count(2)] += 1
                continue
            for target in (y for x, y in arch.edges if x == node):
                stack.append((target, path + (() if target == len(arch.ops) - 1 else (OP_LABELS[arch.ops[target]],))))
        assert row[start : start + len(COMPOSITIONS)].tolist() == list(expected.values())
        assert row[start + len(COMPOSITIONS)] == sum(expected.values())


def test_score_and_accuracy_are_inverse() -> None:
    accuracy = np.array([0.095, 0.9, 0.9505])
    assert np.allclose(to_accuracy(to_score(accuracy)), accuracy, rtol=0, atol=1e-15)
    assert to_score(np.array([0.9]))[0] == pytest.approx(np.log(10))


SHIFT = ShiftToTest((0.8, 0.85, 0.88, 0.91, 0.95), (0.001, 0.002, 0.004, 0.006, 0.0065), 0, 0.0)


def test_shift_to_test_is_recovered() -> None:
    rng = np.random.default_rng(0)
    val = rng.uniform(0.82, 0.95, 2_000)
    fit = fit_shift_to_test(val, SHIFT.test(val) + rng.normal(0, 0.001, 2_000))
    assert fit.rmse == pytest.approx(0.001, rel=0.1) and fit.pairs == 2_000
    assert np.allclose(fit.test(val), SHIFT.test(val), rtol=0, atol=4e-4)
    assert SHIFT.test(np.array([0.1, 0.0, 0.99])) == pytest.approx([0.099, 0.0, 0.9835])
    assert SHIFT.validation(SHIFT.test(np.array([0.1, 0.86, 0.93, 0.99]))) == pytest.approx([0.1, 0.86, 0.93, 0.99])


def test_conversion_takes_back_the_mean_gap() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0.91, 0.945, 8_000)
    runs = true[:, None] + rng.normal(0, 0.003, (8_000, 3))
    runs[:100, 0] = 0.1  # one failed run
    mean = runs.mean(1)
    # Half of the means are known as such, a quarter through the test accuracy, a quarter not at all.
    part = np.arange(8_000) % 4
    known = Known(
        np.arange(8_000, dtype=np.uint32),
        runs.max(1),
        np.where(part < 2, mean, NAN),
        np.where(part == 2, SHIFT.test(mean), NAN),
    )
    fit = fit_conversion(known, SHIFT)
    assert (fit.direct, fit.by_test, fit.failed) == (3_950, 1_975, 75)
    # Three normal runs: the highest lies 0.846 sd above the mean, give or take 0.475 sd.
    middle = np.array([0.915, 0.925, 0.935])
    assert middle - fit.mean(middle) == pytest.approx([0.846 * 0.003] * 3, abs=3e-4)
    assert fit.rmse == pytest.approx(0.475 * 0.003, rel=0.05)


def test_converted_means_lie_between_zero_and_the_maximum() -> None:
    fit = Conversion((0.8, 0.9), (-0.001, 0.003), 1, 0, 0, 0.0)
    highest = np.array([0.7, 0.85, 0.95, NAN])
    assert fit.mean(highest) == pytest.approx([0.7, 0.849, 0.947, NAN], nan_ok=True)
    assert Conversion((0.9,), (0.003,), 1, 0, 0, 0.0).mean(np.array([0.001])) == [0.0]


def test_labels_prefer_means_to_maxima_to_the_imputed() -> None:
    codes = np.array([3, 5, 8, 13], np.uint32)
    known = Known(
        np.array([5, 8, 13], np.uint32),
        np.array([0.93, NAN, 0.94]),
        np.array([NAN, 0.91, 0.935]),
        np.array([NAN, 0.9, NAN]),
    )
    conversion = Conversion((0.9,), (0.003,), 1, 0, 0, 0.0)
    test = np.array([0.89, 0.92, 0.9, 0.93])
    labels = assemble(codes, np.array([0.9, 0.5, 0.5, 0.5]), test, known, conversion)
    assert labels.val == pytest.approx([0.9, 0.927, 0.91, 0.935]) and labels.val_source.tolist() == [0, 1, 2, 2]
    assert labels.test is test and labels.test_source.tolist() == [2, 2, 2, 2]
    table = embedded_table(codes, labels, "0")
    assert np.cumsum(table["steps"]).tolist() == codes.tolist()
    assert table["val"].tolist() == [round(v * 29_952) for v in labels.val] and table["val"].dtype == np.uint16


def test_residual_has_the_deviation_of_measured_cells_nearby() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.uniform(0.85, 0.945, 4_000)
    spread = np.where(predicted > 0.9, 0.001, 0.004)
    residual = Residual.of(predicted, predicted + spread * rng.normal(size=4_000))
    asked = np.repeat([0.87, 0.93], 3_000)
    deviation = residual.draw(asked, np.random.default_rng(1), share=1.0) - asked
    assert deviation[:3_000].std() == pytest.approx(0.004, rel=0.25)
    assert deviation[3_000:].std() == pytest.approx(0.001, rel=0.25)
    halved = residual.draw(asked, np.random.default_rng(1), share=0.5) - asked
    assert np.allclose(halved, deviation / 2, rtol=0, atol=1e-12)
    assert np.array_equal(residual.draw(asked, np.random.default_rng(1), 0.0), asked)
    wild = Residual(np.array([0.5]), np.array([0.7])).draw(np.array([0.4, 0.2]), np.random.default_rng(0), 1.0)
    assert wild == pytest.approx([1.0, 0.9])
    with pytest.raises(ConfigError, match="expected some"):
        Residual.of(np.empty(0), np.empty(0))


TREES = TreeConfig(rounds=60, learning_rate=0.1, min_data_in_leaf=5, alpha=0.3)


def test_held_out_values_come_from_models_without_the_cell(codes: np.ndarray) -> None:
    pytest.importorskip("lightgbm")
    rng = np.random.default_rng(0)
    cells = unpack(codes)
    test = 0.84 + 0.01 * cells.edges.sum((1, 2)) + rng.normal(0, 0.004, len(codes))
    accuracies = test + 0.002 * cells.nodes + rng.normal(0, 0.0005, len(codes))
    weights = np.ones(len(codes))
    fit = cross_fit(codes, accuracies, test, weights, TREES, seed=3)
    assert np.bincount(fit.folds).tolist() == [104] * 5
    # Closer than test plus a constant, which knows nothing of the graph.
    blind = nb101_quality.agreement(test + (accuracies - test).mean(), accuracies)["rmse"]
    assert nb101_quality.agreement(fit.held_out, accuracies)["rmse"] < 0.8 * blind
    changed = np.where(fit.folds == 2, 0.5, accuracies)
    again = cross_fit(codes, changed, test, weights, TREES, seed=3)
    assert np.array_equal(again.held_out[fit.folds == 2], fit.held_out[fit.folds == 2])
    assert not np.allclose(again.held_out[fit.folds == 1], fit.held_out[fit.folds == 1])
    assert predict(fit.models, codes, test).shape == (len(codes),)


def test_missing_lightgbm_is_named(codes: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightgbm", None)
    same = np.full(len(codes), 0.9)
    with pytest.raises(DataMissingError, match="needs LightGBM"):
        cross_fit(codes, same, same, same, TREES, seed=0)


def test_quality_figures() -> None:
    measured = np.array([0.5, 0.9, 0.91, 0.92, 0.93])
    row = nb101_quality.agreement(np.array([0.6, 0.9, 0.92, 0.91, 0.93]), measured)
    assert (row["cells"], row["kendall_tau"], row["spearman"]) == (5, pytest.approx(0.8), pytest.approx(0.9))
    assert row["rmse"] == pytest.approx(np.sqrt((0.01 + 2e-4) / 5)) and row["median_error"] == pytest.approx(0.01)
    many = np.linspace(0.81, 0.949, 140)
    rows = nb101_quality.ranges(many, many, many >= np.quantile(many, 0.9))
    assert {name: row["cells"] for name, row in rows.items()} == {"all": 140, "above 85%": 99, "best tenth": 14}


def test_share_of_measured_cells_among_the_best() -> None:
    val = np.linspace(0.5, 0.94, 200)
    source = (np.arange(200) % 4 == 3).astype(np.uint8)
    found = nb101_quality.best_labels(Labels(val, val - 0.006, source, source))
    assert (found["measured_share"], found["measured_share_of_best"]["100"]) == (0.25, 0.25)
    assert (found["best_val"], found["best_val_of_imputed"]) == (0.94, pytest.approx(val[198]))
    assert nb101_quality.counts(source)[SOURCES[0]] == 150


HEADER = ["hash", "adj_bits", "ops", "val_max3_ep108", "val_mean3_ep108", "test_mean3_ep108"]
HEADER += ["val_repeats_ep108", "test_repeats_ep108"]
ROWS = [
    ["b49ac8c578b4561d79ac7087988f1c61", "5", "0", "0.94", "0.93", "", "", "0.9;0.92"],
    ["043721b9c7fe8c5fad811d47d83132ec", "1", "", "", "", "0.8", "0.81;0.82;0.86", ""],
]


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    with gzip.open(path, "wt", newline="") as stream:
        csv.writer(stream).writerows([HEADER, *rows])
    return path


def test_known_values_are_read(tmp_path: Path) -> None:
    known = read_known(write_csv(tmp_path / "known.csv.gz", ROWS))
    assert known.codes.tolist() == [SPACE.code(SPACE.from_string(text)) for text in list(PARAMETERS)[:1]] + [5 * 243]
    assert np.array_equal(known.val_max, [NAN, 0.94], equal_nan=True)
    # Three repeats stand in for a mean; two do not.
    assert known.val_mean == pytest.approx([0.83, 0.93]) and np.array_equal(known.test_mean, [0.8, NAN], equal_nan=True)


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (0, 0, "0" * 32, "data row 0 .*hash 0000"),
        (0, 1, "7", "data row 0 .*hash"),
        (1, 2, "x", "data row 1"),
        (1, 5, "eighty", "data row 1"),
        (0, 3, "94", "outside 0..1"),
        (0, 4, "0.95", "above the maximum"),
    ],
)
def test_malformed_csv_is_named(tmp_path: Path, row: int, column: int, value: str, message: str) -> None:
    rows = [list(cells) for cells in ROWS]
    rows[row][column] = value
    with pytest.raises(ArtefactError, match=f"known.csv.gz .*{message}"):
        read_known(write_csv(tmp_path / "known.csv.gz", rows))


def test_repeated_cell_truncated_and_foreign_csv_are_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "known.csv.gz", ROWS + ROWS[:1])
    with pytest.raises(ArtefactError, match="a cell twice"):
        read_known(path)
    with pytest.raises(ArtefactError, match=f"expected {CSV_SHA256}"):
        check_csv(path, allow_other=False)
    assert len(check_csv(path, allow_other=True)) == 64
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ArtefactError, match="cannot be read"):
        read_known(path)
    with pytest.raises(DataMissingError, match="no CSV at"):
        check_csv(tmp_path / "absent.csv", allow_other=True)


def test_quality_of_held_out_predictions() -> None:
    rng = np.random.default_rng(0)
    count = 900
    measured = rng.uniform(0.87, 0.94, count)
    test, held_out = measured - 0.006 + rng.normal(0, 0.002, count), measured + rng.normal(0, 0.001, count)
    means = np.arange(count) % 3 > 0
    known = Known(np.arange(count, dtype=np.uint32), measured + 0.003, np.where(means, measured, NAN), test)
    residual = Residual.of(held_out[means], measured[means])
    found = nb101_quality.held_out_quality(held_out, measured, known, test, residual, seed=0)
    assert found["validation"]["all"]["cells"] == 600 and found["converted"]["all"]["cells"] == 300
    assert found["validation"]["best tenth"]["cells"] == (means & (test >= np.quantile(test, 0.9))).sum()
    taus = [found[kind]["all"]["kendall_tau"] for kind in ("validation", "test_alone")]
    assert taus[0] > taus[1] == pytest.approx(found["measured_with_test"]["all"])
    # The residual costs agreement with the measured validation accuracy, the more of it the more.
    held = [row["with_validation"]["all"] for row in found["by_share"].values()]
    assert held == sorted(held, reverse=True) and held[0] == pytest.approx(taus[0])


def write_means(path: Path, counts: np.ndarray) -> Path:
    write_arrays(path, {official_test.ARRAY: counts})
    return path


def test_test_means_are_read_and_checked(tmp_path: Path) -> None:
    path = write_means(tmp_path / "test.npz", np.array([0, 14_976, 29_952], np.uint16))
    assert official_test.read_test_means(path, 3).tolist() == [0.0, 0.5, 1.0]
    for counts, number in ((np.zeros(3, np.uint16), 4), (np.full(3, 29_953, np.uint16), 3), (np.zeros(3), 3)):
        with pytest.raises(ArtefactError, match=f"no test_correct_of_29952 of {number} whole numbers"):
            official_test.read_test_means(write_means(path, counts), number)
    with pytest.raises(ArtefactError, match=f"expected {official_test.TEST_SHA256}"):
        official_test.check_test_means(path, allow_other=False)
    assert len(official_test.check_test_means(path, allow_other=True)) == 64
    with pytest.raises(DataMissingError, match="pass the path of nb101_test_mean3"):
        official_test.check_test_means(tmp_path / "absent.npz", allow_other=True)
    assert official_test.check_known(np.array([0.5, 0.25]), np.array([0.5, NAN])) == 1
    with pytest.raises(ArtefactError, match="1 of 1 known test means differ"):
        official_test.check_known(np.array([0.5, 0.25]), np.array([0.5001, NAN]))


def test_shipped_table_is_the_one_of_these_files() -> None:
    arrays = read_arrays(DEFAULT_TABLE)
    masks = [(mask, nodes) for nodes in range(2, 8) for mask in canonical_masks(nodes)]
    assert str(arrays["source_sha256"]) == f"{CSV_SHA256} {official_test.TEST_SHA256}"
    codes = np.cumsum(arrays["steps"], dtype=np.uint32)
    assert int(arrays["denominator"]) == official_test.DENOMINATOR and len(codes) == 423_624
    assert codes[:9].tolist() == [SPACE.code(arch) for arch in itertools.islice(SPACE.all(), 9)]
    assert set((codes // CODE_BASE).tolist()) == {mask for mask, _ in masks}


@pytest.mark.slow
def test_all_cells_are_those_of_the_table_in_hash_order() -> None:
    codes, ranks = official_test.all_cells()
    assert np.array_equal(np.cumsum(read_arrays(DEFAULT_TABLE)["steps"], dtype=np.uint32), codes)
    assert np.array_equal(np.sort(ranks), np.arange(len(codes)))
    chosen = np.random.default_rng(0).integers(len(codes), size=200)
    names = [SPACE.identity(SPACE.from_code(int(codes[row]))) for row in chosen]
    assert np.array_equal(np.argsort(names), np.argsort(ranks[chosen]))
