"""Query builder: takes a GraphQL document of `queries/` and the response paths wanted, returns queries for no more.

It knows neither Shopify's fields nor HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
from graphql import strip_ignored_characters
from graphql.language import (
    ArgumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    parse,
    print_ast,
)

from tap_shopify_orders.decoding import kind_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from graphql.language import Node, SelectionNode

    Names = tuple[str, ...]

_NODES = ("page", "nodes")
# Where a text is printed once and filled in many times.
_SEARCH, _OWNER, _CURSOR, _AGREEMENTS_CURSOR = "the search", "the owner", "the cursor", "the cursor of agreements"


@dataclass(frozen=True)
class Missing:
    """What a page left out: the connection at `path`, of the object `owner`, goes on after `cursor`."""

    owner: str
    path: Names
    cursor: str


class PageQuery:
    """A query whose root field is aliased `page`, pruned to the wanted paths below its nodes.

    `text` is the document to send; it has the variables `first`, `after` and `query`. `connections` are the paths of
    the connections inside a node; `owners` are the ways to the objects that have them, with their response keys.
    """

    def __init__(self, document: str, wanted: Collection[Names]) -> None:
        """Parse and prune; raises GraphQLSyntaxError for a document that is none, KeyError for an unknown fragment."""
        definitions = parse(document).definitions
        self._fragments = {
            definition.name.value: definition
            for definition in definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._wanted = frozenset(wanted)
        self._ways = {path[:length] for path in wanted for length in range(len(path))}
        self._connections: dict[Names, FieldNode] = {}
        operation = next(definition for definition in definitions if isinstance(definition, OperationDefinitionNode))
        pruned = OperationDefinitionNode(
            operation=operation.operation,
            name=operation.name,
            variable_definitions=operation.variable_definitions,
            selection_set=self._pruned(operation.selection_set, ()),
        )
        (self._page,) = (field for field in pruned.selection_set.selections if isinstance(field, FieldNode))
        self.text = _text(pruned)
        self.connections = tuple(self._connections)
        self.owners: dict[Names, list[str]] = {}
        for *way, key in self.connections:
            self.owners.setdefault(tuple(way), []).append(key)
        # To print takes as long as to read a hundred records, and leaves hundreds of objects that hold each other.
        self._bulk_text, self._first_text, self._next_text = cache(self._bulk), cache(self._first), cache(self._next)
        self._node_text, self._part_text = cache(self._node), cache(self._part)

    def bulk(self, search: str, nested: Collection[Names]) -> str:
        """Return the query of a bulk operation over the records of a search, with connections of theirs nested.

        Connections whose paths aren't `nested` are left out. The rows of a nested connection tell by the key
        `in_<connection>` where they belong.
        https://shopify.dev/docs/api/usage/bulk-operations/queries#operation-restrictions
        """
        return self._bulk_text(tuple(nested)).replace(_quoted(_SEARCH), _quoted(search))

    def by_id(self, kind: str) -> str:
        """Return a query for whole nodes of a type, as on a page, under `nodes` in the order of the given `ids`."""
        return self._node_text(kind)

    def beginnings(self, kind: str, paths: Collection[Names]) -> str:
        """Return a query for first pages of the connections at `paths`, of the objects of a type with the given `ids`.

        The answer holds under `nodes`, in the order of the ids, each with the connections under their response keys.
        """
        fields = " ".join(map(self._first_text, paths))
        return f"query Beginnings($ids:[ID!]!){{nodes(ids:$ids){{...on {kind}{{{fields}}}}}}}"

    def rest_of(self, missing: Sequence[Missing]) -> str:
        """Return a query for more of the missing connections; it has the variable `first`.

        The answer holds under `rest0`, `rest1`, ... the owner of each, with the connection under its own response key.
        """
        parts = []
        for index, gap in enumerate(missing):
            kind = kind_in(gap.owner)
            more = self._next_text(gap.path).replace(_quoted(_CURSOR), _quoted(gap.cursor))
            parts.append(f"rest{index}:node(id:{_quoted(gap.owner)}){{...on {kind}{{{more}}}}}")
        return f"query Rest($first:Int!){{{' '.join(parts)}}}"

    def part_of_ledger(self, order: str, agreements: str | None, sales: str | None) -> str:
        """Return a query for one more agreement of an order, after a cursor, with sales of it, after another cursor.

        Neither type implements Node, so that the way to them leads through the order. The query has the variable
        `first`, the number of sales. The answer holds under `order` its `updated_at` and its `agreements`.
        """
        text = self._part_text().replace(_quoted(_OWNER), _quoted(order))
        for place, cursor in ((_AGREEMENTS_CURSOR, agreements), (_CURSOR, sales)):
            text = text.replace(_quoted(place), _quoted(cursor) if cursor else "null")
        return text

    def _node(self, kind: str) -> str:
        fields = " ".join(map(_text, _of_nodes(self._page)))
        return f"query ById($ids:[ID!]!){{nodes(ids:$ids){{...on {kind}{{{fields}}}}}}}"

    def _part(self) -> str:
        """Return the query for a part of a ledger, with _OWNER for the order, and two cursors.

        Where sales aren't wanted, `first` is the number of agreements.
        """
        agreements, sales = self._connections["agreements",], self._connections.get(("agreements", "sales"))
        page, fields, first = "pageInfo{hasNextPage endCursor}", _fields_of(agreements), "$first"
        if sales:
            fields += f" sales(first:$first,after:{_quoted(_CURSOR)}){{{page} nodes{{{_fields_of(sales)}}}}}"
            first = "1"
        inside = f"{page} nodes{{{fields}}}"
        of_agreements = f"agreements(first:{first},after:{_quoted(_AGREEMENTS_CURSOR)}){{{inside}}}"
        order = f"order(id:{_quoted(_OWNER)}){{updated_at:updatedAt {of_agreements}}}"
        return f"query Ledger($first:Int!){{{order}}}"

    def _bulk(self, nested: tuple[Names, ...]) -> str:
        """Return the query of a bulk operation, with _SEARCH for the search."""
        arguments = tuple(
            ArgumentNode(name=argument.name, value=StringValueNode(value=_SEARCH))
            if argument.name.value == "query"
            else argument
            for argument in self._page.arguments or ()
            if argument.name.value == "query" or not isinstance(argument.value, VariableNode)
        )
        page = FieldNode(
            alias=self._page.alias,
            name=self._page.name,
            arguments=arguments,
            selection_set=_edges(_without_connections(_of_nodes(self._page), nested)),
        )
        operation = OperationDefinitionNode(operation=OperationType.QUERY, selection_set=_set_of([page]))
        return _text(operation)

    def _first(self, path: Names) -> str:
        """Return how to ask for the first page of a connection."""
        return _text(self._connections[path])

    def _next(self, path: Names) -> str:
        """Return how to ask for the next page of a connection, with _CURSOR for the cursor."""
        field = self._connections[path]
        more = FieldNode(
            alias=field.alias,
            name=field.name,
            arguments=(
                ArgumentNode(name=NameNode(value="first"), value=VariableNode(name=NameNode(value="first"))),
                ArgumentNode(name=NameNode(value="after"), value=StringValueNode(value=_CURSOR)),
            ),
            selection_set=field.selection_set,
        )
        return _text(more)

    def _pruned(self, selections: SelectionSetNode | None, path: Names) -> SelectionSetNode:
        kept = tuple(self._kept(selections.selections, path)) if selections else ()
        return SelectionSetNode(selections=kept)

    def _kept(self, selections: Sequence[SelectionNode], path: Names) -> Iterator[SelectionNode]:
        for selection in selections:
            if isinstance(selection, FragmentSpreadNode):
                yield from self._kept(self._fragments[selection.name.value].selection_set.selections, path)
            elif isinstance(selection, InlineFragmentNode):
                inner = self._pruned(selection.selection_set, path)
                if inner.selections:
                    yield InlineFragmentNode(type_condition=selection.type_condition, selection_set=inner)
            elif isinstance(selection, FieldNode):
                yield from self._kept_field(selection, path, owns=self._owns(selections, path))

    def _owns(self, selections: Sequence[SelectionNode], path: Names) -> bool:
        """Say whether a connection among the selections is wanted, at least in part."""
        fields = [field for field in selections if isinstance(field, FieldNode) and _is_connection(field)]
        return any((*path, _response_key(field))[len(_NODES) :] in self._ways for field in fields)

    def _kept_field(self, field: FieldNode, path: Names, *, owns: bool) -> Iterator[FieldNode]:
        """Yield the field if something of it is wanted; the id of what owns a connection always, to read on there."""
        here = (*path, _response_key(field))
        below = here[len(_NODES) :]
        if field.selection_set is None:
            if below in self._wanted or (owns and field.name.value == "id"):
                yield field
        elif field.name.value == "pageInfo":
            yield field
        elif below in self._ways:
            inner = self._pruned(field.selection_set, here)
            kept = FieldNode(alias=field.alias, name=field.name, arguments=field.arguments, selection_set=inner)
            if below and _is_connection(field):
                self._connections[tuple(step for step in below if step != "nodes")] = kept
            yield kept


@lru_cache(maxsize=32)  # stores that grant the same are asked the same
def page_query(name: str, wanted: frozenset[Names]) -> PageQuery:
    """Return the query of a file of `queries/`, pruned to the wanted paths."""
    return PageQuery(read(name), wanted)


def read(name: str) -> str:
    """Return the text of a file of `queries/`."""
    return (files("tap_shopify_orders.shopify") / "queries" / f"{name}.graphql").read_text(encoding="utf-8")


def _fields_of(connection: FieldNode) -> str:
    """Return the fields of a connection's nodes, without the connections inside."""
    return " ".join(map(_text, _without_connections(_of_nodes(connection))))


