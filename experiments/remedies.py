"""What each source of candidates contributes (paper Appendix I: the sampler of Algorithm 1 runs dry).

The default preset against variants with one source each, ImageNet16-120, 192 queries; see
`experiments/presets.py`. Prints and writes `<out>/remedies.md` and `.csv` and a plot.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from experiments import cli
from experiments.aggregate import REMEDY_DATASET, REMEDY_QUERIES, REMEDY_TRIALS, remedy_records, write_table
from experiments.methods import ENSEMBLE
from experiments.plots import plot_table
from experiments.pool import run_all
from experiments.presets import DEFAULT, REMEDIES
from experiments.runner import SearchTask

ROOT = Path(__file__).resolve().parent.parent
FLAGS = flags.FLAGS
flags.DEFINE_integer("trials", REMEDY_TRIALS, "Trials (seeds) per variant.", lower_bound=1)
flags.DEFINE_string("out", str(ROOT / "results"), "Results folder.")
flags.DEFINE_string("pretrained", str(ROOT / "pretrained"), "Folder of the shipped weights.")
flags.DEFINE_integer("jobs", 1, "Searches run side by side, each with its share of the cores.", lower_bound=1)


def tasks() -> list[SearchTask]:
    """Seed by seed, all variants."""
    return [
        SearchTask(
            table="table2" if variant == DEFAULT else "remedies",  # the default is a row of Table 2
            method=ENSEMBLE,
            benchmark="nasbench201",
            dataset=REMEDY_DATASET,
            queries=REMEDY_QUERIES,
            preset=variant,
            members=None,
            seed=seed,
            out=Path(FLAGS.out),
            pretrained=Path(FLAGS.pretrained),
        )
        for seed in range(FLAGS.trials)
        for variant in (*REMEDIES, DEFAULT)
    ]


def main(argv: Sequence[str]) -> None:
    """Run, aggregate, print and plot."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    run_all(tasks(), FLAGS.jobs)
    out = Path(FLAGS.out)
    records = remedy_records(out, FLAGS.trials)
    print(write_table(out, "remedies", "Sources of candidates", records))
    plot_table(out, "remedies", records)


if __name__ == "__main__":
    cli.run(main)
