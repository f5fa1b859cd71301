"""The baselines by name, one record each: scripts, the command line and tables know a method from here.

A new method is its own file and one record; a program adds its own with `register_method`. Classes stand as
"module:Class" and are imported when they are asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from invertnas.checks import checked_choice, checked_seed
from invertnas.errors import ConfigError
from invertnas.protocols import Optimizer
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import MACRO, NB101, NB301, NBNLP, as_space, load_class


@dataclasses.dataclass(frozen=True)
class MethodRecord:
    """One method of search.

    Attributes:
        name: name in code, flags and files.
        title: name in tables and figures.
        method: class of the optimiser, made as `Class(space, config, seed=...)`, without settings as
            `Class(space, seed=...)`.
        config: class of its settings, None where none are worth storing.
        per_space: space -> settings other than the published ones.
    """

    name: str
    title: str
    method: str
    config: str | None = None
    per_space: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict, hash=False)


_HERE = "invertnas.search.baselines"
# Columns of BANANAS' truncated path encoding: all paths of up to so many operations, as naszilla has them for
# NAS-Bench-101 (three) and -201 (two, the default). For the other two it has none; with seeds from 100 on, up to three
# operations ended highest on NAS-Bench-301, on NAS-Bench-NLP up to two and three were level.
_PATHS = {
    NB101.name: {"cutoff": 1 + 3 + 9 + 27, "shortest_path": 0},
    NB301.name: {"cutoff": 7 + 49 + 343},
    NBNLP.name: {"cutoff": 7 + 49},
    MACRO.name: {"cutoff": 3},  # one operation a layer, see its `paths`
}
_ALL = (
    MethodRecord("random", "RS", f"{_HERE}:RandomSearch"),
    MethodRecord("local_search", "LS", f"{_HERE}:LocalSearch", f"{_HERE}:LocalSearchConfig"),
    MethodRecord("evolution", "RE", f"{_HERE}:RegularizedEvolution", f"{_HERE}:RegularizedEvolutionConfig"),
    MethodRecord("bayesian", "BO", f"{_HERE}:BayesianOptimization", f"{_HERE}:BayesianConfig"),
    MethodRecord("bananas", "BANANAS", f"{_HERE}:Bananas", f"{_HERE}:BananasConfig", _PATHS),
)
_RECORDS = {record.name: record for record in _ALL}


def methods() -> tuple[MethodRecord, ...]:
    """All records, in the order of the tables."""
    return tuple(_RECORDS.values())


def register_method(record: MethodRecord) -> None:
    """Add a method of one's own, so that scripts know it by name. Raises ConfigError if the name is taken."""
    if _RECORDS.get(record.name, record) != record:
        raise ConfigError(f"got method {record.name!r}, which is another one's name; expected a new name")
    _RECORDS[record.name] = record


def settings_of(name: str, space_name: str) -> dict[str, Any]:
    """A method's settings on the space of that name, as result files hold them; none for random search.

    Raises:
        ConfigError: for an unknown method, with the nearest name.
    """
    record = _record_of(name)
    return {} if record.config is None else dataclasses.asdict(_config(record, space_name))


def open_method(name: str, space: SearchSpace | str, *, seed: int = 0) -> Optimizer:
    """A method ready for its first `ask`, with its published settings on the space.

    Args:
        name: of the method, such as "bananas".
        space: search space, or the name of one that ships.
        seed: of every random choice.

    Raises:
        ConfigError: the method or the space is unknown, or the seed no whole number of at least 0.
    """
    record, of, number = _record_of(name), as_space(space), checked_seed(seed)
    settings = () if record.config is None else (_config(record, of.name),)
    optimizer: Optimizer = load_class(record.method)(of, *settings, seed=number)
    return optimizer


def _record_of(name: str) -> MethodRecord:
    return _RECORDS[checked_choice(name, _RECORDS, "method")]


def _config(record: MethodRecord, space_name: str) -> Any:
    return load_class(str(record.config))(**record.per_space.get(space_name, {}))
