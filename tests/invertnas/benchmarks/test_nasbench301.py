"""NAS-Bench-301 as a benchmark: what reaches the surrogate, calibration, ledger, sources and damaged files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from invertnas.benchmarks.base import Analysis, Benchmark
from invertnas.benchmarks.nasbench301 import surrogate
from invertnas.benchmarks.nasbench301.benchmark import MODELS_VARIABLE, NASBench301, NASBench301Analysis
from invertnas.errors import ArtefactError, BudgetError, DataMissingError, OutOfDomainError
from invertnas.files.io import read_arrays, read_json, sha256_file, write_json
from invertnas.spaces import ArchSpec
from invertnas.spaces.nasbench301.space import NASBench301Space

SPACE = NASBench301Space()
CODES = surrogate.read_codes(surrogate.DATA / surrogate.ENCODING_FILE)
# The second-order cells of the DARTS paper.
DARTS_TEXT = (
    "normal:|sep_conv_3x3~0|sep_conv_3x3~1|+|sep_conv_3x3~0|sep_conv_3x3~1|+|skip_connect~0|sep_conv_3x3~1|"
    "+|skip_connect~0|dil_conv_3x3~2|"
    ";reduce:|max_pool_3x3~0|max_pool_3x3~1|+|max_pool_3x3~1|skip_connect~2|+|max_pool_3x3~0|skip_connect~2|"
    "+|max_pool_3x3~1|skip_connect~2|"
)
DARTS = SPACE.from_string(DARTS_TEXT)


@pytest.fixture(autouse=True)
def no_models_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)


@pytest.fixture
def archs() -> list[ArchSpec]:
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(300)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the embedded files."""
    for name in (surrogate.SURROGATE_FILE, surrogate.ENCODING_FILE, surrogate.CALIBRATION_FILE):
        shutil.copy(surrogate.DATA / name, tmp_path)
    return tmp_path


def vector(arch: ArchSpec) -> tuple[int, ...]:
    return tuple(CODES.vector(SPACE.to_compact(arch))[0].tolist())


def test_surrogate_input_of_the_darts_cells_by_hand() -> None:
    """Operations are coded 1..7 in alphabetical order, pairs of inputs from 1 in lexicographic order, no edge 0."""
    avg, dil3, dil5, maxi, sep3, sep5, skip = range(1, 8)
    assert (CODES.edges[0][3], CODES.edges[1][13]) == ((maxi, avg, skip, sep3, sep5, dil3, dil5),) * 2
    normal = [sep3, sep3, sep3, sep3, 0, skip, sep3, 0, 0, skip, 0, dil3, 0, 0]
    reduce = [maxi, maxi, 0, maxi, skip, maxi, 0, skip, 0, 0, maxi, skip, 0, 0]
    assert vector(DARTS) == (*normal, *reduce, 1, 1, 2, 3, 2, 5)


