"""Settings of BANANAS, apart from it so that its network can read them."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from invertnas.checks import Count, Positive, Range, Whole, check_fields
from invertnas.search.baselines.base import require


@dataclasses.dataclass(frozen=True)
class BananasConfig:
    """Settings of BANANAS; the defaults are those of naszilla for NAS-Bench-201.

    Attributes:
        num_init: random architectures at the start.
        batch_size: k, architectures asked for per round.
        candidates: mutations to collect for the acquisition.
        parents: best evaluated architectures to mutate, in turn, until there are enough
            candidates; more are used only where these give fewer than are asked for.
        cutoff: length of the truncated path encoding: 30 for NAS-Bench-201, 40 for NAS-Bench-101.
        shortest_path: operations on the shortest path that is counted: 1 for NAS-Bench-201, 0
            where the input may be wired straight to the output, as in NAS-Bench-101.
        path_ops: operation indices on paths; None means the space's `inner_ops`.
        members: networks in the ensemble.
        hidden_layers: ReLU layers of each network; a linear output follows.
        width: units of each.
        epochs: passes over all evaluated architectures per fit.
        fit_batch_size: architectures per gradient step.
        learning_rate: of Adam.
        beta_1: of Adam.
        beta_2: of Adam.

    Raises:
        ConfigError: if a number is out of range.
    """

    num_init: Count = 10
    batch_size: Count = 10
    candidates: Count = 100
    parents: Count = 5
    cutoff: Count = 30
    shortest_path: Whole = 1
    path_ops: tuple[Whole, ...] | None = None
    members: Count = 5
    hidden_layers: Count = 10
    width: Count = 20
    epochs: Count = 150
    fit_batch_size: Count = 32
    learning_rate: Positive = 0.01
    beta_1: Annotated[float, Range(0, 1, below=True)] = 0.9
    beta_2: Annotated[float, Range(0, 1, below=True)] = 0.99

    def __post_init__(self) -> None:
        check_fields(self)
        require(self.candidates >= self.batch_size, f"{self.candidates} candidates", f"at least {self.batch_size}")
