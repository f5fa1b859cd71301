"""Random streams, atomic writing, reading of damaged files, checksums."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from invertnas.errors import ArtefactError, DataMissingError, OutputError
from invertnas.files.io import (
    read_arrays,
    read_json,
    sha256_arrays,
    sha256_file,
    versions,
    write_arrays,
    write_atomic,
    write_json,
    write_text,
)
from invertnas.seeding import generator, seed_sequence, tf_seed

# np.load leaves a file that is no archive to the garbage collector.
unclosed = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def test_a_stream_does_not_depend_on_what_was_drawn_before() -> None:
    forward = [generator(5, "candidates", index).random(4).tolist() for index in range(4)]
    generator(5, "initial").random(1000)
    backward = [generator(5, "candidates", index).random(4).tolist() for index in reversed(range(4))]
    assert forward == backward[::-1]


def test_streams_differ_by_seed_component_and_index() -> None:
    indices = [(), (0,), (1,), (0, 0), (1, 0), (0, 1)]
    keys = [(1, "a", ()), (0, "b", ()), *((0, "a", index) for index in indices)]
    draws = {tuple(generator(seed, name, *index).integers(0, 2**62, 2).tolist()) for seed, name, index in keys}
    assert len(draws) == len(keys)
    assert len({tuple(tf_seed(seed, name, *index).tolist()) for seed, name, index in keys}) == len(keys)


def test_streams_are_the_same_on_every_machine() -> None:
    """Recorded once; a change would silently change every published result."""
    assert seed_sequence(7, "split", 3).spawn_key == (2985662993, 3)
    assert generator(7, "split", 3).integers(0, 1000, 4).tolist() == [670, 172, 285, 474]
    assert tf_seed(7, "split", 3).tolist() == [807440129, 1176397482]


def test_tensorflow_seeds_are_two_signed_numbers() -> None:
    seed = tf_seed(3, "noise", 2)
    assert seed.shape == (2,) and seed.dtype == np.int32


def test_atomic_writing_creates_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    write_text(path, "first")
    write_text(path, "zweite Fassung ±")
    assert path.read_text(encoding="utf-8") == "zweite Fassung ±"
    assert [entry.name for entry in path.parent.iterdir()] == ["c.txt"]


def test_the_temporary_file_has_the_same_endings_and_folder(tmp_path: Path) -> None:
    seen: list[Path] = []
    write_atomic(tmp_path / "x.weights.h5", lambda temporary: seen.append(temporary))
    assert seen[0].parent == tmp_path and seen[0].name.endswith(".weights.h5") and seen[0].name.startswith(".")


def test_files_get_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "atomic", "")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_failing_writer_leaves_the_old_file_alone(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half of the ne")
        raise error

    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected, match="No space left on device; free some space" if expected is OutputError else None):
        write_atomic(path, fail)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_failing_first_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"not": {"json"}})
    with pytest.raises(ZeroDivisionError):
        write_atomic(tmp_path / "x.json", lambda temporary: 1 // 0)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write .*x.json.*; choose a writable output folder"):
        write_json(tmp_path / "file" / "below" / "x.json", {})
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot write"):
        write_text(tmp_path / "folder", "a folder is in the way")
    assert (tmp_path / "folder" / "inside").is_dir()


def test_json_comes_back_exactly(tmp_path: Path) -> None:
    content = {"a": [0.1 + 0.2, 1e-300, None, True], "ü": {"b": "–"}}
    write_json(tmp_path / "x.json", content)
    assert read_json(tmp_path / "x.json") == content
    assert (tmp_path / "x.json").read_bytes().endswith(b"}\n")


def test_gzipped_json_is_dense_and_the_same_bytes_every_time(tmp_path: Path) -> None:
    content = {"a": [0.1 + 0.2, 1e-300, None, True], "ü": {"b": "–"}}
    for name in ("x.json.gz", "y.json.gz"):
        write_json(tmp_path / name, content)
        assert read_json(tmp_path / name) == content
    first, second = ((tmp_path / name).read_bytes() for name in ("x.json.gz", "y.json.gz"))
    assert first == second and b" " not in gzip.decompress(first)


@pytest.mark.parametrize("kept", [0, 1, 9, 30, -9, -1])
def test_damaged_gzipped_json_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "x.json.gz"
    write_json(path, {"a": list(range(50))})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ArtefactError, match="x.json.gz is not valid JSON"):
        read_json(path)
    path.write_bytes(b"{}")
    with pytest.raises(ArtefactError, match="x.json.gz is not valid JSON"):
        read_json(path)


@pytest.mark.parametrize("damaged", [b"", b'{"a": 1', b"\xff\xfe\x00", b"{'a': 1}", b'{"a": 1} {'])
def test_damaged_json_is_refused(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "x.json").write_bytes(damaged)
    with pytest.raises(ArtefactError, match="x.json is not valid JSON .*; delete it and run again"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("compress", [False, True])
def test_arrays_come_back_exactly(tmp_path: Path, compress: bool) -> None:
    arrays = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "b": np.array([np.nan, 0.1]), "c": np.array(["x", "yz"])}
    write_arrays(tmp_path / "x.npz", arrays, compress)
    back = read_arrays(tmp_path / "x.npz")
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)
    assert os.listdir(tmp_path) == ["x.npz"]


@unclosed
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.95])
def test_truncated_arrays_are_refused(tmp_path: Path, kept: float, compress: bool) -> None:
    path = tmp_path / "x.npz"
    write_arrays(path, {"a": np.random.default_rng(0).random(500), "b": np.arange(500)}, compress)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ArtefactError, match="x.npz cannot be read .*; delete it and run again"):
        read_arrays(path)


@unclosed
@pytest.mark.parametrize("compress", [False, True])
def test_overwritten_arrays_are_refused(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "x.npz"
    write_arrays(path, {"a": np.random.default_rng(0).random(500)}, compress)
    content = bytearray(path.read_bytes())
    content[1000:1100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="x.npz cannot be read"):
        read_arrays(path)


@unclosed
def test_other_files_are_no_arrays(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("this is no archive")
    np.savez(tmp_path / "objects.npz", a=np.array([{"pickled": 1}], dtype=object))
    for name in ("text.npz", "objects.npz"):
        with pytest.raises(ArtefactError, match=name):
            read_arrays(tmp_path / name)
    for read in (read_arrays, read_json):
        with pytest.raises(DataMissingError, match="found no .*missing.npz"):
            read(tmp_path / "missing.npz")


def test_checksums_of_files(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "abc").write_bytes(b"abc")
    (tmp_path / "large").write_bytes(b"x" * 3_000_001)
    assert sha256_file(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_file(tmp_path / "large") == hashlib.sha256(b"x" * 3_000_001).hexdigest()


def test_checksums_of_arrays() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert sha256_arrays(array) == hashlib.sha256(b"(2, 3)<f4" + array.tobytes()).hexdigest()
    assert sha256_arrays(array.T.copy().T) == sha256_arrays(array)
    others: list[np.ndarray] = [
        array.reshape(3, 2),
        array.astype(np.float64),
        array.astype(np.int32),
        array + 1,
        array[:1],
    ]
    assert len({sha256_arrays(other) for other in [array, *others]}) == 6
    assert sha256_arrays(array, array) != sha256_arrays(array)


def test_versions_name_what_decides_results() -> None:
    found = versions()
    assert set(found) == {"python", "tensorflow", "keras", "numpy"}
    assert found["numpy"] == np.__version__
    assert json.loads(json.dumps(found)) == found
