"""The script that builds the NAS-Bench-Macro table: exact values, and what is refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.benchmark_data import macro
from experiments.common import cli
from invertnas.benchmarks.nasbench_macro import DATASETS, NASBenchMacroAnalysis
from invertnas.files.io import sha256_file
from invertnas.spaces import NASBenchMacroSpace
from tests.helpers.scripts import set_flags

SPACE = NASBenchMacroSpace()
TEXTS = ["".join(digits) for digits in itertools.product("012", repeat=8)]


def content() -> dict[str, Any]:
    """The benchmark's JSON in form, in another order: float32 percentages of whole numbers of images."""
    counts = np.random.default_rng(0).integers(4_000, 9_400, (len(TEXTS), 3))
    rows = {}
    for text in TEXTS:
        row = int(SPACE.identity(SPACE.from_string(text)), 3)
        percents = (counts[row] / 100).astype(np.float32).tolist()
        rows[text] = {"test_acc": percents, "params": 1_000 + row, "flops": 5_000 + row}
    return dict(reversed(rows.items()))


def run_main(path: Path, out: Path, **values: Any) -> int | None:
    with set_flags(macro.FLAGS, json=str(path), out=str(out), **values):
        return cli.guarded(macro.main)(["macro"])


def test_every_value_comes_back_exactly(tmp_path: Path) -> None:
    path, out = tmp_path / "macro.json", tmp_path / "macro.npz"
    rows = content()
    path.write_text(json.dumps(rows))
    assert run_main(path, out, allow_other=True) == 0
    whole = NASBenchMacroAnalysis(out).table(DATASETS[0])
    for row in range(0, len(TEXTS), 501):
        expected = rows[TEXTS[row]]
        assert whole["runs"][row].tolist() == [round(100 * percent) / 10_000 for percent in expected["test_acc"]]
        assert (whole["params"][row], whole["flops"][row]) == (expected["params"], expected["flops"])


def test_other_file_is_refused_and_nothing_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "macro.json", tmp_path / "macro.npz"
    assert run_main(path, out) == 1 and "no JSON at" in capsys.readouterr().err
    path.write_text("{}")
    assert run_main(path, out) == 1
    error = capsys.readouterr().err
    assert f"has sha256 {sha256_file(path)}; expected {macro.JSON_SHA256}" in error and error.count("\n") == 1
    path.write_text("<html>")
    assert run_main(path, out, allow_other=True) == 1 and "no JSON of networks" in capsys.readouterr().err
    with set_flags(macro.FLAGS):
        assert cli.guarded(macro.main)(["macro"]) == 1
    assert "pass --json" in capsys.readouterr().err and not out.exists()


DAMAGE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "each of the 6561 strings once": lambda rows: rows.pop("00000000"),
    "malformed": lambda rows: rows["00000000"].pop("flops"),
    "no 3 shares of 10000 images": lambda rows: rows["00000000"].update(test_acc=[93.123, 92.0, 91.0]),
    "outside 0..100": lambda rows: rows["00000000"].update(test_acc=[193.0, 92.0, 91.0]),
    "00000001 and 00000010 are one network": lambda rows: rows["00000001"].update(flops=1),
    "without parameters": lambda rows: rows["00000000"].update(params=0),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_malformed_content_is_named(tmp_path: Path, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    path, rows = tmp_path / "macro.json", content()
    DAMAGE[message](rows)
    path.write_text(json.dumps(rows))
    assert run_main(path, tmp_path / "macro.npz", allow_other=True) == 1
    error = capsys.readouterr().err
    assert error.startswith("ArtefactError") and message in error
