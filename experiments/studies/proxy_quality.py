"""How well NWOT ranks architectures, and whether it is NWOT: results/proxy_nwot_<space>.json and .md.

python -m experiments.studies.proxy_quality --space=nasbench201  # against accuracies and a shipped sample
python -m experiments.studies.proxy_quality --space=nasbench201 --full_cells=300  # the unslimmed networks too
python -m experiments.studies.proxy_quality --space=nasbench201 --suite_zero=zero_cost_cifar10.csv.gz

On NAS-Bench-201 the scores are compared with those of NAS-Bench-Suite-Zero (Krishnakumar et al., 2022) for 300
cells that come with the package; --suite_zero takes 300 of its CSV, and --write_sample ships these.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import flags
from scipy import stats

from experiments.common.cli import run
from experiments.common.cores import limit_threads
from experiments.pretrain.proxy_scores import choose
from experiments.searches.benchmarks import benchmark_title, open_analysis, space_of
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import read_arrays, sha256_file, write_arrays, write_json, write_text
from invertnas.proxies.base import FloatArray, Proxy
from invertnas.proxies.cache import DATA
from invertnas.proxies.nwot import NWOT, SETTINGS
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.nasbench201 import NASBench201Space
from invertnas.spaces.records import NB201
from invertnas.spaces.spec import ArchSpec

SPACES = tuple(SETTINGS["slim"])
DATASET = "cifar10"
SAMPLE = DATA / "suite_zero_nasbench201.npz"
SAMPLE_CELLS = 300
SUITE_ZERO = "NAS-Bench-Suite-Zero"

FLAGS = flags.FlagValues()
_SPACE = flags.DEFINE_enum("space", NB201.name, SPACES, "Search space.", flag_values=FLAGS)
_CELLS = flags.DEFINE_integer("cells", 1000, "Random cells scored.", lower_bound=10, flag_values=FLAGS)
_FULL = flags.DEFINE_integer("full_cells", 0, "Of these with the unslimmed networks too.", flag_values=FLAGS)
_SUITE = flags.DEFINE_string("suite_zero", None, f"CSV of {SUITE_ZERO}: arch_str, nwot.", flag_values=FLAGS)
_WRITE = flags.DEFINE_bool("write_sample", False, f"Write --suite_zero's cells to {SAMPLE.name}.", flag_values=FLAGS)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of which cells.", lower_bound=0, flag_values=FLAGS)
_THREADS = flags.DEFINE_integer("threads", 1, "Cores to use.", lower_bound=1, flag_values=FLAGS)
_OUT = flags.DEFINE_string("out", "results", "Folder of the two files.", flag_values=FLAGS)


@dataclasses.dataclass(frozen=True)
class SuiteZero:
    """Cells of NAS-Bench-201 with their published NWOT scores.

    Attributes:
        ops: (n, 6) uint8 operation indices.
        nwot: (n,) scores.
        source_sha256: of the CSV they are from.
    """

    ops: npt.NDArray[np.uint8]
    nwot: FloatArray
    source_sha256: str

    def archs(self, count: int | None = None) -> list[ArchSpec]:
        """The first `count` cells, or all."""
        return [NASBench201Space().from_cell_ops(row) for row in self.ops[:count].tolist()]


def suite_zero_csv(path: Path, seed: int) -> SuiteZero:
    """300 random cells of the CSV. Raises DataMissingError or ArtefactError."""
    if not path.is_file():
        raise DataMissingError(f"no file {path}; expected a CSV with arch_str and nwot")
    frame = pd.read_csv(path)
    if not {"arch_str", "nwot"} <= set(frame) or len(frame) < SAMPLE_CELLS:
        raise ArtefactError(
            f"{path} has columns {', '.join(map(str, frame.columns))}; expected arch_str and nwot, {SAMPLE_CELLS} rows"
        )
    rows = frame.iloc[generator(seed, "suite_zero").permutation(len(frame))[:SAMPLE_CELLS]]
    ops = [NASBench201Space().from_string(text).ops[1:-1] for text in rows["arch_str"]]
    return SuiteZero(np.array(ops, np.uint8), rows["nwot"].to_numpy(np.float64), sha256_file(path))


def shipped_suite_zero(path: Path = SAMPLE) -> SuiteZero:
    """The cells of the package. Raises DataMissingError or ArtefactError."""
    if not path.is_file():
        raise DataMissingError(f"no {path}; restore the file that comes with the package")
    arrays = read_arrays(path)
    if not {"ops", "nwot", "source_sha256"} <= set(arrays):
        raise ArtefactError(f"{path} holds {', '.join(arrays)}; restore the file that comes with the package")
    return SuiteZero(arrays["ops"], arrays["nwot"], str(arrays["source_sha256"]))


def measure(proxy: Proxy, archs: Sequence[ArchSpec]) -> tuple[FloatArray, dict[str, float]]:
    """Scores, and milliseconds per architecture on the clock and of processor time."""
    proxy.score(archs[:1])
    wall, processor = time.perf_counter(), time.process_time()
    scores = proxy.score(archs)
    ends = {"wall_ms": time.perf_counter() - wall, "processor_ms": time.process_time() - processor}
    return scores, {name: 1e3 * seconds / len(archs) for name, seconds in ends.items()}


def agreement(scores: FloatArray, other: FloatArray) -> dict[str, float]:
    """Rank correlations over all cells; those without a signal are last."""
    return {
        "cells": len(scores),
        "with_signal": int(np.isfinite(scores).sum()),
        "spearman": float(stats.spearmanr(scores, other).statistic),
        "kendall": float(stats.kendalltau(scores, other).statistic),
    }


def quality(
    space: SearchSpace, setting: str, groups: dict[str, tuple[list[ArchSpec], FloatArray]], count: int | None = None
) -> dict[str, Any]:
    """One setting of NWOT against what each group of cells is compared with, on the first `count` of each."""
    config = SETTINGS[setting][space.name]
    found: dict[str, Any] = {"config": dataclasses.asdict(config), "groups": {}}
    for name, (archs, other) in groups.items():
        # A new proxy for each group, as one remembers what it has scored.
        scores, times = measure(NWOT(space, config), archs[:count])
        found["groups"][name] = agreement(scores, other[:count]) | times
    return found


def comparisons(space: SearchSpace, cells: int, seed: int) -> dict[str, tuple[list[ArchSpec], FloatArray]]:
    """Random cells of the full and of the reduced space with their validation accuracies."""
    analysis: Any = open_analysis(space.name)
    found = {}
    for name, reduced in (("validation accuracy", False), ("the same, reduced space", True)):
        archs = choose(space, cells, seed, reduced=reduced)
        found[name] = archs, np.array([analysis.validation_accuracy(arch, DATASET) for arch in archs])
    return found


def markdown(title: str, labels: str, found: dict[str, dict[str, Any]]) -> str:
    """The figures as a table."""
    lines = [f"# NWOT on {title}", "", f"Rank correlation over random cells; accuracies on CIFAR-10, {labels}.", ""]
    lines += ["| Networks | Compared with | Cells | With signal | Spearman | Kendall | Processor time per cell (ms) |"]
    lines += ["|---|---|---:|---:|---:|---:|---:|"]
    for setting, entry in found.items():
        for name, row in entry["groups"].items():
            numbers = f"{row['spearman']:.3f} | {row['kendall']:.3f} | {row['processor_ms']:.1f}"
            lines.append(f"| {setting} | {name} | {row['cells']} | {row['with_signal']} | {numbers} |")
    lines.append("")
    for setting, entry in found.items():
        lines.append(f"- {setting}: " + ", ".join(f"{name} {value}" for name, value in entry["config"].items()))
    return "\n".join([*lines, ""])


def main(argv: Sequence[str]) -> int:
    """Score, compare and write the two files."""
    if len(argv) > 1 or (_SUITE.value and _SPACE.value != NB201.name) or (_WRITE.value and not _SUITE.value):
        raise ConfigError(
            f"got {list(argv[1:])}, --suite_zero {_SUITE.value}; expected flags only, --suite_zero with nasbench201 "
            "only, and --write_sample with --suite_zero only"
        )
    limit_threads(_THREADS.value)
    space = space_of(_SPACE.value)
    groups = comparisons(space, _CELLS.value, _SEED.value)
    if space.name == NB201.name:
        suite = suite_zero_csv(Path(_SUITE.value), _SEED.value) if _SUITE.value else shipped_suite_zero()
        groups[SUITE_ZERO] = suite.archs(), suite.nwot
        if _WRITE.value:
            write_arrays(SAMPLE, dataclasses.asdict(suite) | {"source_sha256": np.array(suite.source_sha256)}, True)
    settings: dict[str, int | None] = {"slim": None} | ({"full": _FULL.value} if _FULL.value else {})
    found = {name: quality(space, name, groups, count) for name, count in settings.items()}
    labels = str(getattr(open_analysis(space.name), "labels"))
    out = Path(_OUT.value) / f"proxy_nwot_{space.name}"
    write_json(out.with_suffix(".json"), {"space": space.name, "labels": labels, "seed": _SEED.value} | found)
    write_text(out.with_suffix(".md"), markdown(benchmark_title(space.name), labels, found))
    print(out.with_suffix(".md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    run(main, FLAGS)
