"""What reaches the console while a module is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from invertnas.stacked import devices

ROOT = Path(__file__).resolve().parents[2]
NOISY = "import os, sys\nos.write(2, b'start-up line\\n')\nprint('more', file=sys.stderr)\nvalue = 7\n"
USE = """
import sys
from absl import flags, logging
from experiments.common.cli import verbose
from invertnas.startup import hold_back_startup
flags.FLAGS(sys.argv)
for _ in range(2):
    hold_back_startup("noisy", verbose)
import noisy
print(noisy.value, type(noisy.__loader__).__name__, len([f for f in sys.meta_path if "startup" in type(f).__module__]))
"""


def use(folder: Path, text: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "noisy.py").write_text(text)
    paths = {"PYTHONPATH": f"{folder}:{ROOT}", **environment}
    return subprocess.run([sys.executable, "-c", USE, *flags], env=paths, capture_output=True, text=True, timeout=60)


def test_an_import_is_quiet_and_otherwise_as_ever(tmp_path: Path) -> None:
    done = use(tmp_path, NOISY)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7 SourceFileLoader 0\n", "")


@pytest.mark.parametrize(("flags", "environment"), [(["-v=1"], {}), ([], {"TF_CPP_MIN_LOG_LEVEL": "0"})])
def test_the_lines_are_shown_to_who_asks(tmp_path: Path, flags: list[str], environment: dict[str, str]) -> None:
    done = use(tmp_path, NOISY, *flags, **environment)
    assert (done.returncode, done.stderr) == (0, "start-up line\nmore\n")


def test_a_failing_import_shows_all_it_said(tmp_path: Path) -> None:
    done = use(tmp_path, NOISY + "1 / 0\n")
    assert done.returncode == 1
    assert done.stderr.startswith("start-up line\nmore\n") and done.stderr.endswith(
        "ZeroDivisionError: division by zero\n"
    )


def test_a_search_starts_quietly_and_imports_what_it_needs() -> None:
    code = (
        "from invertnas.startup import prepare; prepare(); prepare(); import sys\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))\n"
        "import invertnas.predictor.predictor, invertnas.search.optimizer\n"
        "beside = {'matplotlib', 'tensorflow_probability', 'tf_keras'}\n"
        "print(sorted(beside & set(sys.modules)), 'keras' in sys.modules)\n"
        "import matplotlib, tensorflow as tf; print(int(tf.constant(3)))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == ["[]", "[] True", "3"], done.stderr
    assert done.stderr == ""


def test_gpu_memory_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    grown: list[tuple[str, bool]] = []

    def grow(gpu: str, value: bool) -> None:
        if gpu == "started":
            raise RuntimeError("Physical devices cannot be modified after being initialized")
        grown.append((gpu, value))

    monkeypatch.setattr(devices.tf.config, "list_physical_devices", lambda kind: ["first", "started", "third"])
    monkeypatch.setattr(devices.tf.config.experimental, "set_memory_growth", grow)
    devices.grow_memory.cache_clear()
    assert devices.grow_memory() == 3 and grown == [("first", True), ("third", True)]
    devices.grow_memory.cache_clear()
