"""README and docs tell the truth: their code runs, and what they name exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import invertnas
from experiments.pages.layers import DIAGRAM, PAGE, diagram, filled_layers, layer_table, read_rules, reduced
from experiments.pages.site import ROOT, api_pages, linked, rewritten, source_of, uri_of
from invertnas.errors import ArtefactError
from tests.helpers.pages import PAGES, SLOW, blocks, read, run_blocks
from tests.repository.test_package import ALLOWED

WORDS = 900
RUNNING = [
    pytest.param(page, marks=[pytest.mark.slow] if SLOW in read(page) else [])
    for page in PAGES
    if blocks(read(page), "python")
]


@pytest.mark.parametrize("page", RUNNING)
def test_python_blocks_run(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    run_blocks(page, read(page))


def test_blocks_are_found_and_can_fail() -> None:
    text = "a\n\n```python\nx = 1\n```\n\n```\nmake test\n```\n\n```python\nassert x == 2\n```\n"
    assert blocks(text, "python") == [(4, "x = 1\n"), (12, "assert x == 2\n")] and blocks(text, "") == [
        (8, "make test\n")
    ]
    with pytest.raises(AssertionError) as raised:
        run_blocks("page.md", text)
    assert raised.traceback[-1].lineno == 11 and str(raised.traceback[-1].path).endswith("page.md")
    assert {"README.md", "docs/getting_started.md", "docs/recipes/method.md"} <= {str(p.values[0]) for p in RUNNING}


def test_readme_is_short() -> None:
    assert len(read("README.md").split()) <= WORDS


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    makefile = read("Makefile")
    targets = set(re.findall(r"^([a-z]\w*):(?!=)", makefile, re.MULTILINE))
    commands = re.findall(r"(?:^|`)make ([a-z]\w*)((?: [A-Z_]+=\S*)*)", read(page), re.MULTILINE)
    assert {target for target, _ in commands} - {"short"} <= targets  # `short` is the table that a recipe adds
    for variable in re.findall(r"([A-Z_]+)=", " ".join(variables for _, variables in commands)):
        assert f",{variable})" in makefile, f"{page} sets {variable}, which no target reads"


@pytest.mark.parametrize("page", PAGES)
def test_paths_exist(page: str) -> None:
    named = re.findall(r"`((?:invertnas|experiments|pretrained|results|tests|docs|examples)/[\w./-]+)`", read(page))
    made = {"results/figures/", "results/short.csv", "results/short.md"}  # the last two by a recipe
    made |= {"results/suite.csv", "results/suite.md"}  # by `make suite`, hours
    assert not [name for name in named if name not in made and not (ROOT / name).exists()]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    """Those of the pages in docs/ are checked when the site is built."""
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", read(page))
    assert links and not [link for link in links if not (ROOT / link).exists()]


def test_layer_table_and_diagram_equal_the_rules() -> None:
    assert read_rules(ROOT / "tests/repository/test_package.py") == ALLOWED
    assert filled_layers(read(PAGE.as_posix())) == read(PAGE.as_posix()), "run `make readme`"
    assert read(DIAGRAM.as_posix()) == diagram(ALLOWED), "run `make readme`"


def test_layers_can_differ() -> None:
    changed = {**ALLOWED, "spaces": ALLOWED["spaces"] | {"stacked"}}
    assert layer_table(changed) != layer_table(ALLOWED) and diagram(changed) != diagram(ALLOWED)
    assert reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}
    with pytest.raises(ArtefactError, match="import each other in a circle"):
        diagram({"a": {"b"}, "b": {"a"}})
    with pytest.raises(ArtefactError, match="lacks the markers"):
        filled_layers("no markers")


def test_every_public_name_is_in_the_reference() -> None:
    text = "\n".join(api_pages().values())
    assert {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)} == set(
        invertnas.__all__
    )


def test_links_out_of_docs_lead_to_copies() -> None:
    for source in ("docs/results.md", "results/table2.md", "examples/own_space.py"):
        assert source_of(uri_of(source)) == source
    text = "[a](../../results/table2.md#b) [c](gvae.md) [d](https://x.y/z) ![e](../../results/none.png)"
    assert list(linked(text, "docs/methods/invertnas.md")) == ["results/table2.md", "docs/methods/gvae.md"]
    moved = "[a](../repository/results/table2.md#b) [c](gvae.md) [d](https://x.y/z) ![e](../../results/none.png)"
    assert rewritten(text, "docs/methods/invertnas.md") == moved


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "fonts.googleapis.com" not in page and "unpkg.com" not in page
    assert (tmp_path / "site" / "repository" / "results" / "figures" / "table2_imagenet16-120.png").exists()
