"""The shipped weights keep their promises, recomputed here from the files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments.common.cli import ROOT
from invertnas.files.io import sha256_arrays
from invertnas.gvae.model import GVAE
from invertnas.gvae.pretrained import load_gvae, reconstruction_metrics
from invertnas.gvae.train import split_indices
from invertnas.spaces import GraphBatch, NASBench201Space, NASBenchMacroSpace

FOLDER = ROOT / "pretrained"
SPACE = NASBench201Space()


@pytest.fixture(scope="module")
def graphs() -> GraphBatch:
    return SPACE.encode(list(SPACE.all()))


@pytest.fixture(scope="module")
def gvae() -> GVAE:
    return load_gvae(SPACE, FOLDER)


def test_test_split_is_reconstructed_exactly(gvae: GVAE, graphs: GraphBatch) -> None:
    told = json.loads((FOLDER / "gvae_nb201.json").read_text(encoding="utf-8"))
    assert told["data_sha256"] == sha256_arrays(graphs.ops, graphs.adjacency)
    rows = split_indices(len(graphs), seed=told["seed"])[2]
    metrics = reconstruction_metrics(gvae, SPACE, GraphBatch(graphs.ops[rows], graphs.adjacency[rows]))
    assert metrics["exact_reconstruction"] >= 0.999 and metrics["validity"] == 1.0
    assert {f"test_{name}": value for name, value in metrics.items()}.items() <= told["metrics"].items()


def test_latents_tell_architectures_apart(gvae: GVAE, graphs: GraphBatch) -> None:
    some = GraphBatch(graphs.ops[::50], graphs.adjacency[::50])
    latents = gvae.encode(some)
    assert latents.shape == (len(some), SPACE.num_nodes * 16)
    assert len(np.unique(latents.round(3), axis=0)) == len(some)


def test_every_network_of_nas_bench_macro_is_reconstructed() -> None:
    space = NASBenchMacroSpace()
    graphs = space.encode(list(space.all()))
    told = json.loads((FOLDER / "gvae_macro.json").read_text(encoding="utf-8"))
    assert told["data_sha256"] == sha256_arrays(graphs.ops, graphs.adjacency)
    metrics = reconstruction_metrics(load_gvae(space, FOLDER), space, graphs)
    assert metrics["exact_reconstruction"] >= 0.999 and metrics["validity"] >= 0.999
    assert told["metrics"]["test_exact_reconstruction"] == 1.0


def test_every_description_has_the_promised_fields() -> None:
    for path in FOLDER.glob("gvae_*.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        assert {"config", "data_sha256", "weights_sha256", "seed", "versions", "metrics"} <= set(told), path
        assert {"test_exact_reconstruction", "test_validity"} <= set(told["metrics"]), path
        assert path.with_suffix(".weights.h5").stat().st_size <= 5_000_000
