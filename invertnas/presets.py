"""Named settings of InvertNAS: `paper` follows the paper, `thesis` its loss weights, `fast` is the default.

`paper_blind` is `paper` where the neighbours that fill up too small a pool are queried as they come, in place of the
best-predicted of a hundred. The others are `fast` with one thing changed. Sources of candidates: `fast_z` noise on z
alone (Algorithm 1 as printed), `fast_z_blind` that with the fill of `paper_blind`, `fast_latent` noise on the latent
with y = 1.0 inverted (thesis), `fast_inverse` without the
neighbours of the best, `fast_neighbours` without the inverse path, `fast_random_candidates` uniform samples in
place of both, `fast_classes` one candidate of each isomorphism class, `fast_climb` the neighbours of good
candidates too, `fast_thompson` picks drawn from the members' spread, `fast_explore` the Gaussian process'
uncertainty added to the predictions, `fast_members` each pick by another member, `fast_greedy` the highest
predictions on every space, `fast_greedy_mean` those of the plain mean. Members: `fast_bootstrap`
gives each its own sample, `fast_permuted` its own feature order. Predictor: `fast_axis` puts the accuracy in
the place of the stillest direction of the latents, `fast_mean` averages the members plainly, `fast_ranked`
weights the losses by rank, `fast_e2e` trains the GVAE too, `fast_e2e_ranked` does both, `fast_thesis` has the
thesis' loss weights.
Effort: `fast_10_steps` and `fast_160_steps` in place of 40 a round, `fast_wide` with the paper's subnets.
On NAS-Bench-101, -301 and -NLP some settings differ, see `preset`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from invertnas.errors import ConfigError
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.predictor.config import PredictorConfig
from invertnas.search.config import CandidateConfig, SearchConfig
from invertnas.spaces.records import NB101, NB301, NBNLP


@dataclasses.dataclass(frozen=True)
class Preset:
    """One complete setting of the method.

    Attributes:
        name: preset name.
        inn: fields of INNConfig except `dim`, which the GVAE gives.
        train: optimisation of the ensemble.
        predictor: scaling and aggregation.
        search: search and candidate settings.
    """

    name: str
    inn: dict[str, Any]
    train: INNTrainConfig
    predictor: PredictorConfig
    search: SearchConfig

    def inn_config(self, dim: int) -> INNConfig:
        """The ensemble's architecture for latents of dimension `dim`."""
        return INNConfig(dim=dim, **self.inn)

    def with_members(self, members: int | None) -> Preset:
        """The same with another number of flows; unchanged for None."""
        return self if members is None else dataclasses.replace(self, inn={**self.inn, "members": members})

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return dataclasses.asdict(self)


_PAPER = Preset(
    name="paper",
    inn={"members": 10, "layers": 4, "hidden_layers": 5, "hidden": 256},
    train=INNTrainConfig(),
    predictor=PredictorConfig(),
    search=SearchConfig(initial=30, keep=20, batch=5, candidates=CandidateConfig(fill="ranked")),
)
_THESIS = dataclasses.replace(
    _PAPER, name="thesis", train=dataclasses.replace(_PAPER.train, rev_weight=10.0, latent_weight=1.0)
)
_PAPER_BLIND = dataclasses.replace(
    _PAPER, name="paper_blind", search=dataclasses.replace(_PAPER.search, candidates=CandidateConfig())
)
_FAST = Preset(
    name="fast",
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
)


def _variant(name: str, **candidates: Any) -> Preset:
    """`fast` with other candidate settings, to show what each source of candidates contributes."""
    changed = dataclasses.replace(_FAST.search.candidates, **candidates)
    return dataclasses.replace(_FAST, name=name, search=dataclasses.replace(_FAST.search, candidates=changed))


