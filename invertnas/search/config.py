"""Settings of the InvertNAS search (paper Algorithm 1, Appendix H)."""

from __future__ import annotations

import dataclasses
from typing import Literal

from invertnas.checks import Count, NonNegative, Whole, check_fields
from invertnas.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class CandidateConfig:
    """Candidate generation of one round (Algorithm 1, lines 2-10).

    A round makes tries until it has `wanted` candidates. A try inverts `rows` targets through every member of the
    ensemble and decodes the latents. A round counts its escalations e, from 0. At e the inputs z are drawn from
    N(0, (z_std + e * z_std_step)^2), and noise of latent_noise + e * latent_noise_step spreads is added to the latents.

    Attributes:
        wanted: number of candidates at which a round stops making tries.
        max_retries: R_max, the most tries of a round. 0 switches the inverse path off.
        rows: targets inverted per try and member.
        z_std: standard deviation of z at e = 0 (paper: 0).
        z_std_step: tau, its growth per escalation (paper: no value).
        latent_noise: noise on the inverted latent at e = 0, in spreads of the latents (paper: 0; thesis: above 0).
        latent_noise_step: its growth per escalation.
        escalate: when e grows. "empty": after a try that adds no candidate to the pool. "always": after every try.
        target: accuracy that is inverted. "one": 1.0 (paper). "beyond_best": the best accuracy seen, plus a uniform
            share of `target_range` times the spread of the better half seen.
        target_range: factor of the range of "beyond_best".
        mutate_top: number of best labelled architectures whose one-edit neighbours join the pool (paper: 0).
        mutations: most neighbours that join of each of them, drawn at random; 0 for all.
        samples: uniform samples that join the pool (paper: 0).
        climb: number of further times that the neighbours of the `mutate_top` best-predicted new candidates join
            (paper: 0). Candidates can then be more than one edit away from everything that was queried.
        fill: what happens where a round has fewer candidates than a question needs. Neighbours of the best labelled
            architectures join in random order, then random samples. "batch": up to the size of the question, so
            that all of them are queried. "ranked": up to `wanted`, so that the predictions choose among them. (The
            paper's Appendix I breaks off at this point: "instead selects the top-k predicted architectures from".)
        source: "inverse" decodes the inverse path. "random" takes `wanted` uniform samples in its place (an
            ablation, thesis Tables 3 and 4).
        unique_by: when two architectures count as one. "identity": their identities are equal (paper).
            "isomorphism": their isomorphism classes are equal; a class that was queried does not return.

    Raises:
        ConfigError: a value is out of range.
    """

    wanted: Count = 100
    max_retries: Whole = 50
    rows: Count = 10
    z_std: NonNegative = 0.0
    z_std_step: NonNegative = 0.1
    latent_noise: NonNegative = 0.0
    latent_noise_step: NonNegative = 0.0
    escalate: Literal["empty", "always"] = "empty"
    target: Literal["one", "beyond_best"] = "one"
    target_range: NonNegative = 1.0
    mutate_top: Whole = 0
    mutations: Whole = 0
    samples: Whole = 0
    climb: Whole = 0
    fill: Literal["batch", "ranked"] = "batch"
    source: Literal["inverse", "random"] = "inverse"
    unique_by: Literal["identity", "isomorphism"] = "identity"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """Settings of the search around the predictor.

    Attributes:
        initial: architectures of the initial set, which is queried first (paper: 30).
        keep: best of them that train; the others validate (paper: 20). With keep = initial none validates.
        batch: k, architectures per question.
        selection: how a question is chosen from the candidates. "greedy": the k highest predictions (paper).
            "thompson": the k highest draws from the Gaussian of prediction and uncertainty. "ucb": the k highest
            sums of prediction and `explore` times uncertainty. "members": each pick is the highest prediction of
            another member, in random order; with one member this is "greedy". "ei": the largest expected improvement;
            the picks before it count as answered by their predictions.
        explore: weight of the uncertainty in "ucb" and "thompson".
        candidates: candidate generation.

    Raises:
        ConfigError: a value is out of range.
    """

    initial: Count = 30
    keep: Count = 20
    batch: Count = 5
    selection: Literal["greedy", "thompson", "ucb", "members", "ei"] = "greedy"
    explore: NonNegative = 1.0
    candidates: CandidateConfig = dataclasses.field(default_factory=CandidateConfig)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.keep > self.initial:
            raise ConfigError(f"got keep={self.keep}, initial={self.initial}; expected keep of at most initial")
