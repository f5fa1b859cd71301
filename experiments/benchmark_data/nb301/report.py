"""What `make data_nb301` does and prints: build, verify, compare with official models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmark_data.nb301.calibration import metrics
from experiments.benchmark_data.nb301.data import build, read_predictions, read_sources, verify
from invertnas.benchmarks.nasbench301.surrogate import OFFICIAL_URL, load_embedded, load_official, official_labels
from invertnas.errors import ArtefactError, ConfigError

# Official predictions carry the noise of the interface, at most 0.2 points; other models are far off.
OFFICIAL_RMSE_PP = 0.2


def report(source: Path | None, models: Path | None, out: Path, allow_other: bool = False) -> str:
    """Build from `source`, compare `models`, or verify what is in `out`; nothing is written unless every check passes.

    Args:
        source: folder of the source files, or None.
        models: folder of official models, or None.
        out: folder of the benchmark's files: written with a source, read without.
        allow_other: accept sources with other checksums.

    Returns:
        Lines to print.

    Raises:
        ConfigError: both a source and models are given.
        DataMissingError, ArtefactError: a file is missing, damaged or not the one expected.
    """
    if source is not None and models is not None:
        raise ConfigError(f"got --source {source} and --models {models}; pass one of the two, or none")
    if models is not None:
        return compare(models, out)
    if source is not None:
        return f"{describe(build(read_sources(source, allow_other), out))}\nwrote the files of NAS-Bench-301 to {out}"
    return (
        f"{describe(verify(out))}\nthe files in {out} have their checksums, and the fit gives their calibration\n"
        f"official models (v1.0), if you want them: {OFFICIAL_URL}; then pass --models"
    )


def describe(fitted: Mapping[str, Any]) -> str:
    """The calibration and its quality as lines of text."""
    quality = fitted["quality"]
    rows = [
        ("the network as it is", quality["network_uncalibrated"]),
        ("calibrated, held out", quality["held_out"]),
        ("calibrated, upper fifth held out", quality["upper_fifth_held_out"]),
    ]
    for name, other in quality["not_used"].items():
        rows += [(f"{name}, held out", other["held_out"]), (f"{name}, upper fifth", other["upper_fifth_held_out"])]
    lines = [
        f"percent = {fitted['slope']:.4f} * network + {fitted['intercept']:.4f}; fitted to {quality['rows']} rows",
        f"{'':36}{'RMSE':>8}{'MAE':>8}{'bias':>8}{'rho':>8}{'tau':>8}",
    ]
    for name, m in rows:
        values = (m["rmse_pp"], m["mae_pp"], m["bias_pp"], m["spearman"], m["kendall"])
        lines.append(f"{name:36}" + "".join(f"{'-':>8}" if value is None else f"{value:8.3f}" for value in values))
    maxima = {"affine": quality["local_maximum_percent"]}
    maxima |= {name: other["local_maximum_percent"] for name, other in quality["not_used"].items()}
    lines.append("best found by ascent: " + ", ".join(f"{name} {value:.2f} %" for name, value in maxima.items()))
    return "\n".join(lines)


def compare(models: Path, data: Path) -> str:
    """How official models of the user agree with the embedded predictions and the embedded surrogate.

    Raises:
        DataMissingError, ArtefactError: models, package or files are missing or damaged; the models
            disagree with the predictions of xgb_v1.0.
    """
    predictions, official, embedded = read_predictions(data), load_official(models), load_embedded(data)
    given = 100 * np.array([official.accuracy(cells) for cells in predictions.cells])
    ours = 100 * np.array([embedded.accuracy(cells) for cells in predictions.cells])
    known, calibrated = metrics(given, predictions.percent), metrics(ours, given)
    if known["rmse_pp"] > OFFICIAL_RMSE_PP:
        raise ArtefactError(
            f"{models} differs from the predictions of xgb_v1.0 by {known['rmse_pp']:.3f} points (RMSE); expected at "
            f"most {OFFICIAL_RMSE_PP}: these are other models, get v1.0 from {OFFICIAL_URL}"
        )
    return (
        f"{official_labels(models)}: RMSE {known['rmse_pp']:.3f} points to {len(given)} known predictions of xgb_v1.0; "
        f"the embedded surrogate is {calibrated['rmse_pp']:.3f} points off these models, Kendall "
        f"{calibrated['kendall']:.3f}. Use them with NASBench301(budget, models=Path({str(models)!r}))"
    )
