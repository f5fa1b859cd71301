"""Shared by all tests. The marker `slow` is declared in setup.cfg; randomness is seeded in each test."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from tests.helpers import effort

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is first imported


@pytest.fixture(autouse=True)
def quiet_tensorflow() -> Iterator[None]:
    """Show only errors of TensorFlow's Python side, which logs what is no Python warning."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much the property tests tried."""
    if effort.COUNTS:
        tried = ", ".join(f"{count:,} {kind}" for kind, count in sorted(effort.COUNTS.items()))
        terminalreporter.write_line(f"property tests tried {tried}")
