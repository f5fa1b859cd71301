"""Score architectures with a zero-cost proxy and keep the scores (paper section 3.2, F.5).

python -m experiments.pretrain.proxy_scores --space=nasbench201                          # all 15,625 cells
python -m experiments.pretrain.proxy_scores --space=nasbench301 --count=20000 --reduced  # of the reduced space

Writes `<out>/<space>_<proxy>[_reduced].npz`. Run again after an interruption, it goes on where it stopped; what is
finished is not scored again.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from tqdm import tqdm

from experiments.common.cli import ROOT, run
from experiments.common.cores import limit_threads
from experiments.searches.benchmarks import space_of
from invertnas.errors import ArtefactError, ConfigError, SearchExhaustedError
from invertnas.files.io import read_arrays, sha256_arrays, versions, write_arrays
from invertnas.proxies.base import FloatArray, Proxy
from invertnas.proxies.cache import DATA, pack, read_scores, score_path, write_scores
from invertnas.proxies.registry import PROXIES, default_proxies, open_proxy
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import NB201, records
from invertnas.spaces.reduced import is_reduced, sample_reduced
from invertnas.spaces.spec import ArchSpec

# Architectures scored by default: as many as AlignFlow sees of each domain (Table 11), on NAS-Bench-301, whose
# networks take five times as long, fewer; of NAS-Bench-201 all.
COUNTS = {record.name: record.scored for record in records() if record.scored is not None}
CHUNK = 8
CHECKPOINT_EVERY_S = 30.0
TRIES = 100  # draws per architecture wanted, before a space counts as exhausted

FLAGS = flags.FlagValues()
_SPACE = flags.DEFINE_enum("space", NB201.name, sorted(default_proxies()), "Search space.", flag_values=FLAGS)
_PROXY = flags.DEFINE_enum("proxy", None, sorted(PROXIES), "Proxy; default is the paper's.", flag_values=FLAGS)
_COUNT = flags.DEFINE_integer(
    "count",
    None,
    f"Distinct architectures, drawn at random; default {COUNTS}, and all of NAS-Bench-201.",
    lower_bound=1,
    flag_values=FLAGS,
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of which architectures.", lower_bound=0, flag_values=FLAGS)
_REDUCED = flags.DEFINE_bool("reduced", False, "Architectures of the reduced space.", flag_values=FLAGS)
_OUT = flags.DEFINE_string("out", str(DATA), "Folder of the file.", flag_values=FLAGS)
_WORK = flags.DEFINE_string("work", str(ROOT / "runs"), "Folder of the checkpoint.", flag_values=FLAGS)
_THREADS = flags.DEFINE_integer("threads", 1, "Cores to use.", lower_bound=1, flag_values=FLAGS)


def choose(space: SearchSpace, count: int | None, seed: int, *, reduced: bool) -> list[ArchSpec]:
    """All architectures of a space, or `count` distinct ones at random, of the reduced space if asked.

    Raises:
        ConfigError: no count for a space that cannot be listed.
        SearchExhaustedError: so many distinct ones are not found.
    """
    listed: Callable[[], Any] | None = getattr(space, "all", None)
    if count is None:
        if listed is None:
            raise ConfigError(f"got no count for {space.name}, which cannot be listed; pass --count")
        return [arch for arch in listed() if not reduced or is_reduced(space, arch)]
    rng, found = generator(seed, f"proxy cells {space.name}", int(reduced)), dict[str, ArchSpec]()
    for _ in range(TRIES * count):
        arch = sample_reduced(space, rng) if reduced else space.sample(rng)
        found.setdefault(space.identity(arch), arch)
        if len(found) == count:
            return list(found.values())
    raise SearchExhaustedError(f"got {len(found)} distinct architectures of {space.name}; expected {count}")


def score_all(
    proxy: Proxy, archs: Sequence[ArchSpec], about: dict[str, Any], checkpoint: Path, report: Callable[[int], object]
) -> FloatArray:
    """(M,) scores, going on from the checkpoint if it is of the same task; it stays until the caller deletes it.

    Args:
        proxy: the proxy.
        archs: M architectures.
        about: what identifies the task.
        checkpoint: written every half minute and on an interruption.
        report: called with the number of architectures scored so far.
    """
    task = json.dumps(about, sort_keys=True) + sha256_arrays(*pack(archs))
    scores = _resumed(checkpoint, task)

    def save() -> None:
        write_arrays(checkpoint, {"scores": scores, "task": np.array(task)})

    report(len(scores))
    saved = time.monotonic()
    try:
        while len(scores) < len(archs):
            chunk = archs[len(scores) : len(scores) + CHUNK]
            scores = np.concatenate([scores, proxy.score(chunk)])
            report(len(scores))
            if time.monotonic() - saved > CHECKPOINT_EVERY_S:
                save()
                saved = time.monotonic()
    finally:
        save()
    return scores


def _resumed(checkpoint: Path, task: str) -> FloatArray:
    """Scores of a checkpoint; none if there is none, or it is of another task."""
    if checkpoint.is_file():
        arrays = read_arrays(checkpoint)
        if {"scores", "task"} <= set(arrays) and str(arrays["task"]) == task:
            return np.asarray(arrays["scores"], np.float64)
    return np.zeros(0)


def _is_done(path: Path, about: dict[str, Any]) -> bool:
    """Whether the file holds what would be scored. A damaged file is scored again."""
    try:
        return path.is_file() and about.items() <= read_scores(path).about.items()
    except ArtefactError:
        return False


def main(argv: Sequence[str]) -> int:
    """Score and write the file."""
    if len(argv) > 1:
        raise ConfigError(f"got {list(argv[1:])}; expected flags only")
    name, reduced = _SPACE.value, _REDUCED.value
    proxy_name, count = _PROXY.value or default_proxies()[name], _COUNT.value or COUNTS.get(name)
    space, path = space_of(name), score_path(name, proxy_name, reduced=reduced, folder=Path(_OUT.value))
    limit_threads(_THREADS.value)
    proxy = open_proxy(proxy_name, space)
    # As JSON gives it back: pairs become lists.
    config = json.loads(json.dumps(dataclasses.asdict(getattr(proxy, "config"))))
    about = {"space": name, "proxy": proxy_name, "reduced": reduced, "config": config}
    about |= {"count": count, "seed": None if count is None else _SEED.value}
    if _is_done(path, about):
        print(f"{path} is there already")
        return 0
    archs = choose(space, count, _SEED.value, reduced=reduced)
    checkpoint = Path(_WORK.value) / f"proxy_{path.name}"
    with tqdm(total=len(archs), unit="cell", desc=f"{proxy_name} {name}{' reduced' if reduced else ''}") as bar:
        scores = score_all(proxy, archs, about, checkpoint, lambda done: bar.update(done - bar.n))
    write_scores(path, archs, scores, {**about, "versions": versions()})
    checkpoint.unlink()
    signal = int(np.isfinite(scores).sum())
    print(f"wrote {path}: {len(scores)} architectures, {signal} with a signal, {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    run(main, FLAGS)
