"""Named settings of InvertNAS: `paper` follows the paper, `thesis` has its loss weights, `fast` is the default.

A preset is data: fields of the ensemble, the training, the predictor and the search, and what differs on single
spaces (`per_space`). `preset(name, space)` puts the two together. A space without changes, such as your own, gets the
preset as it stands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from invertnas.checks import check_fields, checked_choice, suggestion
from invertnas.errors import ConfigError
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.predictor.config import PredictorConfig
from invertnas.search.config import CandidateConfig, SearchConfig
from invertnas.spaces.records import NB101, NB301, NBNLP

Fields = Mapping[str, Any]
Changes = Mapping[str, Fields]  # part of a preset ("inn", "train", "predictor", "search", "candidates") -> its fields


@dataclasses.dataclass(frozen=True)
class Preset:
    """One complete setting of the method. Nothing in it can be changed; `changed` gives another one.

    Attributes:
        name: preset name.
        inn: fields of INNConfig except `dim`, which the GVAE gives.
        train: optimisation of the ensemble.
        predictor: scaling and aggregation.
        search: search and candidate settings.
        about: what it is for, one line.
        per_space: space -> what differs on it.

    Raises:
        ConfigError: a field is unknown, out of range or of the wrong kind.
    """

    name: str
    inn: Fields = dataclasses.field(hash=False)
    train: INNTrainConfig
    predictor: PredictorConfig
    search: SearchConfig
    about: str = dataclasses.field(default="", compare=False)
    per_space: Mapping[str, Changes] = dataclasses.field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        _known(self.inn, INNConfig, "inn")
        if "dim" in self.inn:
            raise ConfigError("got inn.dim in a preset; expected the other fields, since the GVAE gives the dimension")
        INNConfig(dim=1 + self.inn.get("targets", 1), **self.inn)  # in range
        object.__setattr__(self, "inn", _frozen(self.inn))
        object.__setattr__(self, "per_space", _frozen(self.per_space))

    def __reduce__(self) -> tuple[Any, ...]:
        """Read-only mappings cannot be pickled; their content can."""
        values = (self.name, self.inn, self.train, self.predictor, self.search, self.about, self.per_space)
        return Preset, tuple(_thawed(value) for value in values)

    def on(self, space_name: str) -> Preset:
        """The preset as it is on a space."""
        changes: dict[str, Any] = dict(self.per_space.get(space_name, {}))
        return self.changed(**changes) if self.per_space else self

    def changed(
        self,
        *,
        name: str | None = None,
        inn: Fields | None = None,
        train: Fields | None = None,
        predictor: Fields | None = None,
        search: Fields | None = None,
        candidates: Fields | None = None,
    ) -> Preset:
        """The same with other values in some fields, on every space.

        Args:
            name: of the new preset; None keeps the name.
            inn: fields of INNConfig except `dim`.
            train: fields of INNTrainConfig.
            predictor: fields of PredictorConfig.
            search: fields of SearchConfig.
            candidates: fields of CandidateConfig.

        Raises:
            ConfigError: a field is unknown or out of range.
        """
        found = _replaced(self.search, search or {}, "search")
        found = dataclasses.replace(found, candidates=_replaced(found.candidates, candidates or {}, "candidates"))
        return dataclasses.replace(
            self,
            name=self.name if name is None else name,
            inn={**self.inn, **(inn or {})},
            train=_replaced(self.train, train or {}, "train"),
            predictor=_replaced(self.predictor, predictor or {}, "predictor"),
            search=found,
            per_space={},
        )

    def inn_config(self, dim: int) -> INNConfig:
        """The ensemble's architecture for latents of dimension `dim`."""
        return INNConfig(dim=dim, **self.inn)

    def with_members(self, members: int | None) -> Preset:
        """The same with another number of flows; unchanged for None. Raises ConfigError below 1."""
        return self if members is None else dataclasses.replace(self, inn={**self.inn, "members": members})

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of name and settings."""
        parts = {part: dataclasses.asdict(getattr(self, part)) for part in ("train", "predictor", "search")}
        return {"name": self.name, "inn": dict(self.inn), **parts}


def _replaced(config: Any, fields: Fields, part: str) -> Any:
    _known(fields, type(config), part)
    return dataclasses.replace(config, **fields)


def _known(fields: Fields, config: Any, part: str) -> None:
    names = [field.name for field in dataclasses.fields(config)]
    for name in fields:
        if name not in names:
            raise ConfigError(f"got {part}.{name}; expected one of {', '.join(names)}{suggestion(name, names)}")


def _frozen(value: Any) -> Any:
    """Mappings, however deep, as read-only ones of their own."""
    if not isinstance(value, Mapping):
        return value
    return MappingProxyType({name: _frozen(inner) for name, inner in value.items()})


def _thawed(value: Any) -> Any:
    return {name: _thawed(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value


_FIT = INNTrainConfig()
# Paper Appendix H, Tables 14 and 15. The paper gives no number of passes; a stage has those of a whole fit elsewhere,
# so that its patience can run out.
_LARGE: Fields = {
    "batch_size": 32,
    "repeat": 5,
    "schedule": "two_stage",
    "learning_rate": 1e-3,
    "final_learning_rate": 1e-4,
    "initial_patience": 30,
    "retrain_patience": 30,
    "initial_epochs": 2 * _FIT.initial_epochs,
    "retrain_epochs": 2 * _FIT.retrain_epochs,
}
_PAPER = Preset(
    name="paper",
    about="the paper: Tables 12 to 15 and Algorithm 1; where it leaves a choice open, see docs/fidelity",
    inn={"members": 10, "layers": 4, "hidden_layers": 5, "hidden": 256},
    train=_FIT,
    predictor=PredictorConfig(),
    search=SearchConfig(initial=30, keep=20, batch=5, candidates=CandidateConfig(fill="ranked")),
    per_space={
        NB301.name: {"train": _LARGE},
        # Table 15 has "top 30 of 30" and a validation set of 10, which cannot both be; the first is taken.
        NBNLP.name: {"train": _LARGE, "search": {"keep": 30}},
    },
)
_THESIS = dataclasses.replace(
    _PAPER,
    name="thesis",
    about="the paper's settings with the loss weights of the thesis",
    train=dataclasses.replace(_FIT, rev_weight=10.0, latent_weight=1.0),
)
_FAST = Preset(
    name="fast",
    about="the default: smaller subnets, 40 steps a round, scaled latents and accuracies, neighbours of the best",
    inn={"members": 10, "layers": 4, "hidden_layers": 2, "hidden": 128, "head_scale": 0.1},
    train=INNTrainConfig(
        rank_weighted=False, repeat=1, steps_per_epoch=40, initial_epochs=3, retrain_epochs=1, initial_patience=3
    ),
    predictor=PredictorConfig(scale_latent=True, scale_accuracy=True),
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
    per_space={
        # Each pick follows another member: the ensemble gets stuck less often.
        NB101.name: {"search": {"selection": "members"}},
        # 120 neighbours to each cell: picks by prediction alone stay near one local optimum.
        NB301.name: {
            "predictor": {"uncertainty": "gaussian_process"},
            "search": {"selection": "ucb", "explore": 2.0},
        },
    },
)
_GUIDED = _FAST.changed(
    name="guided",
    inn={"members": 5},
    train={"pretrain_steps": 500},
    predictor={"uncertainty": "gaussian_process", "ranking": "process", "refit": 10},
    search={"initial": 10, "keep": 10, "batch": 1, "selection": "ei"},
    candidates={"wanted": 200, "max_retries": 2, "mutations": 40, "samples": 100},
)
_GUIDED = dataclasses.replace(
    _GUIDED,
    about="one question at a time by expected improvement, a Gaussian process on graphs, attributes and free scores",
)
PRESETS: Mapping[str, Preset] = MappingProxyType({chosen.name: chosen for chosen in (_FAST, _PAPER, _THESIS, _GUIDED)})
DEFAULT = _FAST.name


def preset(name: str, space: str) -> Preset:
    """The preset of that name as it is on a search space (paper Appendix H, Tables 12-15).

    Args:
        name: one of `PRESETS`.
        space: `SearchSpace.name`; any other name than those that ship is a space of your own.

    Raises:
        ConfigError: for an unknown preset, with the nearest name.
    """
    return PRESETS[checked_choice(name, PRESETS, "preset")].on(space)


def completed(config: dict[str, Any]) -> dict[str, Any]:
    """A stored `Preset.to_dict` with the fields that are younger than it.

    A new field's default stands for the behaviour before there was the field, so a result file made
    earlier says the same with it.
    """
    parts: dict[str, Any] = {"train": INNTrainConfig(), "predictor": PredictorConfig(), "search": SearchConfig()}
    merged = {name: {**dataclasses.asdict(part), **config.get(name, {})} for name, part in parts.items()}
    search = merged["search"]
    search["candidates"] = {**dataclasses.asdict(CandidateConfig()), **search["candidates"]}
    return {**config, **merged}
