"""The whole chain on NAS-Bench-201: which scripts run with what, and what an interruption leaves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments.pretrain import pipeline as all_nb201
from experiments.pretrain.pipeline import Phase, phases, run_phases, times
from invertnas.files.io import read_json
from tests.helpers.scripts import flag_names, script_path, set_flags

ROOT = Path(__file__).resolve().parents[3]
CHAIN = [Phase("a", "first", {"x": 1}), Phase("b", "second", {"y": None}), Phase("c", "table", {}, once=False)]


class Runs:
    """Stands in for the scripts: notes the modules, and answers with given exit codes, then 0."""

    def __init__(self, *codes: int) -> None:
        self.codes, self.modules = list(codes), list[str]()

    def __call__(self, command: list[str]) -> int:
        self.modules.append(command[2].removeprefix("experiments."))
        return self.codes.pop(0) if self.codes else 0


def test_finished_phases_are_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "phases.json"
    first = Runs()
    assert run_phases(CHAIN, path, first) == 0 and first.modules == ["first", "second", "table"]
    assert "| All | 0 |" in capsys.readouterr().out
    again = Runs()
    assert run_phases(CHAIN, path, again) == 0 and again.modules == ["table"]
    assert read_json(path)["a"]["arguments"] == ["--x=1"] and read_json(path)["b"]["arguments"] == []


def test_a_failure_ends_the_chain_and_the_next_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, failing = tmp_path / "phases.json", Runs(0, 3)
    assert run_phases(CHAIN, path, failing) == 3 and failing.modules == ["first", "second"]
    assert capsys.readouterr().err == "b ended with code 3; run the same command again to go on\n"
    again = Runs()
    assert run_phases(CHAIN, path, again) == 0 and again.modules == ["second", "table"]


def test_an_interruption_counts_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(all_nb201.time, "monotonic", lambda: next(clock))

    def interrupted(command: list[str]) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_phases(CHAIN, tmp_path / "phases.json", interrupted)
    assert read_json(tmp_path / "phases.json")["a"] == {"arguments": ["--x=1"], "seconds": 10, "done": False}
    assert run_phases(CHAIN, tmp_path / "phases.json", Runs()) == 0
    assert read_json(tmp_path / "phases.json")["a"] == {"arguments": ["--x=1"], "seconds": 20, "done": True}


def test_searches_that_are_found_again_keep_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(all_nb201.time, "monotonic", lambda: next(clock))
    for _ in range(3):
        assert run_phases(CHAIN, tmp_path / "phases.json", Runs()) == 0
    seconds = [read_json(tmp_path / "phases.json")[name]["seconds"] for name in "abc"]
    assert seconds == [10, 10, 30]


def test_another_setting_of_a_phase_runs_it_and_all_after_it(tmp_path: Path) -> None:
    run_phases(CHAIN, tmp_path / "phases.json", Runs())
    changed, runs = [CHAIN[0]._replace(options={"x": 2}), *CHAIN[1:]], Runs()
    assert run_phases(changed, tmp_path / "phases.json", runs) == 0 and runs.modules == ["first", "second", "table"]


def test_shipped_files_are_not_touched_unless_asked(tmp_path: Path) -> None:
    for work in (None, tmp_path):
        with set_flags(all_nb201.FLAGS, **({} if work is None else {"work": str(work)})):
            folders = [
                Path(phase.options[key])
                for phase in phases()
                for key in ("out", "pretrained", "work")
                if key in phase.options
            ]
        base = work or ROOT / "runs" / "all_nb201"
        assert len(folders) >= 8 and all(folder.is_relative_to(base) for folder in folders)
    with set_flags(all_nb201.FLAGS, pretrained="p", out="o"):
        chain = phases()
    assert chain[0].options["pretrained"] == chain[-1].options["pretrained"] == Path("p")
    assert chain[-1].options["out"] == Path("o")


def test_flags_reach_the_scripts_that_know_them() -> None:
    given = {"epochs": 3, "alignflow_epochs": 4, "trials": 2, "queries": 40, "seed": 5, "preset": "paper", "cells": 60}
    with set_flags(all_nb201.FLAGS, **given, methods=["invertnas", "random"], dataset=["cifar10"], init="proxy"):
        chain = phases()
    assert all("--count=60" in phase.arguments for phase in chain[1:3])
    assert "--epochs=3" in chain[0].arguments and "--epochs=4" in chain[-2].arguments
    assert chain[-1].arguments[:5] == [
        *("--table=table2", "--benchmark=nasbench201", "--init=proxy", "--methods=invertnas,random"),
        "--dataset=cifar10",
    ]
    assert {"--preset=paper", "--queries=40", "--trials=2", "--seed=5"} <= set(chain[-1].arguments)
    for phase in chain:
        known = flag_names(script_path(phase.module))
        assert {re.sub("=.*|--", "", argument) for argument in phase.arguments} <= known, phase.module


def test_times_are_a_table() -> None:
    assert times([("GVAE", 61.4), ("AlignFlow", 20.0)]).splitlines()[2:] == [
        *("| GVAE | 61 |", "| AlignFlow | 20 |", "| All | 81 |")
    ]
