"""Checks of configurations and public arguments: every field of every configuration, and the shared helpers."""

from __future__ import annotations

import dataclasses
import importlib
import math
import pkgutil
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

import invertnas
from invertnas.checks import (
    Count,
    Range,
    check_fields,
    checked_choice,
    checked_count,
    checked_fraction,
    checked_number,
    checked_path,
    checked_seed,
    suggestion,
)
from invertnas.errors import ConfigError
from invertnas.gvae.config import GVAEConfig, GVAETrainConfig
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.predictor.config import PredictorConfig
from invertnas.search.config import CandidateConfig, SearchConfig

REQUIRED: dict[str, dict[str, Any]] = {
    "GVAEConfig": {"num_nodes": 8, "num_ops": 7},
    "INNConfig": {"dim": 8},
    "AlignFlowConfig": {"dim": 8},
    "NWOTConfig": {"channels": 6, "cells": 1, "batch": 4, "image_size": 8},
    "ProxyConfig": {"proxy": "nwot"},
    "AlignFlowInitialConfig": {"proxy": "nwot"},
}


def configurations() -> list[type]:
    """Every dataclass of the package whose name ends in Config."""
    found: dict[str, type] = {}
    for module in pkgutil.walk_packages(invertnas.__path__, "invertnas."):
        if not module.name.startswith("invertnas.pretrained"):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and value.__name__.endswith("Config") and dataclasses.is_dataclass(value):
                    found[f"{value.__module__}.{value.__name__}"] = value
    return [found[name] for name in sorted(found)]


CONFIGS = configurations()
FIELDS = [(config, field.name) for config in CONFIGS for field in dataclasses.fields(config)]


def identity(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def made(config: type, **changes: Any) -> Any:
    return config(**{**REQUIRED.get(config.__name__, {}), **changes})


def hint_of(config: type, name: str) -> Any:
    return typing.get_type_hints(config, include_extras=True)[name]


def leaves(hint: Any) -> list[Any]:
    """The annotation's parts: members of unions and tuples, `Annotated` and `Literal` whole."""
    if typing.get_origin(hint) in (Annotated, Literal) or not typing.get_args(hint):
        return [hint]
    return [leaf for part in typing.get_args(hint) if part is not Ellipsis for leaf in leaves(part)]


def test_the_package_has_configurations() -> None:
    names = {config.__name__ for config in CONFIGS}
    assert {"INNConfig", "SearchConfig", "BananasConfig", "NWOTConfig", "AlignFlowInitialConfig"} <= names


@pytest.mark.parametrize(("config", "name"), FIELDS, ids=identity)
def test_every_number_has_a_range(config: type, name: str) -> None:
    assert not {int, float} & {leaf for leaf in leaves(hint_of(config, name)) if isinstance(leaf, type)}


@pytest.mark.parametrize(("config", "name"), FIELDS, ids=identity)
def test_every_field_refuses_what_it_is_not(config: type, name: str) -> None:
    parts = leaves(hint_of(config, name))
    wrong: list[Any] = [object(), b"1", {1}, math.nan, math.inf, -math.inf]
    if bool not in parts:
        wrong += [True, False]
    else:
        wrong += [0, 1]
    if str not in parts:
        wrong += ["unheard"]
    ranges = [extra for leaf in parts if typing.get_origin(leaf) is Annotated for extra in leaf.__metadata__]
    if ranges and typing.get_origin(hint_of(config, name)) is not tuple:
        wrong += [limits.low - 1 for limits in ranges if limits.low is not None]
        wrong += [limits.high + 1 for limits in ranges if limits.high is not None]
        assert len(wrong) > 9
    for value in wrong:
        with pytest.raises(ConfigError, match=rf"(?s)got {name}=.*; expected .*, in {config.__name__}"):
            made(config, **{name: value})


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (SearchConfig, {"explore": -1}),
        (INNConfig, {"head_scale": -1}),
        (INNTrainConfig, {"target_noise": -1}),
        (GVAETrainConfig, {"lr_factor": 10}),
        (GVAEConfig, {"ffn_dropout": 2}),
        (GVAEConfig, {"gin_channels": (0,)}),
        (GVAEConfig, {"kl_weight": -1}),
        (GVAEConfig, {"gin_channels": ()}),
        (GVAEConfig, {"gin_channels": [8, 0]}),
        (GVAEConfig, {"gin_channels": 8}),
        (GVAETrainConfig, {"lr_min": 0.1}),
        (SearchConfig, {"keep": 40}),
        (SearchConfig, {"candidates": {"wanted": 3}}),
        (SearchConfig, {"batch": 2.0}),
        (INNConfig, {"members": "3"}),
    ],
)
def test_settings_that_make_no_sense_are_refused(config: type, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"got (no |.*){next(iter(changes))[:3]}.*expected"):
        made(config, **changes)


