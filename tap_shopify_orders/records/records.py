"""Maker of records: takes the JSON of nodes and the fields wanted of them, returns records as lines of JSON.

What leaves as it came is never looked into: it stays JSON. This module knows neither HTTP nor Singer, nor which fields
there are.
"""

from __future__ import annotations

from traceback import format_tb
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import UNSET, Raw, defstruct

from tap_shopify_orders.decoding import NOT_AS_PROMISED, UNPROMISED, PageInfo, decoded
from tap_shopify_orders.errors import RunError, printable
from tap_shopify_orders.records.shapes import Shape, compiled, stays

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_shopify_orders.records.fields import Field, Names
    from tap_shopify_orders.records.shapes import Use


class Node(msgspec.Struct, gc=False):
    """An object of Shopify's answer, on its way to a record; an attribute that is UNSET is none of the record's."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  # any JSON value, or what was made of it
        """Return an attribute by name."""
        return getattr(self, name)


class Record(msgspec.Struct, gc=False):
    """A record: its JSON, in one line, and when it was last changed.

    `judged` is its JSON with what doesn't leave, by which it is judged; the same where all of it leaves.
    """

    json: Raw
    updated_at: str
    judged: Raw

    def __getitem__(self, name: str) -> str:
        """Return what the SDK asks records for, which is their bookmark."""
        return cast("str", getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """Return the record as an object of JSON's own types."""
        return cast("dict[str, Any]", msgspec.json.decode(self.json))


class Connection(msgspec.Struct, gc=False):
    """A connection inside a node, as far as it was read."""

    nodes: list[Any]
    page_info: PageInfo = msgspec.field(name="pageInfo")


MOST_FRAMES = 20
WHOLE = PageInfo(has_next_page=False)
_encode = msgspec.json.Encoder(decimal_format="number").encode  # with all its digits
_LOOKED_AT = ("happened_at", "id", "updated_at")  # those of any object are looked at while it is read


class Reader:
    """Makes records of nodes that a query with the fields' own aliases asked for.

    `more` are attributes of the records that aren't read, with their values.
    """

    def __init__(self, fields: Sequence[Field], more: Mapping[str, object] = MappingProxyType({})) -> None:
        """Compile: a struct type for each kind of object, and a function written out as Python source."""
        self._decoders: dict[Names, msgspec.json.Decoder[Any]] = {}
        self._connections: dict[Names, msgspec.json.Decoder[Any]] = {}
        self._struct("Record", Shape.of(fields), (), more)
        self._compiled = compiled(Shape.of(fields))
        self._read = self._compiled.read

    def node(self, raw: Raw | bytes, place: Names = ()) -> Node:
        """Return an object of the node's JSON; one inside it by the names of the lists and objects on the way to it."""
        return cast("Node", decoded(raw, self._decoders[place]))

    def connection(self, raw: Raw, path: Names) -> Connection:
        """Return a connection of its JSON, by its path."""
        return cast("Connection", decoded(raw, self._connections[path]))

    def joined(self, root: bytes, children: Mapping[Names, list[tuple[int | None, bytes]]]) -> Node:
        """Return a node of the rows of a bulk operation: its own JSON, and that of its connections' nodes.

        Rows of a connection inside another come with the number of the node that owns them.
        """
        node = self.node(root)
        for path in sorted(children, key=len):
            if len(path) == 1:
                nodes = [self.node(line, path) for _, line in children[path]]
                setattr(node, path[0], Connection(nodes, WHOLE))
            else:
                owners = {int(owner["id"].rpartition("/")[2]): owner for owner in node[path[0]].nodes}
                for owner in owners.values():
                    setattr(owner, path[1], Connection([], WHOLE))
                for number, line in children[path]:
                    owners[cast("int", number)][path[1]].nodes.append(self.node(line, path))
        return node

    def record(self, node: Node) -> Record:
        """Return the record of a whole node, which is used up; raises RunError for values that aren't as promised."""
        name = getattr(node, "id", None)  # conversions take it away
        try:
            self._read(node)
            judged = json = _encode(node)
            if self._compiled.take_away:
                self._compiled.take_away(node)
                json = _encode(node)
            line = Raw(json if b"\n" not in json else msgspec.json.format(json, indent=-1))
        except UNPROMISED as error:  # what it says may quote a value
            raise self._unreadable(error, name) from None
        return Record(line, node["updated_at"], Raw(judged))

    def _unreadable(self, error: Exception, name: object) -> RunError:
        """Return what to say of a record that can't be made: of which field, and what kind of error it is.

        Whether Shopify has broken its promise or the tap is mistaken shows in the trace alone.
        """
        path = self._compiled.field_of(error)
        field = f"`{path}`" if path else "a field"
        return RunError(
            f"{NOT_AS_PROMISED}, or the tap is mistaken about it: {field} of {printable(name)} can't be read"
            f" ({type(error).__name__}). Report it; until then deselect the field.",
            trace="".join(format_tb(error.__traceback__, MOST_FRAMES)),
        )

    def _struct(self, name: str, shape: Shape, place: Names, more: Mapping[str, object] = MappingProxyType({})) -> type:
        """Return the type of an object: it has what the uses ask for, and room for the fields that it will have."""
        attributes: dict[str, tuple[str, Any, object]] = {
            field.name: (field.name, Any, UNSET) for field in shape.fields
        }
        for key, uses in shape.keys.items():
            attributes[key] = (key, self._type(key, uses, (*place, key)), UNSET)
        attributes |= {key: (key, Any, default) for key, default in more.items() if key not in attributes}
        made = defstruct(name, attributes.values(), bases=(Node,), gc=False)
        self._decoders[place] = msgspec.json.Decoder(made)
        return made

    def _type(self, key: str, uses: Sequence[Use], place: Names) -> Any:  # noqa: ANN401  # types are values here
        """Return the type of a value, by what becomes of it."""
        if key in _LOOKED_AT or any(field.convert and not path for path, field in uses):
            return Any
        if all(not path and stays(field) for path, field in uses):
            return Raw
        if any(path and isinstance(path[0], int) for path, _ in uses):
            element = self._struct(key, Shape((), [(path[1:], field) for path, field in uses]), place)
            return list[element] | None  # type: ignore[valid-type]  # a type made here
        whole = next((field for path, field in uses if not path), None)
        made = self._struct(key, Shape.of(whole.fields if whole else (), [use for use in uses if use[0]]), place)
        if whole and whole.connection:
            found = defstruct(f"{key}_connection", [("nodes", list[made])], bases=(Connection,), gc=False)  # type: ignore[valid-type]  # a type made here
            self._connections[place] = msgspec.json.Decoder(found)
            return found
        return (list[made] if whole and whole.many else made) | None  # type: ignore[valid-type]  # a type made here
