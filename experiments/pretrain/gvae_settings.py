"""What the GVAE of each search space is trained on, and how (paper Appendix H, Table 10)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from invertnas.errors import ConfigError
from invertnas.gvae.config import GVAEConfig, GVAETrainConfig
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import MACRO, NB101, NB201, NB301, NBNLP, open_space
from invertnas.spaces.spec import ArchSpec, GraphBatch, IntArray, join_cells, split_cells

Sampler = Callable[[np.random.Generator], ArchSpec]


@dataclasses.dataclass(frozen=True)
class Pretraining:
    """Data and settings for one space.

    Attributes:
        space: makes the search space.
        archs: architectures of the training set, from the space and a seed.
        source: what they are, in words.
        latent_dim: L.
        paper: the paper's optimisation.
        fast: ours for two CPU cores, the default: fewer epochs, larger batches where there are many graphs, and
            patience counted so that the rate falls within the shorter run.
        node_positions: of the fast setting, whether the encoder sees the order of the nodes (`GVAEConfig`).
        kl_weight: of the fast setting, factor of the KL divergence (paper: 0.16).
    """

    space: Callable[[], SearchSpace]
    archs: Callable[[SearchSpace, int], Iterable[ArchSpec]]
    source: str
    latent_dim: int
    paper: GVAETrainConfig
    fast: GVAETrainConfig
    node_positions: bool = False
    kl_weight: float = 0.16


def _whole(space: SearchSpace, seed: int) -> Iterable[ArchSpec]:
    return space.all()  # type: ignore[attr-defined]


def _distinct(space: SearchSpace, count: int, seed: int, sample: Sampler) -> list[ArchSpec]:
    """`count` random architectures, each once."""
    rng, found = generator(seed, "pretraining-sample"), dict[str, ArchSpec]()
    while len(found) < count:
        arch = sample(rng)
        found.setdefault(space.identity(arch), arch)
    return list(found.values())


def _sampled(count: int) -> Callable[[SearchSpace, int], Iterable[ArchSpec]]:
    return lambda space, seed: _distinct(space, count, seed, space.sample)


def _recurrent(space: SearchSpace, seed: int) -> Iterator[ArchSpec]:
    """Random cells with one, two or three hidden states in the proportions of the logged ones."""
    from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace

    assert isinstance(space, NASBenchNLPSpace)
    for states, count in ((1, 10_800), (2, 11_800), (3, 2_400)):
        yield from _distinct(space, count, seed, functools.partial(space.sample_states, states=states))


_P = GVAETrainConfig()
_P32 = dataclasses.replace(_P, batch_size=32, stop_patience=50)
_SHORT = GVAETrainConfig(learning_rate=2e-3, lr_factor=0.3, lr_patience=3, stop_patience=10)
PRETRAINING = {
    NB101.name: Pretraining(
        functools.partial(open_space, NB101.name),
        _whole,
        "all 423,624 cells",
        16,
        _P,
        dataclasses.replace(_SHORT, epochs=16, batch_size=512, lr_patience=1),
    ),
    NB201.name: Pretraining(
        functools.partial(open_space, NB201.name),
        _whole,
        "all 15,625 cells",
        16,
        _P,
        GVAETrainConfig(epochs=60, lr_factor=0.3, lr_patience=4, stop_patience=15),
    ),
    NB301.name: Pretraining(
        functools.partial(open_space, NB301.name),
        _sampled(50_000),
        "both cells of 50,000 random architectures",
        16,
        _P32,
        dataclasses.replace(_SHORT, epochs=26, batch_size=256),
    ),
    NBNLP.name: Pretraining(
        functools.partial(open_space, NBNLP.name),
        _recurrent,
        "25,000 random cells with one, two or three hidden states",
        20,
        _P32,
        GVAETrainConfig(epochs=60, lr_factor=0.3, lr_patience=4, stop_patience=15, clip_norm=1.0),
        node_positions=True,
        kl_weight=0.02,
    ),
    MACRO.name: Pretraining(
        functools.partial(open_space, MACRO.name),
        _whole,
        "all 6,561 networks",
        16,
        _P,
        GVAETrainConfig(epochs=60, lr_factor=0.3, lr_patience=4, stop_patience=15),
    ),
}


def pretraining(name: str) -> Pretraining:
    """The entry of a space. Raises ConfigError for an unknown name."""
    if name not in PRETRAINING:
        raise ConfigError(f"got space {name!r}; expected one of {', '.join(PRETRAINING)}")
    return PRETRAINING[name]


def training_graphs(entry: Pretraining, space: SearchSpace, seed: int) -> GraphBatch:
    """One graph per cell of the space's training architectures."""
    return split_cells(space.encode(list(entry.archs(space, seed))), space.num_cells)


def gvae_config(entry: Pretraining, space: SearchSpace, setting: str = "fast") -> GVAEConfig:
    """Architecture of the GVAE for a space; the setting "paper" leaves out what the paper has not."""
    config = GVAEConfig(
        num_nodes=space.num_nodes // space.num_cells,
        num_ops=len(space.op_names),
        latent_dim=entry.latent_dim,
        cells=space.num_cells,
    )
    if setting == "paper":
        return config
    return dataclasses.replace(config, node_positions=entry.node_positions, kl_weight=entry.kl_weight)


def held_out(graphs: GraphBatch, rows: IntArray, cells: int) -> GraphBatch:
    """The architectures made of held-out graphs: with several cells, one cell of each kind is put together.

    Args:
        graphs: cell by cell, as `training_graphs` gives them.
        rows: indices of the held-out graphs.
        cells: C, cells of an architecture.

    Returns:
        (B, C * n, F) and (B, C * n, C * n).
    """
    kinds = [np.sort(rows[rows % cells == kind]) for kind in range(cells)]
    picked = np.stack([kind[: min(map(len, kinds))] for kind in kinds], axis=1).ravel()
    labels, adjacency = join_cells(graphs.ops[picked].argmax(axis=-1), graphs.adjacency[picked].astype(np.int64), cells)
    ops = graphs.ops[picked].reshape(*labels.shape, graphs.ops.shape[-1])
    return GraphBatch(ops, adjacency.astype(np.float32))
