"""Searches in one process, as `make bench` starts them: prints one line of JSON.

python -m experiments.speed.one_search --method=invertnas_single --batch=5 --searches=2
"""

from __future__ import annotations

import functools
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags

from experiments.common import cli
from experiments.common.cores import share_cores

OWN = flags.FlagValues()
_METHOD = flags.DEFINE_string("method", "invertnas_single", "Method of the searches.", flag_values=OWN)
_BATCH = flags.DEFINE_integer("batch", None, "Architectures a question; the preset's.", flag_values=OWN, lower_bound=1)
_SEARCHES = flags.DEFINE_integer("searches", 1, "Searches one after the other.", flag_values=OWN, lower_bound=1)
_QUERIES = flags.DEFINE_integer("queries", 192, "Queries of each.", flag_values=OWN, lower_bound=1)
_DATASET = flags.DEFINE_string("dataset", "imagenet16-120", "Data set.", flag_values=OWN)
_PRETRAINED = flags.DEFINE_string("pretrained", str(cli.ROOT / "pretrained"), "Folder of weights.", flag_values=OWN)


class Clock:
    """Seconds spent in methods of an object, the inner ones' in the outer ones' too."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Count the calls of `owner.method` under a name; nothing where there is no such method."""
        inner: Callable[..., Any] | None = getattr(owner, method, None)
        if inner is None:
            return

        @functools.wraps(inner)
        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return inner(*arguments, **named)
            finally:
                self.seconds[name] += time.perf_counter() - started

        setattr(owner, method, timed)


def search(method: str, seed: int, queries: int, dataset: str, batch: int | None, folder: Path) -> dict[str, Any]:
    """Seconds of one search, of its parts, and its training steps."""
    from experiments.searches.benchmarks import open_benchmark
    from experiments.searches.methods import MethodArguments, build
    from invertnas.spaces.records import NB201

    started, clock = time.perf_counter(), Clock()
    bench = open_benchmark(NB201.name, queries)
    optimizer, _ = build(method, MethodArguments(bench.space, queries, "fast", None, folder, seed))
    surrogate = getattr(optimizer, "surrogate", None)
    for owner, name, part in (
        (surrogate, "fit", "fit_s"),
        (surrogate, "invert_drawn", "invert_s"),
        (surrogate, "predict", "predict_s"),
        (getattr(surrogate, "gvae", None), "decode", "decode_s"),
        (optimizer, "_select", "select_s"),
    ):
        clock.watch(owner, name, part)
    while bench.ledger.remaining:
        archs = optimizer.ask() if batch is None else optimizer.ask(batch)
        archs = archs[: bench.ledger.remaining]
        optimizer.tell(archs, [bench.query(arch, dataset) for arch in archs])
    fits = [record.get("fit") or {} for record in optimizer.diagnostics()]
    steps = sum(int(fit.get("steps", 0)) for fit in fits)
    seconds = time.perf_counter() - started
    rounds = max(len(fits), 1)
    parts = {name: value / rounds for name, value in clock.seconds.items()}
    return {"search_s": seconds, "rounds": rounds, "steps": steps, "parts_of_a_round": parts}


def main(argv: Sequence[str]) -> None:
    """Search, print."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    share_cores()
    settings = _QUERIES.value, _DATASET.value, _BATCH.value, Path(_PRETRAINED.value)
    print(json.dumps([search(_METHOD.value, seed, *settings) for seed in range(_SEARCHES.value)]))


if __name__ == "__main__":
    cli.run(main, OWN)
