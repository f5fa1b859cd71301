"""`make bench`: what a step, a round and a search cost on this machine. A benchmark, not a test.

Prints a table and appends one record to `<out>/bench.json`. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app, flags

from experiments.common import cli
from experiments.common.cores import share_cores
from experiments.speed.processes import bench_commands, bench_processes
from experiments.speed.step_parts import bench_parts, fast_step_gflop, roofline
from experiments.speed.timing import bench_growth, bench_search, bench_step, machine, peak_rss_gb, to_markdown
from invertnas.files.io import read_json, write_json
from invertnas.presets import DEFAULT

FLAGS = flags.FLAGS
flags.DEFINE_string("out", str(cli.ROOT / "results"), "Results folder.")
flags.DEFINE_string("pretrained", str(cli.ROOT / "pretrained"), "Folder of the shipped weights.")
flags.DEFINE_string("dataset", "imagenet16-120", "Data set of the searches.")
flags.DEFINE_integer("paper_rounds", 6, "Rounds of the paper preset before extrapolating.", lower_bound=3)
flags.DEFINE_bool("quick", False, "Leave out the growth with members and batch, and the searches.")
flags.DEFINE_bool("commands", True, "Time Table 2 from nothing and the tests, too; a quarter of an hour.")


def main(argv: Sequence[str]) -> None:
    """Measure, print, append."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    share_cores()
    record: dict[str, Any] = {"machine": machine()}
    if not FLAGS.quick:  # the searches come first, since the peak of memory never falls
        where: dict[str, Any] = {"pretrained": Path(FLAGS.pretrained), "dataset": FLAGS.dataset}
        fast = bench_search(DEFAULT, None, **where)
        record |= {"search_fast_s": fast["wall_s"], "search_fast": fast, "search_fast_peak_rss_gb": peak_rss_gb()}
        paper = bench_search("paper", FLAGS.paper_rounds, **where)
        record |= {"search_paper_s_extrapolated": paper["extrapolated_s"], "search_paper": paper}
        record["search_paper_peak_rss_gb"] = peak_rss_gb()
    record |= bench_step()
    record |= bench_parts(record["matmul_peak_gflops"])
    record |= roofline(record["matmul_peak_gflops"], record["step_s"])
    if not FLAGS.quick:
        record |= bench_growth()
        chosen = f"--dataset={FLAGS.dataset}", f"--pretrained={FLAGS.pretrained}"
        record |= bench_processes(fast_step_gflop(), record["matmul_peak_gflops"], *chosen)
    if FLAGS.commands and not FLAGS.quick:
        record |= bench_commands(os.cpu_count() or 1)
    path = Path(FLAGS.out) / "bench.json"
    write_json(path, [*(read_json(path) if path.exists() else []), record])
    print(to_markdown(record))


if __name__ == "__main__":
    cli.run(main)
