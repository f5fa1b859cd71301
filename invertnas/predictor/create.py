"""The predictor that a configuration asks for."""

from __future__ import annotations

from invertnas.errors import ConfigError
from invertnas.gvae.model import GVAE
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.predictor.attributes import FreeScores
from invertnas.predictor.config import PredictorConfig
from invertnas.predictor.guided import GuidedPredictor
from invertnas.predictor.predictor import InvertiblePredictor
from invertnas.spaces.base import SearchSpace


def create_predictor(
    space: SearchSpace,
    gvae: GVAE,
    inn: INNConfig,
    train: INNTrainConfig,
    config: PredictorConfig,
    *,
    scores: FreeScores | None = None,
    seed: int,
) -> InvertiblePredictor:
    """A `GuidedPredictor` where `config.ranking` is "process", else an `InvertiblePredictor`.

    Args:
        space: encodes and decodes architectures.
        gvae: pretrained on the space.
        inn, train, config: settings.
        scores: that cost no training, of some architectures; only the process reads them.
        seed: of every random choice.

    Raises:
        ConfigError: the parts do not fit, or scores have no effect.
    """
    if config.ranking == "process":
        return GuidedPredictor(space, gvae, inn, train, config, scores=scores, seed=seed)
    if scores is not None:
        raise ConfigError("got scores with ranking='inn', which reads none; expected None, or the preset 'guided'")
    return InvertiblePredictor(space, gvae, inn, train, config, seed=seed)
