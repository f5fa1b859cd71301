"""A new method or space is one new file and one entry: the recipes' own code, in a copy of the package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.pages import ROOT, blocks, read

SPACE_ENTRY = """
register(SpaceRecord(name="toy", title="Toy", stem="toy", space="invertnas.spaces.toy:OwnSpace"))
"""
SEARCH = """
from invertnas import build_search, open_method, open_space
from tests.helpers.fakes import FakeSurrogate

class Surrogate(FakeSurrogate):
    def invert(self, targets, **_):
        return [None] * len(targets)

space = open_space("toy")
for search in (open_method("evolution", "toy", seed=1), build_search("toy", surrogate=Surrogate(), seed=1)):
    found = {}
    while len(found) < 40:
        archs = search.ask()
        search.tell(archs, [1.0 / (1 + len(arch.edges)) for arch in archs])
        found |= {space.to_string(arch): arch for arch in archs}
    print(len(found), all(space.is_valid(space.from_string(text)) for text in found))
"""


def copy_with(tmp_path: Path, new: str, content: str, changed: str, entry: str) -> Path:
    """A checkout of links in which one file is new and one has an entry more.

    Args:
        tmp_path: where to.
        new: path of the new file.
        content: its text.
        changed: path of the file that gets the entry.
        entry: appended to it.
    """
    copy = tmp_path / "copy"
    own = {ROOT / Path(*Path(path).parts[:depth]) for path in (new, changed) for depth in range(len(Path(path).parts))}
    for folder in sorted(own):
        (copy / folder.relative_to(ROOT)).mkdir(parents=True, exist_ok=True)
        for child in folder.iterdir():
            if child not in own and child.name not in (".git", ".venv", "runs", "__pycache__"):
                (copy / child.relative_to(ROOT)).symlink_to(child)
    (copy / new).write_text(content, encoding="utf-8")
    (copy / changed).unlink()
    (copy / changed).write_text((ROOT / changed).read_text(encoding="utf-8") + entry, encoding="utf-8")
    return copy


def run(copy: Path, *command: str) -> str:
    """Standard output of Python in the copy."""
    done = subprocess.run([sys.executable, *command], cwd=copy, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_method_is_one_file_and_one_entry(tmp_path: Path) -> None:
    code = [text for _, text in blocks(read("docs/recipes/method.md"), "python")]
    (content,) = (text for text in code if "class Climb(" in text)
    (entry,) = (text for text in code if "MethodRecord(" in text)
    entry = (
        "\n" + entry.replace("from invertnas import MethodRecord, register_method\n", "") + "register_method(CLIMB)\n"
    )
    folder = "invertnas/search/baselines"
    copy = copy_with(tmp_path, f"{folder}/climb.py", content, f"{folder}/records.py", entry)
    out, flags = tmp_path / "out", ("--methods=climb", "--trials=1", "--queries=20", "--dataset=cifar10")
    told = run(copy, "-m", "experiments.tables", "--table=table2", f"--out={out}", *flags)
    assert "Climb" in told
    (path,) = out.rglob("seed_0.json.gz")
    record = json.loads(run(copy, "-c", f"import gzip; print(gzip.open({str(path)!r}, 'rt').read())"))
    assert (record["method"], record["queries"], record["config"]) == ("climb", 20, {"num_init": 5})
    assert "climb" in run(copy, "-m", "invertnas.commands.main", "search", "--help")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_space_is_one_file_and_one_entry(tmp_path: Path) -> None:
    content = (ROOT / "examples" / "own_space.py").read_text(encoding="utf-8").replace('name = "own"', 'name = "toy"')
    assert "class OwnSpace(" in content and 'name = "toy"' in content
    copy = copy_with(tmp_path, "invertnas/spaces/toy.py", content, "invertnas/spaces/records.py", SPACE_ENTRY)
    assert run(copy, "-c", SEARCH).splitlines() == ["40 True", "40 True"]
