"""The official models of NAS-Bench-301 as a source of labels, with a stand-in for their package."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from invertnas.benchmarks.nasbench301 import surrogate
from invertnas.benchmarks.nasbench301.benchmark import MODELS_VARIABLE, NASBench301, NASBench301Analysis
from invertnas.errors import ArtefactError, DataMissingError
from invertnas.spaces import ArchSpec
from invertnas.spaces.nasbench301.space import Genotype, NASBench301Space

SPACE = NASBench301Space()
ARCH = SPACE.sample(np.random.default_rng(301))


@pytest.fixture(autouse=True)
def fresh_models(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    yield
    surrogate.load_official.cache_clear()


@pytest.fixture
def archs() -> list[ArchSpec]:
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(300)]


def official_config(genotype: Genotype) -> dict[str, str]:
    """The parameters that the official interface reads from a genotype (Siems et al., 2020, Appendix)."""
    config = {}
    for name, cell in (("normal", genotype.normal), ("reduce", genotype.reduce)):
        edges = [(number, block) for block in range(4) for number in range(block + 2)]
        for position, (op, number) in enumerate(cell):
            config[f"edge_{name}_{edges.index((number, position // 2))}"] = op
    return config


class FakeEnsemble:
    """Stands in for the official models: the answer depends on every edge, and noise is refused."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.percent: float | None = None

    def predict(self, config: Genotype, representation: str, with_noise: bool = True) -> Any:
        assert representation == "genotype" and with_noise is False
        assert list(config.normal_concat) == list(config.reduce_concat) == [2, 3, 4, 5]
        edges = official_config(config)
        assert len(edges) == 16
        if self.percent is not None:
            return np.float32(self.percent)
        return np.float64(90 + sum(zlib.crc32(f"{key}={op}".encode()) for key, op in edges.items()) / 2**36)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the official archive unpacks, and a package that loads it."""
    for ensemble in ("xgb_v1.0", "lgb_runtime_v1.0"):
        member = tmp_path / "nb_models" / ensemble / "member_0"
        member.mkdir(parents=True)
        (member / "surrogate_model.model").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "nasbench301", SimpleNamespace(load_ensemble=FakeEnsemble))
    return tmp_path / "nb_models"


def test_official_models_answer_where_a_folder_is_given(models: Path, archs: list[ArchSpec]) -> None:
    for given in (models, models / "xgb_v1.0"):
        benchmark = NASBench301(500, models=given)
        assert benchmark.labels == NASBench301Analysis(models=given).labels
        assert benchmark.labels == "official surrogate xgb_v1.0, without noise"
        values = [benchmark.query(arch, "cifar10") for arch in archs]
        expected = [FakeEnsemble("").predict(SPACE.to_genotype(arch), "genotype", False) / 100 for arch in archs]
        assert values == expected and len(set(values)) == len(archs)
        assert surrogate.load_official(given).model.folder == str(models / "xgb_v1.0")


def test_environment_names_the_official_models(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(models))
    assert NASBench301(1).labels.startswith("official surrogate xgb_v1.0")
    assert NASBench301(1, data=surrogate.DATA).labels == surrogate.EMBEDDED_LABELS
    monkeypatch.setenv(MODELS_VARIABLE, "")
    assert NASBench301(1).labels == surrogate.EMBEDDED_LABELS


def test_official_models_that_cannot_be_used_are_named(models: Path) -> None:
    with pytest.raises(DataMissingError, match="no surrogate_model.model below .*figshare"):
        NASBench301(1, models=models / "nowhere").query(ARCH, "cifar10")
    ensemble = surrogate.load_official(models).model
    for percent in (float("nan"), 150.0):
        ensemble.percent = percent
        with pytest.raises(ArtefactError, match=f"predict {percent}"):
            NASBench301(1, models=models).query(ARCH, "cifar10")
    (models / "xgb_v1.0").rename(models / "xgb_v0.9")
    with pytest.raises(ArtefactError, match="lgb_runtime_v1.0, xgb_v0.9; pass one"):
        print(NASBench301(1, models=models).labels)
    assert NASBench301(1, models=models / "xgb_v0.9").labels == "official surrogate xgb_v0.9, without noise"


def test_official_package_that_is_missing_or_fails_is_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: str) -> None:
        raise KeyError("model")

    monkeypatch.setitem(sys.modules, "nasbench301", SimpleNamespace(load_ensemble=fail))
    with pytest.raises(ArtefactError, match="cannot be loaded .*'model'"):
        surrogate.load_official(models)
    monkeypatch.setitem(sys.modules, "nasbench301", None)
    with pytest.raises(DataMissingError, match="pip install nasbench301"):
        surrogate.load_official(models)
