"""The README tells the truth: its tables are the ones the result files give."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from experiments.aggregate import read_records, summarise, to_markdown
from experiments.readme import BLOCKS, ROOT, filled
from invertnas.errors import ArtefactError

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_tables_equal_the_result_files() -> None:
    assert filled(README, ROOT / "results") == README, "run `make readme`"
    for name in BLOCKS:
        assert read_records(ROOT / "results" / name), name


def test_committed_tables_equal_the_result_files() -> None:
    table = summarise(read_records(ROOT / "results" / "table2"))
    text = (ROOT / "results" / "table2.md").read_text(encoding="utf-8")
    assert to_markdown(table, text.splitlines()[0].removeprefix("# ")) == text


def test_a_changed_number_or_a_lost_marker_is_noticed() -> None:
    number = re.search(r"\| InvertNAS \| \d+ \| (\d\d\.\d\d)", README)
    assert number
    assert filled(README.replace(number[1], "99.99"), ROOT / "results") == README
    with pytest.raises(ArtefactError, match="lacks the markers"):
        filled(README.replace("<!-- end table2 -->", ""), ROOT / "results")


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]\w*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]\w*)", README))
    assert named and named <= targets


def test_every_path_named_exists() -> None:
    pattern = r"`((?:invertnas|experiments|pretrained|results|tests)/[\w./-]+)`"
    for name in set(re.findall(pattern, README)) - {"results/figures/"}:
        assert Path(ROOT / name).exists(), name


@pytest.mark.slow
def test_the_python_example_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    names: dict[str, object] = {}
    cwd = os.getcwd()
    os.chdir(ROOT)  # the example names the repository's own `pretrained`
    try:
        exec(compile(blocks[0], "README.md", "exec"), names)
    finally:
        os.chdir(cwd)
    assert names["bench"].ledger.remaining == 0  # type: ignore[attr-defined]
    assert len(names["accuracy"]) == 5 and len(names["cells"]) == 10  # type: ignore[arg-type]
