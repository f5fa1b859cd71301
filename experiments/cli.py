"""What all scripts share: an expected error ends in one sentence and exit code 1, not in a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from absl import app

from invertnas.errors import InvertNASError

Main = Callable[[Sequence[str]], int | None]


def guarded(main: Main) -> Main:
    """`main` that prints an InvertNASError as one line to stderr and returns 1 instead of raising it.

    Ctrl-C ends in one line too, with code 130.
    """

    def guard(argv: Sequence[str]) -> int | None:
        try:
            return main(argv)
        except InvertNASError as error:
            print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted; run the same command again to go on", file=sys.stderr)
            return 130

    return guard


def run(main: Main) -> None:
    """Parse the absl flags, call `main(argv)` and leave the process.

    Args:
        main: gets the positional arguments, program name first; its return value is the exit code.

    Raises:
        SystemExit: always; code 1 after an InvertNASError, otherwise what `main` returned.
    """
    app.run(guarded(main))
