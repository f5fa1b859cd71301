"""Initial strategies of InvertNAS by name, and where each finds what it reads (heavy imports inside)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from invertnas.errors import ConfigError
from invertnas.files.io import sha256_file
from invertnas.initial.alignflow import AlignFlowInitial, AlignFlowInitialConfig
from invertnas.initial.base import InitialStrategy, RandomInitial
from invertnas.initial.proxy import ProxyConfig, ProxyInitial
from invertnas.initial.ranking import ScoredCells
from invertnas.proxies.cache import DATA, ScoreTable, load_scores, score_path
from invertnas.proxies.registry import default_proxies, open_proxy
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec

INIT_TITLES = {"random": "random", "proxy": "zero-cost proxy", "alignflow": "AlignFlow"}
INITS = tuple(INIT_TITLES)
FILES = "files"  # entry of a stored configuration: checksums of what the strategy read
BARE_INIT = "random"  # its searches stand under the method's bare name
DEFAULT_INIT = "random"  # what tables search with unless they or --init say otherwise


def initial_settings(name: str, space_name: str) -> dict[str, Any]:
    """The settings of a strategy on a space, JSON-ready, without reading anything.

    Raises:
        ConfigError: for an unknown strategy or space.
    """
    _check(name, space_name)
    if name == "random":
        return RandomInitial().to_dict()
    config = _proxy_config(space_name) if name == "proxy" else _alignflow_config(space_name)
    return {"name": name, **dataclasses.asdict(config)}


def settings_in(config: dict[str, Any]) -> dict[str, Any]:
    """The settings in a stored configuration, without checksums; random where it is older than the others."""
    stored = config.get("init", {"name": BARE_INIT})
    return {key: value for key, value in stored.items() if key != FILES}


def open_initial(name: str, space: SearchSpace, pretrained: Path, gvae: Any = None) -> InitialStrategy:
    """The strategy of that name.

    Args:
        name: one of `INITS`.
        space: the full search space.
        pretrained: folder of the weights; scores there are read in place of those of the package.
        gvae: the space's GVAE; loaded from `pretrained` when first needed if None.

    Raises:
        ConfigError: for an unknown strategy or space.
    """
    _check(name, space.name)
    if name == "random":
        return RandomInitial()
    if name == "proxy":
        return ProxyInitial(_cells(space, pretrained, reduced=False), _proxy_config(space.name))
    translate, score = _Translator(space, pretrained, gvae), _Scorer(space, pretrained)
    return AlignFlowInitial(_cells(space, pretrained, reduced=True), translate, score, _alignflow_config(space.name))


def scores_folder(space_name: str, pretrained: Path, *, reduced: bool) -> Path:
    """Folder of a space's proxy scores: that of the weights if they are there, else the package's."""
    own = score_path(space_name, default_proxies()[space_name], reduced=reduced, folder=pretrained)
    return pretrained if own.exists() else DATA


def initial_files(name: str, space_name: str, pretrained: Path) -> dict[str, str]:
    """SHA-256 of every file that a strategy reads, apart from the GVAE's; none at random."""
    if name == "random":
        return {}
    paths = []
    for reduced in (False, True) if name == "alignflow" else (False,):
        folder = scores_folder(space_name, pretrained, reduced=reduced)
        paths.append(score_path(space_name, default_proxies()[space_name], reduced=reduced, folder=folder))
    if name == "alignflow":
        from invertnas.alignflow.pretrained import alignflow_paths

        paths.append(alignflow_paths(pretrained, space_name)[0])
    return {path.name: sha256_file(path) for path in paths}


class _Translator:
    """AlignFlow with its weights, loaded on the first call."""

    def __init__(self, space: SearchSpace, pretrained: Path, gvae: Any) -> None:
        self.space, self.pretrained, self.gvae = space, pretrained, gvae
        self.model: Any = None

    def __call__(self, archs: Sequence[ArchSpec]) -> Sequence[ArchSpec | None]:
        from invertnas.alignflow import load_alignflow, translate
        from invertnas.gvae.pretrained import load_gvae

        if self.gvae is None:
            self.gvae = load_gvae(self.space, self.pretrained)
        if self.model is None:
            self.model = load_alignflow(self.space, self.gvae, self.pretrained)
        return translate(self.model, self.gvae, self.space, archs)


class _Scorer:
    """The proxy in the full space: of cells scored before the stored scores, of the others newly computed ones."""

    def __init__(self, space: SearchSpace, pretrained: Path) -> None:
        self.space, self.pretrained = space, pretrained
        self.known: dict[str, float] | None = None
        self.proxy: Any = None

    def __call__(self, archs: Sequence[ArchSpec]) -> npt.NDArray[np.float64]:
        if self.known is None:
            cells = _load_cells(self.space.name, self.pretrained, reduced=False)
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
    if name not in INITS:
        raise ConfigError(f"got initial strategy {name!r}; expected one of {', '.join(INITS)}")
    if name != "random" and space_name not in default_proxies():
        raise ConfigError(
            f"got initial strategy {name!r} on {space_name!r}; expected one of {', '.join(default_proxies())}"
        )


def _proxy_config(space_name: str) -> ProxyConfig:
    return ProxyConfig(default_proxies()[space_name])


def _alignflow_config(space_name: str) -> AlignFlowInitialConfig:
    return AlignFlowInitialConfig(default_proxies()[space_name])


def _cells(space: SearchSpace, pretrained: Path, *, reduced: bool) -> Callable[[], ScoredCells]:
    return functools.cache(lambda: _load_cells(space.name, pretrained, reduced=reduced))


def _load_cells(space_name: str, pretrained: Path, *, reduced: bool) -> ScoreTable:
    folder = scores_folder(space_name, pretrained, reduced=reduced)
    return load_scores(space_name, default_proxies()[space_name], reduced=reduced, folder=folder)