_VARIANTS = (
    *(
        dataclasses.replace(_FAST, name=name, search=dataclasses.replace(_FAST.search, candidates=candidates))
        for name, candidates in (("fast_z", CandidateConfig(fill="ranked")), ("fast_z_blind", CandidateConfig()))
    ),
    _variant("fast_latent", z_std=1.0, target="one", mutate_top=0),
    _variant("fast_inverse", mutate_top=0),
    _variant("fast_neighbours", max_retries=0),
)
_UNCERTAIN: dict[str, Any] = {"uncertainty": "gaussian_process"}
_EXPLORING: dict[str, Any] = {"selection": "ucb", "explore": 2.0}
_THESIS_WEIGHTS = dataclasses.replace(
    _FAST.train, rev_weight=_THESIS.train.rev_weight, latent_weight=_THESIS.train.latent_weight
)
_PLAIN_MEAN = dataclasses.replace(_FAST.predictor, aggregate="mean")
_RANKED = dataclasses.replace(_FAST.train, rank_weighted=True)
_END_TO_END = dataclasses.replace(_FAST.predictor, finetune="end_to_end", encoder_reverse=False)
_ABLATIONS = (
    _variant("fast_random_candidates", source="random", mutate_top=0),
    _variant("fast_classes", unique_by="isomorphism"),
    _variant("fast_climb", climb=2),
    dataclasses.replace(
        _FAST, name="fast_axis", predictor=dataclasses.replace(_FAST.predictor, label_axis="least_variance")
    ),
    dataclasses.replace(
        _FAST,
        name="fast_explore",
        predictor=dataclasses.replace(_FAST.predictor, **_UNCERTAIN),
        search=dataclasses.replace(_FAST.search, **_EXPLORING),
    ),
    dataclasses.replace(_FAST, name="fast_members", search=dataclasses.replace(_FAST.search, selection="members")),
    dataclasses.replace(_FAST, name="fast_thompson", search=dataclasses.replace(_FAST.search, selection="thompson")),
    dataclasses.replace(_FAST, name="fast_greedy"),
    dataclasses.replace(_FAST, name="fast_greedy_mean", predictor=_PLAIN_MEAN),
    dataclasses.replace(_FAST, name="fast_bootstrap", train=dataclasses.replace(_FAST.train, bootstrap=True)),
    dataclasses.replace(_FAST, name="fast_permuted", inn={**_FAST.inn, "permutation": "random"}),
    dataclasses.replace(_FAST, name="fast_mean", predictor=_PLAIN_MEAN),
    dataclasses.replace(_FAST, name="fast_ranked", train=_RANKED),
    dataclasses.replace(_FAST, name="fast_thesis", train=_THESIS_WEIGHTS),
    dataclasses.replace(_FAST, name="fast_10_steps", train=dataclasses.replace(_FAST.train, steps_per_epoch=10)),
    dataclasses.replace(_FAST, name="fast_160_steps", train=dataclasses.replace(_FAST.train, steps_per_epoch=160)),
    dataclasses.replace(_FAST, name="fast_wide", inn={**_FAST.inn, "hidden_layers": 5, "hidden": 256}),
    dataclasses.replace(_FAST, name="fast_e2e", predictor=_END_TO_END),
    dataclasses.replace(_FAST, name="fast_e2e_ranked", predictor=_END_TO_END, train=_RANKED),
)
MIXED = "_bf16"  # suffix of a preset with bfloat16 products
_MIXED = tuple(
    dataclasses.replace(base, name=base.name + MIXED, inn={**base.inn, "matmul_dtype": "bfloat16"})
    for base in (_FAST, _PAPER, _THESIS)
)
PRESETS = {chosen.name: chosen for chosen in (_FAST, _PAPER, _THESIS, _PAPER_BLIND, *_VARIANTS, *_ABLATIONS, *_MIXED)}
DEFAULT = _FAST.name
REMEDIES = tuple(chosen.name for chosen in _VARIANTS)
_OF_PAPER = (
    _PAPER_BLIND.name,
    *(name + suffix for name in (_PAPER.name, _THESIS.name) for suffix in ("", MIXED)),
)
_LARGE: dict[str, Any] = {  # paper Appendix H, Tables 14 and 15
    "batch_size": 32,
    "repeat": 5,
    "schedule": "two_stage",
    "learning_rate": 1e-3,
    "final_learning_rate": 1e-4,
    "initial_patience": 30,
    "retrain_patience": 30,
    "initial_epochs": 2 * _PAPER.train.initial_epochs,  # a stage is as long as the other spaces' whole fit
    "retrain_epochs": 2 * _PAPER.train.retrain_epochs,
}
Changes = dict[str, dict[str, Any]]  # part of a preset -> its changed fields
_PAPERS: dict[str, Changes] = {
    NB301.name: {"train": _LARGE},
    NBNLP.name: {"train": _LARGE, "search": {"keep": _PAPER.search.initial}},
}
_AS_NAMED = ("fast_greedy", "fast_greedy_mean")  # the same picks on every space
_FASTS: dict[str, Changes] = {
    NB101.name: {"search": {"selection": "members"}},
    NB301.name: {"predictor": _UNCERTAIN, "search": _EXPLORING},
}


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


def preset(name: str, space: str) -> Preset:
    """The preset of that name for a search space (paper Appendix H, Tables 12-15).

    A space of any other name than the three below, such as your own, gets the preset as it stands in `PRESETS`.

    Those that follow the paper have on NAS-Bench-301 and -NLP smaller batches, fewer repeats and the two
    stages of learning rate. The paper gives no number of passes: a stage has at most those of a whole fit
    elsewhere, so that its patience can run out. On NAS-Bench-NLP all 30 initial architectures train.
    Table 15 says "top 30 of 30" and also a validation set of 10, which cannot both be without ten more
    queries; the first is taken. With nothing to validate on, both stages run all their passes.

    `fast` and its variants pick on NAS-Bench-301 by prediction plus twice the Gaussian process' uncertainty, in place
    of the prediction alone: with 120 neighbours to each cell, greedy picks stay near one local optimum. On
    NAS-Bench-101 each pick follows another member, with which the ensemble gets stuck less often.

    Args:
        name: one of `PRESETS`.
        space: `SearchSpace.name`.

    Raises:
        ConfigError: for an unknown name.
    """
    if name not in PRESETS:
        raise ConfigError(f"got preset {name!r} for {space}; expected one of {', '.join(PRESETS)}")
    chosen = PRESETS[name]
    changes = (_PAPERS if name in _OF_PAPER else _FASTS).get(space, {})
    if name in _AS_NAMED or (name not in _OF_PAPER and chosen.search.selection != "greedy"):  # it is about how to pick
        changes = {}
    changed = {part: dataclasses.replace(getattr(chosen, part), **fields) for part, fields in changes.items()}
    return dataclasses.replace(chosen, **changed)
