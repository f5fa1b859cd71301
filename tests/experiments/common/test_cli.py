"""The command line of the tables, as a user runs it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from experiments.common import cli
from experiments.searches.methods import METHODS
from invertnas.files.io import write_json

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str, module: bool = True) -> subprocess.CompletedProcess[str]:
    """A table as a user runs it, or a piece of code beside it."""
    command = [sys.executable, *(["-m", "experiments.tables"] if module else ["-c"]), *arguments]
    quiet = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=300)


PARSE = """
import dataclasses, json, sys
from absl.testing import flagsaver
from experiments.common import cli
from experiments.tables import __main__ as table
from invertnas.errors import InvertNASError
assert not {"tensorflow", "keras", "matplotlib"} & set(sys.modules), "a heavy import"
for flags in json.loads(sys.argv[1]):
    with flagsaver.flagsaver():
        table.FLAGS(["table", *flags])
        try:
            tasks = table.tasks_from_flags(table.table_from_flags())
            tasks = [dataclasses.asdict(task) | {"name": task.name} for task in tasks]
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
    chosen = itertools.product((5, 6), ("random", "invertnas_single", "invertnas"), ("cifar10", "cifar100"))
    assert grid == list(chosen)  # in the table's order, and a name given twice runs once
    assert {t["members"] for t in tasks if t["method"] == "invertnas"} == {3}
    assert {t["members"] for t in tasks if t["method"] != "invertnas"} == {None}
    assert {t["preset"] for t in tasks if t["method"] != "random"} == {"paper"}
    shared = {"table": "table2", "benchmark": "nasbench201", "queries": 77}
    shared |= {"out": "/some/out", "pretrained": "/some/weights"}
    assert all({key: t[key] for key in shared} == shared for t in tasks)
    assert len(default) == 10 * (len(METHODS) - 1) * 3 and {t["seed"] for t in default} == set(range(10))
    assert {(t["queries"], t["preset"], t["members"]) for t in default} == {(192, "fast", None)}
    assert default[0]["out"] == str(ROOT / "results") and default[0]["pretrained"] == str(ROOT / "pretrained")


def test_bad_flags_are_named() -> None:
    cases = {
        "--dataset=cifar10,cifar1000": "OutOfDomainError: got data set 'cifar1000'; expected one of cifar10, cifar100",
        "--methods=oracle": "ConfigError: got method 'oracle'; expected one of random",
        "--preset=slow": "ConfigError: got preset 'slow'; expected one of fast, paper, thesis, guided",
        "--queries=0": "ConfigError: got --queries=0; expected at least 1",
        "--trials=0": "ConfigError: got --trials=0; expected at least 1",
        "--jobs=-1": "ConfigError: got --jobs=-1; expected at least 1",
        "--members=0": "ConfigError: got --members=0; expected at least 1",
        "--table=table5": "ConfigError: got table 'table5'; expected one of table1, table3",
        "--seed=-1": "ConfigError: got --seed=-1; expected at least 0",
        "--queries=29": "BudgetError: got --queries=29; InvertNAS's initial set alone takes 30",
    }
    for told, expected in zip(parse(*([flag] for flag in cases)), cases.values()):
        assert isinstance(told, str) and told.startswith(expected)
    assert len(parse(["--queries=29", "--methods=random"])[0]) == 30


def test_flags_without_effect_are_refused() -> None:
    single, plain, kl = "--methods=invertnas_single", "--methods=random,bananas", ["--table=table4", "--kl_only"]
    cases = {
        ("--members=3", single): "got --members=3 with invertnas_single alone; expected invertnas among the methods",
        ("--members=3", "--table=thesis_table2", single): "got --members=3 with invertnas_single alone",
        ("--preset=paper", plain): "got --preset=paper with bananas, random alone; expected invertnas or invertnas_sin",
        ("--init=proxy", plain): "got --init=proxy with bananas, random alone",
        ("--mixed_precision", plain): "got --mixed_precision with bananas, random alone",
        (*kl, "--queries=50"): "got --queries with --kl_only, which searches nothing",
        ("--methods=randon",): "got method 'randon'; expected one of random, local_search, evolution, bananas, invertn",
    }
    for told, expected in zip(parse(*map(list, cases)), cases.values()):
        assert isinstance(told, str) and told.startswith(f"ConfigError: {expected}")
    (near,) = parse(["--preset=papper"])
    assert near.endswith("did you mean 'paper'?")
    assert all(isinstance(tasks, list) for tasks in parse(["--members=3"], ["--preset=paper"], kl))


