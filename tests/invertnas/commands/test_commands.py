"""The command line: what each command does, and that what cannot be is told in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from invertnas.commands.main import COMMANDS, main
from invertnas.commands.setup import Setup, read_setup
from invertnas.running import read_run

ROOT = Path(__file__).resolve().parents[3]
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_1x1~1|avg_pool_3x3~2|"
OWN = ["--space=tests.helpers.own_training:OwnSpace", "--evaluate=tests.helpers.own_training:train"]


def run(capsys: Any, *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    code = main(words)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def refused(capsys: Any, *words: str) -> str:
    code, _, errors = run(capsys, *words)
    lines = errors.strip().splitlines()
    assert code == 1 and len(lines) == 1, errors
    return str(lines[0])


def test_a_search_prints_a_table_and_writes_log_page_curve_and_cell(capsys: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, shown, _ = run(
        capsys, "search", "--dataset=cifar10", "--method=evolution", "--queries=12", "--seed=3", f"--out={out}"
    )
    result = read_run(out)
    assert code == 0 and len(result.evaluations) == 12 and result.best is not None
    assert f"{100 * (result.best.value or 0):.2f} %" in shown and result.best.arch in shown
    assert {path.name for path in out.iterdir()} >= {
        "log.jsonl",
        "run.json",
        "report.html",
        "report.png",
        "best_cell.png",
    }
    assert (out / "best_cell.png").read_bytes().startswith(b"\x89PNG")
    assert read_setup(out) == Setup(
        space="nasbench201",
        benchmark="nasbench201",
        dataset="cifar10",
        evaluate=None,
        method="evolution",
        queries=12,
        seed=3,
        preset=None,
        initial=None,
        weights=None,
        workers=1,
        mode="sync",
    )


def test_a_search_is_taken_up_and_goes_on_with_more(capsys: Any, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    words = ["search", "--dataset=cifar100", "--method=random"]
    run(capsys, *words, "--queries=9", f"--out={whole}")
    run(capsys, *words, "--queries=4", f"--out={part}")
    assert run(capsys, "resume", str(part), "--queries=9")[0] == 0
    found, expected = read_run(part), read_run(whole)
    assert [(e.arch, e.value) for e in found.evaluations] == [(e.arch, e.value) for e in expected.evaluations]
    assert read_setup(part).queries == 9 and run(capsys, "resume", str(part))[0] == 0
    message = refused(capsys, *words, "--queries=9", "--seed=1", f"--out={part}")
    assert message.startswith("ConfigError: got") and "choose another --out" in message


def test_a_space_and_a_training_of_ones_own(capsys: Any, tmp_path: Path) -> None:
    words = ["search", *OWN, "--queries=40", f"--out={tmp_path}"]
    assert "for which no weights ship" in refused(capsys, *words)
    assert run(capsys, *words, "--method=random", "--workers=2", "--mode=async")[0] == 0
    result = read_run(tmp_path)
    failed = [e for e in result.evaluations if e.failed]
    assert len(result.evaluations) == 40 and failed and all("MemoryError: too large" in str(e.error) for e in failed)
    assert all(e.arch.startswith("|none") for e in failed)
    page = (tmp_path / "report.html").read_text()
    assert "Failed trainings" in page and "MemoryError: too large" in page and "data:image/png;base64," in page


@pytest.mark.slow
def test_invertnas_searches_live_and_predicts(capsys: Any, tmp_path: Path) -> None:
    code, shown, _ = run(capsys, "search", "--dataset=cifar100", "--queries=40", f"--out={tmp_path}")
    assert code == 0 and "mean error of the predictions" in shown
    result = read_run(tmp_path)
    assert sum(e.predicted is not None for e in result.evaluations) == 10
    code, shown, _ = run(capsys, "predict", f"--run={tmp_path}", CELL, CELL.replace("avg_pool_3x3", "none"))
    lines = shown.strip().splitlines()
    assert code == 0 and len(lines) == 2 and lines[0].endswith(CELL)
    assert 40 < float(lines[0].split(" %")[0]) < 90


def test_report_is_written_again(capsys: Any, tmp_path: Path) -> None:
    run(capsys, "search", "--dataset=cifar10", "--method=random", "--queries=3", f"--out={tmp_path}")
    (tmp_path / "report.html").unlink()
    code, shown, _ = run(capsys, "report", str(tmp_path))
    assert code == 0 and str(tmp_path / "report.html") in shown and (tmp_path / "report.html").exists()


def test_show_draws(capsys: Any, tmp_path: Path) -> None:
    for name in ("cell.png", "cell.svg"):
        code, shown, _ = run(capsys, "show", CELL, f"--out={tmp_path / name}")
        assert code == 0 and CELL in shown and (tmp_path / name).stat().st_size > 1000


def test_convert_reads_other_notations(capsys: Any) -> None:
    code, shown, _ = run(capsys, "convert", CELL)
    assert code == 0 and shown.splitlines()[-1] == CELL
    code, shown, _ = run(capsys, "convert", "9930")
    best = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    assert code == 0 and shown.splitlines() == ["index of the benchmark", best]
    assert "got 'nonsense', which is no NAS-Bench-201 cell" in refused(capsys, "convert", "nonsense")


def test_help_names_every_command_and_flag(capsys: Any) -> None:
    for words in ([], ["help"], ["--help"]):
        code, shown, _ = run(capsys, *words)
        assert code == 0 and all(f"invertnas {command.usage}" in shown for command in COMMANDS.values())
    for name in COMMANDS:
        code, shown, _ = run(capsys, name, "--help")
        assert code == 0 and shown.startswith(f"usage: invertnas {COMMANDS[name].usage}")
    assert "--queries" in run(capsys, "search", "--help")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["serch"], "ConfigError: got 'serch'; expected one of search, resume, .*did you mean 'search'"),
        (["search", "--datset=x"], "ConfigError: Unknown command line flag 'datset'. Did you mean: dataset"),
        (["search", "--queries=0"], "ConfigError: .*see invertnas search --help"),
        (["search", "word"], "ConfigError: got 'word'; expected flags only"),
        (["search"], "ConfigError: got dataset None; expected one of cifar10, cifar100, imagenet16-120"),
        (["search", "--dataset=cifar11"], "got dataset 'cifar11'; .*did you mean 'cifar1"),
        (["search", "--benchmark=nasbench21", "--dataset=cifar10"], "did you mean 'nasbench201'"),
        (["search", "--dataset=cifar10", "--method=evolutoin"], "did you mean 'evolution'"),
        (["search", "--dataset=cifar10", "--method=random", "--preset=paper"], "got preset for 'random'"),
        (["search", "--dataset=cifar10", "--space=a:B"], "expected --benchmark with --dataset, or --space with"),
        (["search", "--benchmark=nasbench201", "--space=a:B"], "got a space beside a benchmark"),
        (["search", "--space=nowhere:B", "--evaluate=nowhere:f"], "No module named 'nowhere'"),
        (["search", "--space=tests.helpers.own_training:train", "--evaluate=tests.helpers.own_training:train"], "got"),
        (["search", "--dataset=cifar10", "--out="], "got an empty --out"),
        (["resume"], "got 0 folders; expected one"),
        (["resume", "nowhere"], "DataMissingError: no run.json in nowhere"),
        (["report", "nowhere"], "DataMissingError: no run.json in nowhere"),
        (["show", "nonsense"], "OutOfDomainError: got 'nonsense'"),
        (["show"], "got 0 architectures"),
        (["predict", CELL], "expected invertnas predict --run=DIR ARCH"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(capsys: Any, words: list[str], message: str) -> None:
    import re

    assert re.search(message, refused(capsys, *words))


def test_a_damaged_description_is_told(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"space": "nasbench201"}))
    assert "ArtefactError" in refused(capsys, "resume", str(tmp_path))


def test_a_run_of_a_baseline_predicts_nothing(capsys: Any, tmp_path: Path) -> None:
    run(capsys, "search", "--dataset=cifar10", "--method=random", "--queries=2", f"--out={tmp_path}")
    assert "which predicts nothing" in refused(capsys, "predict", f"--run={tmp_path}", CELL)


def test_the_console_script_is_this_main() -> None:
    assert "invertnas = invertnas.commands.main:main" in (ROOT / "setup.cfg").read_text()
    done = subprocess.run([sys.executable, "-m", "invertnas.commands.main", "nothing"], cwd=ROOT, capture_output=True)
    assert done.returncode == 1 and done.stderr.startswith(b"ConfigError: got 'nothing'")
    code = "import sys, invertnas.commands.main as m; m.main(['help']); print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).stdout.endswith(b"False\n")
