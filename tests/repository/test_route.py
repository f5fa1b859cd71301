"""How far it is from a table to a coupling layer: the files on the call stack when the first layer is made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.repository.test_package import ALLOWED

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import runpy, sys

def watch(frame, event, _):
    code = frame.f_code
    if event != "call" or code.co_name != "__init__" or not code.co_filename.endswith("invertnas/inn/coupling.py"):
        return
    sys.setprofile(None)
    files = []
    while frame is not None:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    print("ROUTE", *files)
    raise KeyboardInterrupt

from invertnas import build

door = build.build_search

def watched(*arguments, **options):
    import invertnas.predictor.predictor  # TensorFlow, before every call is watched
    sys.setprofile(watch)
    return door(*arguments, **options)

build.build_search = watched
sys.argv = ["tables", *sys.argv[1:]]
runpy.run_module("experiments.tables", run_name="__main__")
"""
AT_MOST = 8


def test_from_a_table_to_a_coupling_layer(tmp_path: Path) -> None:
    flags = ("--table=table2", "--methods=invertnas", "--preset=paper", "--trials=1", "--dataset=cifar10")
    command = (sys.executable, "-c", PROGRAM, *flags, f"--out={tmp_path}")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    lines = [line for line in done.stdout.splitlines() if line.startswith("ROUTE ")]
    assert lines, done.stdout + done.stderr
    ours = [Path(name) for name in reversed(lines[0].split()[1:]) if Path(name).is_relative_to(ROOT)]
    route = [path.relative_to(ROOT).as_posix() for path in ours]
    route = [name for name in route[route.index("experiments/tables/__main__.py") :] if "common" not in name]
    route = [name for name in route if not name.startswith(".")]  # a virtual environment in the checkout
    files = list(dict.fromkeys(route))
    assert files[-1] == "invertnas/inn/coupling.py" and len(files) - 1 <= AT_MOST, files  # the table's own file aside
    folders = [Path(name).parts for name in files]
    rooms = [parts[1].removesuffix(".py") for parts in folders if parts[0] == "invertnas"]
    climbs = [(below, above) for below, above in zip(rooms, rooms[1:]) if below in ALLOWED.get(above, set())]
    assert not climbs and [parts[0] for parts in folders] == sorted(parts[0] for parts in folders)
