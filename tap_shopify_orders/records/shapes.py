"""Shape of an object: takes fields, returns what is used of the object, and what makes records of it.

It knows neither JSON nor which fields there are.
"""

from __future__ import annotations

from traceback import extract_tb
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_shopify_orders.records.fields import Field, Path

    Use = tuple[Path, Field]  # a field, and where its value stands from here on

PLACE = "<made of fields>"  # what tracebacks call the file of a compiled function


class Shape(NamedTuple):
    """What is asked of an object: its own fields, and all uses of what is in it; some are lifted out, to elsewhere."""

    fields: Sequence[Field]
    uses: Sequence[Use]

    @classmethod
    def of(cls, fields: Sequence[Field], lifted: Sequence[Use] = ()) -> Shape:
        """Return the shape of an object with these fields."""
        return cls(fields, [*((field.source, field) for field in fields), *lifted])

    @property
    def keys(self) -> dict[str, list[Use]]:
        """What is used of the object, with the uses as seen from there; the id of a connection's owner always is."""
        keys: dict[str, list[Use]] = {"id": []} if any(field.connection for field in self.fields) else {}
        for (key, *rest), field in self.uses:
            keys.setdefault(str(key), []).append((tuple(rest), field))
        return keys

    def inside(self, field: Field) -> Shape:
        """Return the shape of the object, or objects, that one of the fields is."""
        deeper = len(field.source)
        below = [(path[deeper:], used) for path, used in self.uses if path[:deeper] == field.source]
        return Shape.of(field.fields, [use for use in below if use[0]])


def stays(field: Field) -> bool:
    """Say whether a value is the record's as it is the node's, wherever it stands."""
    return not (field.convert or field.connection) and all(
        inner.source == (inner.name,) and not inner.stays_here and stays(inner) for inner in field.fields
    )


class Compiled(NamedTuple):
    """A function that does with a node what the query's aliases left to do, and the lines that it is made of.

    A line's comment is the path of the field that it makes. Then comes the function that takes away what doesn't leave
    with the record; None where all of it leaves.
    """

    read: Callable[[Any], None]
    lines: Sequence[str]
    take_away: Callable[[Any], None] | None

    def field_of(self, error: Exception) -> str:
        """Return the path of the field at which the function failed; empty if the error came from elsewhere."""
        frames = extract_tb(error.__traceback__)
        failed = next((frame.lineno or 0 for frame in reversed(frames) if frame.filename == PLACE), 0)
        rest = self.lines[failed - 1 :] if failed else ()
        return next((line.rpartition("# ")[2] for line in rest if "# " in line), "")


def compiled(shape: Shape) -> Compiled:
    """Return a function that does what the query's aliases left to do, and no more.

    It is a straight line without a look at the fields, as records come by the million.
    """
    names: dict[str, Any] = {"UNSET": UNSET}
    lines = ["def read(node):", "    pass", *_reading(shape, "node", 1, names)]
    # Its text is made of this module's own words and schema.py's names.
    exec(compile("\n".join(lines), PLACE, "exec"), names)  # noqa: S102  # as said
    away = [*_taking_away(shape.fields, "node", 1)]
    if away:
        exec("\n".join(["def take_away(node):", *away]), names)  # noqa: S102  # as said
    return Compiled(names["read"], lines, names.get("take_away"))


def _taking_away(fields: Sequence[Field], node: str, depth: int) -> Iterator[str]:
    """Yield the lines that take from the node in a variable, which was read, what doesn't leave with the record."""
    indent, inner = "    " * depth, f"node{depth}"
    for field in fields:
        if field.stays_here:
            yield f"{indent}{node}.{field.name} = UNSET"
        below = [*_taking_away(field.fields, inner, depth + 1)]
        if below and field.many:
            yield f"{indent}for {inner} in {node}.{field.name} or ():"
        elif below:
            yield f"{indent}{inner} = {node}.{field.name}"
            yield f"{indent}if {inner} is not None:"
        yield from below


def _reading(shape: Shape, node: str, depth: int, names: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that read the fields of the node in a variable: lift, drop, convert, then go down."""
    indent, inner = "    " * depth, f"node{depth}"
    lifted = [field for field in shape.fields if field.source != (field.name,)]
    for first in dict.fromkeys(field.source[0] for field in lifted):
        uses = [(field.source[1:], field) for field in lifted if field.source[0] == first]
        yield f"{indent}value = {node}.{first}"
        yield from _lifting("value", uses, node, depth, names)
    for key in sorted(shape.keys.keys() - {field.name for field in shape.fields}):
        yield f"{indent}{node}.{key} = UNSET"
    for field in shape.fields:
        here = f"{node}.{field.name}"
        if field.convert and field.source == (field.name,):
            yield f"{indent}value = {here}"
            yield f"{indent}if value is not None: {here} = {_converting(field, 'value', names)}  # {field.name}"
        if field.connection:
            yield f"{indent}{here} = {here}.nodes  # {field.name}"
            if field.sort:
                key = f"sort{len(names)}"
                names[key] = field.sort
                yield f"{indent}{here}.sort(key={key})  # {field.name}"
        inside = _reading(shape.inside(field), inner, depth + 1, names)
        below = [line.replace("# ", f"# {field.name}.") for line in inside]
        if below and field.many:
            yield f"{indent}for {inner} in {here} or ():  # {field.name}"
        elif below:
            yield f"{indent}{inner} = {here}"
            yield f"{indent}if {inner} is not None:"
        yield from below


def _lifting(value: str, uses: Sequence[Use], node: str, depth: int, names: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that set the node's fields to what is in a value, both in variables; each part is taken once.

    An object of another type than the one asked for is empty: its parts are null.
    """
    indent, inner = "    " * depth, f"{value}_"
    for field in (field for path, field in uses if not path):
        made = f"None if {value} is None else {_converting(field, value, names)}" if field.convert else value
        yield f"{indent}{node}.{field.name} = {made}  # {field.name}"
    deeper = [(path, field) for path, field in uses if path]
    if deeper:
        yield f"{indent}if {value}:"
        for step in dict.fromkeys(path[0] for path, _ in deeper):
            yield f"{indent}    {inner} = {value}{_step(step)}"
            yield f"{indent}    if {inner} is UNSET: {inner} = None"
            below = [(path[1:], field) for path, field in deeper if path[0] == step]
            yield from _lifting(inner, below, node, depth + 1, names)
        yield f"{indent}else:"
        yield f"{indent}    {' = '.join(f'{node}.{field.name}' for _, field in deeper)} = None"


def _converting(field: Field, value: str, names: dict[str, Any]) -> str:
    convert = f"convert{len(names)}"
    names[convert] = field.convert
    return f"{convert}({value})"


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"
