"""NumPy-only stand-ins: a surrogate, a small space, a benchmark with its analysis, and a method of the runner."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.searches import methods, runner
from experiments.searches.methods import MethodArguments
from experiments.searches.runner import SearchTask
from invertnas.benchmarks.base import QueryLedger, QueryRecord
from invertnas.errors import OutOfDomainError
from invertnas.files.io import read_arrays, write_arrays
from invertnas.protocols import FloatArray, Labelled, Optimizer
from invertnas.search.config import CandidateConfig, SearchConfig
from invertnas.search.optimizer import InvertNAS
from invertnas.spaces import ArchSpec, NASBench201Space

SPACE = NASBench201Space()
VALUE = {2: 0.6, 3: 1.0, 4: 0.2, 5: 0.75, 6: 0.0}
WEIGHT = (1.0, 0.83, 0.61, 1.27, 0.94, 1.12)
OPTIMUM = SPACE.from_cell_ops([3] * 6)
Replies = list[list[ArchSpec | None]]


def score(arch: ArchSpec) -> float:
    """Smooth accuracy with one optimum, 0.9 at OPTIMUM and 0.3 at worst."""
    return 0.3 + 0.6 * sum(w * VALUE[op] for w, op in zip(WEIGHT, arch.ops[1:-1])) / sum(WEIGHT)


def cell(*inner: int) -> ArchSpec:
    """The cell of six operation indices."""
    return SPACE.from_cell_ops(inner)


class TinySpace(NASBench201Space):
    """The 64 cells of two operations."""

    name = "tiny"

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        return self.from_cell_ops(rng.integers(2, 4, 6))

    def neighbours(self, arch: ArchSpec | str) -> list[ArchSpec]:
        return [other for other in super().neighbours(arch) if set(other.ops[1:-1]) <= {2, 3}]


class FakeSurrogate:
    """A linear model on one-hot operations; implements `invertnas.protocols.Surrogate`.

    Each fit moves half way from the last weights to the ridge solution, so a search that resumes
    without `load` goes another way. `invert` plays back `replies`, then nothing but None; without
    `replies` it mutates the best architecture of the last fit, about z_std + 1 times.
    """

    members = 2

    def __init__(self, space: NASBench201Space = SPACE, replies: Replies | None = None) -> None:
        self.space = space
        self.replies = None if replies is None else list(replies)
        self.inversions: list[dict[str, Any]] = []
        self.fits: list[tuple[Labelled, Labelled, int]] = []
        self.weights = np.zeros((self.members, space.num_nodes * len(space.op_names)))
        self.best: ArchSpec | None = None

    def fit(self, train: Labelled, val: Labelled, *, round_index: int) -> dict[str, Any]:
        self.fits.append((train, val, round_index))
        x, y = self._features(train.archs), np.array(train.accuracies)
        for row, ridge in enumerate((1e-3, 1e-1)):
            solution = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
            self.weights[row] = 0.5 * (self.weights[row] + solution)
        self.best = train.archs[int(np.argmax(y))]
        return {"epochs": 1, "weight": float(self.weights.sum())}

    def predict(self, archs: Sequence[ArchSpec]) -> tuple[FloatArray, FloatArray]:
        members = (self.weights @ self._features(archs).T).astype(np.float32)
        return members.mean(axis=0), members

    def uncertainty(self, archs: Sequence[ArchSpec]) -> FloatArray:
        return self.predict(archs)[1].std(axis=0)

    def invert(
        self, targets: FloatArray, *, z_std: float, latent_noise: float, rng: np.random.Generator
    ) -> list[ArchSpec | None]:
        self.inversions.append({"targets": targets, "z_std": z_std, "latent_noise": latent_noise})
        count = self.members * len(targets)
        if self.replies is not None:
            return self.replies.pop(0) if self.replies else [None] * count
        assert self.best is not None
        found: list[ArchSpec | None] = []
        for _ in range(count):
            arch = self.best
            for _ in range(1 + rng.poisson(z_std)):
                arch = self.space.mutate(arch, rng)
            found.append(arch if rng.random() < 0.9 else None)
        return found

    def save(self, folder: Path) -> None:
        best = [] if self.best is None else self.best.ops[1:-1]
        write_arrays(folder / "fake.npz", {"weights": self.weights, "best": np.array(best, int)})

    def load(self, folder: Path) -> None:
        arrays = read_arrays(folder / "fake.npz")
        self.weights = arrays["weights"]
        self.best = self.space.from_cell_ops(arrays["best"].tolist()) if arrays["best"].size else None

    def _features(self, archs: Sequence[ArchSpec]) -> np.ndarray:
        return self.space.encode(archs).ops.reshape(len(archs), -1).astype(np.float64)


SMALL_SEARCH = SearchConfig(
    initial=6, keep=4, batch=2, candidates=CandidateConfig(wanted=12, max_retries=6, rows=4, z_std_step=0.5)
)


def small_search(seed: int, config: SearchConfig = SMALL_SEARCH, space: NASBench201Space = SPACE) -> InvertNAS:
    """InvertNAS on a FakeSurrogate."""
    return InvertNAS(space, FakeSurrogate(space), config, seed=seed)


@dataclasses.dataclass
class FakeBenchmark:
    """The smooth accuracy of `score` behind a ledger; implements `invertnas.benchmarks.base.Benchmark`.

    Attributes:
        budget: queries that may be paid.
        before: called with the number of the query (1 first) before it is answered.
    """

    budget: int
    before: Callable[[int], None] | None = None
    name = "nasbench201"
    space = SPACE
    datasets = ("cifar10",)
    labels = "surrogate of a test"

    def __post_init__(self) -> None:
        self.ledger = QueryLedger(self.budget)

    def query(self, arch: ArchSpec, dataset: str) -> float:
        if dataset not in self.datasets:
            raise OutOfDomainError(f"got data set {dataset!r}")
        text = self.space.to_string(arch)
        known = self.ledger.known(text)
        if known is not None:
            return known
        if self.before is not None:
            self.before(self.ledger.spent + 1)
        self.ledger.pay(text, QueryRecord(text, score(arch)))
        return score(arch)


@dataclasses.dataclass
class FakeAnalysis:
    """Test accuracy = 1 - validation accuracy, refused while the ledger of `bench` has queries left."""

    bench: FakeBenchmark
    known: bool = True

    def test_accuracy(self, arch: ArchSpec, dataset: str) -> float | None:
        assert self.bench.ledger.remaining == 0, "a test accuracy was read during the search"
        return 1.0 - score(arch) if self.known else None

    def optimum(self, dataset: str) -> tuple[float | None, float | None]:
        return 0.9, 0.7


METHOD = "invertnas_fake"
QUERIES = 16  # 6 initial ones and five rounds of two


class Stop(Exception):
    """A simulated interruption."""


def stop() -> None:
    """Interrupt."""
    raise Stop


class Recorded(InvertNAS):
    """InvertNAS that notes its asks and can be stopped half-way through the n-th save."""

    asks: list[int] = []
    stop_at_save: int | None = None
    stop: Callable[[], None] = staticmethod(stop)

    def ask(self, count: int | None = None) -> list[ArchSpec]:
        archs = super().ask(count)
        self.asks.append(len(archs))
        return archs

    def save(self, folder: str | os.PathLike[str]) -> None:
        if Recorded.stop_at_save is not None:
            Recorded.stop_at_save -= 1
            if Recorded.stop_at_save == 0:
                self.surrogate.save(Path(folder))
                (Path(folder) / "optimizer.json").write_text('{"round": 1, "tr')
                Recorded.stop_at_save = None
                Recorded.stop()
        super().save(folder)


def factory(arguments: MethodArguments) -> tuple[Optimizer, dict[str, Any]]:
    """A search on the stand-in surrogate, without presets and weights."""
    config = {"search": dataclasses.asdict(SMALL_SEARCH), "inn": {"members": 2}, "pair": (1, 2)}
    return Recorded(SPACE, FakeSurrogate(), SMALL_SEARCH, seed=arguments.seed), config


def register(patch: pytest.MonkeyPatch, checkpoint_every_s: float = -1.0) -> None:
    """Make the method known to the runner; by default with a checkpoint every round."""
    patch.setitem(methods.METHODS, METHOD, ("Fake", factory))
    patch.setattr(runner, "CHECKPOINT_EVERY_S", checkpoint_every_s)
    patch.setattr(Recorded, "asks", [])
    patch.setattr(Recorded, "stop_at_save", None)


def task(out: Path, **fields: Any) -> SearchTask:
    """A search of METHOD on CIFAR-100 below `out`, some fields changed."""
    given = SearchTask("t", METHOD, "nasbench201", "cifar100", QUERIES, "fast", None, 3, out, Path("nowhere"))
    return dataclasses.replace(given, **fields)


def timeless(value: Any) -> Any:
    """The value without the entries that hold seconds."""
    if isinstance(value, dict):
        return {key: timeless(entry) for key, entry in value.items() if not key.endswith("_s")}
    return [timeless(entry) for entry in value] if isinstance(value, list) else value


def keep_threads(threads: int) -> None:
    """Stand-in for `pool.limit_threads`, which imports TensorFlow in every worker."""
    assert threads >= 1
