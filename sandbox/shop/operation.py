"""One operation of a GraphQL document, in: a validated document; out: its root type and the fields that it selects.

Knows GraphQL's selections (fragments, directives), but runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphql import (
    GraphQLError,
    GraphQLIncludeDirective,
    GraphQLInterfaceType,
    GraphQLSkipDirective,
    GraphQLUnionType,
    OperationType,
    get_directive_values,
)
from graphql.language import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from graphql import DocumentNode, GraphQLObjectType, GraphQLSchema, SelectionNode, SelectionSetNode
    from graphql.execution.values import VariableValues


@dataclass(frozen=True)
class Operation:
    """One operation of a validated document, with what is needed to read its selections."""

    schema: GraphQLSchema
    definition: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]
    variables: VariableValues

    @classmethod
    def of(
        cls, schema: GraphQLSchema, document: DocumentNode, name: str | None, variables: VariableValues
    ) -> Operation:
        """Pick the named operation of a document; raises GraphQLError where it isn't clear which."""
        fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
        return cls(schema, definition_of(document, name), fragments, variables)

    @property
    def root_type(self) -> GraphQLObjectType:
        """The type of the root: QueryRoot or Mutation."""
        root = (
            self.schema.mutation_type if self.definition.operation == OperationType.MUTATION else self.schema.query_type
        )
        if root is None:
            raise GraphQLError("Schema is not configured for this operation.")
        return root

    @property
    def root_names(self) -> set[str]:
        """The names of the root's selected fields."""
        selected = self.fields(self.root_type, [self.definition.selection_set])
        return {nodes[0].name.value for nodes in selected.values()}

    def fields(self, type_: GraphQLObjectType, selections: Sequence[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """Return the selected fields of a type by response key, as the specification's CollectFields does."""
        groups: dict[str, list[FieldNode]] = {}
        visited: set[str] = set()
        for selection_set in selections:
            for node in self._flat(type_, selection_set, visited):
                groups.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return groups

    def _flat(self, type_: GraphQLObjectType, selections: SelectionSetNode, visited: set[str]) -> Iterator[FieldNode]:
        for node in selections.selections:
            if node.directives and not self._included(node):
                continue
            if isinstance(node, FieldNode):
                yield node
                continue
            fragment: Any = node
            if isinstance(node, FragmentSpreadNode):
                if node.name.value in visited:
                    continue
                visited.add(node.name.value)
                fragment = self.fragments[node.name.value]
            if fragment.type_condition is None or self._applies(type_, fragment.type_condition.name.value):
                yield from self._flat(type_, fragment.selection_set, visited)

    def _included(self, node: SelectionNode) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self.variables)
        include = get_directive_values(GraphQLIncludeDirective, node, self.variables)
        return not (skip and skip["if"]) and (include is None or bool(include["if"]))

    def _applies(self, type_: GraphQLObjectType, condition: str) -> bool:
        other = self.schema.type_map[condition]
        return other is type_ or (
            isinstance(other, (GraphQLInterfaceType, GraphQLUnionType)) and self.schema.is_sub_type(other, type_)
        )


def definition_of(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """Return the named operation of a document, or its only one; raises GraphQLError where it isn't clear which."""
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    found = [one for one in operations if name is None or (one.name and one.name.value == name)]
    if len(found) != 1:
        raise GraphQLError("An operation name is required" if name is None else f'No operation named "{name}"')
    return found[0]
