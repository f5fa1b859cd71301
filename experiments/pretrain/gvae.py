"""Pretrain the GVAE of a search space and ship its weights (paper section 3.1, Appendix H).

Resumes from a checkpoint, shows progress, and writes `<pretrained>/<name>.weights.h5` and `.json`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app, flags
from tqdm import tqdm

from experiments.common import cli
from experiments.common.cores import limit_threads
from experiments.pretrain.gvae_settings import PRETRAINING, gvae_config, held_out, pretraining, training_graphs
from invertnas.errors import ConfigError
from invertnas.spaces.records import NB201

FLAGS = flags.FLAGS
flags.DEFINE_string("space", NB201.name, f"Search space: {', '.join(PRETRAINING)}.")
flags.DEFINE_string("setting", "fast", "Optimisation: 'fast' (ours, for two CPU cores) or 'paper'.")
flags.DEFINE_integer("epochs", None, "Upper bound on epochs; default: the setting's.", lower_bound=1)
flags.DEFINE_integer("threads", None, "Cores to use; default: all.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of split, weights, shuffling and noise.")
flags.DEFINE_string("pretrained", str(cli.ROOT / "pretrained"), "Folder for weights and description.")
flags.DEFINE_string("work", str(cli.ROOT / "runs"), "Folder for the checkpoint.")


def main(argv: Sequence[str]) -> None:
    """Train to the end, measure on the test split, write the pair of files."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    if FLAGS.setting not in ("fast", "paper"):
        raise ConfigError(f"got setting {FLAGS.setting!r}; expected 'fast' or 'paper'")
    entry = pretraining(FLAGS.space)
    if FLAGS.threads is not None:
        limit_threads(FLAGS.threads)
    from invertnas.gvae.pretrained import reconstruction_metrics, save_gvae
    from invertnas.gvae.train import GVAETrainer

    space = entry.space()
    graphs = training_graphs(entry, space, FLAGS.seed)
    config = gvae_config(entry, space, FLAGS.setting)
    train = dataclasses.replace(getattr(entry, FLAGS.setting), seed=FLAGS.seed)
    train = dataclasses.replace(train, epochs=FLAGS.epochs or train.epochs)
    trainer = GVAETrainer(config, train, graphs)
    started = time.perf_counter()
    with tqdm(total=train.epochs, unit="epoch", desc=f"GVAE {space.name}") as bar:

        def report(epoch: int, losses: dict[str, float]) -> None:
            bar.set_postfix_str(f"val {losses['val_total']:.5f}, best {trainer.progress.best_loss:.5f}")
            bar.update(epoch - bar.n)

        model = trainer.run(Path(FLAGS.work) / f"gvae_{FLAGS.space}_seed{FLAGS.seed}.npz", report)
    metrics = reconstruction_metrics(model, space, held_out(graphs, trainer.test_index, space.num_cells))
    best = trainer.history[trainer.progress.best_epoch]
    extra: dict[str, Any] = {
        "data": f"{entry.source} ({len(graphs)} graphs)",
        "train": dataclasses.asdict(train),
        "metrics": {f"test_{name}": value for name, value in metrics.items()}
        | {name: best[name] for name in ("val_node", "val_edge", "val_kl", "val_total")},
        "epochs_run": trainer.progress.epoch,
        "best_epoch": trainer.progress.best_epoch,
        "last_run_wall_s": round(time.perf_counter() - started, 1),
    }
    save_gvae(model, Path(FLAGS.pretrained), space, data_sha256=trainer.data_sha256, seed=train.seed, extra=extra)
    print({name: round(value, 6) for name, value in extra["metrics"].items()})


if __name__ == "__main__":
    cli.run(main)