def test_numpy_numbers_become_plain_ones() -> None:
    config = made(INNConfig, dim=np.int64(4), head_scale=np.float32(0.5))
    assert (type(config.dim), type(config.head_scale)) == (int, float) and config == INNConfig(4, head_scale=0.5)
    assert type(CandidateConfig(z_std=1).z_std) is int  # as given
    assert made(GVAEConfig, gin_channels=[8, np.int64(3)]).gin_channels == (8, 3)


def test_the_nearest_choice_is_named() -> None:
    with pytest.raises(ConfigError, match="got finetune='end2end'; .* or 'end_to_end': did you mean 'end_to_end'"):
        PredictorConfig(finetune="end2end")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected one of fast, paper: did you mean 'paper'"):
        checked_choice("Papr", ("fast", "paper"), "preset")
    with pytest.raises(ConfigError, match=r"got preset \['fast'\]"):
        checked_choice(["fast"], ("fast", "paper"), "preset")
    assert checked_choice("fast", ("fast", "paper"), "preset") == "fast" and suggestion("xyz", ("fast", "paper")) == ""


def test_ranges_in_words_and_numbers() -> None:
    said = {
        "at least 1": Range(1),
        "a positive number": Range(0, above=True),
        "above 0 and below 1": Range(0, 1, above=True, below=True),
        "at least 6 and a multiple of 2": Range(6, step=2),
        "at most 0": Range(high=0),
        "a finite number": Range(),
    }
    assert {str(limits): limits for limits in said.values()} == said
    within = {(0, 1): {0, 0.5, 1}, (0, None): {0, 0.5, 1, 7}, (None, 0): {-7, 0}}
    for (low, high), kept in within.items():
        assert {value for value in (-7, 0, 0.5, 1, 7) if value in Range(low, high)} == kept
    assert 0 not in Range(0, 1, above=True) and 1 not in Range(0, 1, below=True) and 7 not in Range(6, step=2)
    assert math.inf not in Range(0) and math.nan not in Range()


@dataclasses.dataclass(frozen=True)
class Example:
    pair: tuple[Count, float] = (1, 0.5)
    many: tuple[Count, ...] = ()
    maybe: Count | None = None
    width: Literal[8, 16] = 8

    def __post_init__(self) -> None:
        check_fields(self)


def test_tuples_unions_and_numbers_to_choose_from() -> None:
    assert made(Example, pair=(np.int32(3), 1), many=(1, 2), maybe=4, width=16).pair == (3, 1)
    for wrong in ({"pair": (1,)}, {"pair": (0, 0.1)}, {"many": (1, 0)}, {"maybe": 0}, {"width": 8.0}, {"width": 9}):
        with pytest.raises(ConfigError, match=f"got {next(iter(wrong))}=.*expected .*, in Example"):
            made(Example, **wrong)


def test_public_arguments() -> None:
    assert checked_seed(np.int64(3)) == 3 and type(checked_seed(np.int64(3))) is int
    for seed in (None, -1, 1.5, "3", True, 2**64, math.nan):
        with pytest.raises(ConfigError, match="got seed="):
            checked_seed(seed)
    assert checked_count(5, "budget") == 5 and checked_count(0, "rows", least=0) == 0
    for count in (None, 0, 2.5, math.nan, "9", True):
        with pytest.raises(ConfigError, match="got budget=.*expected a whole number, at least 1"):
            checked_count(count, "budget")
    assert checked_fraction(np.float32(0.5), "accuracy") == 0.5
    with pytest.raises(
        ConfigError, match="got accuracy=73.0; expected at least 0 and at most 1: divide percent by 100"
    ):
        checked_fraction(73.0, "accuracy")
    assert checked_number(-2, "noise") == -2
    for number in (math.inf, -1, "1"):
        with pytest.raises(ConfigError, match="got noise"):
            checked_number(number, "noise", Range(0))


def test_paths(tmp_path: Path) -> None:
    assert checked_path(str(tmp_path), "out") == checked_path(tmp_path, "out") == tmp_path
    assert checked_path("~/x").is_absolute()
    for wrong in ("", None, 3, b"a", "a\0b"):
        with pytest.raises(ConfigError, match="got out .*; expected a path"):
            checked_path(wrong, "out")
