"""How well epsinas ranks architectures that were trained: results/proxy_epsinas_<space>.json and .md.

python -m experiments.studies.epsinas_quality --space=nasbench_nlp  # all logged cells against their test losses
python -m experiments.studies.epsinas_quality --space=nasbench_nlp --variants  # other settings too
python -m experiments.studies.epsinas_quality --space=nasbench201 --cells=1000  # against CIFAR-10 validation accuracy
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from absl import flags
from scipy import stats

from experiments.common.cli import run
from invertnas.benchmarks.nasbench201 import NASBench201Analysis
from invertnas.benchmarks.nasbench_nlp.benchmark import DEFAULT_TABLE, NASBenchNLPAnalysis
from invertnas.errors import ConfigError
from invertnas.files.io import read_arrays, write_json, write_text
from invertnas.proxies.base import FloatArray, Proxy
from invertnas.proxies.epsinas import EpsinasConfig, EpsinasNB201, EpsinasNLP
from invertnas.seeding import generator
from invertnas.spaces.records import NB201, NBNLP
from invertnas.spaces.spec import ArchSpec

SPACES = (NBNLP.name, NB201.name)
BEST = (50, 500)
VARIANT_CELLS = 500
# What differs from the default settings, each judged on the same cells of the development half.
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "biases = the constant (epsinas code)": {"constant_biases": True},
    "other words and embedding (seed 22)": {"seed": 22},
    "batch 32, 20 words": {"batch": 32, "steps": 20},
    "constants 1e-7 and 1e-3": {"weights": (1e-7, 1e-3)},
    "constants 1e-5 and 1e-4": {"weights": (1e-5, 1e-4)},
    "constants 1e-5 and 1e-2": {"weights": (1e-5, 1e-2)},
    "one layer of 400": {"widths": (400,)},
    "three layers of 64": {"widths": (64, 64, 64)},
}

FLAGS = flags.FlagValues()
_SPACE = flags.DEFINE_enum("space", NBNLP.name, SPACES, "Search space.", flag_values=FLAGS)
_CELLS = flags.DEFINE_integer("cells", 0, "Cells, drawn at random; 0 for all.", flag_values=FLAGS)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of which cells, and of the halves.", flag_values=FLAGS)
_TEXT = flags.DEFINE_string("text", None, "ptb.train.txt, instead of drawn words.", flag_values=FLAGS)
_VARIANTS = flags.DEFINE_bool("variants", False, "Judge other settings too (NAS-Bench-NLP).", flag_values=FLAGS)
_OUT = flags.DEFINE_string("out", "results", "Folder of the two files.", flag_values=FLAGS)
Groups = dict[str, npt.NDArray[np.bool_]]


class Trained(NamedTuple):
    """Architectures in random order, what they reached, and groups of them."""

    archs: list[ArchSpec]
    accuracy: FloatArray
    groups: Groups


def trained_nlp(cells: int, seed: int) -> Trained:
    """Logged cells with 1 - test loss / 100; in all groups but the last, those none of whose runs diverged."""
    analysis, arrays = NASBenchNLPAnalysis(), read_arrays(DEFAULT_TABLE)
    logged = analysis.logged()
    diverged = np.bincount(arrays["cell_of_run"], np.isnan(arrays["test"]), minlength=len(logged)) > 0
    order = generator(seed, "epsinas_cells").permutation(len(logged))[: cells or None]
    archs = [logged[index] for index in order.tolist()]
    accuracy = np.array([analysis.test_accuracy(arch, "ptb") for arch in archs], np.float64)
    whole = ~diverged[order]
    states = np.array([len(analysis.space.to_cell(arch).states) for arch in archs])
    early = np.arange(len(archs)) < len(archs) // 2
    groups = {"all": whole, "development half": whole & early, "held-out half": whole & ~early}
    groups |= {f"{count} hidden state{'s'[: count - 1]}": whole & (states == count) for count in (1, 2, 3)}
    groups["best tenth"] = whole & (accuracy >= np.quantile(accuracy[whole], 0.9))
    return Trained(archs, accuracy, groups | {"all, diverged ones last": np.ones(len(archs), bool)})


def trained_nb201(cells: int, seed: int) -> Trained:
    """Cells of the table with CIFAR-10 validation accuracy."""
    analysis = NASBench201Analysis()
    val = analysis.table("cifar10")["val"]
    order = generator(seed, "epsinas_cells").permutation(len(val))[: cells or None]
    accuracy = val[order].astype(np.float64)
    groups = {"all": np.ones(len(order), bool), "best tenth": accuracy >= np.quantile(accuracy, 0.9)}
    return Trained([analysis.arch(index) for index in order.tolist()], accuracy, groups)


def agreement(scores: FloatArray, accuracy: FloatArray) -> dict[str, float]:
    """Rank correlations of scores with accuracies (K,): of those with a signal, and of all with -inf as last."""
    signal = np.isfinite(scores)
    return {
        "cells": len(scores),
        "with_signal": int(signal.sum()),
        "spearman": float(stats.spearmanr(scores[signal], accuracy[signal]).statistic),
        "kendall": float(stats.kendalltau(scores[signal], accuracy[signal]).statistic),
        "spearman_no_signal_last": float(stats.spearmanr(scores, accuracy).statistic),
        "kendall_no_signal_last": float(stats.kendalltau(scores, accuracy).statistic),
    }


def chosen(scores: FloatArray, accuracy: FloatArray) -> list[dict[str, float]]:
    """What taking the highest scores gives, against all: counts, mean and maximum of accuracies, `BEST` and all."""
    order = np.argsort(-scores, kind="stable")
    counts = [count for count in BEST if count < len(order)] + [len(order)]
    best = [accuracy[order[:count]] for count in counts]
    return [{"count": len(each), "mean": float(each.mean()), "max": float(each.max())} for each in best]


def measure(proxy: Proxy, archs: Sequence[ArchSpec]) -> tuple[FloatArray, float]:
    """Scores, and milliseconds of processor time per architecture."""
    start = time.process_time()
    scores = proxy.score(archs)
    return scores, 1e3 * (time.process_time() - start) / len(archs)


def quality(proxy: Proxy, trained: Trained) -> dict[str, Any]:
    """Every group's `agreement`, what the best scores reach, and the time."""
    scores, milliseconds = measure(proxy, trained.archs)
    return {
        "ms_per_cell": milliseconds,
        "groups": {name: agreement(scores[kept], trained.accuracy[kept]) for name, kept in trained.groups.items()},
        "best_scores": chosen(scores, trained.accuracy),
    }


