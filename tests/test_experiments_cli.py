"""The command line of table 2, as a user runs it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments import cli
from experiments.methods import METHODS
from invertnas.io import write_json

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments: str, module: bool = True) -> subprocess.CompletedProcess[str]:
    """Table 2 as a user runs it, or a piece of code beside it."""
    command = [sys.executable, *(["-m", "experiments.table2"] if module else ["-c"]), *arguments]
    quiet = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=300)


PARSE = """
import dataclasses, json, sys
from absl.testing import flagsaver
from experiments import cli, table2
from invertnas.errors import InvertNASError
assert not {"tensorflow", "keras", "matplotlib"} & set(sys.modules), "a heavy import"
for flags in json.loads(sys.argv[1]):
    with flagsaver.flagsaver():
        table2.FLAGS(["table2", *flags])
        try:
            tasks = [dataclasses.asdict(task) | {"name": task.name} for task in table2.tasks_from_flags("table2")]
        except InvertNASError as error:
            tasks = f"{type(error).__name__}: {error}"
    print(json.dumps(tasks, default=str))
"""


def parse(*cases: list[str]) -> list[Any]:
    """The tasks (or the error) of each list of flags."""
    done = run(PARSE, json.dumps(cases), module=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_flag_reaches_the_tasks() -> None:
    flags = [
        "--dataset=cifar100,cifar10,cifar100",
        "--methods=invertnas,random,invertnas_single,random",
        "--queries=77",
    ]
    flags += [
        "--trials=2",
        "--preset=paper",
        "--seed=5",
        "--out=/some/out",
        "--pretrained=/some/weights",
        "--members=3",
    ]
    tasks, default = parse(flags, [])
    assert {t["name"] for t in tasks} == {"invertnas-paper-k3", "random", "invertnas_single-paper"}
    grid = [(t["seed"], t["method"], t["dataset"]) for t in tasks]
    chosen = itertools.product((5, 6), ("invertnas", "random", "invertnas_single"), ("cifar100", "cifar10"))
    assert grid == list(chosen)  # a name given twice runs once
    assert {t["members"] for t in tasks if t["method"] == "invertnas"} == {3}
    assert {t["members"] for t in tasks if t["method"] != "invertnas"} == {None}
    shared = {"table": "table2", "benchmark": "nasbench201", "queries": 77, "preset": "paper"}
    shared |= {"out": "/some/out", "pretrained": "/some/weights"}
    assert all({key: t[key] for key in shared} == shared for t in tasks)
    assert len(default) == 10 * len(METHODS) * 3 and {t["seed"] for t in default} == set(range(10))
    assert {(t["queries"], t["preset"], t["members"]) for t in default} == {(192, "fast", None)}
    assert default[0]["out"] == str(ROOT / "results") and default[0]["pretrained"] == str(ROOT / "pretrained")


def test_bad_flags_are_named() -> None:
    cases = {
        "--dataset=cifar10,cifar1000": "OutOfDomainError: got data set 'cifar1000'; expected one of cifar10, cifar100",
        "--methods=oracle": "ConfigError: got method 'oracle'; expected one of random",
        "--preset=slow": "ConfigError: got preset 'slow'; expected one of fast, paper, thesis",
        "--queries=0": "ConfigError: got --queries=0; expected at least 1",
        "--trials=0": "ConfigError: got --trials=0; expected at least 1",
        "--jobs=-1": "ConfigError: got --jobs=-1; expected at least 1",
        "--seed=-1": "ConfigError: got --seed=-1; expected at least 0",
        "--queries=29": "BudgetError: got --queries=29; InvertNAS's initial set alone takes 30",
    }
    for told, expected in zip(parse(*([flag] for flag in cases)), cases.values()):
        assert isinstance(told, str) and told.startswith(expected)
    assert len(parse(["--queries=29", "--methods=random"])[0]) == 30


def told(done: subprocess.CompletedProcess[str], tensorflow: bool = False) -> str:
    """The error message: the last line on stderr, behind a progress bar and TensorFlow's own start-up lines."""
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    *before, last = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.strip()]
    assert all("0%" in line or tensorflow for line in before), done.stderr
    assert done.stderr.count("Error: ") == 1
    return last


def test_errors_on_the_command_line_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = f"--out={tmp_path / 'out'}"
    assert told(run("--dataset=cifar1000", out)).startswith("OutOfDomainError: got data set 'cifar1000'")
    assert told(run("--queries=10", out)).startswith("BudgetError: got --queries=10")
    below = run("--methods=random", "--trials=1", f"--out={tmp_path / 'file' / 'x'}")
    assert told(below).startswith("OutputError: cannot write") and "writable" in below.stderr
    assert not (tmp_path / "out").exists()
    malformed = run("--queries=many", out)
    assert malformed.returncode == 1 and "Traceback" not in malformed.stderr
    assert "flag --queries=many: invalid literal for int()" in malformed.stderr + malformed.stdout


def test_missing_and_damaged_weights_are_one_sentence(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    common = ["--methods=invertnas", "--dataset=cifar10", "--trials=1", f"--out={tmp_path}", f"--pretrained={weights}"]
    missing = told(run(*common, "--jobs=2"), tensorflow=True)
    assert missing.startswith("DataMissingError: no ") and "run `make pretrain_nb201` or restore the file" in missing
    weights.mkdir()
    (weights / "gvae_nb201.weights.h5").write_bytes(b"no weights")
    told_of_it = {
        "space": "nasbench201",
        "config": {"num_nodes": 8, "num_ops": 7},
        "weights_sha256": "0" * 64,
        "seed": 0,
    }
    write_json(weights / "gvae_nb201.json", told_of_it)
    damaged = told(run(*common), tensorflow=True)
    assert damaged.startswith("ArtefactError: ") and "the weights are damaged or foreign" in damaged


def test_table_2_runs_from_end_to_end_and_again(tmp_path: Path) -> None:
    command = ["--methods=random,local_search", "--dataset=cifar10", "--queries=20", "--trials=2", f"--out={tmp_path}"]
    first = run(*command)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("# Table 2: NAS-Bench-201") and first.stdout.count("| 20 | 2 |") == 2
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    searches = {f"table2/{m}/nasbench201/cifar10/q20/seed_{s}.json" for m in ("random", "local_search") for s in (0, 1)}
    assert names == searches | {"table2.md", "table2.csv", "figures/table2_cifar10.png"}
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in searches}
    again = run(*command)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in searches} == times


def test_ctrl_c_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(argv: object) -> int:
        raise KeyboardInterrupt

    assert cli.guarded(interrupted)(["table2"]) == 130
    assert capsys.readouterr().err == "interrupted; run the same command again to go on\n"
