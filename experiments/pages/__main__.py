"""`make readme`: everything in README.md and docs/ that is made from results or rules, made again."""

from __future__ import annotations

from collections.abc import Sequence

from absl import app

from experiments.common import cli
from experiments.pages.layers import PAGE, filled_layers, write_diagram
from experiments.pages.picture import PICTURE, draw
from experiments.tables.readme import REQUIRED, filled
from invertnas.files.io import write_text


def main(argv: Sequence[str]) -> None:
    """Rewrite the tables between markers, the layer diagram and the picture of a search."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    for page in REQUIRED:
        path = cli.ROOT / page
        write_text(path, filled(path.read_text(encoding="utf-8"), cli.ROOT / "results", page))
    path = cli.ROOT / PAGE
    write_text(path, filled_layers(path.read_text(encoding="utf-8")))
    write_diagram()
    draw(cli.ROOT / PICTURE)


if __name__ == "__main__":
    cli.run(main)
