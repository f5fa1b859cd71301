"""The InvertNAS search as an ask/tell optimiser (paper section 3.3, Algorithm 1)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from invertnas.errors import ArtefactError, ConfigError, OutOfDomainError, SearchExhaustedError
from invertnas.files.io import read_json, write_json
from invertnas.initial.base import RandomInitial
from invertnas.protocols import FloatArray, Labelled, Surrogate
from invertnas.search.answers import checked_answers
from invertnas.search.candidates import generate_candidates
from invertnas.search.checkpoint import (
    STATE_FILE,
    check_files,
    labels_to_rows,
    rows_to_labels,
    save_surrogate,
    strings_to_archs,
)
from invertnas.search.config import SearchConfig
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


class InvertNAS:
    """Search by inverting a performance predictor.

    First `ask` returns the initial set. Once that is told, each question fits the surrogate to all that is
    labelled, inverts it for candidates, and consists of the best of them by the forward path.

    Args:
        space: the search space.
        surrogate: predictor to fit and invert.
        config: search settings.
        initial: at least `config.initial` distinct architectures to start from, the first are used;
            None for uniform samples.
        seed: of every random choice; candidates of round r depend on (seed, r) alone.

    Raises:
        ConfigError: if `initial` is too small, or the names of operations make strings that cannot be read back.
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
        for arch in self._initial[:1]:
            space.to_string(arch)  # a space that cannot name architectures says so now, not at the first save
        self._open: list[ArchSpec] = []
        self._failed: dict[str, ArchSpec] = {}
        self._labelled: set[str] = set()  # identities of `train` and `val`
        self._round = 0
        self._rounds: list[dict[str, Any]] = []

    def ask(self) -> list[ArchSpec]:
        """The initial set, or the next `config.batch` architectures; of a question partly told, what is still open.

        The surrogate is fitted when there is nothing open, so asking again changes nothing.

        Raises:
            SearchExhaustedError: if the space holds no architecture that was not told before, or all that was
                told so far is failed trainings.
        """
        if not self._open:
            self._open = self._initial_left() or self._next_question()
        return list(self._open)

    def tell(self, archs: Sequence[ArchSpec], accuracies: Sequence[float | None]) -> None:
        """Validation accuracies, of some or all of the architectures asked for, or of others of the space.

        Whatever is told before the first fit is the initial set: its best `config.keep` train and the others
        validate, and it is complete with `config.initial` architectures. What is told later trains. An
        architecture whose training failed is neither trained on nor asked again; an accuracy may follow.

        Args:
            archs: n architectures, distinct and without an accuracy so far.
            accuracies: n fractions in [0, 1]; None for a training that failed.

        Raises:
            ConfigError: if lengths differ or are zero, or an accuracy is neither a fraction nor None.
            OutOfDomainError: if an architecture is not in the space, or told before, or twice. Nothing is
                taken over then, as with the other error.
        """
        values = checked_answers(archs, accuracies)
        told = dict(zip(self._new_identities(archs), zip(archs, values, strict=True), strict=True))
        good = {key: (arch, value) for key, (arch, value) in told.items() if value is not None}
        failed = self._failed | {key: arch for key, (arch, value) in told.items() if value is None}
        self._failed = {key: arch for key, arch in failed.items() if key not in good}
        self._labelled |= good.keys()
        self._add_labels([arch for arch, _ in good.values()], [value for _, value in good.values()])
        self._open = [arch for arch in self._open if self.space.identity(arch) not in told]
        if not self._open:
            self._round = max(self._round, len(self._rounds))

    def save(self, folder: Path) -> None:
        """Write `optimizer.json` and the surrogate's files, at any time between two calls.

        They hold all that was told, the open question, the surrogate and the diagnostics. Space, configuration,
        initial set and seed are not among them: `load` into a search constructed with the same ones. Take a new
        folder each time, as a save that is cut short spoils the one before.
        """
        files = save_surrogate(self.surrogate, folder)
        state = {
            "round": self._round,
            "train": labels_to_rows(self.space, self.train),
            "val": labels_to_rows(self.space, self.val),
            "rounds": self._rounds,
            "open": [self.space.to_string(arch) for arch in self._open],
            "failed": [self.space.to_string(arch) for arch in self._failed.values()],
            "files": files,
        }
        write_json(folder / STATE_FILE, state)

    def load(self, folder: Path) -> None:
        """Restore `save`; the search then continues as the saved one would have.

        Raises:
            ArtefactError: if `optimizer.json` is damaged, the space cannot read an architecture of it, or the
                surrogate's files are of another save.
        """
        path = folder / STATE_FILE
        state = read_json(path)
        try:
            number, rounds = int(state["round"]), list(state["rounds"])
            train, val = (rows_to_labels(self.space, state[name]) for name in ("train", "val"))
            asked, failed = (strings_to_archs(self.space, state.get(name, [])) for name in ("open", "failed"))
            check_files(folder, dict(state.get("files", {})))
        except ArtefactError as error:
            raise ArtefactError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise ArtefactError(f"{path} is damaged ({error!r}); delete the folder and run again") from error
        self.surrogate.load(folder)
        self.train, self.val, self._open, self._rounds = train, val, asked, rounds
        self._round = number if rounds else 0
        self._failed = {self.space.identity(arch): arch for arch in failed}
        self._labelled = {self.space.identity(arch) for arch in train.archs + val.archs}

    def diagnostics(self) -> list[dict[str, Any]]:
        """One record per round: candidate counts and shares, fit report, seconds."""
        return list(self._rounds)

    def _initial_left(self) -> list[ArchSpec]:
        """What is to be asked before the first fit."""
        if self._rounds:
            return []
        answered = self._labelled | self._failed.keys()
        new = [arch for arch in self._initial if self.space.identity(arch) not in answered]
        return new[: max(self.config.initial - len(answered), 0)]

    def _next_question(self) -> list[ArchSpec]:
        if not len(self.train):
            raise SearchExhaustedError(
                f"all {len(self._failed)} trainings told so far failed; expected an accuracy to learn from; mend the "
                "training and tell() accuracies of these architectures or of others"
            )
        started = time.perf_counter()
        report = self.surrogate.fit(self.train, self.val, round_index=self._round)
        fitted = time.perf_counter()
        labelled, failed = self.train.extend(self.val.archs, self.val.accuracies), list(self._failed.values())
        rng, config = generator(self.seed, "candidates", self._round), self.config
        pool = generate_candidates(
            self.space, self.surrogate, labelled, config.candidates, least=config.batch, rng=rng, failed=failed
        )
        archs = list(pool.archs.values())
        if not archs:
            raise SearchExhaustedError(
                f"no unqueried architecture left in {self.space.name} after {len(labelled) + len(failed)} queries; "
                "lower the budget"
            )
        picks = self._select(archs, rng)
        times = {"fit_s": fitted - started, "candidates_s": time.perf_counter() - fitted}
        self._rounds.append({"round": self._round, **pool.diagnostics(), "fit": report, **times})
        return [archs[index] for index in picks]

    def _new_identities(self, archs: Sequence[ArchSpec]) -> list[str]:
        """Raises OutOfDomainError unless all are in the space, distinct and without an accuracy."""
        found = dict[str, None]()
        for arch in archs:
            if not (isinstance(arch, ArchSpec) and self.space.is_valid(arch)):
                raise OutOfDomainError(
                    f"got {arch!r}; expected an ArchSpec of {self.space.name}; tell what ask() returned, or convert "
                    "results of your own with from_string()"
                )
            key = self.space.identity(arch)
            if key in found or key in self._labelled:
                raise OutOfDomainError(
                    f"got {arch}, which is told twice; expected architectures without an accuracy so far; "
                    "tell each once, with the mean if it was trained several times"
                )
            found[key] = None
        return list(found)

    def _add_labels(self, archs: Sequence[ArchSpec], accuracies: Sequence[float]) -> None:
        """Before the first fit, all labels are ranked, equal ones as they were told, and split anew."""
        if self._rounds:
            self.train = self.train.extend(archs, accuracies)
            return
        known = self.train.extend(self.val.archs, self.val.accuracies).extend(archs, accuracies)
        ranked = sorted(zip(known.archs, known.accuracies, strict=True), key=lambda pair: -pair[1])
        parts = ranked[: self.config.keep], ranked[self.config.keep :]
        self.train, self.val = (Labelled(tuple(a for a, _ in part), tuple(y for _, y in part)) for part in parts)

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
