"""``invertnas report``, ``show``, ``convert`` and ``predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from invertnas.commands.setup import default_benchmark, load_object, read_setup
from invertnas.errors import ConfigError
from invertnas.reporting.cell import save_cell
from invertnas.reporting.page import write_report
from invertnas.running.log import read_run
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import open_space
from invertnas.spaces.spec import ArchSpec


def no_flags() -> flags.FlagValues:
    """Of a command that has none."""
    return flags.FlagValues()


def convert_flags() -> flags.FlagValues:
    """The flags of ``convert``."""
    own = flags.FlagValues()
    named = "Name of a space, or module:Class of your own."
    flags.DEFINE_string("space", default_benchmark(), named, flag_values=own)
    return own


def show_flags() -> flags.FlagValues:
    """The flags of ``show``."""
    own = convert_flags()
    flags.DEFINE_string("out", "cell.png", "Picture to write; .png, .svg or .pdf.", flag_values=own)
    return own


def predict_flags() -> flags.FlagValues:
    """The flags of ``predict``."""
    own = flags.FlagValues()
    flags.DEFINE_string("run", None, "Folder of the search whose results the predictor learns.", flag_values=own)
    return own


def report(values: flags.FlagValues, rest: list[str]) -> None:
    """Write the page and the picture of a run's folder."""
    if len(rest) != 1:
        raise ConfigError(f"got {len(rest)} folders; expected one: invertnas report DIR")
    folder = Path(rest[0])
    setup = read_setup(folder)
    page, picture = write_report(folder, setup.open_space(), setup.title)
    print(f"{page}\n{picture}")


def show(values: flags.FlagValues, rest: list[str]) -> None:
    """Draw an architecture."""
    space, arch = _read(values.space, rest, "invertnas show ARCH")
    save_cell(space, arch, Path(values.out))
    print(f"{space.to_string(arch)}\n{values.out}")


def convert(values: flags.FlagValues, rest: list[str]) -> None:
    """Print the notation that an architecture was understood in, and the architecture in the space's own."""
    if len(rest) != 1:
        raise ConfigError(f"got {len(rest)} architectures; expected one: invertnas convert ARCH")
    space: Any = _space(values.space)  # a protocol that does not name `parse`; every GraphSpace has it
    parsed = space.parse(rest[0])
    print(f"{parsed.notation}\n{space.to_string(parsed.arch)}")


def predict(values: flags.FlagValues, rest: list[str]) -> None:
    """Fit the predictor of a search to all its results, and print what it says of other architectures."""
    if values.run is None or not rest:
        raise ConfigError("got no folder or no architecture; expected invertnas predict --run=DIR ARCH ...")
    folder = Path(values.run)
    setup, result = read_setup(folder), read_run(folder)
    if setup.method != "invertnas":
        raise ConfigError(f"got a run of {setup.method!r}, which predicts nothing; expected one of --method=invertnas")
    space = setup.open_space()
    archs = [space.from_string(text) for text in rest]
    search = setup.open_search(space)
    known = [each for each in result.evaluations if each.value is not None]
    if not known:
        raise ConfigError(f"got {folder}, which holds no accuracy; expected a run with results; search longer")
    search.tell([each.arch for each in known], [each.value for each in known])
    search.ask(1)  # fits
    surrogate = getattr(search, "surrogate")
    means, _ = surrogate.predict(archs)
    for arch, mean, spread in zip(archs, means, surrogate.uncertainty(archs)):
        print(f"{100 * float(mean):6.2f} % +- {100 * float(spread):.2f}  {space.to_string(arch)}")


def _space(name: str) -> SearchSpace:
    if ":" not in name:
        return open_space(name)
    found: SearchSpace = load_object(name, "space")()
    return found


def _read(name: str, rest: list[str], usage: str) -> tuple[SearchSpace, ArchSpec]:
    if len(rest) != 1:
        raise ConfigError(f"got {len(rest)} architectures; expected one: {usage}")
    space = _space(name)
    return space, space.from_string(rest[0])
