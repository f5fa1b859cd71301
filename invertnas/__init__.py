"""InvertNAS: neural architecture search with an ensemble of invertible neural networks.

The public names below are imported on first use, so `import invertnas` loads no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invertnas.benchmarks.nasbench201 import NASBench201, NASBench201Analysis
    from invertnas.gvae.model import GVAE
    from invertnas.gvae.pretrained import load_gvae
    from invertnas.inn.config import INNConfig, INNTrainConfig
    from invertnas.inn.flow import FlowEnsemble
    from invertnas.predictor import InvertiblePredictor
    from invertnas.predictor_config import PredictorConfig
    from invertnas.search.config import CandidateConfig, SearchConfig
    from invertnas.search.invertnas import InvertNAS
    from invertnas.spaces.nasbench201 import NASBench201Space

__version__ = "0.1.0"
__all__ = [
    "CandidateConfig",
    "FlowEnsemble",
    "GVAE",
    "INNConfig",
    "INNTrainConfig",
    "InvertNAS",
    "InvertiblePredictor",
    "NASBench201",
    "NASBench201Analysis",
    "NASBench201Space",
    "PredictorConfig",
    "SearchConfig",
    "load_gvae",
]
_HOMES = {
    "CandidateConfig": "invertnas.search.config",
    "FlowEnsemble": "invertnas.inn.flow",
    "GVAE": "invertnas.gvae.model",
    "INNConfig": "invertnas.inn.config",
    "INNTrainConfig": "invertnas.inn.config",
    "InvertNAS": "invertnas.search.invertnas",
    "InvertiblePredictor": "invertnas.predictor",
    "NASBench201": "invertnas.benchmarks.nasbench201",
    "NASBench201Analysis": "invertnas.benchmarks.nasbench201",
    "NASBench201Space": "invertnas.spaces.nasbench201",
    "PredictorConfig": "invertnas.predictor_config",
    "SearchConfig": "invertnas.search.config",
    "load_gvae": "invertnas.gvae.pretrained",
}

if not TYPE_CHECKING:  # a type checker that sees `__getattr__` would accept any name

    def __getattr__(name: str) -> object:
        """Import a public name from its module on first use (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
