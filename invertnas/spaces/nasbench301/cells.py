"""Cells of the DARTS space: their graphs, notation, canonical order and one-edit changes.

A cell is held as eight (input, operation) pairs, two for each of its four blocks. Inputs are numbered
as in DARTS (Liu et al., 2019): 0 and 1 are the outputs of the cells before, 2 to 5 the blocks of this
one. Operations count from 0, `CELL_OPS`. Within a block the inputs ascend, so a cell has one form.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence

from invertnas.errors import OutOfDomainError

CELL_OPS = (
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
NUM_OPS = len(CELL_OPS)
NUM_BLOCKS = 4
NUM_PAIRS = 2 * NUM_BLOCKS
CELL_NODES = NUM_PAIRS + 3
FORM = "'|op~0|op~1|+|op~i|op~j|+|op~i|op~j|+|op~i|op~j|' with i < j"
_BLOCK = re.compile(r"\|(\w+)~([0-4])\|(\w+)~([0-4])\|")

Edges = tuple[tuple[int, int], ...]
# The inputs of the eight operations, two ascending ones for each block.
Wiring = tuple[int, ...]
CompactCell = tuple[tuple[int, int], ...]

# All 1 * 3 * 6 * 10 choices of two different inputs per block.
WIRINGS: tuple[Wiring, ...] = tuple(
    tuple(itertools.chain(*pairs))
    for pairs in itertools.product(*(itertools.combinations(range(block + 2), 2) for block in range(NUM_BLOCKS)))
)
_KNOWN = frozenset(WIRINGS)


def source_nodes(number: int) -> tuple[int, ...]:
    """Graph nodes that stand for an input number: a cell input, or both operations of a block."""
    return (number,) if number < 2 else (2 * number - 2, 2 * number - 1)


def cell_edges(wiring: Wiring, shift: int) -> Edges:
    """Sorted edges of the eleven-node graph, node numbers moved up by `shift`."""
    inner = [(source, 2 + k) for k, number in enumerate(wiring) for source in source_nodes(number)]
    ends = [(2 + k, CELL_NODES - 1) for k in range(NUM_PAIRS)]
    return tuple(sorted((source + shift, target + shift) for source, target in inner + ends))


def op_number(name: str) -> int:
    """Operation 0..6 of a name. Raises OutOfDomainError for another name."""
    if name not in CELL_OPS:
        raise OutOfDomainError(f"got operation {name!r}; expected one of {', '.join(CELL_OPS)}")
    return CELL_OPS.index(name)


def canonical_cell(pairs: Sequence[tuple[int, int]]) -> CompactCell:
    """The cell with ascending inputs in each block. Raises OutOfDomainError if the pairs are no cell."""
    ordered = tuple(pair for k in range(0, len(pairs), 2) for pair in sorted(pairs[k : k + 2]))
    if tuple(number for number, _ in ordered) not in _KNOWN or not all(0 <= op < NUM_OPS for _, op in ordered):
        raise OutOfDomainError(
            f"got a cell of (input, operation) pairs {ordered}; expected {NUM_PAIRS} pairs with operations in "
            f"0..{NUM_OPS - 1} and, for block b = 0..{NUM_BLOCKS - 1}, two different inputs in 0..b + 1"
        )
    return ordered


@functools.lru_cache(maxsize=1 << 16)
def format_cell(cell: CompactCell) -> str:
    """``|op~0|op~1|+|op~0|op~2|+...``, each operation with its input."""
    texts = [f"|{CELL_OPS[op]}~{number}" for number, op in cell]
    return "+".join(f"{first}{second}|" for first, second in zip(texts[::2], texts[1::2]))


def parse_cell(text: str) -> CompactCell:
    """Inverse of `format_cell`. Raises OutOfDomainError with the expected form."""
    pairs: list[tuple[int, int]] = []
    for block in text.split("+"):
        match = _BLOCK.fullmatch(block)
        if match is None:
            raise OutOfDomainError(f"got {block!r} as a block of {text!r}; expected {FORM}")
        pairs += [(int(match[2]), op_number(match[1])), (int(match[4]), op_number(match[3]))]
    cell = canonical_cell(pairs)
    if list(cell) != pairs:
        raise OutOfDomainError(f"got {text!r}, where a block lists the larger input first; expected {FORM}")
    return cell


# (position, rank) of every edit: the rank-th operation not in use there, or input not in use in the block.
_OP_EDITS = tuple(itertools.product(range(NUM_PAIRS), range(NUM_OPS - 1)))
_INPUT_EDITS = tuple((position, rank) for position in range(NUM_PAIRS) for rank in range(position // 2))
NUM_EDITS = len(_OP_EDITS) + len(_INPUT_EDITS)


def edited_cell(cell: CompactCell, edit: int) -> CompactCell:
    """The cell after one of its 60 edits: 48 change an operation, 12 an input."""
    if edit < len(_OP_EDITS):
        position, rank = _OP_EDITS[edit]
        number, op = cell[position]
        pair = (number, rank + (rank >= op))
    else:
        position, rank = _INPUT_EDITS[edit - len(_OP_EDITS)]
        used = cell[position][0], cell[position ^ 1][0]
        pair = ([number for number in range(position // 2 + 2) if number not in used][rank], cell[position][1])
    start = position & ~1
    return cell[:start] + tuple(sorted((pair, cell[position ^ 1]))) + cell[start + 2 :]


def cell_paths(cell: CompactCell, longest: int | None = None) -> set[tuple[int, ...]]:
    """Operations, 0..6, along every path from either cell input to the output, at most `longest` of them."""
    most = NUM_BLOCKS if longest is None else longest
    into: list[set[tuple[int, ...]]] = [{()}, {()}]
    for pair in zip(cell[::2], cell[1::2]):
        into.append({path + (op,) for number, op in pair for path in into[number] if len(path) < most})
    return set().union(*into[2:])


def least_order(cell: CompactCell) -> CompactCell:
    """The least of the cells that differ from this one by the order of blocks alone."""
    blocks = list(zip(cell[::2], cell[1::2]))
    found: list[CompactCell] = []
    for order in itertools.permutations(range(NUM_BLOCKS)):
        number_of = {0: 0, 1: 1} | {2 + old: 2 + new for new, old in enumerate(order)}
        moved = [[(number_of[number], op) for number, op in blocks[old]] for old in order]
        if all(number < 2 + new for new, block in enumerate(moved) for number, _ in block):
            found.append(canonical_cell([pair for block in moved for pair in block]))
    return min(found)
