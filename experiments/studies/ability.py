"""What the GVAE's decoder makes of latents: reconstruction of held-out graphs, and graphs from a prior.

As in AG-Net (Lukasik et al., 2022), Table 12: of 10,000 prior samples, the share that decodes to valid
architectures; of the valid ones, the share that is distinct, and the share the GVAE was not trained on. Validity is
judged twice, strictly and by AG-Net's own rules (`experiments.studies.agnet_rules`). Which prior is a choice, so
there are four:

* `N(0, I)`: the prior of the loss, and AG-Net's protocol. The KL weight (0.16; 0.02 on NAS-Bench-NLP) and the
  small noise (0.05 standard deviations) leave the encoder's means far narrower, so most of these samples lie where
  no graph was embedded.
* `mean + std * N(0, I)`: each number of the latent with the mean and standard deviation it has over the training
  graphs, independently; the protocol of arch2vec (Yan et al., 2020).
* `N(mean, covariance)`: the Gaussian with all covariances of the training latents. Directions whose variance is
  below 1e-6 of the largest are held at the mean; the number of the others is the rank shown.
* `Gaussian mixture (10)`: ten Gaussians with full covariances, fitted to the training latents (ex-post density
  estimation; Ghosh et al., 2020, "From Variational to Deterministic Autoencoders"). To each variance is added 1e-6
  of the largest one of all training latents together.

Latents are encoder means of the training part, of whole architectures where these have several cells.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from absl import flags

from experiments.common.cli import ROOT, run
from experiments.pretrain.gvae_settings import PRETRAINING, Pretraining, held_out, pretraining, training_graphs
from experiments.searches.benchmarks import benchmark_title
from experiments.studies.ability_report import write_report
from experiments.studies.agnet_rules import valid_cells
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import read_json, sha256_arrays
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import FloatArray, GraphBatch, split_cells

if TYPE_CHECKING:
    from invertnas.gvae.model import GVAE

MOST = 20_000  # architectures that measure the latents, and unseen ones that are reconstructed
EDITED, EDITS = 1000, 10  # held-out architectures that are edited, and how often each
LEAST_VARIANCE = 1e-6  # of the largest: float32 latents hold no more
COMPONENTS = 10  # of the mixture
FLAGS = flags.FlagValues()
_SPACES = flags.DEFINE_list("spaces", list(PRETRAINING), "Search spaces, comma separated.", flag_values=FLAGS)
_SAMPLES = flags.DEFINE_integer("samples", 10_000, "Samples of each prior.", lower_bound=1, flag_values=FLAGS)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the samples.", lower_bound=0, flag_values=FLAGS)
_OUT = flags.DEFINE_string("out", str(ROOT / "results"), "Results folder.", flag_values=FLAGS)
_PRETRAINED = flags.DEFINE_string(
    "pretrained", str(ROOT / "pretrained"), "Folder of the shipped weights.", flag_values=FLAGS
)


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """What a GVAE was trained on, drawn again from its seed.

    Attributes:
        graphs: of all cells, as `experiments.pretrain.gvae_settings.training_graphs` gives them.
        train: rows that trained.
        test: rows that neither trained nor chose the weights.
    """

    graphs: GraphBatch
    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Prior:
    """A Gaussian over latents: mean + sum of `axes` times standard normal numbers.

    Attributes:
        title: of the table's row.
        mean: (D,).
        axes: (R, D), R the rank.
    """

    title: str
    mean: FloatArray
    axes: FloatArray

    @property
    def rank(self) -> int:
        """R."""
        return len(self.axes)

    def sample(self, count: int, rng: np.random.Generator) -> FloatArray:
        """(count, D)."""
        return self.mean + rng.standard_normal((count, len(self.axes)), np.float32) @ self.axes


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Gaussians, each chosen with its weight.

    Attributes:
        title: of the table's row.
        weights: (K,), of sum 1.
        parts: K Gaussians.
    """

    title: str
    weights: npt.NDArray[np.float64]
    parts: tuple[Prior, ...]

    @property
    def rank(self) -> int:
        """The largest of the parts' ranks."""
        return max(part.rank for part in self.parts)

    def sample(self, count: int, rng: np.random.Generator) -> FloatArray:
        """(count, D), part by part."""
        counts = rng.multinomial(count, self.weights).tolist()
        return np.concatenate([part.sample(number, rng) for part, number in zip(self.parts, counts)])


