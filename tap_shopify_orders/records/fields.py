"""Field of a record: takes its name, meaning and place in a GraphQL node, returns JSON schema and paths to ask for.

Which fields there are stands in `schema.py`. This module knows no stream, no HTTP and no Singer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    Path = tuple[str | int, ...]
    Names = tuple[str, ...]
    Needs = Mapping[Names, Collection[Names]]


NO_ID = "/0"  # where it wasn't selected
EXACT = "x-singer.decimal"  # the SDK's name for the format of a decimal in a string


@dataclass(frozen=True)
class Field:
    """One field of a record.

    `source` is where its value stands in the node, by the response keys of the query; a number picks one of a list.
    `convert` makes the record's value of any value that isn't null. `fields` are those of an object, or of each element
    when `many`; a `connection` has them under `nodes`. `needs` are the places that `convert` looks at, if not `source`.
    `sort` makes the key that a connection's nodes are sorted by. One that `stays_here` is asked for and looked at, but
    never leaves with the record.
    """

    name: str
    schema: dict[str, Any]
    source: Path
    convert: Callable[[Any], Any] | None = None
    fields: tuple[Field, ...] = ()
    many: bool = False
    connection: bool = False
    needs: tuple[Names, ...] = ()
    sort: Callable[[Any], Any] | None = None
    stays_here: bool = False

    @property
    def place(self) -> Names:
        """The response path of the value."""
        return tuple(step for step in self.source if isinstance(step, str))

    @property
    def inside(self) -> Names:
        """The response path under which the fields of this one stand."""
        return (*self.place, "nodes") if self.connection else self.place


def text(name: str, description: str, *source: str | int, **schema: str) -> Field:
    """Return a field that is a string, as Shopify sends it."""
    return Field(name, _nullable("string", description, **schema), source or (name,))


def time(name: str, description: str, *source: str) -> Field:
    """Return a field that is a moment in UTC, written as Shopify's DateTime is: 2026-11-01T12:00:00Z."""
    return text(name, description, *source, format="date-time")


def enum(name: str, description: str, *source: str) -> Field:
    """Return a field that is one of Shopify's enum values in lower case, as REST writes them; open, as enums grow."""
    return replace(text(name, description, *source), convert=str.lower)


def boolean(name: str, description: str) -> Field:
    """Return a field that is true or false."""
    return Field(name, _nullable("boolean", description), (name,))


def integer(name: str, description: str, *source: str) -> Field:
    """Return a field that is a whole number; Shopify sends some of them (UnsignedInt64) as strings."""
    return Field(name, _nullable("integer", description), source or (name,), int)


def number(name: str, description: str) -> Field:
    """Return a field that is a floating point number; nothing that is counted or paid."""
    return Field(name, _nullable("number", description), (name,))


def decimal(name: str, description: str, *source: str | int) -> Field:
    """Return a field that is an exact decimal in a string, as Shopify's Decimal is."""
    return text(name, description, *source, format=EXACT)


def identifier(name: str, description: str, *source: str) -> Field:
    """Return a field that is the number at the end of a global id, such as gid://shopify/Order/450789469."""
    return Field(name, _nullable("integer", description), source or (name,), _number_of)


def identifiers(what: str) -> tuple[Field, Field]:
    """Return `id` and `admin_graphql_api_id`, both from the node's global id."""
    return identifier("id", f"Number of the {what}."), text("admin_graphql_api_id", f"Global id of the {what}.", "id")


def money(name: str, description: str, *owner: str) -> tuple[Field, Field]:
    """Return an amount in the shop's currency and, as `<name>_set`, in the shop's and the customer's.

    `owner` is the way to the object that has it, if that isn't the node.
    """
    bag = f"{name}_set"
    sides = tuple(
        obj(side, whose, decimal("amount", "The amount."), text("currency_code", "Its currency, such as USD."))
        for side, whose in (
            ("shop_money", "In the shop's currency."),
            ("presentment_money", "In the customer's currency."),
        )
    )
    return (
        decimal(name, f"{description} Shop currency.", *owner, bag, "shop_money", "amount"),
        obj(bag, f"{description} Both currencies.", *sides, source=(*owner, bag)),
    )


def strings(name: str, description: str) -> Field:
    """Return a field that is a list of strings."""
    return Field(name, _nullable("array", description, items={"type": "string"}), (name,))


def obj(name: str, description: str, *fields: Field | tuple[Field, ...], source: Path = ()) -> Field:
    """Return a field that is an object, or null."""
    inner = _flat(fields)
    return Field(name, _nullable("object", description), source or (name,), fields=inner)


def many(
    name: str,
    description: str,
    *fields: Field | tuple[Field, ...],
    connection: bool = False,
    sort: Callable[[Any], Any] | None = None,
) -> Field:
    """Return a field that is a list of objects: a plain list of Shopify's, or a connection that was read to its end.

    `sort` makes the key by which a connection's nodes are sorted, where Shopify doesn't document their order.
    """
    schema, inner = _nullable("array", description), _flat(fields)
    return Field(name, schema, (name,), fields=inner, many=True, connection=connection, sort=sort)


