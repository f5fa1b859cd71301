"""Two processes at one search."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.searches.locks import alone
from experiments.searches.runner import run_search
from invertnas.errors import OutputError
from tests.helpers.fakes import task

ROOT = Path(__file__).resolve().parents[3]
SEARCH = """
import sys
from pathlib import Path
from experiments.searches import runner
from tests.helpers.fakes import task
query = runner._Progress._query
def slow(self, arch):
    if not self.curve:
        print("began", flush=True)
        sys.stdin.readline()
    return query(self, arch)
runner._Progress._query = slow
runner.run_search(task(Path(sys.argv[1]), method="random", queries=60, seed=1))
print("ended")
"""


def start(out: Path) -> subprocess.Popen[str]:
    pipe, command = subprocess.PIPE, [sys.executable, "-c", SEARCH, str(out)]
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_the_second_of_two_processes_waits_and_reads_the_result_of_the_first(tmp_path: Path) -> None:
    first = start(tmp_path)
    assert first.stdout is not None and first.stdout.readline() == "began\n"
    second = start(tmp_path)
    assert second.stderr is not None
    assert second.stderr.readline() == "random cifar100 seed 1: another process is at this search; waiting for it\n"
    told = [process.communicate("\n", timeout=120) for process in (first, second)]
    assert told == [("ended\n", "")] * 2 and [process.returncode for process in (first, second)] == [0, 0]
    chosen = task(tmp_path, method="random", queries=60, seed=1)
    alone_made = run_search(task(tmp_path / "other", method="random", queries=60, seed=1))
    assert run_search(chosen)["curve"] == alone_made["curve"]
    assert [path.name for path in chosen.path.parent.iterdir()] == [chosen.path.name]


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    first = start(tmp_path)
    assert first.stdout is not None and first.stdout.readline() == "began\n"
    first.kill()
    first.communicate()
    assert run_search(task(tmp_path, method="random", queries=60, seed=1))["queries"] == 60


def test_the_lock_of_a_failed_search_stays_and_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "seed_1.json.gz"
    with pytest.raises(ZeroDivisionError), alone(path, "x"):
        raise ZeroDivisionError
    assert [entry.name for entry in path.parent.iterdir()] == [".seed_1.json.gz.lock"]
    with alone(path, "x"):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write .*file/below.*; choose a writable output folder"):
        with alone(tmp_path / "file" / "below" / "x.json.gz", "x"):
            pass
