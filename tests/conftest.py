"""Shared by all tests. The marker `slow` is declared in setup.cfg; randomness is seeded in each test."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is first imported


@pytest.fixture(autouse=True)
def quiet_tensorflow() -> Iterator[None]:
    """Show only errors of TensorFlow's Python side, which logs what is no Python warning."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)
