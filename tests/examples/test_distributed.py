"""The example of a cluster, on processes of this machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs invertnas[distributed]")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_example_searches_and_is_taken_up(tmp_path: Path) -> None:
    from examples.distributed import search

    first = search(None, tmp_path, budget=6)
    result = search(None, tmp_path, budget=12)
    assert result.evaluations[:6] == first.evaluations and len(result.evaluations) == 12
    assert result.best is not None and (result.best.value or 0) > 0.7
