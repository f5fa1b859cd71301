"""`make` refuses variables that its goals do not read: `make table2 TRIAL=1` would otherwise run ten trials.

Run by the Makefile itself, before there is an environment: the standard library only. Prints a sentence, or nothing.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ALWAYS = {"PYTHON", "VENV", "BIN", "STAMP", "MAKEFILE_LIST"}  # of every goal
_READ = re.compile(r"\$\((?:call flag,\w+,)?([A-Z][A-Z0-9_]*)\)")


def variables_of(makefile: str) -> dict[str, set[str]]:
    """Target -> the variables that its recipe reads, itself and through the macros that it names."""
    joined = makefile.replace("\\\n", " ")
    macros = {name: set(_READ.findall(body)) for name, body in re.findall(r"^(\w+) = (.*)$", joined, re.MULTILINE)}
    found: dict[str, set[str]] = {}
    for block in re.finditer(r"^([a-z]\w*):(?!=)[^\n]*\n((?:\t.*\n)*)", joined, re.MULTILINE):
        recipe = block[2]
        named = [read for name, read in macros.items() if f"$({name})" in recipe]
        found[block[1]] = set(_READ.findall(recipe)).union(*named)
    return found


def complaint(makefile: str, goals: Sequence[str], given: Sequence[str]) -> str:
    """What is wrong with the variables on the command line; empty if nothing is.

    Args:
        makefile: its text.
        goals: targets asked for; none for the default.
        given: names of the variables set on the command line.
    """
    targets = variables_of(makefile)
    if not goals or not set(goals) <= set(targets):
        return ""  # make itself says what it does not know
    read = set().union(*(targets[goal] for goal in goals))
    for name in given:
        if name not in read | ALWAYS:
            near = difflib.get_close_matches(name.upper(), sorted(read | ALWAYS), n=1)
            hint = f"did you mean {near[0]}?" if near else f"it reads {', '.join(sorted(read - ALWAYS)) or 'none'}"
            return f"got {name}=; make {' '.join(goals)} reads no such variable: {hint}"
    return ""


if __name__ == "__main__":
    print(complaint(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2].split(), sys.argv[3].split()))
