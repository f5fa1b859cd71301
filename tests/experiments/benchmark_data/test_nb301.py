"""The script that builds and verifies the files of NAS-Bench-301, and its calibration."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.benchmark_data.nb301 import calibration as nb301_calibration
from experiments.benchmark_data.nb301 import data as nb301_data
from experiments.benchmark_data.nb301 import report as nb301_report
from experiments.benchmark_data.nb301.calibration import (
    Array,
    counts,
    fit_affine,
    fit_counts,
    fit_isotonic,
    held_out,
    metrics,
)
from experiments.benchmark_data.nb301.data import ARRAYS, HEADER, SOURCES, Predictions, read_predictions
from invertnas.benchmarks.nasbench301.benchmark import NASBench301
from invertnas.benchmarks.nasbench301.surrogate import CALIBRATION_FILE, DATA, PREDICTIONS_FILE, Cells, load_embedded
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import read_arrays, read_json, sha256_arrays, write_arrays, write_json
from invertnas.spaces.nasbench301.space import NASBench301Space

SPACE = NASBench301Space()
MODEL, ENCODING, CSV = SOURCES


def csv_bytes(predictions: Predictions) -> bytes:
    stream = io.StringIO()
    lines = csv.writer(stream)
    lines.writerow(HEADER)
    for cells, percent, group in zip(predictions.cells, predictions.percent.tolist(), predictions.group.tolist()):
        lines.writerow([json.dumps(cells), repr(percent), group])
    return stream.getvalue().encode()


def part(predictions: Predictions, rows: int) -> Predictions:
    return Predictions(predictions.cells[:rows], predictions.percent[:rows], predictions.group[:rows])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The source files, written back from the embedded ones: their checksums are those of the originals."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in (MODEL, ENCODING):
        (folder / name).write_bytes((DATA / SOURCES[name][0]).read_bytes())
    (folder / CSV).write_bytes(csv_bytes(read_predictions(DATA)))
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the ascents, which take seconds, and with one cross-validation."""
    monkeypatch.setattr(nb301_calibration, "local_maximum", lambda percent, fitted: 95.0)
    monkeypatch.setattr(nb301_calibration, "REPEATS", 1)


@pytest.mark.slow
def test_building_again_gives_the_embedded_files(source: Path, tmp_path: Path) -> None:
    text = nb301_report.report(source, None, tmp_path / "out")
    assert f"wrote the files of NAS-Bench-301 to {tmp_path / 'out'}" in text and "held out" in text
    built, stored = (read_json(folder / CALIBRATION_FILE) for folder in (tmp_path / "out", DATA))
    assert built["sha256"] == stored["sha256"]
    assert flat(built) == pytest.approx(flat(stored), abs=2e-4)
    for name in (SOURCES[MODEL][0], SOURCES[ENCODING][0]):
        assert (tmp_path / "out" / name).read_bytes() == (DATA / name).read_bytes()
    arch = SPACE.from_compact(read_predictions(DATA).cells[0])
    values = [NASBench301(1, data=folder).query(arch, "cifar10") for folder in (tmp_path / "out", DATA)]
    assert values[0] == pytest.approx(values[1], abs=1e-8)


@pytest.mark.usefixtures("quick")
def test_sources_become_the_embedded_files(source: Path, tmp_path: Path) -> None:
    nb301_report.report(source, None, tmp_path)
    built, stored = (read_json(folder / CALIBRATION_FILE) for folder in (tmp_path, DATA))
    assert built["sha256"] == stored["sha256"] and built["slope"] == pytest.approx(stored["slope"], abs=1e-5)


def flat(value: Any, name: str = "") -> dict[str, float]:
    """Numbers of nested dictionaries by their path."""
    if isinstance(value, dict):
        return {key: number for inner in value for key, number in flat(value[inner], f"{name}/{inner}").items()}
    return {name: float(value)} if isinstance(value, (int, float)) else {}


@pytest.mark.usefixtures("quick")
def test_embedded_files_verify() -> None:
    text = nb301_report.report(None, None, DATA)
    assert "have their checksums" in text and "figshare" in text
    assert "calibrated, held out                   0.230   0.180" in text


@pytest.mark.parametrize("name", SOURCES)
def test_truncated_and_missing_sources_are_refused_and_nothing_overwritten(source: Path, name: str) -> None:
    out = source / "out"
    out.mkdir()
    (out / CALIBRATION_FILE).write_bytes(b"precious")
    path = source / name
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtefactError, match=f"(?s){name} has sha256 .*; expected {SOURCES[name][1]}.*--allow_other"):
        nb301_report.report(source, None, out)
    with pytest.raises(ArtefactError, match="expected|no ONNX model|not valid JSON"):
        nb301_report.report(source, None, out, allow_other=True)
    path.unlink()
    with pytest.raises(DataMissingError, match=f"no {name} in"):
        nb301_report.report(source, None, out)
    assert [(child.name, child.read_bytes()) for child in out.iterdir()] == [(CALIBRATION_FILE, b"precious")]