def mixture(latents: FloatArray, seed: int) -> Mixture:
    """The mixture of `COMPONENTS` Gaussians fitted to (B, D) latents, its start drawn from `seed`.

    Raises:
        ConfigError: scikit-learn is missing.
    """
    try:
        model = importlib.import_module("sklearn.mixture").GaussianMixture
    except ImportError as error:
        raise ConfigError("the mixture prior needs scikit-learn; pip install -e .[figures]") from error
    wide = latents.astype(np.float64)
    least = LEAST_VARIANCE * float(np.linalg.eigvalsh(np.cov(wide.T))[-1])
    start = int(generator(seed, "ability-mixture").integers(1 << 31))
    fitted = model(COMPONENTS, reg_covar=least, random_state=start).fit(wide)
    axes = np.linalg.cholesky(fitted.covariances_).swapaxes(1, 2).astype(np.float32)
    parts = tuple(Prior("part", mean, part) for mean, part in zip(fitted.means_.astype(np.float32), axes))
    return Mixture(f"Gaussian mixture ({COMPONENTS})", fitted.weights_ / fitted.weights_.sum(), parts)


def priors(latents: FloatArray, seed: int) -> list[Prior | Mixture]:
    """The four priors, from (B, D) latents of training architectures; the seed is that of the mixture's fit."""
    dim, mean = latents.shape[1], latents.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(latents.T.astype(np.float64)))
    kept = variances > LEAST_VARIANCE * variances[-1]
    axes = (np.sqrt(variances[kept]) * directions[:, kept]).T.astype(np.float32)
    return [
        Prior("N(0, I)", np.zeros(dim, np.float32), np.eye(dim, dtype=np.float32)),
        Prior("mean + std * N(0, I)", mean, np.diag(latents.std(axis=0))),
        Prior("N(mean, covariance)", mean, axes),
        mixture(latents, seed),
    ]


def keys(graphs: GraphBatch) -> npt.NDArray[np.void]:
    """(B,) one value per graph, equal for equal operations and edges."""
    parts = [part.reshape(len(graphs), -1).astype(bool) for part in (graphs.ops, graphs.adjacency)]
    bits = np.ascontiguousarray(np.packbits(np.concatenate(parts, axis=1), axis=1))
    return bits.view(np.dtype((np.void, bits.shape[1])))[:, 0]


