"""What a bulk query may not be, in: the text of a query; out: the complaints of `bulkOperationRunQuery`.

Knows Shopify's restrictions, not how operations run. Sources: the answers that public issues quote, and
https://shopify.dev/docs/api/usage/bulk-operations/queries#operation-restrictions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLUnionType,
    OperationType,
    get_named_type,
    get_nullable_type,
)
from graphql.execution import get_variable_values

from sandbox.shop.operation import Operation, definition_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql import FieldNode, GraphQLNamedType, GraphQLSchema, SelectionSetNode

MOST_CONNECTIONS = 5  # the root one included
DEEPEST_NESTING = 2
LARGEST_QUERY_BYTES = 65_536  # a limit exists, its size is not published


def complaints(
    schema: GraphQLSchema,
    query: str,
    document: DocumentNode | list[GraphQLError],
    *,
    nodes_only: bool = False,
    node_parents_only: bool = False,
) -> list[str]:
    """Return why a bulk query is refused; empty if it may run.

    `nodes_only` takes the documentation at its word, by which connections must be of objects that implement Node;
    public connectors run others. `node_parents_only` refuses what Shopify refused from 2026-04-15 until July: a
    connection inside an object that doesn't implement Node, such as `agreements { sales }`
    (https://github.com/airbytehq/airbyte/issues/76380).
    """
    if isinstance(document, list):
        return [f"Invalid bulk query: {error.message}" for error in document]
    if len(query.encode()) > LARGEST_QUERY_BYTES:
        return ["Query is too large"]
    definition = definition_of(document, None)
    if definition.operation != OperationType.QUERY:
        return ["Bulk queries can't contain mutations."]
    values = get_variable_values(schema, definition.variable_definitions or (), {})
    if isinstance(values, list):
        return [f"Invalid bulk query: {error.message}" for error in values]
    reading = _Reading(Operation.of(schema, document, None, values), nodes_only, node_parents_only)
    reading.walk(reading.operation.root_type, [definition.selection_set], path=(), depth=0, in_list=False)
    return reading.complaints()


@dataclass
class _Reading:
    """Counts connections on a walk through the selections."""

    operation: Operation
    nodes_only: bool = False
    node_parents_only: bool = False
    no_nodes: list[str] = field(default_factory=list)
    parents_without_node: list[str] = field(default_factory=list)
    connections: set[tuple[str, ...]] = field(default_factory=set)
    deepest: int = 0
    nodes_selected: bool = False
    in_list: bool = False
    top_level_node: bool = False
    without_id: list[str] = field(default_factory=list)

    def complaints(self) -> list[str]:
        found = []
        if self.top_level_node:
            found.append("Bulk queries can't use the top-level 'node' or 'nodes' fields.")
        if not self.connections:
            found.append("Bulk queries must contain at least one connection.")
        if len(self.connections) > MOST_CONNECTIONS:
            found.append(f"Bulk queries cannot contain more than {MOST_CONNECTIONS} connections.")
        if self.deepest > DEEPEST_NESTING:
            found.append(
                f"Bulk queries cannot contain connections with a nesting depth greater than {DEEPEST_NESTING}."
            )
        if self.nodes_selected:
            found.append("Selecting via 'nodes' is not supported. Please select via 'edges' > 'node' instead.")
        if self.no_nodes:
            found.append(f"Connections in bulk queries must implement Node: {', '.join(self.no_nodes)} don't.")
        if self.parents_without_node:
            found.append(
                "The parent 'node' field for a nested connection must return a type that implements the 'Node' "
                f"interface. Invalid connections: {', '.join(self.parents_without_node)}."
            )
        if self.in_list:
            found.append("Queries that contain a connection field within a list field are not currently supported.")
        if self.without_id:
            found.append(
                "The parent 'node' field for a nested connection must select the 'id' field without an alias and must "
                f"be of 'ID' return type. Connection fields without 'id': {', '.join(self.without_id)}."
            )
        return found

    def walk(
        self,
        type_: GraphQLNamedType,
        selections: Sequence[SelectionSetNode],
        *,
        path: tuple[str, ...],
        depth: int,
        in_list: bool,
    ) -> None:
        if isinstance(type_, (GraphQLInterfaceType, GraphQLUnionType)):
            for one in self.operation.schema.get_possible_types(type_):
                self.walk(one, selections, path=path, depth=depth, in_list=in_list)
            return
        if not isinstance(type_, GraphQLObjectType):
            return
        for key, nodes in self.operation.fields(type_, selections).items():
            self._field(type_, nodes, path=(*path, key), depth=depth, in_list=in_list)

    def _field(
        self, parent: GraphQLObjectType, nodes: list[FieldNode], *, path: tuple[str, ...], depth: int, in_list: bool
    ) -> None:
        name = nodes[0].name.value
        if name.startswith("__"):
            return
        definition = parent.fields[name]
        named = get_named_type(definition.type)
        inner = [node.selection_set for node in nodes if node.selection_set]
        if parent is self.operation.root_type and name in ("node", "nodes"):
            self.top_level_node = True
        if parent.name.endswith("Connection") and name == "nodes":
            self.nodes_selected = True
        if named.name.endswith("Connection"):
            self.connections.add(path)
            self.deepest, self.in_list = max(self.deepest, depth), self.in_list or in_list
            self._must_be_of_nodes(named)
            self.walk(named, inner, path=path, depth=depth + 1, in_list=in_list)
            return
        if parent.name.endswith("Edge") and name == "node":
            self._node(named, inner, path[-3])
        listed = isinstance(get_nullable_type(definition.type), GraphQLList) and name not in ("edges", "nodes")
        self.walk(named, inner, path=path, depth=depth, in_list=in_list or listed)

    def _must_be_of_nodes(self, type_: GraphQLNamedType) -> None:
        """Note the type of a connection's objects if they have no global id to be found by."""
        if not self.nodes_only or not isinstance(type_, GraphQLObjectType):
            return
        of = get_named_type(type_.fields["nodes"].type)
        interfaces = of.interfaces if isinstance(of, (GraphQLObjectType, GraphQLInterfaceType)) else ()
        if not any(one.name == "Node" for one in interfaces):
            self.no_nodes.append(of.name)

    def _node(self, type_: GraphQLNamedType, inner: Sequence[SelectionSetNode], connection: str) -> None:
        """Note a node that has connections, but doesn't say who it is, or can't be asked for by its id."""
        if isinstance(type_, GraphQLInterfaceType):
            possible = self.operation.schema.get_possible_types(type_)
        elif isinstance(type_, GraphQLObjectType):
            possible = [type_]
        else:
            return
        for one in possible:
            fields = self.operation.fields(one, inner)
            nested = [nodes[0].name.value for nodes in fields.values() if nodes[0].name.value in one.fields]
            if not any(get_named_type(one.fields[name].type).name.endswith("Connection") for name in nested):
                continue
            if not any(key == "id" and nodes[0].name.value == "id" for key, nodes in fields.items()):
                self.without_id.append(type_.name)
            if self.node_parents_only and not any(each.name == "Node" for each in one.interfaces):
                self.parents_without_node.append(connection)
            return
