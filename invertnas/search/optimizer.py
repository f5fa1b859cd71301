"""The InvertNAS search as an ask/tell optimiser (paper section 3.3, Algorithm 1)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from invertnas.checks import checked
from invertnas.errors import ConfigError, SearchExhaustedError
from invertnas.initial.base import RandomInitial
from invertnas.protocols import FloatArray, Improves, Labelled, Surrogate
from invertnas.search.ask_tell import AskTell, checked_space
from invertnas.search.candidates import generate_candidates
from invertnas.search.checkpoint import load_surrogate, save_surrogate
from invertnas.search.config import SearchConfig
from invertnas.seeding import generator
from invertnas.spaces.accept import accepted_all
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


class InvertNAS(AskTell):
    """Search by inverting a performance predictor.

    First `ask` returns the initial set. Once that is told, each question fits the surrogate to all that is
    labelled, inverts it for candidates, and consists of the best of them by the forward path.

    Whatever is told before the first fit is the initial set, complete with `config.initial` architectures. Of n
    labels, the best `config.keep` train, and of more than `config.initial` the same share; the others validate.
    What is told after the first fit trains.

    Asked for more while some are open, it does not propose those again. It fits anew only if something was told
    since the last fit. Until half of the initial set is told, what goes beyond it is sampled.

    Args:
        space: the search space.
        surrogate: predictor to fit and invert.
        config: search settings.
        initial: at least `config.initial` distinct architectures, or their strings, to start from, the first are
            used; None for uniform samples.
        seed: of every random choice; candidates of round r depend on (seed, r) alone.

    Attributes:
        train, val: what trains and what validates.

    Raises:
        ConfigError: if `initial` is too small, or the names of operations make strings that cannot be read back.
        OutOfDomainError: if an initial architecture is not in the space.
    """

    method: ClassVar[str] = "invertnas"

    def __init__(
        self,
        space: SearchSpace,
        surrogate: Surrogate,
        config: SearchConfig,
        *,
        initial: Iterable[ArchSpec | str] | None = None,
        seed: int,
    ) -> None:
        self.config = checked(config, SearchConfig, "config", "InvertNAS")
        given = None if initial is None else accepted_all(checked_space(space), initial)
        super().__init__(space, config, seed=seed, initial=given or ())
        if config.selection == "ei" and not isinstance(surrogate, Improves):
            raise ConfigError(
                f"got selection='ei' with {type(surrogate).__name__}; expected a surrogate that has `improvement`, as "
                "that of PredictorConfig.ranking='process' has; or choose another selection"
            )
        self.surrogate = surrogate
        self.train, self.val = Labelled(), Labelled()
        self._initial = self._checked_initial(given)
        self._fits = 0
        self._fitted_at = -1  # calls of `tell` when the last fit was made

    def _checked_initial(self, given: list[ArchSpec] | None) -> list[ArchSpec]:
        wanted = self.config.initial
        if given is None:
            initial = RandomInitial().choose(self.space, wanted, self.seed)
        else:
            initial = list({self.space.identity(arch): arch for arch in given}.values())
            if len(initial) < wanted:
                raise ConfigError(f"got {len(initial)} distinct initial architectures; expected at least {wanted}")
        for arch in initial[:1]:
            self.space.to_string(arch)  # a space that cannot name architectures says so now, not at the first save
        return initial

    def _propose(self, count: int | None) -> list[ArchSpec]:
        history = self.history
        if left := self._initial_left():
            return left[:count]
        wanted = self.config.batch if count is None else count
        if history.open and not self._fits and 2 * len(history) < self.config.initial:
            return self._fresh(wanted)
        return self._next_question(wanted)

    def _initial_left(self) -> list[ArchSpec]:
        """What is to be asked before the first fit."""
        if self._fits:
            return []
        new = [arch for arch in self._initial if not self.history.known(self.space.identity(arch))]
        return new[: max(self.config.initial - self.history.count, 0)]

    def _next_question(self, wanted: int) -> list[ArchSpec]:
        history, number = self.history, len(self._records)
        if not len(history):
            raise SearchExhaustedError(
                f"all {len(history.failed)} trainings told so far failed; expected an accuracy to learn from; mend the "
                "training and tell() accuracies of these architectures or of others"
            )
        started = time.perf_counter()
        report = self._fit_if_told()
        fitted = time.perf_counter()
        labelled = self.train.extend(self.val.archs, self.val.accuracies)
        rng, config = generator(self.seed, "candidates", number), self.config.candidates
        others = [*history.failed.values(), *history.open.values()]
        pool = generate_candidates(self.space, self.surrogate, labelled, config, least=wanted, rng=rng, failed=others)
        archs = list(pool.archs.values())
        if not archs:
            raise SearchExhaustedError(
                f"no unqueried architecture left in {self.space.name} after {history.count} queries; lower the budget"
            )
        picks = self._select(archs, rng, wanted)
        times = {"fit_s": fitted - started, "candidates_s": time.perf_counter() - fitted}
        self._records.append({"round": number, **pool.diagnostics(), "fit": report, **times})
        return [archs[index] for index in picks]

    def _fit_if_told(self) -> dict[str, Any] | None:
        """The report of a fit to all that is labelled; None where nothing was told since the last one."""
        if self._fitted_at == self.history.tells:
            return None
        report = self.surrogate.fit(self.train, self.val, round_index=self._fits)
        self._fits, self._fitted_at = self._fits + 1, self.history.tells
        return report

    def _observe(self, identities: list[str]) -> None:
        """Before the first fit, all labels are ranked, equal ones as they were told, and split anew."""
        if self._fits:
            new = self._labelled(identities)
            self.train = self.train.extend(new.archs, new.accuracies)
            return
        ranked = self.history.ranked()
        kept = max(self.config.keep, len(ranked) * self.config.keep // self.config.initial)
        self.train, self.val = self._labelled(ranked[:kept]), self._labelled(ranked[kept:])

    def _select(self, archs: list[ArchSpec], rng: np.random.Generator, wanted: int) -> list[int]:
        if self.config.selection == "ei":
            return self._select_by_improvement(archs, wanted)
        score, members = self.surrogate.predict(archs)
        if self.config.selection == "members":
            return self._select_by_members(score, members, rng, wanted)
        if self.config.selection != "greedy":
            spread = np.float32(self.config.explore) * self.surrogate.uncertainty(archs)
            draws = rng.standard_normal(len(archs), np.float32) if self.config.selection == "thompson" else 1.0
            score = (score + spread * draws).astype(np.float32)
        order = np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")
        return [int(index) for index in order[:wanted]]

    def _select_by_improvement(self, archs: list[ArchSpec], wanted: int) -> list[int]:
        """One by one, each as if those before, and those open, were answered by their predictions."""
        picks, surrogate = list[int](), self.surrogate
        assert isinstance(surrogate, Improves)  # checked on construction
        for _ in range(min(wanted, len(archs))):
            pending = [*self.history.open.values(), *(archs[index] for index in picks)]
            gain = np.nan_to_num(surrogate.improvement(archs, pending), nan=-np.inf)
            order = np.argsort(-gain, kind="stable")
            picks.append(next(int(index) for index in order if index not in picks))
        return picks

    def _select_by_members(
        self, mean: FloatArray, members: FloatArray, rng: np.random.Generator, wanted: int
    ) -> list[int]:
        """Members whose predictions are not all finite do not pick; if none is left, the mean does."""
        sound = members[np.isfinite(members).all(axis=1)]
        scores = sound if len(sound) else np.nan_to_num(mean[np.newaxis], nan=-np.inf)
        rankings = np.argsort(-scores, axis=1, kind="stable")
        drawn, picks = rng.permutation(len(rankings)), list[int]()
        for number in range(min(wanted, len(mean))):
            ranking = rankings[drawn[number % len(drawn)]]
            picks.append(next(int(index) for index in ranking if index not in picks))
        return picks

    def _labelled(self, identities: list[str]) -> Labelled:
        history = self.history
        return Labelled(
            tuple(history.archs[key] for key in identities), tuple(history.accuracies[key] for key in identities)
        )

    def _extra(self) -> dict[str, Any]:
        place = {identity: index for index, identity in enumerate(self.history.accuracies)}
        split = {
            name: [place[self.space.identity(arch)] for arch in part.archs]
            for name, part in (("train", self.train), ("val", self.val))
        }
        return {"fits": self._fits, "fitted_at": self._fitted_at, **split}

    def _restore(self, extra: dict[str, Any]) -> None:
        identities, train, val = self.history.evaluated, list(extra["train"]), list(extra["val"])
        if sorted(train + val) != list(range(len(identities))):
            raise ValueError(f"{len(train)} that train and {len(val)} that validate of {len(identities)} evaluated")
        self.train, self.val = (self._labelled([identities[index] for index in part]) for part in (train, val))
        self._fits, self._fitted_at = int(extra["fits"]), int(extra["fitted_at"])

    def _save_parts(self, folder: Path) -> dict[str, Any]:
        return save_surrogate(self.surrogate, folder)

    def _load_parts(self, folder: Path, parts: dict[str, Any]) -> None:
        load_surrogate(self.surrogate, folder, parts)
