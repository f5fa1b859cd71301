"""Initial strategies by name, with the scores and weights that they read (what is heavy is imported on first use)."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from invertnas.checks import checked_choice, checked_path
from invertnas.errors import ConfigError
from invertnas.files.io import sha256_file
from invertnas.files.shipped import weights_folder
from invertnas.initial.alignflow import AlignFlowInitial, AlignFlowInitialConfig
from invertnas.initial.base import GivenInitial, InitialStrategy, RandomInitial
from invertnas.initial.proxy import ProxyConfig, ProxyInitial
from invertnas.initial.ranking import ScoredCells
from invertnas.proxies import cache
from invertnas.proxies.registry import default_proxies, open_proxy
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import as_space
from invertnas.spaces.spec import ArchSpec

if TYPE_CHECKING:
    from invertnas.alignflow.model import AlignFlow
    from invertnas.gvae.model import GVAE

INITS = ("random", "proxy", "alignflow")
Folder = str | os.PathLike[str] | None


def open_initial(
    initial: str | InitialStrategy | Sequence[ArchSpec | str],
    space: SearchSpace | str,
    *,
    folder: Folder = None,
    gvae: GVAE | None = None,
) -> InitialStrategy:
    """The initial strategy of a name, or of a list of architectures.

    Args:
        initial: "random", "proxy" (the best cells by a zero-cost proxy), "alignflow" (the best cells of the reduced
            space, translated), a strategy, which is given back, or architectures or their strings.
        space: the full search space, or its name.
        folder: of weights, whose proxy scores are read in place of those of the package; None for what ships.
        gvae: the space's GVAE; loaded when first needed if None.

    Raises:
        ConfigError: for an unknown strategy or space, or a space without a proxy.
        OutOfDomainError: an architecture given is not in the space.
    """
    of = as_space(space)
    if isinstance(initial, InitialStrategy):
        return initial
    if not isinstance(initial, str):
        return GivenInitial.of(of, initial)
    _check(initial, of.name)
    if initial == "random":
        return RandomInitial()
    where = _folder(folder)
    if initial == "proxy":
        return ProxyInitial(_cells(of, where, reduced=False), ProxyConfig(default_proxies()[of.name]))
    config = AlignFlowInitialConfig(default_proxies()[of.name])
    translate, score = _Translator(of, where, gvae), _Scorer(of, where)
    return AlignFlowInitial(_cells(of, where, reduced=True), translate, score, config)


def initial_settings(name: str, space_name: str) -> dict[str, Any]:
    """The settings of a strategy on a space, JSON-ready, without reading anything.

    Raises:
        ConfigError: for an unknown strategy, or a space without a proxy.
    """
    _check(name, space_name)
    if name == "random":
        return RandomInitial().to_dict()
    proxy = default_proxies()[space_name]
    config = ProxyConfig(proxy) if name == "proxy" else AlignFlowInitialConfig(proxy)
    return {"name": name, **dataclasses.asdict(config)}


def initial_files(name: str, space_name: str, folder: Folder = None) -> dict[str, str]:
    """SHA-256 of every file that a strategy reads, by name, apart from the GVAE's; none at random."""
    _check(name, space_name)
    if name == "random":
        return {}
    where, paths = _folder(folder), list[Path]()
    for reduced in (False, True) if name == "alignflow" else (False,):
        scores = scores_folder(space_name, where, reduced=reduced)
        paths.append(cache.score_path(space_name, default_proxies()[space_name], reduced=reduced, folder=scores))
    if name == "alignflow":
        from invertnas.alignflow.pretrained import alignflow_paths

        paths.append(alignflow_paths(where, space_name)[0])
    return {path.name: sha256_file(path) for path in paths}


def scores_folder(space_name: str, folder: Path, *, reduced: bool) -> Path:
    """Folder of a space's proxy scores: that of the weights if they are there, else the package's."""
    own = cache.score_path(space_name, default_proxies()[space_name], reduced=reduced, folder=folder)
    return folder if own.exists() else cache.DATA


class _Translator:
    """AlignFlow with its weights, loaded on the first call."""

    def __init__(self, space: SearchSpace, folder: Path, gvae: GVAE | None) -> None:
        self.space, self.folder, self.gvae = space, folder, gvae
        self.model: AlignFlow | None = None

    def __call__(self, archs: Sequence[ArchSpec]) -> Sequence[ArchSpec | None]:
        from invertnas.alignflow import load_alignflow, translate
        from invertnas.gvae.pretrained import load_gvae

        if self.gvae is None:
            self.gvae = load_gvae(self.space, self.folder)
        if self.model is None:
            self.model = load_alignflow(self.space, self.gvae, self.folder)
        return translate(self.model, self.gvae, self.space, archs)


class _Scorer:
    """The proxy in the full space: of cells scored before the stored scores, of the others newly computed ones."""

    def __init__(self, space: SearchSpace, folder: Path) -> None:
        self.space, self.folder = space, folder
        self.known: dict[str, float] | None = None
        self.proxy: Any = None

    def __call__(self, archs: Sequence[ArchSpec]) -> npt.NDArray[np.float64]:
        if self.known is None:
            cells = _load_cells(self.space.name, self.folder, reduced=False)
            self.known = {self.space.identity(arch): score for arch, score in zip(cells.archs(), cells.scores.tolist())}
        names = [self.space.identity(arch) for arch in archs]
        unknown = [row for row, name in enumerate(names) if name not in self.known]
        if unknown:
            if self.proxy is None:
                self.proxy = open_proxy(default_proxies()[self.space.name], self.space)
            scores = self.proxy.score([archs[row] for row in unknown])
            self.known |= {names[row]: float(np.float32(score)) for row, score in zip(unknown, scores)}
        return np.array([self.known[name] for name in names])


def _check(name: str, space_name: str) -> None:
    checked_choice(name, INITS, "initial strategy")
    if name != "random" and space_name not in default_proxies():
        raise ConfigError(
            f"got initial strategy {name!r} on {space_name!r}; expected one of {', '.join(default_proxies())}, "
            "'random', or a list of architectures"
        )


def _folder(folder: Folder) -> Path:
    return weights_folder() if folder is None else checked_path(folder, "folder")


def _cells(space: SearchSpace, folder: Path, *, reduced: bool) -> Callable[[], ScoredCells]:
    return functools.cache(lambda: _load_cells(space.name, folder, reduced=reduced))


def _load_cells(space_name: str, folder: Path, *, reduced: bool) -> cache.ScoreTable:
    where = scores_folder(space_name, folder, reduced=reduced)
    return cache.load_scores(space_name, default_proxies()[space_name], reduced=reduced, folder=where)