@pytest.mark.usefixtures("quick")
def test_other_predictions_give_another_calibration(source: Path, tmp_path: Path) -> None:
    predictions = part(read_predictions(DATA), 200)
    raised = Predictions(predictions.cells, predictions.percent + 1, predictions.group)
    (source / CSV).write_bytes(csv_bytes(raised))
    nb301_report.report(source, None, tmp_path / "out", allow_other=True)
    arrays = read_arrays(tmp_path / "out" / PREDICTIONS_FILE)
    assert np.array_equal(arrays["percent"], raised.percent) and arrays["cells"].shape == (200, 2, 8, 2)
    assert "rows" in nb301_report.report(None, None, tmp_path / "out")
    values = [load_embedded(folder).accuracy(raised.cells[0]) for folder in (tmp_path / "out", DATA)]
    assert values[0] - values[1] == pytest.approx(0.01, abs=0.001)


def line(cells: str = "[]", percent: str = "93.5", group: str = "A") -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows([HEADER, [cells, percent, group]])
    return stream.getvalue().encode()


CELLS = "[[[0, 0], [1, 0], [0, 0], [1, 5], [0, 5], [3, 1], [1, 3], [2, 1]], " * 2
GOOD = CELLS[: len(CELLS) // 2] + CELLS[1 : len(CELLS) // 2 - 2] + "]"


@pytest.mark.parametrize(
    "content",
    [
        b"index,arch\r\n",
        b"\xff\xfe",
        line(),
        line("[[[0, 0]"),
        line(GOOD, "n/a"),
        line(GOOD, "0.935e4"),
        line(GOOD.replace("[3, 1]", "[4, 1]")),
        line(GOOD) + line(GOOD).split(b"\r\n")[1] + b"\r\n",
        line(GOOD) + b"only,two\r\n",
    ],
    ids=["columns", "bytes", "no cells", "cut", "no number", "above 100", "foreign cell", "twice", "two fields"],
)
def test_malformed_predictions_are_refused(content: bytes) -> None:
    with pytest.raises(ArtefactError, match="expected|fetch the file again"):
        nb301_data.parse_predictions(content)


def test_a_good_line_is_read() -> None:
    predictions = nb301_data.parse_predictions(line(GOOD))
    assert predictions.percent.tolist() == [93.5] and predictions.group.tolist() == ["A"]
    assert json.dumps(predictions.cells[0]) == GOOD
    with pytest.raises(ArtefactError, match="got 1 predictions; expected at least 50"):
        nb301_data.fit(load_embedded(DATA).network, predictions)


@pytest.mark.usefixtures("quick")
def test_verification_notices_changes(tmp_path: Path) -> None:
    out = Path(shutil.copytree(DATA, tmp_path / "out"))
    calibration, arrays = read_json(out / CALIBRATION_FILE), read_arrays(out / PREDICTIONS_FILE)
    write_json(out / CALIBRATION_FILE, calibration | {"slope": 1.0})
    with pytest.raises(ArtefactError, match="has slope 1.0; the fit gives 0.97"):
        nb301_report.report(None, None, out)
    write_json(out / CALIBRATION_FILE, calibration)
    write_arrays(out / PREDICTIONS_FILE, arrays | {"percent": arrays["percent"] + 1e-9})
    with pytest.raises(ArtefactError, match="have sha256"):
        nb301_report.report(None, None, out)
    write_arrays(out / PREDICTIONS_FILE, {"percent": arrays["percent"]})
    with pytest.raises(ArtefactError, match="lacks cells, group"):
        nb301_report.report(None, None, out)
    (out / PREDICTIONS_FILE).unlink()
    with pytest.raises(DataMissingError, match=PREDICTIONS_FILE):
        nb301_report.report(None, None, out)


class Models:
    """Official models that know the predictions, `shift` percentage points off."""

    def __init__(self, predictions: Predictions, shift: float) -> None:
        self.known = dict(zip(predictions.cells, predictions.percent / 100 + shift / 100))

    def accuracy(self, cells: Cells) -> float:
        return float(self.known[cells])


def test_official_models_are_compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = read_predictions(DATA)
    monkeypatch.setattr(nb301_report, "read_predictions", lambda folder: known)
    (tmp_path / "xgb_v1.0" / "member").mkdir(parents=True)
    (tmp_path / "xgb_v1.0" / "member" / "surrogate_model.model").write_bytes(b"")
    monkeypatch.setattr(nb301_report, "load_official", lambda folder: Models(known, 0.05))
    text = nb301_report.report(None, tmp_path, DATA)
    assert "RMSE 0.050 points to 1218 known predictions" in text and "Kendall 0.735" in text
    monkeypatch.setattr(nb301_report, "load_official", lambda folder: Models(known, 1.0))
    with pytest.raises(ArtefactError, match="by 1.000 points .*these are other models"):
        nb301_report.report(None, tmp_path, DATA)
    with pytest.raises(ConfigError, match="pass one of the two"):
        nb301_report.report(tmp_path, tmp_path, DATA)


def test_command_line_ends_errors_in_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.benchmark_data.nb301.build"]
    root = Path(__file__).parents[3]
    done = subprocess.run([*command, "--source", str(tmp_path)], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"DataMissingError: no {MODEL} in") and done.stderr.count("\n") == 1


@pytest.fixture
def sample() -> tuple[Array, Array, Array]:
    """Network values, counts, and a target that is affine in the network plus a share of the counts."""
    rng = np.random.default_rng(0)
    raw = rng.normal(94.0, 1.0, 400)
    cells = [SPACE.to_compact(SPACE.sample(rng)) for _ in range(400)]
    counted = np.array([counts(one) for one in cells])
    return raw, counted, 0.9 * raw + 8 + 0.1 * counted[:, 2]


def test_counts_of_operations_by_hand() -> None:
    cells = SPACE.to_compact(SPACE.from_compact(json.loads(GOOD)))
    found = counts(cells).reshape(2, 2, 7)
    assert found.sum() == 16 and np.array_equal(found[0], found[1])
    assert found[0, 0].tolist() == [3, 0, 0, 1, 0, 2, 0] and found[0, 1].tolist() == [0, 2, 0, 0, 0, 0, 0]


def test_fits_recover_what_they_can(sample: tuple[Array, Array, Array]) -> None:
    raw, counted, official = sample
    exact = 0.9 * raw + 8
    assert np.allclose(fit_affine(raw, counted, exact)(raw, counted), exact, atol=1e-9)
    assert np.allclose(fit_isotonic(raw, counted, exact)(raw, counted), exact, atol=1e-9)
    assert fit_isotonic(raw, counted, exact)(np.array([0.0, 200.0]), counted[:2]).tolist() == [exact.min(), exact.max()]
    assert metrics(fit_counts(raw, counted, official)(raw, counted), official)["rmse_pp"] < 0.01
    assert metrics(fit_affine(raw, counted, official)(raw, counted), official)["rmse_pp"] > 0.05


def test_held_out_rows_do_not_reach_the_fit(sample: tuple[Array, Array, Array]) -> None:
    raw, counted, _ = sample
    noise = np.random.default_rng(1).normal(size=len(raw))

    def memory(raw: Array, counted: Array, official: Array) -> nb301_calibration.Map:
        known = dict(zip(raw.tolist(), official.tolist()))
        return lambda values, _: np.array([known.get(value, 0.0) for value in values.tolist()])

    assert held_out(memory, raw, counted, noise)["rmse_pp"] == pytest.approx(np.sqrt(np.mean(noise**2)))
    assert held_out(memory, raw, counted, noise)["kendall"] is None


def test_metrics_by_hand() -> None:
    found = metrics(np.array([1.0, 2.0, 3.0, 5.0]), np.array([1.0, 3.0, 2.0, 4.0]))
    expected = {"rmse_pp": 0.75**0.5, "mae_pp": 0.75, "bias_pp": 0.25, "spearman": 0.8, "kendall": 2 / 3}
    assert found == pytest.approx(expected | {"rmse_pp": (3 / 4) ** 0.5})


def test_ascent_finds_the_top_of_a_simple_landscape() -> None:
    """One point for every 3x3 separable convolution: sixteen at the top."""
    percent = nb301_calibration.local_maximum(
        lambda cells: float(sum(op == 3 for cell in cells for _, op in cell)), lambda values, _: 2 * values, starts=1
    )
    assert percent == 32.0


def test_embedded_arrays_have_the_checksum_of_the_calibration() -> None:
    arrays = read_arrays(DATA / PREDICTIONS_FILE)
    digest = sha256_arrays(*(arrays[name] for name in ARRAYS))
    assert digest == read_json(DATA / CALIBRATION_FILE)["sha256"][PREDICTIONS_FILE]
    assert sorted(np.unique(arrays["group"])) == ["A_2022-06", "B_2022-05"]
