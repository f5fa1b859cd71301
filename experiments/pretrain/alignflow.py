"""Train AlignFlow between the reduced and the full space and ship its weights (paper section 3.2, Table 11).

Resumes from a checkpoint, shows progress, and writes `<pretrained>/alignflow_<space>.weights.h5` and `.json`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app, flags
from tqdm import tqdm

from experiments.common import cli
from experiments.common.cores import limit_threads
from experiments.pretrain.alignflow_settings import SIZES, domains, held_out_metrics
from experiments.pretrain.gvae_settings import pretraining
from invertnas.files.io import sha256_arrays
from invertnas.spaces.records import NB201

FLAGS = flags.FlagValues()
_SPACE = flags.DEFINE_string("space", NB201.name, f"Search space: {', '.join(SIZES)}.", flag_values=FLAGS)
_EPOCHS = flags.DEFINE_integer("epochs", None, "Upper bound on epochs.", lower_bound=1, flag_values=FLAGS)
_THREADS = flags.DEFINE_integer("threads", None, "Cores to use; default: all.", lower_bound=1, flag_values=FLAGS)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of data, split, weights, shuffling and noise.", flag_values=FLAGS)
_SIZE = flags.DEFINE_integer(
    "size", None, "Architectures of each domain; default: Table 11.", lower_bound=1, flag_values=FLAGS
)
_PRETRAINED = flags.DEFINE_string(
    "pretrained",
    str(cli.ROOT / "pretrained"),
    "Folder of the GVAE, and for weights and description.",
    flag_values=FLAGS,
)
_WORK = flags.DEFINE_string("work", str(cli.ROOT / "runs"), "Folder for the checkpoint.", flag_values=FLAGS)


def main(argv: Sequence[str]) -> None:
    """Train to the end, measure on held-out architectures, write the pair of files."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    if _THREADS.value is not None:
        limit_threads(_THREADS.value)
    from invertnas.alignflow.config import AlignFlowConfig, AlignFlowTrainConfig
    from invertnas.alignflow.pretrained import save_alignflow
    from invertnas.alignflow.train import AlignFlowTrainer
    from invertnas.gvae.pretrained import load_gvae

    folder, seed, space = Path(_PRETRAINED.value), _SEED.value, pretraining(_SPACE.value).space()
    gvae = load_gvae(space, folder)
    archs = domains(space, seed, _SIZE.value)
    train = AlignFlowTrainConfig(seed=seed)
    train = dataclasses.replace(train, epochs=_EPOCHS.value or train.epochs)
    graphs = [space.encode(part) for part in archs]
    trainer = AlignFlowTrainer(AlignFlowConfig(gvae.config.flat_dim), train, *map(gvae.encode, graphs))
    with tqdm(total=train.epochs, unit="epoch", desc=f"AlignFlow {space.name}") as bar:

        def report(epoch: int, losses: dict[str, float]) -> None:
            bar.set_postfix_str(f"val {losses['val_total']:.4f}, best {trainer.progress.best_loss:.4f}")
            bar.update(epoch - bar.n)

        model = trainer.run(Path(_WORK.value) / f"alignflow_{space.name}_seed{seed}.npz", report)
    extra: dict[str, Any] = {
        "data": f"{len(archs[0])} architectures of the reduced space, {len(archs[1])} of the full one",
        "train": train.to_dict(),
        "metrics": held_out_metrics(trainer, model, gvae, space, archs),
        "losses": trainer.history[trainer.progress.best_epoch],
        "epochs_run": trainer.progress.epoch,
        "best_epoch": trainer.progress.best_epoch,
        **{f"train_{clock}_s": round(value, 1) for clock, value in trainer.seconds.items()},
    }
    digest = sha256_arrays(*(array for part in graphs for array in (part.ops, part.adjacency)))
    save_alignflow(model, gvae, folder, space, data_sha256=digest, seed=seed, extra=extra)
    print({name: round(value, 6) for name, value in extra["metrics"].items() if isinstance(value, float)})


if __name__ == "__main__":
    cli.run(main, FLAGS)
