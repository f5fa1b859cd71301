"""The InvertNAS search as an ask/tell optimiser (paper section 3.3, Algorithm 1)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from invertnas.errors import ArtefactError, ConfigError, SearchExhaustedError
from invertnas.initial.base import RandomInitial
from invertnas.io import read_json, write_json
from invertnas.search.candidates import generate_candidates
from invertnas.search.config import SearchConfig
from invertnas.search.protocols import FloatArray, Labelled, Surrogate
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


class InvertNAS:
    """Search by inverting a performance predictor.

    First `ask` returns the initial set. Every later one fits the surrogate to all that is labelled,
    inverts it for candidates, and returns the best of them by the forward path.

    Args:
        space: the search space.
        surrogate: predictor to fit and invert.
        config: search settings.
        initial: at least `config.initial` distinct architectures to start from, the first are used;
            None for uniform samples.
        seed: of every random choice; candidates of round r depend on (seed, r) alone.

    Raises:
        ConfigError: if `initial` is too small.
    """

    def __init__(
        self,
        space: SearchSpace,
        surrogate: Surrogate,
        config: SearchConfig,
        *,
        initial: Sequence[ArchSpec] | None = None,
        seed: int,
    ) -> None:
        self.space, self.surrogate, self.config, self.seed = space, surrogate, config, seed
        self.train, self.val = Labelled(), Labelled()
        given = None if initial is None else list({space.identity(arch): arch for arch in initial}.values())
        if given is not None and len(given) < config.initial:
            raise ConfigError(f"got {len(given)} distinct initial architectures; expected at least {config.initial}")
        self._initial = RandomInitial().choose(space, config.initial, seed) if given is None else given
        self._round = 0
        self._rounds: list[dict[str, Any]] = []

    def ask(self) -> list[ArchSpec]:
        """The initial set, or the next `config.batch` architectures."""
        if not len(self.train):
            return self._initial[: self.config.initial]
        started = time.perf_counter()
        report = self.surrogate.fit(self.train, self.val, round_index=self._round)
        fitted = time.perf_counter()
        labelled = self.train.extend(self.val.archs, self.val.accuracies)
        rng = generator(self.seed, "candidates", self._round)
        pool = generate_candidates(
            self.space, self.surrogate, labelled, self.config.candidates, least=self.config.batch, rng=rng
        )
        archs = list(pool.archs.values())
        if not archs:
            raise SearchExhaustedError(
                f"no unqueried architecture left in {self.space.name} after {len(labelled)} queries; lower the budget"
            )
        picks = self._select(archs, rng)
        times = {"fit_s": fitted - started, "candidates_s": time.perf_counter() - fitted}
        self._rounds.append({"round": self._round, **pool.diagnostics(), "fit": report, **times})
        return [archs[index] for index in picks]

    def tell(self, archs: Sequence[ArchSpec], accuracies: Sequence[float]) -> None:
        """Labels of the asked architectures; the initial ones are split into train and validation."""
        if len(self.train):
            self.train = self.train.extend(archs, accuracies)
            self._round += 1
            return
        ranked = sorted(range(len(archs)), key=lambda i: -accuracies[i])
        for name, rows in (("train", ranked[: self.config.keep]), ("val", ranked[self.config.keep :])):
            setattr(self, name, Labelled().extend([archs[i] for i in rows], [accuracies[i] for i in rows]))

    def save(self, folder: Path) -> None:
        """Write `optimizer.json` and the surrogate's files."""
        self.surrogate.save(folder)
        state = {
            "round": self._round,
            "train": self._to_json(self.train),
            "val": self._to_json(self.val),
            "rounds": self._rounds,
        }
        write_json(folder / "optimizer.json", state)

    def load(self, folder: Path) -> None:
        """Restore `save`. Raises ArtefactError for a damaged file."""
        state = read_json(folder / "optimizer.json")
        try:
            self._round, self._rounds = int(state["round"]), list(state["rounds"])
            self.train, self.val = self._from_json(state["train"]), self._from_json(state["val"])
        except (KeyError, TypeError, ValueError) as error:
            name = folder / "optimizer.json"
            raise ArtefactError(f"{name} is damaged ({error!r}); delete the folder and run again") from error
        self.surrogate.load(folder)

    def diagnostics(self) -> list[dict[str, Any]]:
        """One record per round: candidate counts and shares, fit report, seconds."""
        return list(self._rounds)

    def _select(self, archs: Sequence[ArchSpec], rng: np.random.Generator) -> list[int]:
        score, members = self.surrogate.predict(archs)
        if self.config.selection == "members":
            return self._select_by_members(score, members, rng)
        if self.config.selection != "greedy":
            spread = np.float32(self.config.explore) * self.surrogate.uncertainty(archs)
            draws = rng.standard_normal(len(archs), np.float32) if self.config.selection == "thompson" else 1.0
            score = (score + spread * draws).astype(np.float32)
        order = np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")
        return [int(index) for index in order[: self.config.batch]]

    def _select_by_members(self, mean: FloatArray, members: FloatArray, rng: np.random.Generator) -> list[int]:
        """Members whose predictions are not all finite do not pick; if none is left, the mean does."""
        sound = members[np.isfinite(members).all(axis=1)]
        scores = sound if len(sound) else np.nan_to_num(mean[np.newaxis], nan=-np.inf)
        rankings = np.argsort(-scores, axis=1, kind="stable")
        drawn, picks = rng.permutation(len(rankings)), list[int]()
        for number in range(min(self.config.batch, len(mean))):
            ranking = rankings[drawn[number % len(drawn)]]
            picks.append(next(int(index) for index in ranking if index not in picks))
        return picks

    def _to_json(self, labelled: Labelled) -> list[list[Any]]:
        return [[self.space.to_string(arch), value] for arch, value in zip(labelled.archs, labelled.accuracies)]

    def _from_json(self, rows: list[list[Any]]) -> Labelled:
        return Labelled().extend([self.space.from_string(text) for text, _ in rows], [value for _, value in rows])
