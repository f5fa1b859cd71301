"""Build the NAS-Bench-101 table from the official file, or the embedded one from the public measurements.

python -m experiments.benchmark_data.nb101.build --tfrecord nasbench_only108.tfrecord
python -m experiments.benchmark_data.nb101.build --known nb101_known_accuracy.csv.gz \\
    --test_means nb101_test_mean3_ep108.npz  # needs LightGBM; about 6 CPU minutes
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from experiments.benchmark_data.nb101 import embedded as nb101_embedded
from experiments.benchmark_data.nb101 import official as nb101_official
from experiments.benchmark_data.nb101 import quality as nb101_quality
from experiments.benchmark_data.nb101.known import check_csv, read_known
from experiments.benchmark_data.nb101.official_test import all_cells, check_test_means, read_test_means
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
_TEST_MEANS = flags.DEFINE_string(
    "test_means", None, "Test accuracies of all cells (nb101_test_mean3_ep108.npz), with --known.", flag_values=FLAGS
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
    test_means = _TEST_MEANS.value
    if len(argv) > 1 or (known is None) == (tfrecord is None) or (known is None) != (test_means is None):
        raise ConfigError(
            f"got {list(argv[1:])}, --known {known}, --test_means {test_means}, --tfrecord {tfrecord}; pass one of "
            f"--tfrecord alone and --known with --test_means. The official file is at {URL} (500 MB)"
        )
    out = Path(_OUT.value or (DEFAULT_TABLE if tfrecord is None else OFFICIAL_TABLE))
    if known is not None:
        rows = _build_embedded(Path(known), Path(str(test_means)), out)
    else:
        rows = _build_official(Path(str(tfrecord)), out)
    print(f"wrote {out}: {rows} cells, {out.stat().st_size} bytes, sha256 {sha256_file(out)}")
    return 0


def _build_embedded(source: Path, test_means: Path, out: Path) -> int:
    digests = check_csv(source, _ALLOW.value), check_test_means(test_means, _ALLOW.value)
    known, by_hash = read_known(source), read_test_means(test_means)
    codes, ranks = all_cells()
    table, quality = nb101_embedded.build(codes, by_hash[ranks], known, " ".join(digests), TreeConfig(), _SEED.value)
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
