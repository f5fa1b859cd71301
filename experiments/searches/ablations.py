"""Every setting of InvertNAS that scripts know by name: the library's presets and, one line each, what was tried.

An ablation is a preset with something changed. Those about how to pick (`everywhere`) do so on every space alike; the
others keep what their preset changes on single spaces.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from invertnas.checks import checked_choice
from invertnas.presets import DEFAULT, PRESETS, Preset
from invertnas.search.config import CandidateConfig

_RANKED_FILL, _BLIND_FILL = CandidateConfig(fill="ranked"), CandidateConfig()
_THESIS_NOISE = {"z_std": 1.0, "target": "one", "mutate_top": 0}
_RANDOM = {"source": "random", "mutate_top": 0}
_EXPLORING: dict[str, Any] = {
    "predictor": {"uncertainty": "gaussian_process"},
    "search": {"selection": "ucb", "explore": 2.0},
}
_RANKED = {"rank_weighted": True}
_PLAIN_MEAN = {"aggregate": "mean"}
_END_TO_END = {"finetune": "end_to_end", "encoder_reverse": False}
_THESIS_WEIGHTS = {name: getattr(PRESETS["thesis"].train, name) for name in ("rev_weight", "latent_weight")}


def _try(name: str, about: str, base: str = DEFAULT, everywhere: bool = False, **changes: Any) -> Preset:
    start = PRESETS[base]
    kept = {} if everywhere else start.per_space
    return dataclasses.replace(start.changed(name=name, **changes), about=about, per_space=kept)


# Sources of candidates that the remedies of the paper's gaps are compared with.
_SOURCES = (
    _try("fast_z", "noise on z alone, as printed", search={"candidates": _RANKED_FILL}),
    _try("fast_z_blind", "that, filled blindly", search={"candidates": _BLIND_FILL}),
    _try("fast_latent", "noise on the latent (thesis)", candidates=_THESIS_NOISE),
    _try("fast_inverse", "no neighbours of the best", candidates={"mutate_top": 0}),
    _try("fast_neighbours", "no inverse path", candidates={"max_retries": 0}),
)
_OTHERS = (
    _try("paper_blind", "too small a pool filled blindly", "paper", search={"candidates": _BLIND_FILL}),
    _try("fast_random_candidates", "uniform samples as candidates", candidates=_RANDOM),
    _try("fast_classes", "one candidate of each isomorphism class", candidates={"unique_by": "isomorphism"}),
    _try("fast_climb", "the neighbours of good candidates too", candidates={"climb": 2}),
    _try("fast_axis", "accuracy in the stillest direction", predictor={"label_axis": "least_variance"}),
    _try("fast_explore", "uncertainty added to the predictions", everywhere=True, **_EXPLORING),
    _try("fast_members", "each pick by another member", everywhere=True, search={"selection": "members"}),
    _try("fast_thompson", "picks drawn from the spread", everywhere=True, search={"selection": "thompson"}),
    _try("fast_greedy", "the highest predictions", everywhere=True),
    _try("fast_greedy_mean", "those of the plain mean", everywhere=True, predictor=_PLAIN_MEAN),
    _try("fast_bootstrap", "a bootstrap sample a member", train={"bootstrap": True}),
    _try("fast_permuted", "an order of the features for each member", inn={"permutation": "random"}),
    _try("fast_mean", "members averaged plainly", predictor=_PLAIN_MEAN),
    _try("fast_ranked", "losses weighted by rank", train=_RANKED),
    _try("fast_thesis", "the thesis' loss weights", train=_THESIS_WEIGHTS),
    _try("fast_10_steps", "10 steps a pass instead of 40", train={"steps_per_epoch": 10}),
    _try("fast_160_steps", "160 steps a pass instead of 40", train={"steps_per_epoch": 160}),
    _try("fast_wide", "the paper's subnets", inn={"hidden_layers": 5, "hidden": 256}),
    _try("fast_e2e", "the GVAE trained too", predictor=_END_TO_END),
    _try("fast_e2e_ranked", "that, losses weighted by rank", predictor=_END_TO_END, train=_RANKED),
)
MIXED = "_bf16"  # suffix of a preset with bfloat16 products
_MIXED = tuple(
    _try(name + MIXED, f"{name} with bfloat16 products", name, inn={"matmul_dtype": "bfloat16"}) for name in PRESETS
)
REMEDIES = tuple(chosen.name for chosen in _SOURCES)
SETTINGS = {**PRESETS, **{chosen.name: chosen for chosen in (*_SOURCES, *_OTHERS, *_MIXED)}}


def setting(name: str, space: str) -> Preset:
    """The preset or ablation of a name as it is on a space. Raises ConfigError for an unknown name."""
    return SETTINGS[checked_choice(name, SETTINGS, "preset")].on(space)
