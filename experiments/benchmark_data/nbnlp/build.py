"""Build the NAS-Bench-NLP table from the PTB logs, and train the surrogate on them.

python -m experiments.benchmark_data.nbnlp.build --recipes ptb_recipes.json.xz --curves ptb_curves.npz
python -m experiments.benchmark_data.nbnlp.build --logs train_logs_single_run --surrogate=False --out nlp.npz
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from experiments.benchmark_data.nbnlp import data as nbnlp_data
from experiments.benchmark_data.nbnlp import fit as nbnlp_fit
from experiments.common.cli import run
from invertnas.benchmarks.nasbench_nlp.benchmark import DEFAULT_TABLE
from invertnas.errors import ConfigError
from invertnas.files.io import sha256_file, write_arrays, write_json

FLAGS = flags.FlagValues()
_RECIPES = flags.DEFINE_string(
    "recipes", None, "Collected recipes, ptb_recipes.json.xz; goes with --curves.", flag_values=FLAGS
)
_CURVES = flags.DEFINE_string(
    "curves", None, "Collected learning curves, ptb_curves.npz; goes with --recipes.", flag_values=FLAGS
)
_LOGS = flags.DEFINE_string(
    "logs", None, "Folder of the official logs (train_logs_single_run, unpacked).", flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
    "out", str(DEFAULT_TABLE), "Table to write; the surrogate's files stand beside it.", flag_values=FLAGS
)
_SURROGATE = flags.DEFINE_bool(
    "surrogate", True, "Train and judge the surrogate too; needs LightGBM.", flag_values=FLAGS
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of folds and members.", flag_values=FLAGS)
_SCALE = flags.DEFINE_float("scale", 1.0, "Scale of the numbers of trees, for quick trials.", flag_values=FLAGS)
_ALLOW = flags.DEFINE_bool(
    "allow_other_files", False, "Accept files whose checksums differ from the known ones.", flag_values=FLAGS
)


def read() -> nbnlp_data.Runs:
    """The runs the flags name. Raises ConfigError, DataMissingError or ArtefactError."""
    recipes, curves, logs = _RECIPES.value, _CURVES.value, _LOGS.value
    if logs is not None and recipes is None and curves is None:
        return nbnlp_data.read_logs(Path(logs))
    if logs is None and recipes is not None and curves is not None:
        return nbnlp_data.read_collected(Path(recipes), Path(curves), allow_other=_ALLOW.value)
    raise ConfigError(f"got --recipes {recipes}, --curves {curves}, --logs {logs}; pass the first two or the last")


def main(argv: Sequence[str]) -> int:
    """Write the table and, with --surrogate, the trees and their quality; nothing unless every check passes."""
    if len(argv) > 1:
        raise ConfigError(f"got {list(argv[1:])}; expected flags only")
    if _SURROGATE.value:
        nbnlp_fit.lightgbm()
    runs = read()
    table = nbnlp_data.pack(runs)
    counts = nbnlp_data.census(runs)
    out = Path(_OUT.value)
    written = {out: table}
    if _SURROGATE.value:
        data = nbnlp_fit.samples(runs)
        quality = nbnlp_fit.cross_validate(data, seed=_SEED.value, scale=_SCALE.value)
        boosters = nbnlp_fit.fit(data, np.ones(len(data.cells), bool), seed=_SEED.value, scale=_SCALE.value)
        trees = nbnlp_fit.forest(boosters)
        written[out.with_name(f"{out.stem}_surrogate.npz")] = nbnlp_fit.pack_forest(trees, runs.source_sha256)
        write_json(out.with_name(f"{out.stem}_quality.json"), {"census": counts, "surrogate": quality})
        for name, values in quality.items():
            print(f"{name}: {values}")
    print(counts)
    for path, arrays in written.items():
        write_arrays(path, arrays, compress=True)
        print(f"wrote {path}: {path.stat().st_size} bytes, sha256 {sha256_file(path)}")
    return 0


if __name__ == "__main__":
    run(main, FLAGS)
