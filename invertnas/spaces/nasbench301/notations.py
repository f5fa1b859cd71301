"""How others write DARTS architectures: genotype as a record or as text, (input, operation) pairs, a configuration.

A text is read as data: nothing in it is run.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from invertnas.errors import OutOfDomainError
from invertnas.spaces.notation import Notation, is_list, is_whole

if TYPE_CHECKING:
    from invertnas.spaces.nasbench301.space import NASBench301Space

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
_CONCAT = (2, 3, 4, 5)
_EDGE = "NetworkSelectorDatasetInfo:darts:edge_{}_{}"  # key of the benchmark's configuration: cell, number of edge
_OFFSETS = (0, 2, 5, 9, 14)  # number of the first edge into each block, and of all edges


def others(space: NASBench301Space) -> tuple[Notation, ...]:
    """The notations besides graph and string."""
    form = "Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[2, 3, 4, 5], reduce=[...], reduce_concat=[...])"
    return (
        Notation(
            "genotype", form, lambda g: _record(g) is not None, lambda g: space.from_genotype(_record(g) or ())
        ),
        Notation("genotype text", form, _is_text, lambda given: space.from_genotype(read_text(given))),
        Notation(
            "pairs", "(normal, reduction), each eight (input, operation 0 to 6) pairs", _is_pairs, space.from_compact
        ),
        Notation(
            "configuration of the benchmark", f"{{{_EDGE.format('normal', 0)!r}: 'sep_conv_3x3', ...}}", _is_config,
            lambda given: space.from_genotype(read_config(given)),
        ),
    )  # fmt: skip


def read_text(text: str) -> list[Any]:
    """The four fields of a genotype as Python prints it; raises SyntaxError, ValueError or OutOfDomainError."""
    expression = ast.parse(text.strip(), mode="eval").body
    if isinstance(expression, ast.Call):
        positional = [_value(argument) for argument in expression.args]
        named = {keyword.arg: _value(keyword.value) for keyword in expression.keywords}
        fields = dict(zip(FIELDS, positional)) | named
    elif isinstance(expression, ast.Dict):
        fields = {_value(key): _value(value) for key, value in zip(expression.keys, expression.values)}
    else:
        fields = dict(zip(FIELDS, _value(expression), strict=True))
    return _complete(fields)


def read_config(config: Mapping[str, str]) -> list[Any]:
    """The four fields of the benchmark's configuration. Raises OutOfDomainError unless each block has two inputs."""
    cells = []
    for cell in ("normal", "reduce"):
        pairs = []
        for first, end in zip(_OFFSETS, _OFFSETS[1:]):
            keys = [(number - first, _EDGE.format(cell, number)) for number in range(first, end)]
            found = [(config[key], source) for source, key in keys if key in config]
            if len(found) != 2:
                raise OutOfDomainError(
                    f"got {len(found)} edges into a block of the {cell} cell; expected two of "
                    f"{', '.join(key for _, key in keys)}"
                )
            pairs += found
        cells.append(pairs)
    return [cells[0], _CONCAT, cells[1], _CONCAT]


def _value(node: Any) -> Any:
    """A literal, or the numbers of a `range(...)`, inside tuples, lists and sets as well."""
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id != "range" or node.keywords:
            raise OutOfDomainError(f"got {ast.unparse(node)!r} in a genotype; expected literals or range(2, 6)")
        bounds = [_value(argument) for argument in node.args]
        if not all(is_whole(bound) and abs(bound) < 100 for bound in bounds):
            raise OutOfDomainError(f"got {ast.unparse(node)!r} in a genotype; expected range(2, 6)")
        return list(range(*bounds))
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(element) for element in node.elts]
    return ast.literal_eval(node)


def _complete(fields: Mapping[Any, Any]) -> list[Any]:
    missing = [name for name in FIELDS if name not in fields]
    if missing or len(fields) > len(FIELDS):
        raise OutOfDomainError(f"got the fields {list(fields)} of a genotype; expected {', '.join(FIELDS)}")
    return [fields[name] for name in FIELDS]


def _record(given: Any) -> list[Any] | None:
    """The fields of a genotype given as a mapping, an object with their names, or a list in their order."""
    if isinstance(given, Mapping):
        return [given[name] for name in FIELDS] if all(name in given for name in FIELDS) else None
    if all(hasattr(given, name) for name in FIELDS):
        return [getattr(given, name) for name in FIELDS]
    return list(given) if is_list(given, 4) else None


def _is_text(given: Any) -> bool:
    return isinstance(given, str) and given.strip().startswith(("Genotype(", "{", "(", "["))


def _is_pairs(given: Any) -> bool:
    return is_list(given, 2) and all(is_list(cell, 8) and all(is_list(pair, 2) for pair in cell) for cell in given)


def _is_config(given: Any) -> bool:
    return isinstance(given, Mapping) and any(str(key).startswith(_EDGE.split("{")[0]) for key in given)


def to_config(genotype: Sequence[Any]) -> dict[str, str]:
    """The benchmark's configuration of a valid genotype, with the inputs of the later blocks."""
    config = dict[str, str]()
    for cell, pairs in (("normal", genotype[0]), ("reduce", genotype[2])):
        for block, first in enumerate(_OFFSETS[:-1]):
            chosen = sorted(pairs[2 * block : 2 * block + 2], key=lambda pair: pair[1])
            config |= {_EDGE.format(cell, first + source): op for op, source in chosen}
            if block:
                key = f"NetworkSelectorDatasetInfo:darts:inputs_node_{cell}_{block + 2}"
                config[key] = "_".join(str(source) for _, source in chosen)
    return config
