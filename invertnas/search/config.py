"""Settings of the InvertNAS search (paper Algorithm 1, Appendix H)."""

from __future__ import annotations

import dataclasses
from typing import Literal

from invertnas.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class CandidateConfig:
    """How candidates are generated each round (Algorithm 1, lines 2-10).

    A try inverts `rows` targets through every member. Its noise grows with the number e of
    escalations so far in the round: z ~ N(0, (z_std + e * z_std_step)^2), and noise of
    `latent_noise + e * latent_noise_step` spreads on the inverted latent.

    Attributes:
        wanted: candidates after which a round stops looking.
        max_retries: R_max, tries per round; 0 switches the inverse path off (an ablation).
        rows: targets inverted per try and member.
        z_std: initial standard deviation of z (paper: 0).
        z_std_step: tau (no value in the paper).
        latent_noise: initial noise on the inverted latent (paper: none; thesis: yes).
        latent_noise_step: its growth per escalation.
        escalate: "empty" after a try that adds no candidate to the pool, or "always". (The paper counts
            a candidate found twice in a round as new, with which the noise need never grow.)
        target: "one" inverts y = 1.0 (paper); "beyond_best" inverts the best accuracy seen plus
            a uniform share of `target_range` times the spread of the better half seen.
        target_range: see `target`.
        mutate_top: incumbents whose one-edit neighbours join the pool (paper: 0).
        climb: times that the neighbours of the `mutate_top` best-predicted new candidates join too, so that a
            candidate may be more than one edit away from all that is queried (paper: 0).
        fill: what joins where fewer candidates than picks are found: neighbours of the best architectures, then
            samples, in random order, "batch" up to the number of picks, so that all are queried as they come;
            "ranked" up to `wanted`, so that the predictions choose among them (Appendix I: "instead selects the
            top-k predicted architectures from", where the sentence ends).
        source: "inverse" decodes the inverse path; "random" samples the space uniformly in its place,
            as many as are wanted (an ablation, thesis Tables 3 and 4).
        unique_by: "identity" takes architectures of different names for different ones (paper);
            "isomorphism" takes one of each class of the space, and none of a class queried before.
    """

    wanted: int = 100
    max_retries: int = 50
    rows: int = 10
    z_std: float = 0.0
    z_std_step: float = 0.1
    latent_noise: float = 0.0
    latent_noise_step: float = 0.0
    escalate: Literal["empty", "always"] = "empty"
    target: Literal["one", "beyond_best"] = "one"
    target_range: float = 1.0
    mutate_top: int = 0
    climb: int = 0
    fill: Literal["batch", "ranked"] = "batch"
    source: Literal["inverse", "random"] = "inverse"
    unique_by: Literal["identity", "isomorphism"] = "identity"

    def __post_init__(self) -> None:
        if min(self.wanted, self.rows) < 1 or min(self.mutate_top, self.climb, self.max_retries) < 0:
            raise ConfigError("wanted and rows must be at least 1, max_retries, mutate_top and climb at least 0")
        if min(self.z_std, self.z_std_step, self.latent_noise, self.latent_noise_step, self.target_range) < 0:
            raise ConfigError("noise levels and target_range must not be negative")
        if self.escalate not in ("empty", "always") or self.target not in ("one", "beyond_best"):
            raise ConfigError(
                f"got escalate={self.escalate!r}, target={self.target!r}; expected 'empty' or 'always', "
                "and 'one' or 'beyond_best'"
            )
        if self.fill not in ("batch", "ranked"):
            raise ConfigError(f"got fill={self.fill!r}; expected 'batch' or 'ranked'")
        if self.source not in ("inverse", "random"):
            raise ConfigError(f"got source={self.source!r}; expected 'inverse' or 'random'")
        if self.unique_by not in ("identity", "isomorphism"):
            raise ConfigError(f"got unique_by={self.unique_by!r}; expected 'identity' or 'isomorphism'")


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """The search around the predictor.

    Attributes:
        initial: architectures queried first.
        keep: best of them that train; the others validate (paper: 30 and 20; with keep = initial
            nothing validates).
        batch: k, queries per round.
        selection: "greedy" takes the k best by aggregated prediction (paper); "thompson" draws the scores of all
            candidates from the Gaussian of prediction and uncertainty; "ucb" adds `explore` uncertainties;
            "members" takes the best candidate of another member for each pick, the members in random order
            (Thompson sampling of the ensemble; with one member it is "greedy").
        explore: weight of the surrogate's uncertainty in "ucb" and "thompson".
        candidates: candidate generation.
    """

    initial: int = 30
    keep: int = 20
    batch: int = 5
    selection: Literal["greedy", "thompson", "ucb", "members"] = "greedy"
    explore: float = 1.0
    candidates: CandidateConfig = dataclasses.field(default_factory=CandidateConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= self.initial or self.batch < 1:
            raise ConfigError(
                f"got initial={self.initial}, keep={self.keep}, batch={self.batch}; "
                "expected 1 <= keep <= initial and batch >= 1"
            )
        if self.selection not in ("greedy", "thompson", "ucb", "members"):
            raise ConfigError(f"got selection={self.selection!r}; expected 'greedy', 'thompson', 'ucb' or 'members'")
