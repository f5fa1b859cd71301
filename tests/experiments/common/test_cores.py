"""Threads, kernels and memory of a process."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import threadpoolctl

from experiments.common import cores
from invertnas.startup import prepare

NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_ENABLE_ONEDNN_OPTS", "TF_CPP_MIN_LOG_LEVEL")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable set, TensorFlow left alone, and BLAS as before afterwards."""
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    monkeypatch.setattr(cores, "_set_threads", lambda intra, inter: None)
    before = {library["prefix"]: library["num_threads"] for library in threadpoolctl.threadpool_info()}
    yield
    threadpoolctl.threadpool_limits(before)


@pytest.mark.usefixtures("clean")
def test_a_limit_holds_for_loaded_and_for_later_libraries() -> None:
    assert np.ones((4, 4)) @ np.ones(4) is not None  # BLAS is loaded
    cores.limit_threads(1)
    assert {library["num_threads"] for library in threadpoolctl.threadpool_info()} == {1}
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]) == ("1", "1")


@pytest.mark.usefixtures("clean")
def test_kernels_of_onednn_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare()
    assert (os.environ["TF_ENABLE_ONEDNN_OPTS"], os.environ["TF_CPP_MIN_LOG_LEVEL"]) == ("1", "3")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    prepare()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"


def test_memory_is_kept_through_mallopt(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[tuple[int, int]]()

    class Library:
        def mallopt(self, option: int, value: int) -> int:
            calls.append((option, value))
            return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    cores.keep_freed_memory()
    assert calls == [(-3, 1 << 30), (-1, (1 << 31) - 1)]


def test_another_c_library_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    cores.keep_freed_memory()
