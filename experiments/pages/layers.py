"""The layers of the package: who may import whom, as a table and as a diagram in docs/architecture.md.

The rules stand in tests/repository/test_package.py, which enforces them. Table and diagram are made from them.
"""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np

from experiments.common.cli import ROOT
from invertnas.errors import ArtefactError
from invertnas.files.io import write_text

RULES = Path("tests/repository/test_package.py")
PAGE, DIAGRAM = Path("docs/architecture.md"), Path("docs/assets/layers.svg")
BEGIN, END = "<!-- begin layers -->\n", "<!-- end layers -->"
TOOLS = ("checks", "errors", "files", "gaussian_process", "seeding", "training")  # one band, without arrows
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 128, 36, 22, 58, 16
Rules = dict[str, set[str]]


def read_rules(path: Path) -> Rules:
    """`ALLOWED` of the test: layer -> the layers, or modules of them, that it may import.

    Raises:
        ArtefactError: the file has no such dictionary.
    """
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and _named(node, "ALLOWED"):
            return {
                str(ast.literal_eval(key or "")): _literal(value)
                for key, value in zip(node.value.keys, node.value.values)
            }
    raise ArtefactError(f"{path} has no dictionary ALLOWED; the layer rules belong there")


def _named(node: ast.Assign, name: str) -> bool:
    return [target.id for target in node.targets if isinstance(target, ast.Name)] == [name]


def _literal(node: ast.expr | None) -> set[str]:
    """A set as the rules write it: `set()`, a literal, or a union of them."""
    if isinstance(node, ast.BinOp):
        return _literal(node.left) | _literal(node.right)
    assert node is not None
    return set() if isinstance(node, ast.Call) else ast.literal_eval(node)


def layer_table(rules: Rules) -> str:
    """Markdown: each layer, what it holds by its docstring, what it may import; lowest layers first."""
    ranks = heights(_whole(rules))
    rows = []
    for name in sorted(rules, key=lambda name: (ranks[name], name)):
        wanted = ", ".join(f"`{other}`" for other in sorted(rules[name])) or "–"
        rows.append(f"| `{name}` | {_about(name)} | {wanted} |")
    return "\n".join(["| Layer | Holds | May import |", "|---|---|---|", *rows])


def _about(name: str) -> str:
    path = ROOT / "invertnas" / name
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def _whole(rules: Rules) -> Rules:
    """The rules between layers; a rule about one module of a layer counts for the layer."""
    return {name: {other.split(".")[0] for other in others} - {name} for name, others in rules.items()}


def heights(rules: Rules) -> dict[str, int]:
    """Floor of each layer: one above the highest of those it imports."""
    found: dict[str, int] = {}
    while len(found) < len(rules):
        ready = {name for name, others in rules.items() if name not in found and others <= found.keys()}
        if not ready:
            raise ArtefactError(f"layers {sorted(rules.keys() - found.keys())} import each other in a circle")
        found |= {name: 1 + max((found[other] for other in rules[name]), default=-1) for name in ready}
    return found


def reduced(rules: Rules) -> Rules:
    """The rules without those that follow from others."""

    def reach(name: str) -> set[str]:
        return rules[name].union(*(reach(other) for other in rules[name]))

    return {name: {o for o in others if not any(o in reach(p) for p in others)} for name, others in rules.items()}


def diagram(rules: Rules) -> str:
    """SVG: a row for each floor, an arrow from a layer to each it imports but by way of another, the tools below."""
    whole = _whole(rules)
    upper = {name: others - set(TOOLS) for name, others in whole.items() if name not in TOOLS}
    rows = _rows(upper)
    columns = max(len(row) for row in rows)
    width = 2 * MARGIN + columns * WIDTH + (columns - 1) * GAP_X
    places = {
        name: (
            width / 2 + (index - (len(row) - 1) / 2) * (WIDTH + GAP_X),
            MARGIN + HEIGHT / 2 + (len(rows) - 1 - floor) * (HEIGHT + GAP_Y),
        )
        for floor, row in enumerate(rows)
        for index, name in enumerate(row)
    }
    bottom = MARGIN + len(rows) * (HEIGHT + GAP_Y) - GAP_Y / 2
    parts = [_arrow(places[name], places[o]) for name, others in reduced(upper).items() for o in sorted(others)]
    parts += [_box(name, *place, WIDTH, "#eef1fb") for name, place in places.items()]
    band = "  ·  ".join(name for name in TOOLS if name in whole)
    parts.append(_box(f"tools: {band}", width / 2, bottom + HEIGHT / 2, width - 2 * MARGIN, "#f4f4f4"))
    return _svg(width, bottom + HEIGHT + MARGIN, parts)


def _rows(rules: Rules) -> list[list[str]]:
    """Layers by floor; within one, in the order of the mean place of those they import."""
    floors = heights(rules)
    rows = [sorted(name for name in rules if floors[name] == floor) for floor in range(max(floors.values()) + 1)]
    for below, row in zip(rows, rows[1:]):
        share = {name: (i + 0.5) / len(below) for i, name in enumerate(below)}
        row.sort(key=lambda name: (float(np.mean([share.get(o, 0.5) for o in rules[name]] or [0.5])), name))
    return rows


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = (start[0], start[1] + HEIGHT / 2), (end[0], end[1] - HEIGHT / 2 - 6)
    bend = (y2 - y1) / 2
    curve = f"M{x1:.0f},{y1:.0f} C{x1:.0f},{y1 + bend:.0f} {x2:.0f},{y2 - bend:.0f} {x2:.0f},{y2:.0f}"
    return f'<path d="{curve}" fill="none" stroke="#5b6abf" stroke-width="1.4" marker-end="url(#head)"/>'


def _box(text: str, x: float, y: float, width: float, fill: str) -> str:
    left, top = x - width / 2, y - HEIGHT / 2
    return (
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{HEIGHT}" rx="6" fill="{fill}" '
        f'stroke="#3f51b5"/>\n<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">{text}</text>'
    )


def _svg(width: float, height: float, parts: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        'font-family="sans-serif" font-size="14">\n<rect width="100%" height="100%" fill="white"/>\n'
        '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="4" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#5b6abf"/></marker></defs>'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def filled_layers(text: str) -> str:
    """A page's text with the table of the present rules between its markers. Raises ArtefactError without markers."""
    if BEGIN not in text or END not in text:
        raise ArtefactError(f"{PAGE} lacks the markers {BEGIN.strip()} and {END}; put them where the table belongs")
    table = layer_table(read_rules(ROOT / RULES))
    return text.partition(BEGIN)[0] + BEGIN + table + "\n" + END + text.partition(END)[2]


def write_diagram() -> None:
    """Draw the diagram again."""
    write_text(ROOT / DIAGRAM, diagram(read_rules(ROOT / RULES)))
