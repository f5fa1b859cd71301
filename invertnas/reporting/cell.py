"""A drawing of an architecture: operations as boxes from left to right, the cells of one above each other."""

from __future__ import annotations

import collections
import textwrap
from pathlib import Path
from typing import Any

from invertnas.errors import OutOfDomainError
from invertnas.files.io import write_atomic
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec

COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f", "#ff9da7")
END_COLOUR, IDLE_COLOUR = "#bab0ac", "#e6e6e6"
FONT_SIZE = 7
IDLE = "none"  # operations of this name are drawn pale


def draw_cell(space: SearchSpace, arch: ArchSpec, axes: Any) -> None:
    """Draw an architecture into Matplotlib axes.

    Args:
        space: names the operations.
        arch: an architecture of it.
        axes: emptied of ticks and frame.

    Raises:
        OutOfDomainError: the graph is not of the space.
    """
    if not space.is_valid(arch):
        raise OutOfDomainError(f"got {arch}; expected an architecture of {space.name}")
    places = _places(space, arch)
    names = [space.op_names[op] for op in arch.ops]
    for source, target in arch.edges:
        gap = 5 + 0.3 * FONT_SIZE * max(map(len, _label(names[target]).splitlines()))
        _arrow(axes, places[source], places[target], gap, pale=IDLE in (names[source], names[target]))
    for node, (x, y) in enumerate(places):
        name = names[node]
        style: dict[str, Any] = {"boxstyle": "round,pad=0.35", "edgecolor": "#333333", "linewidth": 0.6}
        style["facecolor"] = _colour(space, arch.ops[node])
        ink = "#999999" if name == IDLE else "#111111"
        axes.text(x, y, _label(name), ha="center", va="center", fontsize=FONT_SIZE, color=ink, bbox=style, zorder=3)
    xs, ys = [x for x, _ in places], [y for _, y in places]
    axes.set_xlim(min(xs) - 0.6, max(xs) + 0.6)
    axes.set_ylim(min(ys) - 0.7, max(ys) + 0.7)
    axes.set_axis_off()


def save_cell(space: SearchSpace, arch: ArchSpec, path: Path) -> None:
    """Write the drawing as a picture; the ending decides its kind, e.g. .png or .svg.

    Raises:
        OutOfDomainError: the graph is not of the space.
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    columns = 1 + max(_depths(arch))
    figure = Figure(figsize=(1.3 * columns + 1, 3.2 * space.num_cells), layout="constrained")
    axes = figure.add_subplot()
    draw_cell(space, arch, axes)
    axes.set_title(textwrap.fill(space.to_string(arch), 22 * columns, break_on_hyphens=False), fontsize=7)
    write_atomic(path, lambda temporary: figure.savefig(temporary, dpi=150))


def _label(name: str) -> str:
    """A name in short lines."""
    return textwrap.fill(name.replace("_", " ").replace("-", " "), 9, break_long_words=False)


def _colour(space: SearchSpace, op: int) -> str:
    if space.op_names[op] == IDLE:
        return IDLE_COLOUR
    return COLOURS[space.inner_ops.index(op) % len(COLOURS)] if op in space.inner_ops else END_COLOUR


def _depths(arch: ArchSpec) -> list[int]:
    """Longest way from an input to each node."""
    depths = [0] * len(arch.ops)
    for source, target in arch.edges:  # sorted, and every edge goes forward
        depths[target] = max(depths[target], depths[source] + 1)
    return depths


def _places(space: SearchSpace, arch: ArchSpec) -> list[tuple[float, float]]:
    """A column for every depth; within it nodes are spread evenly, each near the mean of those it reads."""
    depths, size = _depths(arch), space.num_nodes // space.num_cells
    places: list[tuple[float, float]] = [(0.0, 0.0)] * len(arch.ops)
    cells = [node // size if space.num_cells > 1 else 0 for node in range(len(arch.ops))]
    tallest = max(collections.Counter(zip(cells, depths)).values())
    for cell in range(space.num_cells):
        own = [node for node in range(len(arch.ops)) if cells[node] == cell]
        for depth in sorted({depths[node] for node in own}):
            column = [node for node in own if depths[node] == depth]
            heights = {
                node: _mean([places[source][1] for source, target in arch.edges if target == node]) for node in column
            }
            column.sort(key=lambda node: (-heights[node], node))
            middle = -cell * (1.0 + tallest)
            for place, node in enumerate(column):
                shift = 0.25 * (depth % 2) if len(column) == 1 else 0.0
                places[node] = float(depth), middle + (len(column) - 1) / 2 - place + shift
    return places


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], gap: float, *, pale: bool) -> None:
    """An arrow that ends `gap` points before the end's middle, bent where it passes over a column."""
    bend = 0.0 if end[0] - start[0] <= 1 else 0.22
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        zorder=1,
        arrowprops={
            "arrowstyle": "-|>",
            "color": "#cccccc" if pale else "#555555",
            "shrinkA": 6,
            "shrinkB": gap,
            "linewidth": 0.9,
            "connectionstyle": f"arc3,rad={bend}",
        },
    )
