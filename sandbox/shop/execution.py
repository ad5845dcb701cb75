"""A GraphQL operation over plain dicts, in: a validated document, its variables and a root; out: data and errors.

Knows GraphQL, but neither Shopify nor HTTP. The selection is turned into nested closures once per request, because
graphql-core's own executor takes ten times as long, and an order has hundreds of fields; a test holds both to the same
answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_argument_values,
    is_leaf_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphql import GraphQLField, GraphQLOutputType, SelectionSetNode
    from graphql.language import FieldNode

    from sandbox.shop.operation import Operation

    Source = dict[str, Any]
    Path = tuple["Path", str | int] | None
    Resolver = Callable[[Source, dict[str, Any]], Any]
    ResolverFor = Callable[[str, str, GraphQLField, str], Resolver | None]
    Complete = Callable[[Any, Path], Any]


def type_name_of(source: Source) -> str:
    """Return the name of the object type of a dict: its `__typename`, or the middle of its global id."""
    return str(source.get("__typename") or source["id"].split("/", 4)[3])


class _FieldError(Exception):  # an internal signal: a null on its way up to the nearest nullable field
    def __init__(self, error: dict[str, Any]) -> None:
        self.error = error


@dataclass
class Execution:
    """Runs one operation; afterwards `errors` holds what went wrong, formatted as GraphQL formats it.

    `keeps_refused_roots` leaves a refused field of the root as null in the data even where its type forbids it:
    strictly the whole data would be null, but Shopify answers `{"data": {"customers": null}}`.
    """

    operation: Operation
    resolver_for: ResolverFor
    keeps_refused_roots: bool = False
    errors: list[dict[str, Any]] = field(default_factory=list)

    def run(self, root: Source) -> dict[str, Any] | None:
        """Return the data; None where a null bubbled up to the top."""
        complete = self._object(self.operation.root_type, [self.operation.definition.selection_set])
        try:
            data: Source = complete(root, None)
        except _FieldError as failure:
            self.errors.append(failure.error)
            return None
        return data

    def compile(self, type_: GraphQLObjectType, selections: Sequence[SelectionSetNode]) -> Callable[[Source], Source]:
        """Return what turns dicts of a type into the selected ones; raises GraphQLError where one can't be answered."""
        complete = self._object(type_, selections)

        def selected(source: Source) -> Source:
            try:
                result: Source = complete(source, None)
            except _FieldError as failure:
                raise GraphQLError(failure.error["message"]) from None
            return result

        return selected

    def resolve(self, parent: GraphQLObjectType, key: str, node: FieldNode) -> object:
        """Return the value of a field of the root before its selections are applied."""
        definition = parent.fields[node.name.value]
        resolve = self.resolver_for(parent.name, node.name.value, definition, key)
        return resolve({}, get_argument_values(definition, node, self.operation.variables)) if resolve else None

    def _object(self, type_: GraphQLObjectType, selections: Sequence[SelectionSetNode]) -> Complete:
        """Return what turns a dict of the type into the selected dict."""
        plan = [self._field(type_, key, nodes) for key, nodes in self.operation.fields(type_, selections).items()]

        def complete(source: Source, path: Path) -> dict[str, Any]:
            result = {}
            for key, name, required, finish in plan:
                if finish is not None:
                    result[key] = finish(source, (path, key))
                    continue
                value = source.get(name)
                if value is None and required:
                    raise _FieldError(_null_error(required, (path, key)))
                result[key] = value
            return result

        return complete

    def _field(
        self, parent: GraphQLObjectType, key: str, nodes: list[FieldNode]
    ) -> tuple[str, str, tuple[str, FieldNode] | None, Complete | None]:
        """Return the plan of one field: its key, its name, what to say if it mustn't be null, and how to finish it.

        Plain leaves have no finish: the dict's own value is the answer.
        """
        name = nodes[0].name.value
        if name == "__typename":
            return key, name, None, lambda _source, _path: parent.name
        definition = parent.fields[name]
        required = (f"{parent.name}.{name}", nodes[0]) if isinstance(definition.type, GraphQLNonNull) else None
        resolve = self.resolver_for(parent.name, name, definition, key)
        nullable = definition.type.of_type if isinstance(definition.type, GraphQLNonNull) else definition.type
        if resolve is None and is_leaf_type(nullable) and not _converts(nullable):
            return key, name, required, None
        args = cache(lambda: get_argument_values(definition, nodes[0], self.operation.variables))
        complete = self._type(definition.type, nodes, f"{parent.name}.{name}")

        def finish(source: Source, path: Path) -> object:
            try:
                value = resolve(source, args()) if resolve else source.get(name)
                result = None if value is None else complete(value, path)
            except GraphQLError as failure:
                stays = path is not None and path[0] is None and self.keeps_refused_roots
                self._fail(_located(failure, nodes[0], path), None if stays else required)
                return None
            except _FieldError as failure:
                self._fail(failure.error, required)
                return None
            if result is None and required:
                raise _FieldError(_null_error(required, path))
            return result

        return key, name, required, finish

    def _fail(self, error: dict[str, Any], required: object) -> None:
        """Note an error and let its place be null, or pass it up where that place mustn't be."""
        if required:
            raise _FieldError(error)
        self.errors.append(error)

    def _type(self, type_: GraphQLOutputType, nodes: list[FieldNode], where: str) -> Complete:
        """Return what completes a value of the type that isn't null."""
        if isinstance(type_, GraphQLNonNull):
            return self._type(type_.of_type, nodes, where)
        if isinstance(type_, GraphQLList):
            return self._list(type_, nodes, where)
        if is_leaf_type(type_):
            return lambda value, _path: type_.coerce_output_value(value)
        selections = [node.selection_set for node in nodes if node.selection_set]
        if isinstance(type_, GraphQLObjectType):
            return self._object(type_, selections)
        return self._abstract(selections)

    def _list(self, type_: GraphQLList[Any], nodes: list[FieldNode], where: str) -> Complete:
        inner = self._type(type_.of_type, nodes, where)
        required = (where, nodes[0]) if isinstance(type_.of_type, GraphQLNonNull) else None

        def complete(values: list[Any], path: Path) -> list[Any]:
            results = []
            for index, value in enumerate(values):
                try:
                    result = None if value is None else inner(value, (path, index))
                except _FieldError as failure:
                    self._fail(failure.error, required)
                    result = None
                if result is None and required:
                    raise _FieldError(_null_error(required, (path, index)))
                results.append(result)
            return results

        return complete

    def _abstract(self, selections: Sequence[SelectionSetNode]) -> Complete:
        """Return what completes a dict of whichever type it says it is, compiled when that type is first met."""
        by_type: dict[str, Complete] = {}

        def complete(source: Source, path: Path) -> object:
            name = type_name_of(source)
            if name not in by_type:
                type_ = cast("GraphQLObjectType", self.operation.schema.type_map[name])
                by_type[name] = self._object(type_, selections)
            return by_type[name](source, path)

        return complete


def _converts(type_: GraphQLOutputType) -> bool:
    """Say whether a leaf is converted on its way out; the store's dicts hold most of them as they are answered."""
    return getattr(type_, "name", "") == "DateTime"


def _null_error(required: tuple[str, FieldNode], path: Path) -> dict[str, Any]:
    name, node = required
    return _located(GraphQLError(f"Cannot return null for non-nullable field {name}."), node, path)


def _located(error: GraphQLError, node: FieldNode, path: Path) -> dict[str, Any]:
    """Format an error as it stands in a response, with the place in the query and in the data."""
    keys: list[str | int] = []
    while path is not None:
        path, key = path
        keys.append(key)
    located = GraphQLError(error.message, nodes=[node], path=keys[::-1], extensions=error.extensions)
    return dict(located.formatted)
