"""NAS-Bench-X11's own surrogate of NAS-Bench-NLP, for who has the package and the model `nbnlp_v01`.

The package is not on PyPI: install https://github.com/automl/nas-bench-x11, or the fork of nasbench301 that
NASLib names for it, and download the folder `nbnlp_v01` that NASLib links. This adapter calls it as NASLib
does; it is tested against a stand-in only, never against the models themselves.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from invertnas.benchmarks.nasbench_nlp.features import x11_encoding
from invertnas.errors import ArtefactError, DataMissingError
from invertnas.spaces.nasbench_nlp.cell import Cell

MODULES = ("nas_bench_x11.api", "nasbench301")


class CurveModel(Protocol):
    """The method of the package's surrogate that is used."""

    def predict(self, config: list[int], representation: str, with_noise: bool, search_space: str) -> Any: ...


class OfficialSurrogate:
    """Validation losses by the official model, without its noise.

    Args:
        folder: the unpacked model, e.g. ``nbnlp_v01``.

    Raises:
        DataMissingError: without the package or the folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataMissingError(f"no folder at {folder}; pass the unpacked model nbnlp_v01 of NAS-Bench-X11")
        self._model: CurveModel = _package().load_ensemble(str(folder))

    def loss(self, cell: Cell) -> float:
        """Loss in nats after the last epoch. Raises ArtefactError if the model gives no curve."""
        curve = self._model.predict(
            config=x11_encoding(cell), representation="compact", with_noise=False, search_space="nlp"
        )
        values = np.asarray(curve, np.float64).ravel()
        if not values.size or not np.isfinite(values[-1]):
            raise ArtefactError(f"the official surrogate gave {curve!r}; expected a curve of 100 - loss")
        return 100 - float(values[-1])


def _package() -> Any:
    for name in MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise DataMissingError(
        "the official surrogate of NAS-Bench-NLP needs the package nas_bench_x11; install it from "
        "https://github.com/automl/nas-bench-x11, or use the embedded one"
    )
