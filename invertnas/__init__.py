"""InvertNAS: neural architecture search with an ensemble of invertible neural networks.

The public names below are imported on first use, so `import invertnas` loads no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invertnas.benchmarks.nasbench201 import NASBench201, NASBench201Analysis
    from invertnas.errors import (
        ArtefactError,
        BudgetError,
        ConfigError,
        DataMissingError,
        InvertNASError,
        OutOfDomainError,
        OutputError,
        SearchExhaustedError,
        TrainingError,
        WorkerError,
    )
    from invertnas.gvae.config import GVAEConfig, GVAETrainConfig
    from invertnas.gvae.model import GVAE
    from invertnas.gvae.pretrained import load_gvae, reconstruction_metrics, save_gvae
    from invertnas.gvae.train import GVAETrainer
    from invertnas.inn.config import INNConfig, INNTrainConfig
    from invertnas.inn.flow import FlowEnsemble
    from invertnas.predictor.config import PredictorConfig
    from invertnas.predictor.predictor import InvertiblePredictor
    from invertnas.presets import Preset, preset
    from invertnas.running.measurement import Measurement
    from invertnas.running.runner import run
    from invertnas.search.config import CandidateConfig, SearchConfig
    from invertnas.search.optimizer import InvertNAS
    from invertnas.spaces.base import SearchSpace
    from invertnas.spaces.graph_space import GraphSpace
    from invertnas.spaces.nasbench201 import NASBench201Space
    from invertnas.spaces.spec import ArchSpec, split_cells

__version__ = "0.1.0"
__all__ = [
    "ArchSpec",
    "ArtefactError",
    "BudgetError",
    "CandidateConfig",
    "ConfigError",
    "DataMissingError",
    "FlowEnsemble",
    "GVAE",
    "GVAEConfig",
    "GVAETrainConfig",
    "GVAETrainer",
    "GraphSpace",
    "INNConfig",
    "INNTrainConfig",
    "InvertNAS",
    "InvertNASError",
    "InvertiblePredictor",
    "Measurement",
    "NASBench201",
    "NASBench201Analysis",
    "NASBench201Space",
    "OutOfDomainError",
    "OutputError",
    "PredictorConfig",
    "Preset",
    "SearchConfig",
    "SearchExhaustedError",
    "SearchSpace",
    "TrainingError",
    "WorkerError",
    "load_gvae",
    "preset",
    "reconstruction_metrics",
    "run",
    "save_gvae",
    "split_cells",
]
_HOMES = {
    "ArchSpec": "invertnas.spaces.spec",
    "ArtefactError": "invertnas.errors",
    "BudgetError": "invertnas.errors",
    "CandidateConfig": "invertnas.search.config",
    "ConfigError": "invertnas.errors",
    "DataMissingError": "invertnas.errors",
    "FlowEnsemble": "invertnas.inn.flow",
    "GVAE": "invertnas.gvae.model",
    "GVAEConfig": "invertnas.gvae.config",
    "GVAETrainConfig": "invertnas.gvae.config",
    "GVAETrainer": "invertnas.gvae.train",
    "GraphSpace": "invertnas.spaces.graph_space",
    "INNConfig": "invertnas.inn.config",
    "INNTrainConfig": "invertnas.inn.config",
    "InvertNAS": "invertnas.search.optimizer",
    "InvertNASError": "invertnas.errors",
    "InvertiblePredictor": "invertnas.predictor.predictor",
    "Measurement": "invertnas.running.measurement",
    "NASBench201": "invertnas.benchmarks.nasbench201",
    "NASBench201Analysis": "invertnas.benchmarks.nasbench201",
    "NASBench201Space": "invertnas.spaces.nasbench201",
    "OutOfDomainError": "invertnas.errors",
    "OutputError": "invertnas.errors",
    "PredictorConfig": "invertnas.predictor.config",
    "Preset": "invertnas.presets",
    "SearchConfig": "invertnas.search.config",
    "SearchExhaustedError": "invertnas.errors",
    "SearchSpace": "invertnas.spaces.base",
    "TrainingError": "invertnas.errors",
    "WorkerError": "invertnas.errors",
    "load_gvae": "invertnas.gvae.pretrained",
    "preset": "invertnas.presets",
    "reconstruction_metrics": "invertnas.gvae.pretrained",
    "run": "invertnas.running.runner",
    "save_gvae": "invertnas.gvae.pretrained",
    "split_cells": "invertnas.spaces.spec",
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
