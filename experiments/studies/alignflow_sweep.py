"""Sweep what the paper leaves open about AlignFlow, on NAS-Bench-201: lambda, noise, standardisation and more.

Each setting is trained for a few epochs; what its translations of held-out cells look like, and how they rank,
goes to results/alignflow_sweep_nasbench201.json and .md. Accuracies are read for judging only. A setting that
the JSON already holds is not trained again.

python -m experiments.studies.alignflow_sweep
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from scipy import stats
from tqdm import tqdm

from experiments.common import cli
from experiments.common.cores import limit_threads
from experiments.pretrain.alignflow_settings import domains, held_out_metrics
from invertnas.benchmarks.nasbench201 import NASBench201Analysis
from invertnas.files.io import read_json, versions, write_json, write_text
from invertnas.spaces.spec import ArchSpec

NAME = "alignflow_sweep_nasbench201"
TOP = 30  # sources a search would start from (paper H)
# Name -> (changes to AlignFlowConfig, changes to AlignFlowTrainConfig).
SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": ({}, {}),
    **{f"lambda {value:g}": ({}, {"nll_weight": value}) for value in (1e-4, 1e-3, 1e-2, 1.0)},
    **{f"noise {value:g}": ({}, {"noise": value}) for value in (0.0, 0.3)},
    "standardised by feature": ({}, {"standardise": "feature"}),
    "not standardised": ({}, {"standardise": "none", "noise": 0.005}),  # the noise in the latents' own units
    "buffer 50": ({}, {"buffer": 50}),
    "clipped at norm 1": ({}, {"clip_norm": 1.0}),
    "subnets of 2 hidden layers": ({"hidden_layers": 2}, {}),
    "not near the identity": ({"head_scale": 1.0}, {}),
}

FLAGS = flags.FlagValues()
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Epochs of each setting.", lower_bound=1, flag_values=FLAGS)
_SETTINGS = flags.DEFINE_list("settings", list(SETTINGS), "Settings to train.", flag_values=FLAGS)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of split, weights, shuffling and noise.", flag_values=FLAGS)
_THREADS = flags.DEFINE_integer("threads", 1, "Cores to use.", lower_bound=1, flag_values=FLAGS)
_PRETRAINED = flags.DEFINE_string("pretrained", str(cli.ROOT / "pretrained"), "Folder of the GVAE.", flag_values=FLAGS)
_OUT = flags.DEFINE_string("out", str(cli.ROOT / "results"), "Folder of the two files.", flag_values=FLAGS)


def main(argv: Sequence[str]) -> None:
    """Train every setting that is missing, and write both files after each."""
    if len(argv) > 1 or not set(_SETTINGS.value) <= set(SETTINGS):
        raise app.UsageError(f"got {argv[1:]} and settings {_SETTINGS.value}; expected some of {', '.join(SETTINGS)}")
    path = Path(_OUT.value) / f"{NAME}.json"
    head = {"epochs": _EPOCHS.value, "seed": _SEED.value, "versions": versions()}
    stored = read_json(path) if path.exists() else {}
    runs = stored.get("runs", {}) if {name: stored.get(name) for name in head} == head else {}
    missing = [name for name in _SETTINGS.value if name not in runs]
    if missing:
        limit_threads(_THREADS.value)
    for name in tqdm(missing, unit="setting"):
        runs[name] = _measure(*SETTINGS[name])
        write_json(path, {**head, "runs": runs})
    write_text(path.with_suffix(".md"), report(head, {name: runs[name] for name in SETTINGS if name in runs}))


def _measure(model_changes: dict[str, Any], train_changes: dict[str, Any]) -> dict[str, Any]:
    from invertnas.alignflow.config import AlignFlowConfig, AlignFlowTrainConfig
    from invertnas.alignflow.train import AlignFlowTrainer
    from invertnas.alignflow.translate import translate
    from invertnas.gvae.pretrained import load_gvae
    from invertnas.spaces.nasbench201 import NASBench201Space

    space = NASBench201Space()
    gvae = load_gvae(space, Path(_PRETRAINED.value))
    archs = domains(space, _SEED.value)
    config = AlignFlowConfig(gvae.config.flat_dim, **model_changes)
    train = AlignFlowTrainConfig(**{"epochs": _EPOCHS.value, "seed": _SEED.value, **train_changes})
    trainer = AlignFlowTrainer(config, train, *(gvae.encode(space.encode(part)) for part in archs))
    started = time.process_time()
    model = trainer.run()
    losses = trainer.history[trainer.progress.best_epoch]
    return {
        "config": config.to_dict(),
        "train": train.to_dict(),
        "cpu_s": round(time.process_time() - started, 1),
        "best_epoch": trainer.progress.best_epoch + 1,
        "epochs_run": trainer.progress.epoch,
        "losses": {name: value for name, value in losses.items() if name != "epoch"},
        "metrics": held_out_metrics(trainer, model, gvae, space, archs),
        "ranks": ranks(archs[0], translate(model, gvae, space, archs[0])),
    }


def ranks(sources: list[ArchSpec], images: list[ArchSpec | None]) -> dict[str, dict[str, float]]:
    """How translations rank in validation accuracy among all 15,625 cells, for judging a setting only.

    Args:
        sources: the reduced space.
        images: their translations.

    Returns:
        For each data set, mean ranks as fractions, 0 the best, 0.5 a random cell: of the sources and of their
        translations, for the `TOP` sources with most parameters and for all; and Spearman's correlation of the
        accuracies of sources and translations. Empty if fewer than two translations are valid.
    """
    analysis, found = NASBench201Analysis(), dict[str, dict[str, float]]()
    pairs = [(analysis.index(s), analysis.index(t)) for s, t in zip(sources, images) if t is not None]
    if len(pairs) < 2:
        return found
    source, image = np.array(pairs).T
    order = np.argsort(-analysis.table("cifar10")["params"][source], kind="stable")[:TOP]
    for dataset in ("cifar10", "cifar100", "imagenet16-120"):
        accuracy = analysis.table(dataset)["val"]
        rank = stats.rankdata(-accuracy) / len(accuracy)
        found[dataset] = {
            "top_sources": float(rank[source[order]].mean()),
            "top_translated": float(rank[image[order]].mean()),
            "sources": float(rank[source].mean()),
            "translated": float(rank[image].mean()),
            "spearman": float(stats.spearmanr(accuracy[source], accuracy[image]).statistic),
        }
    return found


def report(head: dict[str, Any], runs: dict[str, dict[str, Any]]) -> str:
    """The table of all settings in Markdown."""
    from invertnas.alignflow.config import AlignFlowTrainConfig

    default = AlignFlowTrainConfig()
    lines = [
        "# AlignFlow on NAS-Bench-201: settings the paper leaves open",
        "",
        f"{head['epochs']} epochs, seed {head['seed']}; each row changes the default (lambda {default.nll_weight:g}, "
        f"noise {default.noise:g}, overall standardisation) in one point. On held-out cells of the reduced space: "
        "cycle error (largest, standardised units), share of valid translations, of changed ones, of distinct ones, "
        "of operations kept; share of 3x3 convolutions (full space 0.2) and distance of the operations' shares from "
        "the full space's (untranslated 0.2). Discriminator loss: 0.5 is undecided, 0 certain. Ranks on CIFAR-10 "
        "validation, 0 best, 0.5 random, for judging only: translations of all reduced cells, and of the "
        f"{TOP} with most parameters; rho is the correlation of accuracy before and after.",
        "",
        "| setting | cycle | valid | changed | distinct | kept ops | 3x3 | distance | disc. | rank | rank top | rho "
        "| CPU s |",
        "|---" * 13 + "|",
    ]
    for name, run in runs.items():
        metrics, rank = run["metrics"], run["ranks"].get("cifar10", {})
        shares = [metrics[key] for key in ("validity", "changed", "distinct", "kept_ops")]
        shares += [metrics["ops"]["translated"]["nor_conv_3x3"], metrics["ops_distance"]]
        shares.append(run["losses"]["val_discriminator"])
        shares += [rank.get(key, float("nan")) for key in ("translated", "top_translated", "spearman")]
        cells = [name, f"{metrics['cycle_error']:.1e}", *(f"{value:.3f}" for value in shares), f"{run['cpu_s']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    cli.run(main, FLAGS)
