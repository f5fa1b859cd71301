"""Variables of make that nothing reads."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from experiments.common.variables import complaint, variables_of

ROOT = Path(__file__).resolve().parents[3]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SMALL = """
run = python x $(call flag,trials,TRIALS) \\
\t$(call flag,out,OUT)
one: $(STAMP) ## Reads; TRIALS= OUT=.
\t$(run)

two:
\t@echo $(WORDS)
"""


def test_a_target_reads_what_its_recipe_and_its_macros_read() -> None:
    assert variables_of(SMALL) == {"one": {"TRIALS", "OUT"}, "two": {"WORDS"}}
    found = variables_of(MAKEFILE)
    assert {"TRIALS", "METHODS", "MEMBERS", "KL_ONLY"} <= found["table2"] and "SETTING" in found["pretrain_nb201"]
    assert "TRIALS" not in found["figures"] and "FIGURES" in found["figures"]


@pytest.mark.parametrize(
    ("goals", "given", "told"),
    [
        ("table2", "TRIAL", "got TRIAL=; make table2 reads no such variable: did you mean TRIALS?"),
        ("table2", "METHOD", "got METHOD=; make table2 reads no such variable: did you mean METHODS?"),
        ("pretrain_nb201", "EPOCH", "got EPOCH=; make pretrain_nb201 reads no such variable: did you mean EPOCHS?"),
        ("bench", "SEED", "got SEED=; make bench reads no such variable: it reads OUT"),
        ("table1 table2", "trials", "got trials=; make table1 table2 reads no such variable: did you mean TRIALS?"),
        ("table1 bench", "TRIALS OUT PYTHON", ""),
        ("nowhere", "TRIAL", ""),
        ("", "TRIAL", ""),
    ],
)
def test_the_nearest_name_is_told(goals: str, given: str, told: str) -> None:
    assert complaint(MAKEFILE, goals.split(), given.split()) == told


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_stops_before_anything_runs() -> None:
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}  # where make runs the tests
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    command = ["make", "table2", "TRIAL=1", "METHOD=random"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "make table2 reads no such variable: did you mean" in done.stderr
