"""The file of a bulk operation, in: an operation and resolvers; out: lines of JSON, children with `__parentId`.

Knows the shape of the file, not how operations run. Source:
https://shopify.dev/docs/api/usage/bulk-operations/queries#download-result-data.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, get_named_type

from sandbox.shop.execution import Execution

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graphql import FieldNode, GraphQLObjectType

    from sandbox.shop.execution import ResolverFor
    from sandbox.shop.operation import Operation

    Node = dict[str, Any]
    Rows = Iterator[tuple[bool, str]]  # is it a root, and the line

BLOCK_ROOTS = 100


def rows(operation: Operation, resolver_for: ResolverFor, *, grouped: bool) -> Rows:
    """Yield the lines; raises GraphQLError where a field is refused.

    Grouped, children follow their parent. Otherwise "the order of each connection type is preserved and all nested
    connections appear after their parents", nothing more: here they come after a whole block of parents, kind by kind.
    """
    execution = Execution(operation, resolver_for)
    for key, nodes in operation.fields(operation.root_type, [operation.definition.selection_set]).items():
        roots = _roots(execution, key, nodes)
        while block := list(islice(roots, BLOCK_ROOTS)):
            yield from _grouped(block) if grouped else _by_kind(block)


def _roots(execution: Execution, key: str, nodes: list[FieldNode]) -> Iterator[Node]:
    """Yield the completed root nodes one by one; nothing for a root field that is no connection."""
    operation = execution.operation
    connection: Any = get_named_type(operation.root_type.fields[nodes[0].name.value].type)
    if not connection.name.endswith("Connection"):
        return
    edge: Any = get_named_type(connection.fields["edges"].type)
    edges = _selected(operation, connection, [one.selection_set for one in nodes], "edges")
    node = _selected(operation, edge, edges, "node")
    complete = execution.compile(get_named_type(edge.fields["node"].type), node)
    rows_: Any = execution.resolve(operation.root_type, key, nodes[0])
    for one in rows_["edges"]:
        found = complete(one["node"])
        if execution.errors:
            raise GraphQLError(execution.errors[0]["message"])
        yield found


def _selected(operation: Operation, type_: GraphQLObjectType, selections: Sequence[Any], name: str) -> list[Any]:
    """Return what is selected below the fields of that name."""
    fields = operation.fields(type_, [one for one in selections if one])
    return [node.selection_set for nodes in fields.values() for node in nodes if node.name.value == name]


def _grouped(block: list[Node]) -> Rows:
    for node in block:
        for depth, line, _ in _lines(node, None, 0, ""):
            yield depth == 0, line


def _by_kind(block: list[Node]) -> Rows:
    """Yield the roots of a block, then their children kind by kind, then their children's children."""
    found = [one for node in block for one in _lines(node, None, 0, "")]
    for depth, line, _ in sorted(found, key=lambda one: (one[0], one[2])):
        yield depth == 0, line


def _lines(node: Node, parent_id: str | None, depth: int, kind: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line of a node with its depth and kind, then those of the connections inside it."""
    connections: list[tuple[str, str, list[Node]]] = []
    own = _without_connections(node, node.get("id", ""), kind, connections)
    if parent_id is not None:
        own["__parentId"] = parent_id
    yield depth, json.dumps(own, ensure_ascii=False, separators=(",", ":")), kind
    for owner_id, path, edges in connections:
        for edge in edges:
            yield from _lines(edge["node"], owner_id, depth + 1, path)


def _without_connections(node: Node, owner_id: str, path: str, connections: list[tuple[str, str, list[Node]]]) -> Node:
    """Return a node without its connections, which are put aside with the id of the object they belong to."""
    own = {}
    for key, value in node.items():
        inner = f"{path}.{key}"
        if not isinstance(value, dict):
            own[key] = value
        elif isinstance(value.get("edges"), list):
            connections.append((owner_id, inner, value["edges"]))
        else:
            own[key] = _without_connections(value, value.get("id", owner_id), inner, connections)
    return own