def prior_ability(
    gvae: GVAE,
    space: SearchSpace,
    prior: Prior | Mixture,
    trained: npt.NDArray[np.void],
    samples: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """One row of the table: validity, and uniqueness and novelty of the strictly valid, as fractions.

    Args:
        gvae: decodes.
        space: judges validity, and what is the same.
        prior: of the latents.
        trained: `keys` of the cells the GVAE was trained on. An architecture is novel if any of its cells is not
            among them.
        samples: latents drawn.
        rng: source of the samples.
    """
    ops, adjacency = gvae.decode(prior.sample(samples, rng))
    valid = [arch for arch in space.decode(ops, adjacency) if arch is not None]
    lenient = valid_cells(space, ops, adjacency)
    row = {"latents": prior.title, "count": samples, "rank": prior.rank, "validity": len(valid) / samples}
    row |= {"agnet_validity": float(lenient.all(axis=1).mean()), "agnet_cell_validity": float(lenient.mean())}
    if not valid:
        return row
    cells = keys(split_cells(space.encode(valid), space.num_cells))
    novel = ~np.isin(cells, trained).reshape(len(valid), space.num_cells).all(axis=1)
    distinct = {space.identity(arch) for arch in valid}
    return row | {"uniqueness": len(distinct) / len(valid), "novelty": float(novel.mean())}


def training_data(entry: Pretraining, space: SearchSpace, told: dict[str, Any]) -> TrainingData:
    """The graphs and the split that the description `told` names by seed and checksum.

    Raises:
        ArtefactError: the seed gives other graphs today, so what is new to the GVAE cannot be told.
    """
    from invertnas.gvae.train import split_indices

    seed = int(told["seed"])
    graphs = training_graphs(entry, space, seed)
    digest = sha256_arrays(graphs.ops, graphs.adjacency)
    if digest != told.get("data_sha256"):
        raise ArtefactError(
            f"seed {seed} gives training graphs of {space.name} with sha256 {digest[:12]}..., the description says "
            f"{str(told.get('data_sha256'))[:12]}...; pretrain again"
        )
    train, _, test = split_indices(len(graphs), seed=seed)
    return TrainingData(graphs, train, test)


def unseen(entry: Pretraining, space: SearchSpace, data: TrainingData, seed: int) -> GraphBatch | None:
    """Architectures of cells outside the training data, drawn as those were; None where the data are the space."""
    if hasattr(space, "all"):
        return None
    fresh = training_graphs(entry, space, seed)
    new = np.flatnonzero(~np.isin(keys(fresh), keys(data.graphs)))
    return held_out(
        fresh, generator(seed, "ability-unseen").permutation(new)[: MOST * space.num_cells], space.num_cells
    )


def edited(space: SearchSpace, data: TrainingData, seed: int) -> GraphBatch | None:
    """Held-out architectures after `EDITS` random edits, where a search goes; None where the data are the space."""
    if hasattr(space, "all"):
        return None
    rng, cells = generator(seed, "ability-edits"), space.num_cells
    graphs = held_out(data.graphs, rng.permutation(data.test)[: EDITED * cells], cells)
    decoded = space.decode(graphs.ops.argmax(axis=-1), graphs.adjacency.astype(np.int64))
    archs = [arch for arch in decoded if arch is not None]
    for _ in range(EDITS):
        archs = [space.mutate(arch, rng) for arch in archs]
    return space.encode(archs)


def space_ability(name: str, pretrained: Path, samples: int, seed: int) -> list[dict[str, Any]]:
    """The rows of one space.

    Raises:
        DataMissingError: its weights are not there.
        ArtefactError: they are damaged, or their training data cannot be drawn again.
    """
    from invertnas.gvae.pretrained import gvae_paths, load_gvae, reconstruction_metrics

    entry = pretraining(name)
    space = entry.space()
    gvae, told = load_gvae(space, pretrained), read_json(gvae_paths(pretrained, name)[1])
    data, cells = training_data(entry, space, told), space.num_cells
    stored = {key: told.get("metrics", {}).get(f"test_{key}") for key in ("exact_reconstruction", "validity")}
    rows: list[dict[str, Any]] = [{"latents": "held-out graphs, as shipped", **stored}] if any(stored.values()) else []
    new = unseen(entry, space, data, 1 + int(told["seed"]) + seed)
    changed = edited(space, data, seed)
    groups = {"held-out graphs": held_out(data.graphs, data.test, cells), "unseen graphs": new}
    for title, graphs in (groups | {f"held-out graphs, {EDITS} edits": changed}).items():
        if graphs is not None:
            metrics = reconstruction_metrics(gvae, space, graphs)
            rows.append({"latents": title, "count": len(graphs), **{key: metrics[key] for key in stored}})
    chosen = generator(seed, "ability-latents").permutation(data.train)[: MOST * cells]
    latents, trained = gvae.encode(held_out(data.graphs, chosen, cells)), keys(data.graphs)[data.train]
    for index, prior in enumerate(priors(latents, seed)):
        rng = generator(seed, "ability-prior", index)
        rows.append(prior_ability(gvae, space, prior, trained, samples, rng))
    return [{"space": name, "dim": latents.shape[1], **row} for row in rows]


def main(argv: Sequence[str]) -> int:
    """Measure every space whose weights are there, then write table and figure."""
    if len(argv) > 1:
        raise ConfigError(f"got {list(argv[1:])}; expected flags only")
    rows: list[dict[str, Any]] = []
    for name in _SPACES.value:
        pretraining(name)
    for name in _SPACES.value:
        try:
            rows += space_ability(name, Path(_PRETRAINED.value), _SAMPLES.value, _SEED.value)
        except DataMissingError as error:
            print(f"{benchmark_title(name)} is left out: {error}", flush=True)
    if not rows:
        raise DataMissingError(f"got no weights of {', '.join(_SPACES.value)} in {_PRETRAINED.value}; expected some")
    print(write_report(Path(_OUT.value), pd.DataFrame(rows)))
    return 0


if __name__ == "__main__":
    run(main, FLAGS)
