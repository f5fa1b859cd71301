"""Pretrain the GVAE of a search space and ship its weights (paper section 3.1, Appendix H).

Resumes from a checkpoint, shows progress, and writes `<pretrained>/<name>.weights.h5` and `.json`.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from tqdm import tqdm

from experiments import cli
from invertnas.errors import ConfigError
from invertnas.gvae.config import GVAEConfig, GVAETrainConfig
from invertnas.spaces.nasbench201 import NASBench201Space
from invertnas.spaces.spec import GraphBatch

ROOT = Path(__file__).resolve().parent.parent
FLAGS = flags.FLAGS
flags.DEFINE_string("space", "nasbench201", "Search space: nasbench201.")
flags.DEFINE_integer("epochs", 500, "Upper bound on epochs.")
flags.DEFINE_integer("seed", 0, "Seed of split, weights, shuffling and noise.")
flags.DEFINE_string("pretrained", str(ROOT / "pretrained"), "Folder for weights and description.")
flags.DEFINE_string("work", str(ROOT / "runs"), "Folder for the checkpoint.")


def main(argv: Sequence[str]) -> None:
    """Train to the end, measure on the test split, write the pair of files."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    if FLAGS.space != "nasbench201":
        raise ConfigError(f"got space {FLAGS.space!r}; expected nasbench201")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from invertnas.gvae.pretrained import reconstruction_metrics, save_gvae
    from invertnas.gvae.train import GVAETrainer

    space = NASBench201Space()
    graphs = space.encode(list(space.all()))
    config = GVAEConfig(num_nodes=space.num_nodes, num_ops=len(space.op_names))
    train = GVAETrainConfig(epochs=FLAGS.epochs, seed=FLAGS.seed)
    trainer = GVAETrainer(config, train, graphs)
    started = time.perf_counter()
    with tqdm(total=train.epochs, unit="epoch", desc="GVAE nasbench201") as bar:

        def report(epoch: int, losses: dict[str, float]) -> None:
            bar.set_postfix_str(f"val {losses['val_total']:.5f}, best {trainer.progress.best_loss:.5f}")
            bar.update(epoch - bar.n)

        model = trainer.run(Path(FLAGS.work) / f"gvae_{FLAGS.space}_seed{FLAGS.seed}.npz", report)
    rows = np.sort(trainer.test_index)
    metrics = reconstruction_metrics(model, space, GraphBatch(graphs.ops[rows], graphs.adjacency[rows]))
    best = trainer.history[trainer.progress.best_epoch]
    extra: dict[str, Any] = {
        "train": dataclasses.asdict(train),
        "metrics": {f"test_{name}": value for name, value in metrics.items()}
        | {name: best[name] for name in ("val_node", "val_edge", "val_kl", "val_total")},
        "epochs_run": trainer.progress.epoch,
        "best_epoch": trainer.progress.best_epoch,
        "last_run_wall_s": round(time.perf_counter() - started, 1),
    }
    save_gvae(Path(FLAGS.pretrained), model, space.name, data_sha256=trainer.data_sha256, seed=train.seed, extra=extra)
    print({name: round(value, 6) for name, value in extra["metrics"].items()})


if __name__ == "__main__":
    cli.run(main)
