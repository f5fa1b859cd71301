"""Reading the PTB logs of NAS-Bench-NLP and packing those of cells that fit; no flags here."""

from __future__ import annotations

import collections
import dataclasses
import json
import lzma
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from invertnas.benchmarks.nasbench_nlp.benchmark import ORIGINS
from invertnas.errors import ArtefactError, DataMissingError, OutOfDomainError
from invertnas.files.io import read_arrays, sha256_file
from invertnas.spaces.nasbench_nlp.cell import MAX_INNER, Cell
from invertnas.spaces.nasbench_nlp.recipe_cells import INPUT_NAMES, recipe_cell
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace

RECIPES_SHA256 = "64bda23ee744f4e9de4063bcfc11aca85df4e809089ce51e1fbdbcf0fefbf084"
CURVES_SHA256 = "04725e3a481603a83379d30139d32cae021625d4aa4716710211fc35d908ff85"
EPOCHS = 50
NUM_RUNS = 14_322
COMPLETED = "OK"


@dataclasses.dataclass(frozen=True)
class Runs:
    """The runs of a release, in order of their `recepie_id`.

    Attributes:
        cells: R cells of any size, every node after what it reads, otherwise in the order of the recipe.
        val: (R,) float32 validation loss after the last epoch in nats; NaN where training diverged.
        test: (R,) float32 test loss likewise.
        params: (R,) trainable parameters.
        origin: one of `ORIGINS`.
        source_sha256: checksum of what was read.
    """

    cells: tuple[Cell, ...]
    val: npt.NDArray[np.float32]
    test: npt.NDArray[np.float32]
    params: npt.NDArray[np.int64]
    origin: str
    source_sha256: str

    @property
    def fits(self) -> npt.NDArray[np.bool_]:
        """(R,) which cells are in the search space."""
        return np.array([len(cell.ops) <= MAX_INNER for cell in self.cells])