def _text(node: Node) -> str:
    return strip_ignored_characters(print_ast(node))


def _quoted(value: str) -> str:
    """Return a text as GraphQL writes it; JSON's escapes are GraphQL's: https://spec.graphql.org/October2021/#StringValue."""
    return msgspec.json.encode(value).decode()


def _edges(selections: Iterator[SelectionNode]) -> SelectionSetNode:
    """Return the selections of a connection's nodes in the form that bulk operations ask for."""
    node = FieldNode(name=NameNode(value="node"), selection_set=_set_of(selections))
    return _set_of([FieldNode(name=NameNode(value="edges"), selection_set=_set_of([node]))])


def _without_connections(
    selections: Iterable[SelectionNode], nested: Collection[Names] = (), way: Names = ()
) -> Iterator[SelectionNode]:
    """Yield the selections less the connections that aren't nested; `way` is the path of the connection around them."""
    for selection in selections:
        if isinstance(selection, InlineFragmentNode):
            inner = _set_of(_without_connections(_selections(selection)))
            yield InlineFragmentNode(type_condition=selection.type_condition, selection_set=inner)
        elif not isinstance(selection, FieldNode) or selection.selection_set is None:
            yield selection
        elif not _is_connection(selection):
            inner = _set_of(_without_connections(_selections(selection)))
            yield FieldNode(
                alias=selection.alias, name=selection.name, arguments=selection.arguments, selection_set=inner
            )
        elif (path := (*way, key := _response_key(selection))) in nested:
            tells = FieldNode(alias=NameNode(value=f"in_{key}"), name=NameNode(value="__typename"))
            yield FieldNode(
                alias=selection.alias,
                name=selection.name,
                selection_set=_edges(chain([tells], _without_connections(_of_nodes(selection), nested, path))),
            )


def _set_of(selections: Iterable[SelectionNode]) -> SelectionSetNode:
    return SelectionSetNode(selections=tuple(selections))


def _selections(selection: SelectionNode) -> tuple[SelectionNode, ...]:
    inner = selection.selection_set if isinstance(selection, (FieldNode, InlineFragmentNode)) else None
    return tuple(inner.selections) if inner else ()


def _of_nodes(connection: FieldNode) -> tuple[SelectionNode, ...]:
    """Return what is selected of a connection's nodes."""
    return _selections(next(selection for selection in _selections(connection) if _key(selection) == "nodes"))


def _response_key(field: FieldNode) -> str:
    return field.alias.value if field.alias else field.name.value


def _key(selection: SelectionNode) -> str:
    return selection.name.value if isinstance(selection, FieldNode) else ""


def _is_connection(selection: SelectionNode) -> bool:
    return isinstance(selection, FieldNode) and any(_key(field) == "nodes" for field in _selections(selection))
