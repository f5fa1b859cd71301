"""Build, verify and compare the files of NAS-Bench-301.

python -m experiments.benchmark_data.nb301.build  # verify the embedded files and refit the calibration
python -m experiments.benchmark_data.nb301.build --source FOLDER  # build them from the sources
python -m experiments.benchmark_data.nb301.build --models nb_models_1.0  # compare official models with them
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from experiments.benchmark_data.nb301.report import report
from experiments.common.cli import run
from invertnas.benchmarks.nasbench301.surrogate import DATA
from invertnas.errors import ConfigError

FLAGS = flags.FlagValues()
_SOURCE = flags.DEFINE_string(
    "source", None, "Folder with surrogate.onnx, encoding.json and the predictions.", flag_values=FLAGS
)
_MODELS = flags.DEFINE_string(
    "models", None, "Folder of the official models (v1.0); needs the package nasbench301.", flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", str(DATA), "Folder of the benchmark's files: written with --source, else read.", flag_values=FLAGS
)
_ALLOW = flags.DEFINE_bool(
    "allow_other", False, "Accept source files whose checksums differ from the known ones.", flag_values=FLAGS
)


def main(argv: Sequence[str]) -> int:
    """Do what the flags ask for and print the outcome."""
    if len(argv) > 1:
        raise ConfigError(f"got {list(argv[1:])}; pass --source FOLDER, --models FOLDER, or nothing to verify")
    source, models = (Path(value) if value is not None else None for value in (_SOURCE.value, _MODELS.value))
    print(report(source, models, Path(_OUT.value), _ALLOW.value))
    return 0


if __name__ == "__main__":
    run(main, FLAGS)
