"""Stored zero-cost scores of a space, as the predictor takes them."""

from __future__ import annotations

import numpy as np

from invertnas.predictor.attributes import FreeScores
from invertnas.proxies.cache import load_scores, score_path
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import known


def stored_scores(space: SearchSpace) -> FreeScores | None:
    """Scores of the space's default proxy that come with the package; None where there are none.

    A space of your own has none. Give its predictor `FreeScores` of your own, or leave them out.

    Raises:
        ArtefactError: the stored file is damaged.
    """
    record = known(space.name)
    if record is None or record.proxy is None or not score_path(space.name, record.proxy, reduced=False).is_file():
        return None
    table = load_scores(space.name, record.proxy, reduced=False)
    return FreeScores(tuple(table.archs()), table.scores[:, np.newaxis])
