"""The batch of words on which recurrent cells are scored: drawn from Zipf's law, or the start of a user's PTB.

PTB's text is licensed and not shipped. Scores need no real text: every word enters as a random embedding,
so only how often words repeat can matter.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from invertnas.errors import ArtefactError, DataMissingError
from invertnas.seeding import generator

VOCABULARY = 10_000  # words of the usual PTB, with <unk> and <eos>
END = "<eos>"


class Tokens(NamedTuple):
    """A batch of word numbers.

    Attributes:
        ids: (steps, batch) word numbers.
        vocabulary: how many words there are.
    """

    ids: npt.NDArray[np.int64]
    vocabulary: int


def zipf_tokens(steps: int, batch: int, *, seed: int) -> Tokens:
    """Independent words of a vocabulary of 10,000; the k-th most frequent one has probability ~ 1 / k."""
    ends = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
    draws = generator(seed, "zipf_tokens").random((steps, batch))
    return Tokens(np.searchsorted(ends, draws * ends[-1], side="right").clip(max=VOCABULARY - 1), VOCABULARY)


def ptb_tokens(path: Path, steps: int, batch: int) -> Tokens:
    """The first batch of a PTB file, laid out as for training an AWD-LSTM (Merity et al., 2018).

    Words are numbered in order of appearance, every line ends with <eos>, and the text is cut into `batch`
    pieces of equal length, one per column.

    Raises:
        DataMissingError: there is no such file.
        ArtefactError: it is not UTF-8 text, or has fewer than `steps` words for each column.
    """
    if not path.is_file():
        raise DataMissingError(f"no text at {path}; pass the path of ptb.train.txt, or none for a drawn batch")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ArtefactError(f"{path} is not UTF-8 text ({error}); expected ptb.train.txt") from error
    words = [word for line in lines for word in (*line.split(), END)]
    number: dict[str, int] = {}
    ids = np.array([number.setdefault(word, len(number)) for word in words], np.int64)
    length = len(ids) // batch
    if length < steps:
        raise ArtefactError(f"{path} has {len(ids)} words; expected at least {steps * batch} = {batch} x {steps}")
    return Tokens(np.ascontiguousarray(ids[: length * batch].reshape(batch, length).T[:steps]), len(number))
