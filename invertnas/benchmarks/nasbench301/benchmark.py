"""NAS-Bench-301 (Siems et al., 2020; paper F.3) as a benchmark: CIFAR-10 accuracies from a surrogate.

There is no table of the DARTS space: every value is a surrogate's prediction of the validation
accuracy, and there is neither a test accuracy nor a known optimum. Which surrogate, `labels` says.
"""

from __future__ import annotations

import os
from typing import Any

from invertnas.benchmarks.base import PaidBenchmark, checked_dataset
from invertnas.benchmarks.nasbench301.surrogate import (
    DATA,
    EMBEDDED_LABELS,
    Surrogate,
    load_embedded,
    load_official,
    official_labels,
    read_calibration,
)
from invertnas.checks import checked_path
from invertnas.spaces.nasbench301.space import NASBench301Space
from invertnas.spaces.records import NB301
from invertnas.spaces.spec import ArchSpec

DATASETS = NB301.dataset_names
MODELS_VARIABLE = "INVERTNAS_NB301_MODELS"


class _Labels:
    """The source of the accuracies: official models where a folder is given, else the embedded surrogate."""

    def __init__(self, models: str | os.PathLike[str] | None, data: str | os.PathLike[str] | None) -> None:
        named = os.environ.get(MODELS_VARIABLE)
        given = models if models is not None else named if named and data is None else None
        self.models = None if given is None else checked_path(given, "models")
        self.data = DATA if data is None else checked_path(data, "data")

    def name(self) -> str:
        return EMBEDDED_LABELS if self.models is None else official_labels(self.models)

    def surrogate(self) -> Surrogate:
        return load_embedded(self.data) if self.models is None else load_official(self.models)


class NASBench301(PaidBenchmark[NASBench301Space]):
    """The benchmark as a search sees it: paid predictions of the validation accuracy.

    Implements `invertnas.benchmarks.base.Benchmark`. One object serves one search. The surrogate is
    loaded on the first query and shared between objects.

    Args:
        budget: number of distinct architectures that may be queried.
        models: folder of the official models (``nb_models_1.0`` or its ``xgb_v1.0``), which need the
            package nasbench301 and answer without noise. Default: the folder that the environment
            variable INVERTNAS_NB301_MODELS names; where it is not set, the embedded surrogate.
        data: folder of the embedded surrogate; default is the one that comes with the package.

    Raises:
        BudgetError: the budget is not positive.
        DataMissingError, ArtefactError: on first use, if the surrogate is missing or damaged.
    """

    name = NB301.name
    datasets = DATASETS

    def __init__(
        self, budget: int, models: str | os.PathLike[str] | None = None, data: str | os.PathLike[str] | None = None
    ) -> None:
        super().__init__(NASBench301Space(), budget)
        self._labels = _Labels(models, data)

    @property
    def labels(self) -> str:
        """Which surrogate the accuracies come from, with its version."""
        return self._labels.name()

    def _lookup(self, arch: ArchSpec, dataset: str) -> float:
        return self._labels.surrogate().accuracy(self.space.to_compact(arch))


class NASBench301Analysis:
    """Predictions without a ledger, for reports only; never hand it to a search.

    Implements `invertnas.benchmarks.base.Analysis`.

    Args:
        models: as for `NASBench301`.
        data: as for `NASBench301`.

    Raises:
        DataMissingError, ArtefactError: on first use, if the surrogate is missing or damaged.
    """

    def __init__(
        self, models: str | os.PathLike[str] | None = None, data: str | os.PathLike[str] | None = None
    ) -> None:
        self.space = NASBench301Space()
        self._labels = _Labels(models, data)

    @property
    def labels(self) -> str:
        """Which surrogate the accuracies come from, with its version."""
        return self._labels.name()

    def validation_accuracy(self, arch: ArchSpec | str, dataset: str) -> float:
        """Predicted validation accuracy in [0, 1]. Raises OutOfDomainError."""
        _check_dataset(dataset)
        return self._labels.surrogate().accuracy(self.space.to_compact(arch))

    def test_accuracy(self, arch: ArchSpec | str, dataset: str) -> None:
        """None: the surrogates predict validation accuracies only. Raises OutOfDomainError."""
        _check_dataset(dataset)
        self.space.to_compact(arch)

    def optimum(self, dataset: str) -> tuple[None, None]:
        """(None, None): nobody knows the best of 1.1e18 architectures. Raises OutOfDomainError."""
        _check_dataset(dataset)
        return None, None

    def calibration(self) -> dict[str, Any]:
        """The embedded surrogate's calibration: what was fitted and its held-out error."""
        return read_calibration(self._labels.data)


def _check_dataset(dataset: str) -> None:
    checked_dataset(dataset, DATASETS, NB301.title)