def variants(trained: Trained, text: Path | None) -> dict[str, dict[str, float]]:
    """`agreement` of other settings, on cells of the development half, and how alike the default ranks them."""
    rows = np.flatnonzero(trained.groups["development half"])[:VARIANT_CELLS]
    archs, accuracy = [trained.archs[row] for row in rows.tolist()], trained.accuracy[rows]
    found: dict[str, dict[str, float]] = {}
    default = np.zeros(0)
    for name, changes in VARIANTS.items():
        scores, milliseconds = measure(EpsinasNLP(EpsinasConfig(**changes), text), archs)
        default = default if len(default) else scores
        both = np.isfinite(scores) & np.isfinite(default)
        alike = float(stats.spearmanr(scores[both], default[both]).statistic)
        found[name] = agreement(scores, accuracy) | {"spearman_with_default": alike, "ms_per_cell": milliseconds}
    return found


def markdown(space: str, target: str, found: Mapping[str, Any]) -> str:
    """The figures as tables."""
    lines = [f"# epsinas on {space}: rank correlation with {target}", ""]
    lines += ["A higher score should mean a better architecture: positive is right. In brackets: architectures without"]
    lines += ["signal (-inf) ranked last instead of left out.", ""]
    lines += _table(found["groups"], "Cells", lambda row: "")
    lines += [
        "",
        "Accuracy in percent of the highest scores, and of all cells:",
        "",
    ]
    lines += ["| Cells | Mean | Best |", "|---:|---:|---:|"]
    for row in found["best_scores"]:
        lines.append(f"| {row['count']} | {100 * row['mean']:.3f} | {100 * row['max']:.3f} |")
    lines.append("")
    lines += [f"Processor time: {found['ms_per_cell']:.1f} ms per cell.", ""]
    if "variants" in found:
        lines += ["## Other settings, on cells of the development half", ""]
        head = "Like the default (Spearman) | ms per cell |"
        lines += _table(
            found["variants"],
            "Setting",
            lambda r: f" {r['spearman_with_default']:.3f} | {r['ms_per_cell']:.1f} |",
            head,
        )
        lines.append("")
    return "\n".join(lines)


def _table(
    rows: Mapping[str, Mapping[str, float]], title: str, tail: Callable[[Mapping[str, float]], str], head: str = ""
) -> list[str]:
    lines = [f"| {title} | Number | With signal | Spearman | Kendall | {head}".rstrip()]
    lines.append("|---|" + "---:|" * (lines[0].count("|") - 2))
    for name, row in rows.items():
        pairs = [f"{row[key]:+.3f} ({row[key + '_no_signal_last']:+.3f})" for key in ("spearman", "kendall")]
        lines.append(f"| {name} | {row['cells']} | {row['with_signal']} | {pairs[0]} | {pairs[1]} |{tail(row)}")
    return lines


def main(argv: Sequence[str]) -> int:
    """Score, compare and write the two files."""
    if len(argv) > 1:
        raise ConfigError(f"got {list(argv[1:])}; expected flags only")
    space, cells, seed = _SPACE.value, _CELLS.value, _SEED.value
    text = None if _TEXT.value is None else Path(_TEXT.value)
    if space == NBNLP.name:
        trained, target = trained_nlp(cells, seed), "100 - test loss on PTB"
        found = quality(EpsinasNLP(text=text), trained)
        if _VARIANTS.value:
            found["variants"] = variants(trained, text)
    else:
        trained, target = trained_nb201(cells, seed), "CIFAR-10 validation accuracy"
        found = quality(EpsinasNB201(), trained)
    out = Path(_OUT.value) / f"proxy_epsinas_{space}"
    words = {NBNLP.name: "Zipf" if text is None else text.name, NB201.name: None}[space]
    write_json(out.with_suffix(".json"), {"space": space, "target": target, "words": words, "seed": seed} | found)
    write_text(out.with_suffix(".md"), markdown(space, target, found))
    print(out.with_suffix(".md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    run(main, FLAGS)
