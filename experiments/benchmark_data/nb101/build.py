"""Build the NAS-Bench-101 table from the official file, or the embedded one from the public measurements.

python -m experiments.benchmark_data.nb101.build --tfrecord nasbench_only108.tfrecord
python -m experiments.benchmark_data.nb101.build --known nb101_known_accuracy.csv.gz  # needs LightGBM; 4 CPU min
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from experiments.benchmark_data.nb101 import embedded as nb101_embedded
from experiments.benchmark_data.nb101 import official as nb101_official
from experiments.benchmark_data.nb101 import quality as nb101_quality
from experiments.benchmark_data.nb101.known import check_csv, read_known
from experiments.benchmark_data.nb101.surrogate import TreeConfig
from experiments.common.cli import run
from invertnas.benchmarks.nasbench101.benchmark import DEFAULT_TABLE, OFFICIAL_TABLE
from invertnas.benchmarks.nasbench101.tfrecord import URL, read_runs
from invertnas.errors import ConfigError
from invertnas.files.io import sha256_file, write_arrays, write_json
from invertnas.seeding import generator

FLAGS = flags.FlagValues()
_KNOWN = flags.DEFINE_string(
    "known", None, "CSV of public measurements (nb101_known_accuracy.csv.gz).", flag_values=FLAGS
)
_TFRECORD = flags.DEFINE_string(
    "tfrecord", None, "Official nasbench_only108.tfrecord or nasbench_full.tfrecord.", flag_values=FLAGS
)
_OUT = flags.DEFINE_string("out", None, "Table to write; by default where the package looks for it.", flag_values=FLAGS)
_ALLOW = flags.DEFINE_bool(
    "allow_other_csv", False, "Accept a CSV whose checksum differs from the known one.", flag_values=FLAGS
)
_PARTIAL = flags.DEFINE_bool("allow_partial", False, "Accept a part of the official file.", flag_values=FLAGS)
_COMPARE = flags.DEFINE_integer(
    "compare", 0, "Compare so many cells with the package nasbench, which must be there.", flag_values=FLAGS
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the surrogate, and of the cells to compare.", flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
    """Build the table named by --out; nothing is written unless every check passes."""
    known, tfrecord = _KNOWN.value, _TFRECORD.value
    if len(argv) > 1 or (known is None) == (tfrecord is None):
        raise ConfigError(
            f"got {list(argv[1:])}, --known {known}, --tfrecord {tfrecord}; pass one of --known and --tfrecord alone. "
            f"The official file is at {URL} (500 MB)"
        )
    out = Path(_OUT.value or (DEFAULT_TABLE if tfrecord is None else OFFICIAL_TABLE))
    rows = _build_embedded(Path(known), out) if known is not None else _build_official(Path(str(tfrecord)), out)
    print(f"wrote {out}: {rows} cells, {out.stat().st_size} bytes, sha256 {sha256_file(out)}")
    return 0


def _build_embedded(source: Path, out: Path) -> int:
    digest = check_csv(source, _ALLOW.value)
    table, quality = nb101_embedded.build(read_known(source), digest, TreeConfig(), _SEED.value)
    write_arrays(out, table, compress=True)
    write_json(out.with_suffix(".json"), quality)
    print(nb101_quality.report(quality))
    return len(table["steps"])


def _build_official(source: Path, out: Path) -> int:
    partial = {"num_cells": None} if _PARTIAL.value else {}
    means = nb101_official.official_means(read_runs(source), **partial)
    if _COMPARE.value:
        chosen = generator(_SEED.value, "compare").permutation(sorted(means))[: _COMPARE.value].tolist()
        package = nb101_official.open_package(source)
        print(f"{nb101_official.compare(package, means, chosen)} cells agree with the package nasbench")
    write_arrays(out, nb101_official.official_table(means, sha256_file(source)), compress=True)
    return len(means)


if __name__ == "__main__":
    run(main, FLAGS)
