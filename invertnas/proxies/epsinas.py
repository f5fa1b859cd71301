"""epsinas: how much an untrained network's output changes with its one constant weight (Gracheva, 2025; paper F.5).

The network runs twice on one batch. All its weights are one constant in the first run and another constant in the
second. The outputs of each run are scaled to 0..1. The score is the mean absolute difference of the two scaled
outputs, divided by their mean. Outputs that are 0 after scaling are left out.

The score is -inf where an output has no signal, which is either of:

- The largest magnitude lies outside the range of single precision. The published epsinas code computes in single
  precision and leaves such architectures out. On NAS-Bench-201 they are the cells that have no way of skips and
  poolings alone from input to output.
- The outputs differ by less than `ROUNDING` times the largest magnitude. Such differences are rounding.

Defaults are those of the published code, with one exception: biases are 0, as in the published description.
`experiments.studies.epsinas_quality` measures how well the score ranks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from invertnas.checks import Count, Positive, Range, Seed, check_fields
from invertnas.errors import ConfigError
from invertnas.proxies.base import FloatArray
from invertnas.proxies.images import NUM_IMAGES, image_batch
from invertnas.proxies.networks.constant_nb201 import constant_output
from invertnas.proxies.networks.recurrent import constant_outputs, embedding_sums
from invertnas.proxies.tokens import ptb_tokens, zipf_tokens
from invertnas.spaces.nasbench201 import NASBench201Space
from invertnas.spaces.nasbench_nlp import cell as nlp_cell
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace
from invertnas.spaces.spec import ArchSpec

ROUNDING = 1e-12
SINGLE = np.finfo(np.float32)


def epsinas_score(first: FloatArray, second: FloatArray) -> float:
    """Score of two outputs of equal size and any shape; -inf if either has no signal (see the module)."""
    scaled = [_scaled(outputs.ravel()) for outputs in (first, second)]
    if scaled[0] is None or scaled[1] is None:
        return -np.inf
    both = np.stack([scaled[0], scaled[1]])
    difference = np.abs(both[0] - both[1])
    if np.isnan(difference).all():
        return -np.inf
    return float(np.nanmean(difference) / np.nanmean(both))


def _scaled(outputs: FloatArray) -> FloatArray | None:
    """(N,) outputs scaled to 0..1, with NaN in place of 0; None if they have no signal."""
    low, high, largest = outputs.min(), outputs.max(), np.abs(outputs).max()
    if not SINGLE.tiny <= largest <= SINGLE.max or not high - low > ROUNDING * largest:
        return None
    scaled = (outputs - low) / (high - low)
    return np.where(scaled == 0, np.nan, scaled)


def _check_weights(weights: tuple[float, float]) -> None:
    """Raises ConfigError unless the smaller one is first."""
    if weights[0] >= weights[1]:
        raise ConfigError(f"got weights={weights}; expected the smaller one first")


@dataclasses.dataclass(frozen=True)
class EpsinasConfig:
    """The two networks and the batch for NAS-Bench-NLP.

    Attributes:
        weights: the two constants, the smaller one first. They are the initial hidden states too.
        batch: number of sequences.
        steps: words per sequence.
        embedding: channels of a word.
        widths: channels of each layer. The default is the network that the benchmark trained: three layers, the last
            as wide as the embedding (Klyuchnikov et al., 2020).
        constant_biases: True sets biases to the constant (published code), False to 0 (published description).
        seed: seed of the embedding and of the drawn words.

    Raises:
        ConfigError: a value is out of range.
    """

    weights: tuple[Positive, Positive] = (1e-5, 1e-3)
    batch: Count = 256
    steps: Count = 70
    embedding: Count = 400
    widths: tuple[Count, ...] = (600, 600, 400)
    constant_biases: bool = False
    seed: Seed = 21

    def __post_init__(self) -> None:
        check_fields(self)
        _check_weights(self.weights)
        if not self.widths:
            raise ConfigError("got no widths; expected a positive number for each layer")


class EpsinasNLP:
    """epsinas of NAS-Bench-NLP cells; implements `invertnas.proxies.base.Proxy`.

    Args:
        config: networks and batch.
        text: path of ptb.train.txt, of which the first batch is read; None draws the words by Zipf's law.

    Raises:
        DataMissingError, ArtefactError: the text is missing, no text, or too short.
    """

    name: Literal["epsinas"] = "epsinas"

    def __init__(self, config: EpsinasConfig = EpsinasConfig(), text: Path | None = None) -> None:
        self.config = config
        if text is None:
            tokens = zipf_tokens(config.steps, config.batch, seed=config.seed)
        else:
            tokens = ptb_tokens(text, config.steps, config.batch)
        self._sums = embedding_sums(tokens, config.embedding, seed=config.seed)
        self._space = NASBenchNLPSpace()

    def score(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """(B,) scores, equal for equal cells; see `Proxy.score`. Raises OutOfDomainError outside the space."""
        return np.array([self._score(nlp_cell.canonical(self._space.to_cell(arch))) for arch in archs], np.float64)

    def _score(self, cell: nlp_cell.Cell) -> float:
        config = self.config
        outputs = constant_outputs(
            cell, self._sums, config.weights, config.widths, constant_biases=config.constant_biases
        )
        return -np.inf if outputs is None else epsinas_score(outputs[0], outputs[1])


@dataclasses.dataclass(frozen=True)
class ImageEpsinasConfig:
    """The two networks and the batch for NAS-Bench-201.

    Attributes:
        weights: the two constants, the smaller one first.
        channels: channels of the stem.
        cells: cells of each stage.
        batch: number of images, 3 to 128 (published code: 256). The first 64 are training images.

    Raises:
        ConfigError: a value is out of range.
    """

    weights: tuple[Positive, Positive] = (1e-7, 1.0)
    channels: Count = 16
    cells: Count = 5
    batch: Annotated[int, Range(3, NUM_IMAGES)] = 64

    def __post_init__(self) -> None:
        check_fields(self)
        _check_weights(self.weights)


class EpsinasNB201:
    """epsinas of NAS-Bench-201 cells; implements `invertnas.proxies.base.Proxy`.

    The network has one output, so the score comes from one number per image (as in the published code).

    Args:
        config: networks and batch.

    Raises:
        DataMissingError, ArtefactError: the images of the package are missing or damaged.
    """

    name: Literal["epsinas"] = "epsinas"

    def __init__(self, config: ImageEpsinasConfig = ImageEpsinasConfig()) -> None:
        self.config = config
        self._inputs = image_batch(config.batch).astype(np.float64).sum(axis=3)
        self._space = NASBench201Space()

    def score(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """(B,) scores; see `Proxy.score`. Raises OutOfDomainError outside the space."""
        for arch in archs:
            self._space.identity(arch)
        return np.array([self._score(arch.ops[1:-1]) for arch in archs], np.float64)

    def _score(self, cell_ops: tuple[int, ...]) -> float:
        config = self.config
        first, second = (
            constant_output(cell_ops, self._inputs, weight, channels=config.channels, cells=config.cells)
            for weight in config.weights
        )
        return epsinas_score(first, second)
