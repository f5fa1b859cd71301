"""Named settings of InvertNAS: `paper` follows the paper, `thesis` its loss weights, `fast` is the default."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from invertnas.errors import ConfigError
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.search.config import CandidateConfig, SearchConfig

if TYPE_CHECKING:
    from invertnas.predictor import PredictorConfig


@dataclasses.dataclass(frozen=True)
class Preset:
    """One complete setting of the method.

    Attributes:
        name: preset name.
        inn: fields of INNConfig except `dim`, which the GVAE gives.
        train: optimisation of the ensemble.
        predictor: fields of PredictorConfig: scaling and aggregation.
        search: search and candidate settings.
    """

    name: str
    inn: dict[str, Any]
    train: INNTrainConfig
    predictor: dict[str, Any]
    search: SearchConfig

    def inn_config(self, dim: int) -> INNConfig:
        """The ensemble's architecture for latents of dimension `dim`."""
        return INNConfig(dim=dim, **self.inn)

    def predictor_config(self) -> PredictorConfig:
        """Scaling and aggregation; imports TensorFlow."""
        from invertnas.predictor import PredictorConfig

        return PredictorConfig(**self.predictor)

    def with_members(self, members: int | None) -> Preset:
        """The same with another number of flows; unchanged for None."""
        return self if members is None else dataclasses.replace(self, inn={**self.inn, "members": members})

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return dataclasses.asdict(self) | {"predictor": dataclasses.asdict(self.predictor_config())}


_PAPER = Preset(
    name="paper",
    inn={"members": 10, "layers": 4, "hidden_layers": 5, "hidden": 256},
    train=INNTrainConfig(),
    predictor={},
    search=SearchConfig(initial=30, keep=20, batch=5, candidates=CandidateConfig()),
)
_THESIS = dataclasses.replace(
    _PAPER, name="thesis", train=dataclasses.replace(_PAPER.train, rev_weight=10.0, latent_weight=1.0)
)
_FAST = Preset(
    name="fast",
    inn={"members": 10, "layers": 4, "hidden_layers": 2, "hidden": 128, "head_scale": 0.1},
    train=INNTrainConfig(
        rank_weighted=False, repeat=1, steps_per_epoch=40, initial_epochs=3, retrain_epochs=1, initial_patience=3
    ),
    predictor={"scale_latent": True, "scale_accuracy": True},
    search=SearchConfig(
        initial=30,
        keep=30,
        batch=5,
        candidates=CandidateConfig(
            wanted=300,
            max_retries=20,
            rows=20,
            z_std=0.5,
            z_std_step=0.0,
            latent_noise=0.3,
            latent_noise_step=0.1,
            escalate="always",
            target="beyond_best",
            mutate_top=10,
        ),
    ),
)
PRESETS = {chosen.name: chosen for chosen in (_FAST, _PAPER, _THESIS)}
DEFAULT = _FAST.name


def preset(name: str, space: str) -> Preset:
    """The preset of that name for a search space (paper Tables 12 and 13 share their values).

    Raises:
        ConfigError: for an unknown name.
    """
    if name not in PRESETS:
        raise ConfigError(f"got preset {name!r} for {space}; expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
