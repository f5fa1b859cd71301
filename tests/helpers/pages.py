"""The pages a reader meets: README.md and docs/, and the blocks of code in them."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SLOW = "<!-- slow -->"  # on a page whose blocks take more than seconds


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[tuple[int, str]]:
    """(line of the first line of code, code) of the fenced blocks in a language, "" for none."""
    found = (match for match in FENCE.finditer(text) if match[1] == language)
    return [(text.count("\n", 0, match.start()) + 2, match[2]) for match in found]


def run_blocks(page: str, text: str) -> dict[str, object]:
    """Run a page's Python blocks one after the other, as a reader would; the names they leave.

    An error shows the page and its line.
    """
    module = types.ModuleType(page)
    sys.modules[page] = module  # dataclasses look their module up
    try:
        for line, code in blocks(text, "python"):
            exec(compile("\n" * (line - 1) + code, page, "exec", dont_inherit=True), vars(module))
    finally:
        del sys.modules[page]
    return vars(module)
