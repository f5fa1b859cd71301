"""Build the compact NAS-Bench-Macro table from the benchmark's JSON.

python -m experiments.benchmark_data.macro --json nas-bench-macro_cifar10.json
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from absl import flags

from experiments.common.cli import run
from invertnas.benchmarks.nasbench_macro import DATASETS, DEFAULT_TABLE, IMAGES, LABELS
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import sha256_file, write_arrays
from invertnas.spaces.nasbench_macro import NUM_LAYERS, NASBenchMacroSpace

JSON_SHA256 = "686dee8363cc21cca8c1f321ad5749454f2d9b9ca5972682e137e539bc522297"
# Percentages are float32; a whole number of images is met up to this many images.
TOLERANCE = 1e-3

FLAGS = flags.FlagValues()
_JSON = flags.DEFINE_string("json", None, "The benchmark's nas-bench-macro_cifar10.json.", flag_values=FLAGS)
_OUT = flags.DEFINE_string("out", str(DEFAULT_TABLE), "Table to write.", flag_values=FLAGS)
_ALLOW = flags.DEFINE_bool(
    "allow_other", False, "Accept a JSON whose checksum differs from the known one.", flag_values=FLAGS
)


def read_json_table(path: Path, allow_other: bool) -> tuple[dict[str, Any], str]:
    """Content of the JSON and its SHA-256.

    Raises:
        DataMissingError: there is no file.
        ArtefactError: it is no JSON, or not the one expected.
    """
    if not path.is_file():
        raise DataMissingError(f"no JSON at {path}; pass the path of nas-bench-macro_cifar10.json with --json")
    digest = sha256_file(path)
    if digest != JSON_SHA256 and not allow_other:
        raise ArtefactError(
            f"{path} has sha256 {digest}; expected {JSON_SHA256}. Fetch the file again, or pass --allow_other; "
            "nothing was written"
        )
    try:
        return dict(json.loads(path.read_bytes())), digest
    except (ValueError, TypeError) as error:
        raise ArtefactError(f"{path} is no JSON of networks ({error}); fetch the file again") from error


def pack(content: dict[str, Any], source_sha256: str) -> dict[str, np.ndarray]:
    """Arrays of the table file (`invertnas.benchmarks.nasbench_macro.ARRAYS`).

    Raises:
        ArtefactError: not each of the 6,561 strings once, a value that cannot be one, or strings of one network that
            differ.
    """
    texts = ["".join(digits) for digits in itertools.product("012", repeat=NUM_LAYERS)]
    if set(content) != set(texts):
        raise ArtefactError(f"got {len(content)} networks; expected each of the {len(texts)} strings once")
    try:
        percents = np.array([content[text]["test_acc"] for text in texts], np.float64)
        params, flops = (np.array([content[text][name] for text in texts], np.uint32) for name in ("params", "flops"))
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise ArtefactError(f"a network is malformed ({error!r}); expected test_acc, params and flops") from error
    counts = np.rint(percents / 100 * IMAGES)
    if percents.shape != (len(texts), len(DATASETS)) or (np.abs(percents / 100 * IMAGES - counts) > TOLERANCE).any():
        raise ArtefactError(f"got accuracies that are no {len(DATASETS)} shares of {IMAGES} images in percent")
    if not ((counts >= 0) & (counts <= IMAGES)).all() or (params == 0).any():
        raise ArtefactError("got an accuracy outside 0..100 % or a network without parameters")
    _check_networks(texts, np.column_stack([counts, params, flops]))
    return {
        "counts": counts.astype(np.uint16),
        "params": params,
        "flops": flops,
        "origin": np.array(LABELS[0]),
        "source_sha256": np.array(source_sha256),
    }


def _check_networks(texts: Sequence[str], values: npt.NDArray[np.float64]) -> None:
    """Raise ArtefactError unless all strings of a network have the same values."""
    space = NASBenchMacroSpace()
    for row, text in enumerate(texts):
        first = int(space.identity(space.from_string(text)), 3)
        if (values[row] != values[first]).any():
            raise ArtefactError(f"{text} and {texts[first]} are one network and differ; the file is another one")


def main(argv: Sequence[str]) -> int:
    """Build the table named by --out; nothing is written unless every check passes."""
    if len(argv) > 1 or _JSON.value is None:
        raise ConfigError(f"got {list(argv[1:])}, --json {_JSON.value}; pass --json nas-bench-macro_cifar10.json")
    content, digest = read_json_table(Path(_JSON.value), _ALLOW.value)
    out = Path(_OUT.value)
    write_arrays(out, pack(content, digest), compress=True)
    print(f"wrote {out}: {len(content)} networks, {out.stat().st_size} bytes, sha256 {sha256_file(out)}")
    return 0


if __name__ == "__main__":
    run(main, FLAGS)
