"""A GraphQL document, in: a file of `queries/` and the response paths wanted; out: a query that asks for no more.

Knows neither Shopify's fields nor HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from graphql import strip_ignored_characters
from graphql.language import (
    ArgumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    parse,
    print_ast,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from graphql.language import SelectionNode

    Names = tuple[str, ...]

_NODES = ("page", "nodes")


@dataclass(frozen=True)
class Missing:
    """What a page left out: the connection at `path`, of the object `owner`, goes on after `cursor`."""

    owner: str
    path: Names
    cursor: str


class PageQuery:
    """A query whose root field is aliased `page`, pruned to the wanted paths below its nodes.

    `text` is the document to send; it has the variables `first`, `after` and `query`. `connections` are the paths of
    the connections inside a node.
    """

    def __init__(self, document: str, wanted: Collection[Names]) -> None:
        """Parse and prune; raises GraphQLSyntaxError for a document that is none, KeyError for an unknown fragment."""
        definitions = parse(document).definitions
        self._fragments = {one.name.value: one for one in definitions if isinstance(one, FragmentDefinitionNode)}
        self._wanted = frozenset(wanted)
        self._ways = {path[:length] for path in wanted for length in range(len(path))}
        self._connections: dict[Names, FieldNode] = {}
        operation = next(one for one in definitions if isinstance(one, OperationDefinitionNode))
        pruned = OperationDefinitionNode(
            operation=operation.operation,
            name=operation.name,
            variable_definitions=operation.variable_definitions,
            selection_set=self._pruned(operation.selection_set, ()),
        )
        self.text = strip_ignored_characters(print_ast(pruned))
        self.connections = tuple(self._connections)

    def rest_of(self, missing: Sequence[Missing]) -> str:
        """Return a query for more of the missing connections; it has the variable `first`.

        The answer holds under `rest0`, `rest1`, ... the owner of each, with the connection under its own response key.
        """
        parts = []
        for index, one in enumerate(missing):
            field = self._connections[one.path]
            more = FieldNode(
                alias=field.alias,
                name=field.name,
                arguments=(
                    ArgumentNode(name=NameNode(value="first"), value=VariableNode(name=NameNode(value="first"))),
                    ArgumentNode(name=NameNode(value="after"), value=StringValueNode(value=one.cursor)),
                ),
                selection_set=field.selection_set,
            )
            kind = one.owner.split("/")[3]
            parts.append(f'rest{index}: node(id: "{one.owner}") {{ ... on {kind} {{ {print_ast(more)} }} }}')
        return strip_ignored_characters(f"query Rest($first: Int!) {{ {' '.join(parts)} }}")

    def _pruned(self, selections: SelectionSetNode | None, path: Names) -> SelectionSetNode:
        kept = tuple(self._kept(selections.selections, path)) if selections else ()
        return SelectionSetNode(selections=kept)

    def _kept(self, selections: Sequence[SelectionNode], path: Names) -> Iterator[SelectionNode]:
        for one in selections:
            if isinstance(one, FragmentSpreadNode):
                yield from self._kept(self._fragments[one.name.value].selection_set.selections, path)
            elif isinstance(one, InlineFragmentNode):
                inner = self._pruned(one.selection_set, path)
                if inner.selections:
                    yield InlineFragmentNode(type_condition=one.type_condition, selection_set=inner)
            elif isinstance(one, FieldNode):
                yield from self._kept_field(one, path, owns=any(map(_is_connection, selections)))

    def _kept_field(self, field: FieldNode, path: Names, *, owns: bool) -> Iterator[FieldNode]:
        """Yield the field if something of it is wanted; the id of what owns a connection always, to read on there."""
        here = (*path, field.alias.value if field.alias else field.name.value)
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


def read(name: str) -> str:
    """Return the text of a file of `queries/`."""
    return (files("tap_shopify_orders") / "queries" / f"{name}.graphql").read_text(encoding="utf-8")


def _key(selection: SelectionNode) -> str:
    return selection.name.value if isinstance(selection, FieldNode) else ""


def _is_connection(selection: SelectionNode) -> bool:
    inner = selection.selection_set if isinstance(selection, FieldNode) else None
    return inner is not None and any(_key(one) == "nodes" for one in inner.selections)
