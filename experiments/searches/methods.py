"""Every search method by name: data for the runner, one factory each (heavy imports inside)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.searches.ablations import setting
from experiments.searches.initial import BARE_INIT, FILES, INIT_TITLES
from invertnas.build import build_search
from invertnas.errors import ConfigError
from invertnas.initial import initial_files, initial_settings
from invertnas.presets import DEFAULT, Preset
from invertnas.protocols import Optimizer
from invertnas.search.baselines.records import methods, open_method, settings_of
from invertnas.spaces.base import SearchSpace


@dataclasses.dataclass(frozen=True)
class MethodArguments:
    """What a factory gets.

    Attributes:
        space: the search space.
        budget: total queries.
        preset: name of the InvertNAS preset; baselines have published settings only.
        members: flows in the ensemble, None for the preset's number.
        pretrained: folder of the shipped weights.
        seed: master seed of the trial.
        init: name of InvertNAS's initial strategy, see `experiments.searches.initial`.
    """

    space: SearchSpace
    budget: int
    preset: str
    members: int | None
    pretrained: Path
    seed: int
    init: str = BARE_INIT

    def resolved(self, members: int | None = None) -> Preset:
        """The InvertNAS preset with the number of members put in."""
        return setting(self.preset, self.space.name).with_members(members or self.members)


Factory = Callable[[MethodArguments], tuple[Optimizer, dict[str, Any]]]


def _invertnas(arguments: MethodArguments, members: int | None = None) -> tuple[Optimizer, dict[str, Any]]:
    chosen, space = arguments.resolved(members), arguments.space
    optimizer = build_search(
        space, preset=chosen, initial=arguments.init, folder=arguments.pretrained, seed=arguments.seed
    )
    settings = initial_settings(arguments.init, space.name)
    files = initial_files(arguments.init, space.name, arguments.pretrained)
    return optimizer, chosen.to_dict() | {"init": settings | ({FILES: files} if files else {})}


def _single(arguments: MethodArguments) -> tuple[Optimizer, dict[str, Any]]:
    return _invertnas(arguments, members=1)


def _baseline(method: str) -> Factory:
    def factory(arguments: MethodArguments) -> tuple[Optimizer, dict[str, Any]]:
        space = arguments.space
        return open_method(method, space, seed=arguments.seed), settings_of(method, space.name)

    return factory


ENSEMBLE, SINGLE = "invertnas", "invertnas_single"
BASELINES = {record.name: record.title for record in methods()}
# Method name in files -> (name in tables, factory).
METHODS: dict[str, tuple[str, Factory]] = {
    **{name: (title, _baseline(name)) for name, title in BASELINES.items()},
    SINGLE: ("InvertNAS (single)", _single),
    ENSEMBLE: ("InvertNAS", _invertnas),
}


def is_invertnas(method: str) -> bool:
    """Whether presets apply to the method."""
    return method.startswith("invertnas")


def variant_name(method: str, preset_name: str, members: int | None, init: str = BARE_INIT) -> str:
    """Name of a method at a setting, in paths and records: the bare method for the default and a random start."""
    if not is_invertnas(method):
        return method
    parts = ["" if preset_name == DEFAULT else f"-{preset_name}", "" if members is None else f"-k{members}"]
    return method + "".join(parts) + ("" if init == BARE_INIT else f"-{_INIT}{init}")


def base_of(variant: str) -> str:
    """The method a variant belongs to."""
    return variant.split("-")[0]


def title_of(variant: str) -> str:
    """Name of a variant in tables and plots."""
    parts = variant.split("-")[1:]
    return METHODS[base_of(variant)][0] + "".join(f", {_part_title(part)}" for part in parts)


_INIT = "init_"


def _part_title(part: str) -> str:
    if part.startswith(_INIT):
        return f"{INIT_TITLES[part.removeprefix(_INIT)]} start"
    members = part.removeprefix("k")
    return f"{members} INNs" if part != members and members.isdecimal() else part


def build(method: str, arguments: MethodArguments) -> tuple[Optimizer, dict[str, Any]]:
    """The optimiser and its resolved configuration. Raises ConfigError for an unknown name."""
    if method not in METHODS:
        raise ConfigError(f"got method {method!r}; expected one of {', '.join(METHODS)}")
    return METHODS[method][1](arguments)
