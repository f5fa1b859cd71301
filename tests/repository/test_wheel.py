"""A wheel installed in an empty folder searches, with no checkout in sight."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import invertnas

bench = invertnas.NASBench201(budget=40)
search = invertnas.build_search("nasbench201", seed=0)
while bench.ledger.remaining:
    archs = search.ask()[: bench.ledger.remaining]
    search.tell(archs, [bench.query(arch, "cifar100") for arch in archs])
best = max(bench.ledger.records, key=lambda record: record.val_accuracy)
print(best.arch, best.val_accuracy)
print(invertnas.__file__)
"""


def start(*command: str, folder: Path, **variables: str) -> str:
    """Standard output of a command that succeeds in a folder, with no path of this process."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_ten_lines_search_with_an_installed_wheel(tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    source, target, empty = tmp_path / "source", tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    start("git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(source), folder=tmp_path)
    wheels = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source))
    start(*pip, *wheels, folder=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    start(*pip, "install", "--no-deps", "--target", str(target), str(wheel), folder=tmp_path)
    weights = {path.name for path in (target / "invertnas" / "pretrained").iterdir()}
    assert weights == {path.name for path in (ROOT / "pretrained").iterdir()}
    installed = {path.name for path in target.iterdir() if not path.name.endswith(".dist-info")}
    assert installed == {"invertnas", "bin"}  # the package and its command
    answer, where = start(sys.executable, "-c", PROGRAM, folder=empty, PYTHONPATH=str(target)).splitlines()
    assert Path(where).is_relative_to(target)
    arch, value = answer.split(" ")
    assert arch.startswith("|") and 0.70 < float(value) < 0.74  # the best of all cells has 0.7349
