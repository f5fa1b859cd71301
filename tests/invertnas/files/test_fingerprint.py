"""What a saved predictor is bound to: space, seed, configurations and the GVAE's weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from invertnas.errors import ArtefactError, ConfigError
from invertnas.files.fingerprint import check_fingerprint, fingerprint
from invertnas.files.io import read_arrays, write_arrays
from invertnas.gvae.model import GVAE
from invertnas.predictor.predictor import InvertiblePredictor, PredictorConfig
from invertnas.spaces import NASBench201Space
from tests.invertnas.predictor.test_predictor import GVAE_CONFIG, INN, SPACE, TRAIN, labelled, make


@pytest.fixture(scope="module")
def gvae() -> GVAE:
    return GVAE.create(GVAE_CONFIG, seed=3)


@pytest.mark.parametrize("field", ["space", "seed", "gvae_sha256", "predictor.scale_latent", "train.repeat"])
def test_a_state_of_something_else_is_refused(gvae: GVAE, tmp_path: Path, field: str) -> None:
    make(gvae).save(tmp_path)
    space = type("Named", (NASBench201Space,), {"name": "named" if field == "space" else SPACE.name})()
    other = GVAE.create(gvae.config, seed=4) if field == "gvae_sha256" else gvae
    config = PredictorConfig(scale_latent=field == "predictor.scale_latent")
    train = dataclasses.replace(TRAIN, repeat=TRAIN.repeat + (field == "train.repeat"))
    model = InvertiblePredictor(space, other, INN, train, config, seed=int(field == "seed"))
    before = model.predict(labelled(5).archs)[1]
    with pytest.raises(ConfigError, match=f"predictor.npz, saved with {field}=.*; expected {field}="):
        model.load(tmp_path)
    np.testing.assert_array_equal(model.predict(labelled(5).archs)[1], before)


def test_files_without_a_fingerprint_load_and_are_checked_by_shape(gvae: GVAE, tmp_path: Path) -> None:
    model = make(gvae, seed=1)
    model.save(tmp_path)
    arrays = read_arrays(tmp_path / "predictor.npz")
    told = json.loads(str(arrays.pop("fingerprint")))
    assert (told["space"], told["seed"], told["inn.members"]) == ("nasbench201", 1, 3)
    write_arrays(tmp_path / "predictor.npz", arrays)
    other, archs = make(gvae), labelled(5).archs
    other.load(tmp_path)
    np.testing.assert_array_equal(other.predict(archs)[1], model.predict(archs)[1])
    with pytest.raises(ConfigError, match="inn_"):
        make(gvae, hidden=5).load(tmp_path)


def test_fingerprints() -> None:
    parts = {"a": {"b": np.float32(0.5), "c": {"d": (1, 2)}}, "seed": np.int64(3), "e": {}, "f": None}
    told = fingerprint(parts)
    assert told == {"a.b": 0.5, "a.c.d": [1, 2], "seed": 3, "f": None} == fingerprint(told)
    saved = json.dumps({**told, "older": 1})
    check_fingerprint(Path("x"), saved, {**told, "younger": 2})
    with pytest.raises(ConfigError, match="got x, saved with a.b=0.5; expected a.b=None, as here"):
        check_fingerprint(Path("x"), saved, {**told, "a.b": None})
    for text in ("{", "[1]"):
        with pytest.raises(ArtefactError, match="expected a JSON object"):
            check_fingerprint(Path("x"), text, told)
