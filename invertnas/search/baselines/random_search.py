"""Random search: uniform samples without repeats (Li & Talwalkar, 2020)."""

from __future__ import annotations

import dataclasses
from typing import Any

from invertnas.checks import Count, check_fields, checked
from invertnas.search.baselines.base import Baseline
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec


@dataclasses.dataclass(frozen=True)
class RandomSearchConfig:
    """Settings of random search.

    Attributes:
        batch_size: architectures per ask; does not change their distribution.

    Raises:
        ConfigError: if it is not positive.
    """

    batch_size: Count = 1

    def __post_init__(self) -> None:
        check_fields(self)


class RandomSearch(Baseline):
    """Samples the space, skipping what is known by the space's identity.

    Args:
        space: the search space.
        config: settings.
        seed: master seed.
    """

    method = "random_search"

    def __init__(self, space: SearchSpace, config: RandomSearchConfig = RandomSearchConfig(), *, seed: int) -> None:
        self.config = checked(config, RandomSearchConfig, "config", "RandomSearch")
        super().__init__(space, config, seed=seed)

    def _choose(self, count: int | None) -> tuple[list[ArchSpec], dict[str, Any]]:
        return self._fresh(self.config.batch_size if count is None else count), {}