def json_schema(fields: tuple[Field, ...]) -> dict[str, Any]:
    """Return the properties of the fields, by name."""
    properties = {}
    for field in fields:
        schema = dict(field.schema)
        if field.many:
            schema["items"] = {"type": "object", "properties": json_schema(field.fields)}
        elif field.fields:
            schema["properties"] = json_schema(field.fields)
        properties[field.name] = schema
    return properties


def with_numbers(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """Return the fields with all exact decimals as JSON numbers, of the same digits."""
    return tuple(
        replace(
            field,
            schema=as_number(field.schema),
            convert=_numeric(field.convert) if field.schema.get("format") == EXACT else field.convert,
            fields=with_numbers(field.fields),
        )
        for field in fields
    )


def as_number(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a number for that of an exact decimal, and any other as it is."""
    if schema.get("format") != EXACT:
        return schema
    return {key: value for key, value in schema.items() if key != "format"} | {"type": ["null", "number"]}


def _numeric(convert: Callable[[Any], Any] | None) -> Callable[[Any], Decimal]:
    def number_of(value: Any) -> Decimal:  # noqa: ANN401  # what Shopify sends
        exactly = Decimal(convert(value) if convert else value)
        if not exactly.is_finite():
            raise ValueError
        return exactly

    return number_of


def select(
    fields: tuple[Field, ...], wanted: Callable[[Names], bool], denied: Collection[Names] = ()
) -> tuple[Field, ...]:
    """Return the fields that are wanted, by their path in the record, and don't need a response path that is denied."""
    return tuple(_select(fields, (), (), wanted, denied))


def with_needed(fields: tuple[Field, ...], chosen: tuple[Field, ...], needs: Needs) -> tuple[Field, ...]:
    """Return the chosen ones of the fields, and of the others those that a chosen one needs, which stay here.

    `needs` has by the path of a field in the record the paths of those without which it can't be judged. What is inside
    an object of which nothing was chosen isn't needed.
    """
    there = {*_records(chosen)}
    needed = {path for one, paths in needs.items() if one in there for path in paths if path[:-1] in {(), *there}}
    return _staying(select(fields, (there | needed).__contains__), needed - there)


def _records(fields: tuple[Field, ...], record: Names = ()) -> Iterator[Names]:
    """Yield the paths of the fields in the record."""
    for field in fields:
        yield (*record, field.name)
        yield from _records(field.fields, (*record, field.name))


def _staying(fields: tuple[Field, ...], needed: Collection[Names], record: Names = ()) -> tuple[Field, ...]:
    return tuple(
        replace(
            field,
            stays_here=(*record, field.name) in needed,
            fields=_staying(field.fields, needed, (*record, field.name)),
        )
        for field in fields
    )


def _select(
    fields: tuple[Field, ...], record: Names, node: Names, wanted: Callable[[Names], bool], denied: Collection[Names]
) -> Iterator[Field]:
    for field in fields:
        path = (*record, field.name)
        if not wanted(path) or any(place[: len(gap)] == gap for place in _places(field, node) for gap in denied):
            continue
        inner = tuple(_select(field.fields, path, (*node, *field.inside), wanted, denied))
        if inner or not field.fields:
            yield replace(field, fields=inner)


def paths(fields: tuple[Field, ...], node: Names = ()) -> Iterator[Names]:
    """Yield the response paths that the fields need, without the places in lists."""
    for field in fields:
        if field.fields and not field.needs:
            yield from paths(field.fields, (*node, *field.inside))
        else:
            yield from _places(field, node)


def _places(field: Field, node: Names) -> tuple[Names, ...]:
    return tuple((*node, *place) for place in (field.needs or (field.place,)))


def _flat(fields: tuple[Field | tuple[Field, ...], ...]) -> tuple[Field, ...]:
    return tuple(inner for field in fields for inner in (field if isinstance(field, tuple) else (field,)))


def _nullable(kind: str, description: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON schema keyword
    return {"type": ["null", kind], "description": description, **more}


def exact(value: str | float) -> str:
    """Return a decimal as the shortest text that stands for it, without an exponent; a string stays as it is."""
    return value if isinstance(value, str) else f"{Decimal(repr(value)):f}"


def by_id(node: Any) -> int:  # noqa: ANN401  # a struct made for the fields
    """Return the key that sorts nodes by their numbers."""
    return _number_of(getattr(node, "id", NO_ID))


def by_moment(node: Any) -> tuple[str, int]:  # noqa: ANN401  # a struct made for the fields
    """Return the key that sorts agreements by the moment at which they happened, then by number."""
    return getattr(node, "happened_at", ""), by_id(node)


def _number_of(gid: str) -> int:
    return int(gid[gid.rindex("/") + 1 :])