def test_every_operation_and_every_input_reaches_the_surrogate(archs: list[ArchSpec]) -> None:
    """Each of the 16 operations and each of the 16 inputs changes what the network gets: no pair is lost."""
    for arch in (DARTS, *archs[:20]):
        for cell in range(2):
            for position in range(8):
                compact = [list(pairs) for pairs in SPACE.to_compact(arch)]
                number, op = compact[cell][position]
                taken = compact[cell][position ^ 1][0]
                inputs = [(other, op) for other in range(position // 2 + 2) if other != taken]
                changed = []
                for pair in inputs + [(number, other) for other in range(7) if other != op]:
                    compact[cell][position] = pair
                    changed.append(vector(SPACE.from_compact(compact)))
                assert len(set(changed)) == len(inputs) + 6 and vector(arch) in changed
        assert len(set(map(vector, SPACE.neighbours(arch)))) == 120
    percent = surrogate.load_embedded(surrogate.DATA).network.percent
    assert len({percent(SPACE.to_compact(other)) for other in SPACE.neighbours(DARTS)}) == 120
    assert len(set(map(vector, archs))) == len(archs)


def test_vector_has_eight_edges_per_cell_where_the_inputs_say(archs: list[ArchSpec]) -> None:
    """An independent count of edges: edge e of a cell is the e-th pair (input, block) in block order."""
    ends = [(number, block) for block in range(4) for number in range(block + 2)]
    for arch in archs:
        found = vector(arch)
        for cell, pairs in enumerate(SPACE.to_compact(arch)):
            present = [ends[e] for e in range(14) if found[14 * cell + e]]
            assert present == [(number, position // 2) for position, (number, _) in enumerate(pairs)]


def test_surrogate_agrees_with_the_official_predictions_as_stated() -> None:
    arrays = read_arrays(surrogate.DATA / surrogate.PREDICTIONS_FILE)
    model = surrogate.load_embedded(surrogate.DATA)
    cells = [SPACE.to_compact(SPACE.from_compact(one)) for one in arrays["cells"].tolist()]
    raw = np.array([model.network.percent(one) for one in cells])
    official = arrays["percent"]
    assert len(set(cells)) == 1218 and (official.min(), official.max()) == pytest.approx((90.7279, 94.4889), abs=1e-4)
    assert stats.spearmanr(raw, official).statistic == pytest.approx(0.904, abs=1e-3)
    assert stats.kendalltau(raw, official).statistic == pytest.approx(0.735, abs=1e-3)
    residual = model.slope * raw + model.intercept - official
    assert np.sqrt(np.mean(residual**2)) < 0.25 and abs(residual.mean()) < 1e-3


def test_calibration_says_how_good_it_is() -> None:
    quality = NASBench301Analysis().calibration()["quality"]
    assert quality["rows"] == 1218 and quality["held_out"]["rmse_pp"] <= 0.25
    assert quality["other_group_rmse_pp"] <= 0.25 and quality["held_out"]["kendall"] > 0.73
    assert quality["network_uncalibrated"]["bias_pp"] == pytest.approx(1.304, abs=1e-3)


def test_value_is_the_calibrated_prediction(archs: list[ArchSpec]) -> None:
    stored = read_json(surrogate.DATA / surrogate.CALIBRATION_FILE)
    network = surrogate.load_embedded(surrogate.DATA).network
    benchmark, analysis = NASBench301(300), NASBench301Analysis()
    for arch in archs:
        percent = stored["slope"] * network.percent(SPACE.to_compact(arch)) + stored["intercept"]
        value = benchmark.query(arch, "cifar10")
        assert value == pytest.approx(percent / 100, abs=1e-12)
        assert analysis.validation_accuracy(arch, "cifar10") == value
        assert 0.85 < value < 0.955
    assert NASBench301(1).query(archs[7], "cifar10") == benchmark.query(archs[7], "cifar10")


def test_network_runs_on_one_thread() -> None:
    options = surrogate.load_embedded(surrogate.DATA).network._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_both_sides_fulfil_their_protocols() -> None:
    benchmark: Benchmark = NASBench301(1)
    analysis: Analysis = NASBench301Analysis()
    assert (benchmark.name, benchmark.datasets, benchmark.space.name) == ("nasbench301", ("cifar10",), "nasbench301")
    assert benchmark.labels == NASBench301Analysis().labels and "surrogate" in benchmark.labels
    assert analysis.test_accuracy(DARTS, "cifar10") is None and analysis.optimum("cifar10") == (None, None)


def test_repeats_are_free_and_the_budget_holds(archs: list[ArchSpec]) -> None:
    benchmark = NASBench301(1)
    value = benchmark.query(archs[0], "cifar10")
    assert benchmark.query(archs[0], "cifar10") == value and benchmark.ledger.remaining == 0
    assert [record.arch for record in benchmark.ledger.records] == [SPACE.to_string(archs[0])]
    with pytest.raises(BudgetError, match="budget of 1"):
        benchmark.query(archs[1], "cifar10")
    with pytest.raises(BudgetError, match="got a budget of 0"):
        NASBench301(0)


def test_unknown_questions_are_refused_without_cost() -> None:
    benchmark, analysis = NASBench301(1), NASBench301Analysis()
    foreign = ArchSpec((1, 0), ((0, 1),))
    for arch, dataset in ((DARTS, "cifar100"), (foreign, "cifar10")):
        for method in (benchmark.query, analysis.validation_accuracy, analysis.test_accuracy):
            with pytest.raises(OutOfDomainError, match="got .*"):
                method(arch, dataset)
    with pytest.raises(OutOfDomainError, match="got data set 'mnist'; NAS-Bench-301 has cifar10"):
        analysis.optimum("mnist")
    assert benchmark.ledger.spent == 0


def test_importing_and_constructing_loads_no_runtime() -> None:
    code = (
        "import sys; from invertnas.benchmarks.nasbench301.benchmark import NASBench301; "
        "assert 'surrogate' in NASBench301(1).labels; assert not {'onnxruntime', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_missing_runtime_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    benchmark = NASBench301(1, data=folder)
    with pytest.raises(DataMissingError, match=r"onnxruntime .*pip install 'invertnas\[nasbench301\]'"):
        benchmark.query(DARTS, "cifar10")
    assert benchmark.ledger.spent == 0


@pytest.mark.parametrize(
    "name",
    [surrogate.SURROGATE_FILE, surrogate.ENCODING_FILE, surrogate.CALIBRATION_FILE],
    ids=["model", "codes", "fit"],
)
def test_missing_and_damaged_files_are_named(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ArtefactError, match=name):
        NASBench301(1, data=folder).query(DARTS, "cifar10")
    path.unlink()
    with pytest.raises(DataMissingError, match=f"no {name} in .*nb301.build"):
        NASBench301(1, data=folder).query(DARTS, "cifar10")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope": None}, "lacks a value"),
        ({"slope": -1.0}, "slope positive"),
        ({"intercept": float("inf")}, "expected finite"),
        ({"sha256": {}}, "lacks a value"),
    ],
)
def test_malformed_calibrations_are_refused(folder: Path, change: dict[str, Any], message: str) -> None:
    path = folder / surrogate.CALIBRATION_FILE
    write_json(path, read_json(path) | change)
    with pytest.raises(ArtefactError, match=message):
        surrogate.load_embedded(folder)


def test_foreign_model_and_codes_are_refused() -> None:
    with pytest.raises(ArtefactError, match="no ONNX model"):
        surrogate.RawSurrogate(b"something else", CODES)
    content = json.loads((surrogate.DATA / surrogate.ENCODING_FILE).read_text(encoding="utf-8"))
    del content["NetworkSelectorDatasetInfo_COLON_darts_COLON_inputs_node_reduce_5"]["3_4"]
    with pytest.raises(ArtefactError, match="codes of mine lacks a code .*'3_4'"):
        surrogate.parse_codes(content, "codes of mine")


def test_files_are_described() -> None:
    sources = (surrogate.DATA / "SOURCES.md").read_text(encoding="utf-8")
    for name in (surrogate.SURROGATE_FILE, surrogate.ENCODING_FILE):
        assert sha256_file(surrogate.DATA / name) in sources
    stored = read_json(surrogate.DATA / surrogate.CALIBRATION_FILE)
    assert f"{stored['quality']['held_out']['rmse_pp']:.3f}" in sources and "Apache-2.0" in sources
