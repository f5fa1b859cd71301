"""What all scripts share: an expected error ends in one sentence and exit code 1, not in a traceback."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags

from invertnas.errors import InvertNASError
from invertnas.startup import prepare

ROOT = Path(__file__).resolve().parents[2]  # of the checkout
Main = Callable[[Sequence[str]], int | None]


def guarded(main: Main) -> Main:
    """`main` that prints an InvertNASError as one line to stderr and returns 1 instead of raising it.

    Ctrl-C and SIGTERM end in one line too, with code 130: what is to be kept is written, and what was started ends.
    """

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    def guard(argv: Sequence[str]) -> int | None:
        before = signal.signal(signal.SIGTERM, interrupt)
        try:
            return main(argv)
        except InvertNASError as error:
            print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted; run the same command again to go on", file=sys.stderr)
            return 130
        finally:
            signal.signal(signal.SIGTERM, before)

    return guard


def verbose() -> bool:
    """Whether the user gave -v=1 or more."""
    known = flags.FLAGS.is_parsed() and "verbosity" in flags.FLAGS and bool(flags.FLAGS["verbosity"].present)
    return known and bool(flags.FLAGS.verbosity > 0)


def run(main: Main, own: flags.FlagValues | None = None) -> None:
    """Parse the absl flags, call `main(argv)` and leave the process.

    Args:
        main: gets the positional arguments, program name first; its return value is the exit code.
        own: flags that a script keeps to itself until it runs, so that scripts with flags of the same name
            can be imported together.

    Raises:
        SystemExit: always; code 1 after an InvertNASError, otherwise what `main` returned.
    """
    if own is not None:
        flags.FLAGS.append_flag_values(own)
        for name in own:
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], own[name])  # listed by --help
        own.mark_as_parsed()
    prepare(verbose)
    app.run(guarded(main))
