"""Paper Tables 10 to 15: the hyper-parameters as the paper prints them, and as the settings here have them.

`make hyperparameters` prints them. A value of the paper is None where the table leaves it out or does not name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from absl import app

from experiments.common import cli
from invertnas.presets import Preset, preset
from invertnas.spaces.records import NB101, NB201, NB301, NBNLP, SpaceRecord, open_space, record_of


class Value(NamedTuple):
    """One line: what the paper prints, and the value of the setting that follows it and of the default."""

    table: str
    where: str
    name: str
    printed: Any
    paper: Any
    fast: Any


_GVAE_NAMES = ("Training epochs", "Patience", "Batch size", "Learning rate", "Latent dimension")
_GVAE = {
    NB101.name: (500, 100, 64, 1e-3, 16),
    NB201.name: (500, 100, 64, 1e-3, 16),
    NB301.name: (500, 50, 32, 1e-3, 16),
    NBNLP.name: (500, 50, 32, 1e-3, 20),
}
_ALIGNFLOW_SIZES = {NB101.name: 5_000, NB201.name: 15_625, NB301.name: 20_000, NBNLP.name: 25_000}
_INN_NAMES = (
    *("Number of INNs", "Initial set", "Best of it that train", "Validation set size", "Samples per round"),
    *("Top-k selection", "Coupling layers", "Hidden layers", "Hidden dimension", "Batch size"),
    *("Learning rate", "Last learning rate", "Repeat label", "x dimension", "y dimension", "z dimension"),
)
# The last learning rate is printed where there are two stages. Table 13 reads as Table 12 in what is shared.
_INN: dict[str, tuple[str, tuple[Any, ...]]] = {
    NB101.name: ("Table 12", (10, 30, 20, 10, 100, 5, 4, 5, 256, 64, 1e-3, None, 20, 112, 1, 111)),
    NB201.name: ("Table 13", (10, 30, 20, 10, 100, 5, 4, 5, 256, None, 1e-3, None, None, None, None, None)),
    NB301.name: ("Table 14", (10, 30, 20, 10, 100, 5, 4, 5, 256, 32, 1e-3, 1e-4, 5, 352, 1, 351)),
    NBNLP.name: ("Table 15", (10, 30, 30, 10, 100, 5, 4, 5, 256, 32, 1e-3, 1e-4, 5, 280, 1, 279)),
}
# What differs from the paper on purpose, and why.
DEVIATIONS = {
    ("Table 15", "Validation set size"): "30 of 30 train, which leaves none; ten more would be ten more queries",
}


def values() -> list[Value]:
    """Every line of the six tables, in their order."""
    return [*_gvae_values(), *_alignflow_values(), *_inn_values()]


def _gvae_values() -> list[Value]:
    from experiments.pretrain.gvae_settings import PRETRAINING, gvae_config

    found = []
    for name, printed in _GVAE.items():
        entry, space = PRETRAINING[name], open_space(name)
        paper, fast = (
            (*_training(train), gvae_config(entry, space, setting).latent_dim)
            for setting, train in (("paper", entry.paper), ("fast", entry.fast))
        )
        found += [Value("Table 10", name, *line) for line in zip(_GVAE_NAMES, printed, paper, fast)]
    return found


def _training(train: Any) -> tuple[Any, ...]:
    return train.epochs, train.stop_patience, train.batch_size, train.learning_rate


def _alignflow_values() -> list[Value]:
    from invertnas.alignflow.config import AlignFlowConfig, AlignFlowTrainConfig

    model, train = AlignFlowConfig(dim=2), AlignFlowTrainConfig()
    lines = {
        "Coupling layers": (4, model.layers),
        "Hidden dimension": (128, model.hidden),
        "Discriminator's hidden dimension": (128, model.disc_hidden),
        "Discriminator's hidden layers": (3, model.disc_layers),
        "Learning rate": (1e-3, train.learning_rate),
        "Minimum epochs": (20, train.min_epochs),
        "Early stopping patience": (10, train.patience),
        "Batch size": (32, train.batch_size),
    }
    sizes = {
        f"Training set size ({name})": (printed, record_of(name).alignflow_size)
        for name, printed in _ALIGNFLOW_SIZES.items()
    }
    return [Value("Table 11", "", name, printed, ours, ours) for name, (printed, ours) in (lines | sizes).items()]


def _inn_values() -> list[Value]:
    found = []
    for record in (NB101, NB201, NB301, NBNLP):
        table, printed = _INN[record.name]
        paper, fast = (_ensemble(preset(name, record.name), record) for name in ("paper", "fast"))
        lines = zip(_INN_NAMES, printed, paper, fast)
        found += [Value(table, record.name, *line) for line in lines]
    return found


def _ensemble(chosen: Preset, record: SpaceRecord) -> tuple[Any, ...]:
    from experiments.pretrain.gvae_settings import PRETRAINING

    search, train = chosen.search, chosen.train
    inn = chosen.inn_config(open_space(record.name).num_nodes * PRETRAINING[record.name].latent_dim)
    return (
        *(inn.members, search.initial, search.keep, search.initial - search.keep, search.candidates.wanted),
        *(search.batch, inn.layers, inn.hidden_layers, inn.hidden, train.batch_size),
        *(train.learning_rate, train.final_learning_rate, train.repeat),
        *(inn.dim, inn.targets, inn.dim - inn.targets),
    )


def markdown() -> str:
    """The six tables: printed, `paper` and `fast` side by side, deviations marked and explained below."""
    lines = ["# Hyper-parameters: paper Tables 10 to 15", ""]
    frame = pd.DataFrame(values(), dtype=object)
    for table, group in frame.groupby("table", sort=False):
        marks = ["*" if (table, name) in DEVIATIONS else "" for name in group["name"]]
        shown = pd.DataFrame({"Space": group["where"], "Hyper-parameter": group["name"] + marks})
        for title, column in (("Paper", "printed"), ("`paper`", "paper"), ("`fast`", "fast")):
            shown[title] = ["–" if value is None else f"{value:g}" for value in group[column]]
        if not group["where"].any():
            shown = shown.drop(columns="Space")
        lines += [f"## {table}", "", _table(shown), ""]
        lines += [f"\\* {name}: {why}." for (where, name), why in DEVIATIONS.items() if where == table] + [""]
    return "\n".join([*lines, "A dash: not printed there."])


def _table(frame: pd.DataFrame) -> str:
    """Markdown of a frame of texts, numbers to the right."""
    align = ["left" if name in ("Space", "Hyper-parameter") else "right" for name in frame]
    return str(frame.to_markdown(index=False, colalign=align, disable_numparse=True))


def main(argv: Sequence[str]) -> None:
    """Print them."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    print(markdown())


if __name__ == "__main__":
    cli.run(main)
