"""The entry point: ``invertnas COMMAND ...``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from absl import flags

from invertnas.checks import suggestion
from invertnas.errors import ConfigError, InvertNASError
from invertnas.startup import prepare


class Command(NamedTuple):
    """A command: where its function and its flags are, and what it is for.

    Attributes:
        module: below `invertnas.commands`, imported when the command is given.
        flags: name of the function that makes the flags.
        usage: the words after ``invertnas``.
        text: one line of help.
    """

    module: str
    flags: str
    usage: str
    text: str


COMMANDS = {
    "search": Command("search", "search_flags", "search [--flags]", "Search live: a benchmark, or your own trainings."),
    "resume": Command("search", "resume_flags", "resume DIR", "Take up an interrupted search, or go on with more."),
    "report": Command("views", "no_flags", "report DIR", "Write the page and the picture of a search."),
    "show": Command("views", "show_flags", "show ARCH", "Draw an architecture."),
    "convert": Command("views", "convert_flags", "convert ARCH", "Read an architecture in any notation."),
    "predict": Command("views", "predict_flags", "predict --run=DIR ARCH ...", "Predict accuracies from a search."),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; an expected error ends in one sentence and code 1.

    Args:
        argv: the words after the program's name; None for those of this process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    prepare()
    if "" not in sys.path:
        sys.path.insert(0, "")  # modules of the user's own, in the folder that the command is given in
    try:
        return _run(words)
    except InvertNASError as error:
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what is done is recorded: go on with invertnas resume DIR", file=sys.stderr)
        return 130


def _run(words: list[str]) -> int:
    if not words or words[0] in ("help", "--help", "-h"):
        print(usage())
        return 0
    name = words[0]
    if name not in COMMANDS:
        raise ConfigError(f"got {name!r}; expected one of {', '.join(COMMANDS)}{suggestion(name, COMMANDS)}")
    function, own = _load(name)
    if any(word in ("--help", "-h") for word in words[1:]):
        print(f"usage: invertnas {COMMANDS[name].usage}\n\n{COMMANDS[name].text}\n{own.get_help()}")
        return 0
    try:
        rest = own([f"invertnas {name}", *words[1:]])[1:]
    except flags.Error as error:
        raise ConfigError(f"{error}; see invertnas {name} --help") from error
    function(own, rest)
    return 0


def usage() -> str:
    """The commands, one a line."""
    lines = [f"  invertnas {command.usage:28} {command.text}" for command in COMMANDS.values()]
    return "\n".join(["usage: invertnas COMMAND ...", "", *lines, "", "invertnas COMMAND --help lists its flags."])


def _load(name: str) -> tuple[Callable[[flags.FlagValues, list[str]], None], flags.FlagValues]:
    import importlib

    command = COMMANDS[name]
    module = importlib.import_module(f"invertnas.commands.{command.module}")
    return getattr(module, name), getattr(module, command.flags)()


if __name__ == "__main__":
    sys.exit(main())
