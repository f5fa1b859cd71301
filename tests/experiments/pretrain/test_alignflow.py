"""The scripts of AlignFlow: training, resume, and what the sweep reports."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.common.cli import ROOT
from experiments.pretrain import alignflow as train_alignflow
from experiments.studies import alignflow_sweep
from invertnas.alignflow import load_alignflow
from invertnas.files.io import write_json
from invertnas.gvae.pretrained import load_gvae
from invertnas.spaces import NASBench201Space
from tests.helpers.scripts import set_flags

# Keras 3 implements __array__ without NumPy 2's `copy`, which saving weights runs into.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SPACE = NASBench201Space()


def test_training_writes_a_loadable_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (ROOT / "pretrained").glob("gvae_nb201.*"):
        shutil.copy(path, tmp_path)
    values = {"space": "nasbench201", "seed": 3, "size": 60, "epochs": 1, "pretrained": str(tmp_path)}
    with set_flags(train_alignflow.FLAGS, **values, work=str(tmp_path / "work")):
        train_alignflow.main(["train_alignflow"])
    told = json.loads((tmp_path / "alignflow_nb201.json").read_text(encoding="utf-8"))
    assert (told["seed"], told["epochs_run"], told["train"]["epochs"]) == (3, 1, 1)
    assert told["data"] == "60 architectures of the reduced space, 60 of the full one"
    assert told["metrics"]["cycle_error"] <= 1e-3 and "validity" in capsys.readouterr().out
    load_alignflow(SPACE, load_gvae(SPACE, tmp_path), tmp_path)
    assert (tmp_path / "work" / "alignflow_nasbench201_seed3.npz").exists()


def test_ranks_of_translations() -> None:
    everything = list(SPACE.all())
    params = [alignflow_sweep.NASBench201Analysis().params(arch) for arch in everything]
    order = np.argsort(params, kind="stable")
    sources = [everything[index] for index in order[::100]]
    same = alignflow_sweep.ranks(sources, list(sources))["cifar10"]
    assert same["spearman"] == pytest.approx(1.0) and same["sources"] == same["translated"]
    assert same["top_sources"] < 0.4 < same["sources"] < 0.6  # more parameters, better than average
    first = alignflow_sweep.ranks(sources, [None, *sources[1:]])["cifar10"]
    assert first["sources"] != same["sources"]
    constant = alignflow_sweep.ranks(sources, [sources[index % 2] for index in range(len(sources))])["cifar100"]
    assert abs(constant["spearman"]) < 0.2
    assert alignflow_sweep.ranks(sources, [None] * len(sources)) == {}


def test_a_stored_sweep_is_reported_without_training(tmp_path: Path) -> None:
    metrics: dict[str, Any] = {
        "cycle_error": 2e-6,
        "validity": 0.987,
        "changed": 0.5,
        "distinct": 0.25,
        "kept_ops": 0.75,
    }
    metrics |= {"ops": {"translated": {"nor_conv_3x3": 0.123}}, "ops_distance": 0.045}
    rank = {"translated": 0.51, "top_translated": 0.061, "spearman": 0.71}
    run = {"metrics": metrics, "ranks": {"cifar10": rank}, "losses": {"val_discriminator": 0.42}, "cpu_s": 17.2}
    head = {"epochs": 2, "seed": 5, "versions": alignflow_sweep.versions()}
    write_json(tmp_path / f"{alignflow_sweep.NAME}.json", {**head, "runs": {"default": run}})
    with set_flags(alignflow_sweep.FLAGS, epochs=2, seed=5, settings=["default"], out=str(tmp_path)):
        alignflow_sweep.main(["alignflow_sweep"])
    text = (tmp_path / f"{alignflow_sweep.NAME}.md").read_text(encoding="utf-8")
    expected = (
        "| default | 2.0e-06 | 0.987 | 0.500 | 0.250 | 0.750 | 0.123 | 0.045 | 0.420 | 0.510 | 0.061 | 0.710 | 17 |"
    )
    assert expected in text.splitlines() and "2 epochs, seed 5" in text