def read_collected(recipes: Path, curves: Path, *, allow_other: bool = False, num_runs: int = NUM_RUNS) -> Runs:
    """The collected logs: recipes as compressed JSON, curves as arrays.

    Raises:
        DataMissingError: a file is not there.
        ArtefactError: a file has another checksum (unless `allow_other`) or does not hold what it should.
    """
    digests = []
    for path, expected in ((recipes, RECIPES_SHA256), (curves, CURVES_SHA256)):
        if not path.is_file():
            raise DataMissingError(f"no file at {path}; pass ptb_recipes.json.xz and ptb_curves.npz")
        digests.append(sha256_file(path))
        if digests[-1] != expected and not allow_other:
            raise ArtefactError(
                f"{path} has sha256 {digests[-1]}; expected {expected}. Fetch the file again, or pass "
                "--allow_other_files to build from files of your own; nothing was written"
            )
    try:
        with lzma.open(recipes, "rt", encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise ArtefactError(f"{recipes} cannot be read ({error}); fetch the file again") from error
    arrays = read_arrays(curves)
    if list(found) != [str(row) for row in range(num_runs)] or "status" not in arrays:
        raise ArtefactError(f"{recipes} holds {len(found)} recipes; expected {num_runs} and as many curves")
    if any(arrays[name].shape != (num_runs, EPOCHS) for name in ("val", "test")):
        raise ArtefactError(f"{curves} has curves {arrays['val'].shape}; expected {(num_runs, EPOCHS)}")
    completed = arrays["status"] == COMPLETED
    last = {name: np.where(completed, arrays[name][:, -1], np.nan).astype(np.float32) for name in ("val", "test")}
    return _runs(list(found.values()), last, arrays["num_params"], ORIGINS[0], "+".join(digests))


def read_logs(folder: Path, num_runs: int = NUM_RUNS) -> Runs:
    """The official logs: one JSON per run, as unpacked from `train_logs_single_run/logs.zip` of the release.

    Raises:
        DataMissingError: there is no such folder.
        ArtefactError: a log lacks a value, or their number is not `num_runs`.
    """
    paths = sorted(folder.rglob("*.json")) if folder.is_dir() else []
    if not paths:
        raise DataMissingError(
            f"no logs in {folder}; unpack train_logs_single_run/logs.zip of "
            "https://github.com/fmsnew/nas-bench-nlp-release and pass the folder with --logs"
        )
    if len(paths) != num_runs:
        raise ArtefactError(f"{folder} holds {len(paths)} logs; expected {num_runs}: unpack the release again")
    rows = sorted((_read_log(path) for path in paths), key=lambda row: row[0])
    last = {
        "val": np.array([row[2] for row in rows], np.float32),
        "test": np.array([row[3] for row in rows], np.float32),
    }
    params = np.array([row[4] for row in rows])
    return _runs([row[1] for row in rows], last, params, ORIGINS[1], f"{num_runs} logs")


def _read_log(path: Path) -> tuple[int, Mapping[str, Any], float, float, int]:
    """Identifier, recipe, last validation and test loss, and parameters of one run."""
    try:
        log = json.loads(path.read_text(encoding="utf-8"))
        recipe = log["recepie"] if isinstance(log["recepie"], dict) else json.loads(log["recepie"])
        val, test = log["val_losses"], log["test_losses"]
        completed = log["status"] == COMPLETED
        if completed and not len(val) == len(test) == EPOCHS:
            raise ValueError(f"{len(val)} epochs")
        losses = (float(val[-1]), float(test[-1])) if completed else (float("nan"),) * 2
        return int(log["recepie_id"]), recipe, losses[0], losses[1], int(log["num_params"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{path} is no log of the release ({error!r}); unpack it again") from error


def _runs(
    recipes: Sequence[Mapping[str, Any]],
    last: Mapping[str, npt.NDArray[np.float32]],
    params: npt.NDArray[np.int64],
    origin: str,
    digest: str,
) -> Runs:
    try:
        listed = tuple(recipe_cell(_listed(recipe)) for recipe in recipes)
    except (OutOfDomainError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(f"a recipe is no cell: {error!r}") from error
    for name, values in last.items():
        if not ((values > 0) & (values < 100) | np.isnan(values)).all():
            raise ArtefactError(f"got {name} losses outside 0..100 nats; expected natural-log losses per token")
    return Runs(listed, last["val"], last["test"], params, origin, digest)


def _listed(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with every node after its inputs: one that comes too early is put back to the end."""
    queue, known, ordered = collections.deque(recipe), set(INPUT_NAMES), {}
    patience = len(queue)
    while queue and patience:
        name = queue.popleft()
        if known.issuperset(recipe[name]["input"]):
            ordered[name] = recipe[name]
            known.add(name)
            patience = len(queue)
        else:
            queue.append(name)
            patience -= 1
    if queue:
        raise OutOfDomainError(f"got nodes {', '.join(queue)} that read each other or unknown nodes")
    return ordered


def pack(runs: Runs) -> dict[str, np.ndarray]:
    """Arrays of the table: runs of cells that fit, by distinct cell.

    Returns:
        "cells" (C,) bytes, identities in order of first run; "cell_of_run" (R',) uint16; "val" and "test" (R',)
        float32 losses in nats, NaN where training diverged; "origin" and "source_sha256", single strings.
    """
    space = NASBenchNLPSpace()
    rows = np.flatnonzero(runs.fits)
    names = [space.identity(space.from_cell(runs.cells[row])) for row in rows]
    number = {name: index for index, name in enumerate(dict.fromkeys(names))}
    return {
        "cells": np.array([name.encode() for name in number]),
        "cell_of_run": np.array([number[name] for name in names], np.uint16),
        "val": runs.val[rows],
        "test": runs.test[rows],
        "origin": np.array(runs.origin),
        "source_sha256": np.array(runs.source_sha256),
    }


def census(runs: Runs) -> dict[str, int]:
    """Counts beside those of the AG-Net paper (A.4): 14,322 recipes, 12,107 unique, 7,258 of at most 12 nodes.

    "unique" is meant as there: equal operations, edges and set of new states in the order of the recipes. Of
    those that fit, "cells" counts the classes up to node order and names of states.
    """
    unique = {cell._replace(states=tuple(sorted(cell.states))) for cell in runs.cells}
    return {
        "recipes": len(runs.cells),
        "unique": len(unique),
        "unique_fitting": sum(len(cell.ops) <= MAX_INNER for cell in unique),
        "fitting_recipes": int(runs.fits.sum()),
        "cells": len(pack(runs)["cells"]),
        "diverged_fitting_runs": int(np.isnan(runs.val[runs.fits]).sum()),
    }
