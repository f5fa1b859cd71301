"""From nothing to a table on NAS-Bench-201: GVAE, proxy scores, AlignFlow, searches; `make all_nb201`.

Everything goes below one work folder, so that shipped weights, scores and results stay as they are; name their
folders with `--pretrained` and `--out` to replace them. Each phase is a script of its own, which resumes
where it was interrupted; a finished phase is not run again. Prints, and keeps in `<work>/phases.json`, what each took.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import app, flags

from experiments.common import cli
from experiments.searches.ablations import SETTINGS
from experiments.searches.initial import INITS
from experiments.searches.methods import is_invertnas
from invertnas.files.io import read_json, write_json
from invertnas.presets import DEFAULT
from invertnas.spaces.records import NB201

SPACE = NB201.name
FLAGS = flags.FlagValues()
_WORK = flags.DEFINE_string("work", str(cli.ROOT / "runs" / "all_nb201"), "Folder for everything.", flag_values=FLAGS)
_PRETRAINED = flags.DEFINE_string(
    "pretrained", None, "Folder of weights and scores; default: <work>/pretrained.", flag_values=FLAGS
)
_OUT = flags.DEFINE_string("out", None, "Results folder; default: <work>/results.", flag_values=FLAGS)
_EPOCHS = flags.DEFINE_integer("epochs", None, "Upper bound on the GVAE's epochs.", lower_bound=1, flag_values=FLAGS)
_CELLS = flags.DEFINE_integer(
    "cells", None, "Cells scored of each space, at random; default: all.", lower_bound=1, flag_values=FLAGS
)
_ALIGNFLOW_EPOCHS = flags.DEFINE_integer(
    "alignflow_epochs", None, "Upper bound on AlignFlow's epochs.", lower_bound=1, flag_values=FLAGS
)
_TABLE = flags.DEFINE_string("table", "table2", "Table of NAS-Bench-201 to search and print.", flag_values=FLAGS)
_INIT = flags.DEFINE_enum("init", "alignflow", INITS, "Initial strategy of the searches.", flag_values=FLAGS)
_METHODS = flags.DEFINE_list("methods", ["invertnas"], "Methods to search.", flag_values=FLAGS)
_DATASET = flags.DEFINE_list("dataset", None, "Data sets to search; default: the table's.", flag_values=FLAGS)
_PRESET = flags.DEFINE_enum("preset", DEFAULT, list(SETTINGS), "InvertNAS preset.", flag_values=FLAGS)
_QUERIES = flags.DEFINE_integer("queries", None, "Budget; default: the table's.", lower_bound=30, flag_values=FLAGS)
_TRIALS = flags.DEFINE_integer("trials", 1, "Trials per row and data set.", lower_bound=1, flag_values=FLAGS)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of all phases.", lower_bound=0, flag_values=FLAGS)


class Phase(NamedTuple):
    """One script.

    Attributes:
        name: in the report.
        module: below `experiments`.
        options: flag -> value; None leaves a flag to the script.
        once: whether it is done for good when it has succeeded with these options.
    """

    name: str
    module: str
    options: dict[str, Any]
    once: bool = True

    @property
    def arguments(self) -> list[str]:
        """The flags as its command line has them."""
        return [f"--{name}={value}" for name, value in self.options.items() if value is not None]


def phases() -> list[Phase]:
    """All phases with the flags' values, in order."""
    work = Path(_WORK.value)
    pretrained, out = Path(_PRETRAINED.value or work / "pretrained"), Path(_OUT.value or work / "results")
    common: dict[str, Any] = {"space": SPACE, "seed": _SEED.value, "pretrained": pretrained, "work": work}
    lists = {"methods": _METHODS.value, "dataset": _DATASET.value}
    search: dict[str, Any] = {"table": _TABLE.value, "benchmark": SPACE}
    search |= {"init": _INIT.value if any(map(is_invertnas, _METHODS.value)) else None}
    search |= {name: ",".join(values) if values else None for name, values in lists.items()}
    search |= {"preset": None if _PRESET.value == DEFAULT else _PRESET.value, "queries": _QUERIES.value}
    search |= {"trials": _TRIALS.value, "seed": _SEED.value, "out": out, "pretrained": pretrained}
    scores: dict[str, Any] = {
        "space": SPACE,
        "count": _CELLS.value,
        "seed": _SEED.value,
        "out": pretrained,
        "work": work,
    }
    return [
        Phase("GVAE", "pretrain.gvae", common | {"epochs": _EPOCHS.value}),
        *(
            Phase(f"proxy scores, {kind} space", "pretrain.proxy_scores", scores | {"reduced": reduced})
            for kind, reduced in (("full", False), ("reduced", True))
        ),
        Phase("AlignFlow", "pretrain.alignflow", common | {"epochs": _ALIGNFLOW_EPOCHS.value}),
        Phase("searches and table", "tables", search, once=False),
    ]


def run_phases(chosen: Sequence[Phase], path: Path, run: Callable[[list[str]], int]) -> int:
    """Run every phase that is not finished, and note its seconds, over all attempts.

    A phase is finished if it has succeeded with the same flags and no phase before it has run since.

    Args:
        chosen: in order.
        path: of the notes.
        run: runs a command to its end and gives the exit code.

    Returns:
        0, or the exit code of the phase that failed, after which nothing more is run.
    """
    notes: dict[str, dict[str, Any]] = read_json(path) if path.exists() else {}
    fresh = False
    for phase in chosen:
        note = notes.get(phase.name, {})
        same = note.get("arguments") == phase.arguments
        if phase.once and same and note.get("done") and not fresh:
            continue
        print(f"== {phase.name}: {phase.module} {' '.join(phase.arguments)}", flush=True)
        goes_on = same and not fresh and not (phase.once and note.get("done"))
        earlier, started, code = note.get("seconds", 0.0) if goes_on else 0.0, time.monotonic(), 1
        try:
            code = run([sys.executable, "-m", f"experiments.{phase.module}", *phase.arguments])
        finally:  # interrupted attempts count too
            seconds = round(earlier + time.monotonic() - started, 1)
            notes[phase.name] = {"arguments": phase.arguments, "seconds": seconds, "done": code == 0}
            write_json(path, notes)
        if code:
            print(f"{phase.name} ended with code {code}; run the same command again to go on", file=sys.stderr)
            return code
        fresh = True
    print(times([(phase.name, notes[phase.name]["seconds"]) for phase in chosen]))
    return 0


def times(rows: Sequence[tuple[str, float]]) -> str:
    """Seconds of each phase as a table."""
    lines = ["| Phase | Time (s) |", "|---|---:|", *(f"| {name} | {seconds:.0f} |" for name, seconds in rows)]
    return "\n".join([*lines, f"| All | {sum(seconds for _, seconds in rows):.0f} |"])


def main(argv: Sequence[str]) -> int:
    """Everything that is missing, in order."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    return run_phases(phases(), Path(_WORK.value) / "phases.json", lambda command: subprocess.run(command).returncode)


if __name__ == "__main__":
    cli.run(main, FLAGS)
