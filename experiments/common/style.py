"""What all figures share: colours, canvas, atomic writing."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from invertnas.files.io import write_atomic

# Okabe-Ito colours, distinguishable with colour-vision deficiencies.
COLOURS = {
    "random": "#999999",
    "local_search": "#E69F00",
    "evolution": "#56B4E9",
    "bayesian": "#0072B2",
    "bananas": "#009E73",
    "invertnas_single": "#CC79A7",
    "invertnas": "#D55E00",
}
DPI, COLOUR_COUNT = 110, 128
VARIANT_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#882255", "#999933", "#6A3D9A")


def colours_of(names: Sequence[str]) -> list[str]:
    """Each name's colour: a method has its own, a variant the next one that no method of the figure has."""
    taken = {COLOURS[name] for name in names if name in COLOURS}
    free = itertools.cycle([colour for colour in VARIANT_COLOURS if colour not in taken])
    return [COLOURS[name] if name in COLOURS else next(free) for name in names]


def new_figure(size: tuple[float, float] = (6.4, 4.2), columns: int = 1) -> tuple[Any, list[Any]]:
    """A figure with `columns` panels side by side, inches wide and high; no display is needed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, columns, figsize=size, layout="constrained", squeeze=False)
    return figure, list(panels[0])


def save(figure: Any, path: Path) -> None:
    """Write the figure as a PNG of `COLOUR_COUNT` colours, a third of the bytes of one in full colour; close it."""
    from matplotlib import pyplot as plt
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    plt.close(figure)
    every = Image.open(drawn).convert("RGB")  # the widest choice of colours keeps those of thin lines
    picture = every.quantize(COLOUR_COUNT, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    write_atomic(path, lambda temporary: picture.save(temporary, "PNG", optimize=True))
