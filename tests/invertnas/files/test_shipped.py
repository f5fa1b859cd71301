"""Files that come with InvertNAS are found, and a damaged one is to be restored, not deleted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from invertnas.errors import ArtefactError, DataMissingError
from invertnas.files import shipped
from invertnas.files.artefacts import read_description
from invertnas.files.io import read_arrays, read_json
from invertnas.files.shipped import PACKAGE, is_shipped, remedy, weights_folder
from invertnas.spaces.records import records

ROOT = Path(__file__).resolve().parents[3]


def test_weights_of_every_space_ship() -> None:
    for record in records():
        for kind in ("gvae", *(("alignflow",) if record.alignflow_size is not None else ())):
            for suffix in (".weights.h5", ".json"):
                assert (weights_folder() / f"{kind}_{record.stem}{suffix}").is_file()


def test_they_are_inside_the_package_and_in_a_checkout_behind_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert weights_folder() == ROOT / "pretrained" and (PACKAGE / "pretrained").is_symlink()
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "invertnas")
    assert weights_folder() == tmp_path / "invertnas" / "pretrained"


def test_shipped_files_are_to_be_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_shipped(PACKAGE / "benchmarks" / "data" / "x.npz") and is_shipped(weights_folder() / "x")
    assert not is_shipped(tmp_path / "x") and remedy(tmp_path / "x", "score again") == "score again"
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(b"no archive")
    shutil.copy(damaged, tmp_path / "damaged.json")
    for path, read in ((damaged, read_arrays), (tmp_path / "damaged.json", read_json)):
        with pytest.raises(ArtefactError, match="delete it and run again"):
            read(path)
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path)
    for path, read in ((damaged, read_arrays), (tmp_path / "damaged.json", read_json)):
        with pytest.raises(ArtefactError, match="; reinstall InvertNAS"):
            read(path)
    with pytest.raises(DataMissingError, match="no .*gvae_x.weights.h5; reinstall InvertNAS"):
        read_description(tmp_path / "gvae_x.weights.h5", tmp_path / "gvae_x.json", (), "train")