def test_each_table_asks_for_its_own_searches() -> None:
    table17, table18, thesis, tradeoff = parse(
        *([f"--table={name}", "--out=/nowhere"] for name in ("table17", "table18", "thesis_table2", "tradeoff"))
    )
    assert {t["name"] for t in table17 if t["benchmark"] != "nasbench101"} == {"invertnas", "invertnas-fast_mean"}
    greedy = {"invertnas-fast_greedy", "invertnas-fast_greedy_mean"}
    assert {t["name"] for t in table17 if t["benchmark"] == "nasbench101"} == {"invertnas", *greedy}
    assert len(table17) == (2 * 4 + 3) * 5
    assert {(t["benchmark"], t["dataset"], t["queries"]) for t in table17} == {
        *(("nasbench201", "cifar10", 150), ("nasbench201", "cifar100", 150), ("nasbench201", "imagenet16-120", 192)),
        *(("nasbench101", "cifar10", 150), ("nasbench301", "cifar10", 150)),
    }
    assert {t["name"] for t in table18} == {"invertnas_single", "invertnas", *(f"invertnas-k{k}" for k in (3, 5, 7))}
    assert {(t["name"], t["queries"]) for t in thesis if t["name"].startswith("inv")} == {("invertnas_single", 400)}
    assert {t["queries"] for t in thesis if t["name"] == "random"} == {192}
    assert [(t["name"], t["dataset"], t["queries"]) for t in tradeoff] == [("invertnas", "imagenet16-120", 400)] * 3


def test_quick_searches_have_more_trials_than_long_ones() -> None:
    quick = ("random", "local_search", "evolution", "bananas", "invertnas_single")
    flags = [[f"--table={name}", "--out=/nowhere"] for name in ("table1", "table3")]
    table1, table3, asked = parse(*flags, [*flags[0], "--trials=2"])
    counts = Counter(task["name"] for task in table1)
    assert counts == {**dict.fromkeys(quick, 20), "invertnas": 10}
    counts = Counter((task["name"], task["benchmark"]) for task in table3)
    assert counts == {
        **{(name, space): 20 for name in quick for space in ("nasbench301", "nasbench_nlp")},
        **{("bayesian", "nasbench301"): 20, ("invertnas", "nasbench301"): 5, ("invertnas", "nasbench_nlp"): 5},
    }
    assert set(Counter(task["name"] for task in asked).values()) == {2}


def test_a_longer_search_of_the_same_seed_serves(tmp_path: Path) -> None:
    for queries, seed in ((400, 1), (192, 1), (100, 2)):
        folder = tmp_path / "searches" / "invertnas" / "nasbench201" / "imagenet16-120" / f"q{queries}"
        write_json(folder / f"seed_{seed}.json.gz", {})
    flags = ["--table=table17", "--methods=invertnas", "--dataset=imagenet16-120", "--trials=3", f"--out={tmp_path}"]
    found = parse(flags, [*flags, "--queries=250"], [*flags, "--queries=100"])
    budgets = [[t["queries"] for t in tasks if t["name"] == "invertnas"] for tasks in found]
    assert budgets == [[192, 192, 192], [250, 400, 250], [100, 192, 100]]


def test_presets_and_members_replace_those_of_tables_that_compare_none() -> None:
    paper, own = parse(["--preset=paper", "--trials=1", "--members=3"], ["--table=table18", "--members=3"])
    assert {t["name"] for t in paper} == {
        *("random", "local_search", "evolution", "bananas", "invertnas-paper-k3", "invertnas_single-paper")
    }
    assert (
        own
        == "ConfigError: table18 compares presets or members itself; leave out --preset, --members, --mixed_precision"
    )


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
    assert missing.startswith("DataMissingError: no ") and "gvae_nb201.weights.h5; train a GVAE" in missing
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
    searches = {
        f"searches/{m}/nasbench201/cifar10/q20/seed_{s}.json.gz" for m in ("random", "local_search") for s in (0, 1)
    }
    assert names == searches | {"table2.md", "table2.csv", "figures/table2_cifar10.png"}
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in searches}
    again = run(*command)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in searches} == times


def test_missing_searches_are_listed_without_running_them(tmp_path: Path) -> None:
    command = ["--methods=random", "--dataset=cifar10", "--queries=20", "--trials=2", f"--out={tmp_path}"]
    assert run(*command, "--trials=1").returncode == 0
    before = sorted(tmp_path.rglob("*"))
    listed = run(*command, "--dry_run")
    missing = tmp_path / "searches" / "random" / "nasbench201" / "cifar10" / "q20" / "seed_1.json.gz"
    assert (listed.returncode, listed.stdout) == (0, f"{missing}\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_ctrl_c_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(argv: object) -> int:
        raise KeyboardInterrupt

    assert cli.guarded(interrupted)(["table2"]) == 130
    assert capsys.readouterr().err == "interrupted; run the same command again to go on\n"


def test_sigterm_lets_a_script_write_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    before, kept = signal.getsignal(signal.SIGTERM), list[str]()

    def ended(argv: Any) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            kept.append("written")

    assert cli.guarded(ended)(["table2"]) == 130 and kept == ["written"]
    assert "run the same command again" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
