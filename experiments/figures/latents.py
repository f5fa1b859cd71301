"""Figure of a search in the latent space: each round's candidates on a t-SNE map (thesis Figure 6)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.common.style import new_figure, save
from experiments.searches.benchmarks import DATASET_TITLES, open_benchmark, space_of
from experiments.searches.initial import DEFAULT_INIT
from invertnas.build import build_predictor, build_search
from invertnas.errors import ConfigError
from invertnas.presets import Preset
from invertnas.protocols import Labelled, Surrogate
from invertnas.seeding import generator
from invertnas.spaces.records import NB201
from invertnas.spaces.spec import ArchSpec, FloatArray

BENCHMARK = NB201.name
BACKGROUND, SHOWN_PER_ROUND = 3000, 40


class Recording:
    """A surrogate that notes, round by round, what its inverse path decoded; otherwise the one it wraps."""

    def __init__(self, inner: Surrogate) -> None:
        self.inner = inner
        self.decoded: list[list[ArchSpec]] = []

    def fit(self, train: Labelled, val: Labelled, *, round_index: int) -> dict[str, Any]:
        """Begin a round."""
        self.decoded.append([])
        return self.inner.fit(train, val, round_index=round_index)

    def predict(self, archs: Sequence[ArchSpec]) -> tuple[FloatArray, FloatArray]:
        """As the inner one."""
        return self.inner.predict(archs)

    def uncertainty(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """As the inner one."""
        return self.inner.uncertainty(archs)

    def invert(
        self, targets: FloatArray, *, z_std: float, latent_noise: float, rng: np.random.Generator
    ) -> list[ArchSpec | None]:
        """As the inner one; valid architectures are noted."""
        archs = self.inner.invert(targets, z_std=z_std, latent_noise=latent_noise, rng=rng)
        self.decoded[-1] += [arch for arch in archs if arch is not None]
        return archs

    def save(self, folder: Path) -> None:
        """As the inner one."""
        self.inner.save(folder)

    def load(self, folder: Path) -> None:
        """As the inner one."""
        self.inner.load(folder)


def latent_frame(
    chosen: Preset, dataset: str, queries: int, pretrained: Path, seed: int, init: str = DEFAULT_INIT
) -> pd.DataFrame:
    """Run one search and map what it saw.

    Returns:
        Columns kind ("space", "candidate" or "queried"), round (-1 for the initial set and the space), x, y,
        and val, the true validation accuracy as a fraction (of queried ones only).
    """
    tsne = _tsne()  # before the search, since it may be missing
    from invertnas.gvae.pretrained import load_gvae

    space, bench = space_of(BENCHMARK), open_benchmark(BENCHMARK, queries)
    gvae = load_gvae(space, pretrained)
    surrogate = Recording(build_predictor(space, preset=chosen, gvae=gvae, seed=seed))
    search = build_search(
        space, preset=chosen, initial=init, gvae=gvae, surrogate=surrogate, folder=pretrained, seed=seed
    )
    rows: list[tuple[str, int, ArchSpec, float]] = []
    while bench.ledger.remaining:
        archs = search.ask()[: bench.ledger.remaining]
        values = [bench.query(arch, dataset) for arch in archs]
        rows += [("queried", len(surrogate.decoded) - 1, arch, value) for arch, value in zip(archs, values)]
        search.tell(archs, values)
    rng = generator(seed, "figure-latents")
    for index, decoded in enumerate(surrogate.decoded):
        distinct = list({space.identity(arch): arch for arch in decoded}.values())
        shown = rng.permutation(len(distinct))[:SHOWN_PER_ROUND]
        rows += [("candidate", index, distinct[i], np.nan) for i in shown]
    rows += [("space", -1, space.sample(rng), np.nan) for _ in range(BACKGROUND)]
    frame = pd.DataFrame([(kind, number, value) for kind, number, _, value in rows], columns=["kind", "round", "val"])
    frame["x"], frame["y"] = embed(gvae.encode(space.encode([arch for _, _, arch, _ in rows])), tsne, seed).T
    return frame[["kind", "round", "x", "y", "val"]]


def _tsne() -> Any:
    try:
        return importlib.import_module("sklearn.manifold").TSNE
    except ImportError as error:
        raise ConfigError("the latent map needs scikit-learn; pip install -e .[figures]") from error


def embed(latents: FloatArray, tsne: Any, seed: int) -> FloatArray:
    """(n, 2) t-SNE coordinates of (n, D) latents; equal latents share a point."""
    distinct, index = np.unique(latents.round(5), axis=0, return_inverse=True)
    mapped = tsne(n_components=2, init="pca", perplexity=min(30.0, len(distinct) / 4), random_state=seed)
    return np.asarray(mapped.fit_transform(distinct))[index.ravel()]


def plot_latents(path: Path, dataset: str, frame: pd.DataFrame) -> None:
    """The space in grey, candidates of the inverse path coloured by round, queried cells outlined."""
    figure, (axes,) = new_figure((8.0, 6.0))
    parts = {kind: frame[frame["kind"] == kind] for kind in ("space", "candidate", "queried")}
    axes.scatter(parts["space"]["x"], parts["space"]["y"], s=5, color="#cccccc", linewidths=0, label="random cells")
    shown = {"cmap": "viridis", "vmin": 0, "vmax": frame["round"].max()}
    candidates, queried = parts["candidate"], parts["queried"][parts["queried"]["round"] >= 0]
    axes.scatter(candidates["x"], candidates["y"], c=candidates["round"], s=12, label="inverse candidates", **shown)
    points = axes.scatter(
        queried["x"],
        queried["y"],
        c=queried["round"],
        s=34,
        edgecolors="black",
        linewidths=0.7,
        label="queried",
        **shown,
    )
    best = parts["queried"].sort_values("val").iloc[-1]
    label = f"best: {100 * best['val']:.2f} % validation accuracy"
    axes.scatter([best["x"]], [best["y"]], marker="*", s=260, color="#D55E00", edgecolors="black", label=label)
    figure.colorbar(points, ax=axes, label="Round of the search")
    axes.set_xlabel("First t-SNE coordinate (no unit)")
    axes.set_ylabel("Second t-SNE coordinate (no unit)")
    axes.set_title(f"{DATASET_TITLES[dataset]}: latents of the GVAE and the candidates of each round")
    axes.legend(fontsize=8, loc="best")
    save(figure, path)
