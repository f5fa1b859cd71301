"""Whether the stored searches still give the stored tables: every CSV is made again elsewhere and compared."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from absl import app, flags

from experiments.common import cli
from experiments.searches.records import SEARCHES
from experiments.tables.definitions import TABLES
from experiments.tables.initial_sets.reference import REFERENCE
from experiments.tables.reports import publish
from invertnas.errors import ConfigError

OWN = flags.FlagValues()
_OUT = flags.DEFINE_string("out", str(cli.ROOT / "results"), "Results folder.", flag_values=OWN)
_TABLES = flags.DEFINE_list("tables", list(TABLES), "Tables to make again, comma separated.", flag_values=OWN)
SUFFIXES = (".csv", ".csv.gz")


def remake(names: Sequence[str], results: Path, folder: Path) -> None:
    """Write the named tables of the searches of `results` into the empty `folder`."""
    (folder / SEARCHES).symlink_to((results / SEARCHES).resolve())
    shutil.copytree(results / REFERENCE, folder / REFERENCE)  # is written where labels have changed
    for name in names:
        table = TABLES[name]
        publish(table, folder, range(table.trials), table.places, cli.ROOT / "pretrained")


def compare(results: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """(file name, difference) of every CSV of `folder`; the difference is empty where the bytes are equal."""
    for path in sorted(folder.iterdir()):
        if path.name.endswith(SUFFIXES):
            yield path.name, difference(results / path.name, path)


def difference(stored: Path, made: Path) -> str:
    """In words, what distinguishes two CSV files; empty where their text is equal."""
    if not stored.exists():
        return "not stored"
    old, new = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in (stored, made))
    if old.shape != new.shape or list(old) != list(new):
        return f"{old.shape[0]} rows of {old.shape[1]} columns stored, {new.shape[0]} of {new.shape[1]} made"
    cells = old.to_numpy() != new.to_numpy()
    if not cells.any():
        return ""
    named = ", ".join(str(column) for column, changed in zip(old, cells.any(axis=0)) if changed)
    pairs = np.stack([old.to_numpy()[cells], new.to_numpy()[cells]])
    numbers = pd.to_numeric(pd.Series(pairs.ravel()), errors="coerce").to_numpy(float).reshape(2, -1)
    return f"{cells.sum()} cells of {named}; the largest difference is {np.abs(numbers[0] - numbers[1]).max():.2g}"


def main(argv: Sequence[str]) -> int:
    """Print one line a file; exit code 1 if one differs."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    if unknown := [name for name in _TABLES.value if name not in TABLES]:
        raise ConfigError(f"got tables {', '.join(unknown)}; expected some of {', '.join(TABLES)}")
    results = Path(_OUT.value)
    with tempfile.TemporaryDirectory() as folder:
        remake(_TABLES.value, results, Path(folder))
        found = list(compare(results, Path(folder)))
    for name, words in found:
        print(f"{name:24} {words or 'equal'}")
    return int(any(words for _, words in found))


if __name__ == "__main__":
    cli.run(main, OWN)
