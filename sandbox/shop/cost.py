"""What a query costs, in: an operation, its data and a clock; out: points, and a bucket that gives them.

Knows the published rules (https://shopify.dev/docs/api/usage/limits), not HTTP. Objects cost one point, scalars and
enums none, interfaces and unions their dearest selection, mutations ten, connections are sized by first or last.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    OperationType,
    get_argument_values,
    get_named_type,
    is_leaf_type,
)
from graphql.execution.values import VariableValues

from sandbox.shop.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from graphql import (
        FieldNode,
        FragmentDefinitionNode,
        GraphQLField,
        GraphQLNamedType,
        GraphQLSchema,
        OperationDefinitionNode,
        SelectionSetNode,
    )

    SizeOf = Callable[["Connection"], int]

LARGEST_QUERY_POINTS = 1_000  # on any plan
MUTATION_POINTS = 10
CONNECTION_POINTS = 2  # `products(first: 1) { edges { node { title } } }` costs 3

# Shopify sizes connections sub-linearly and doesn't say how. One measurement is public: orders(first: 250) with
# lineItems(first: 100) costs 464; size ** 0.5877 gives that, and is steeper than linear nowhere.
SIZE_EXPONENT = 0.5877


@dataclass
class Price:
    """What a selection costs: `points` in any case, its `connections` by their size, and the dearest of each choice."""

    points: float = 0.0
    connections: list[Connection] = field(default_factory=list)
    choices: list[list[Price]] = field(default_factory=list)

    def add(self, other: Price) -> None:
        """Add what is selected beside it."""
        self.points += other.points
        self.connections += other.connections
        self.choices += other.choices

    def total(self, size_of: SizeOf) -> float:
        """Return the points of connections of such sizes."""
        sized = ((size_of(one) ** SIZE_EXPONENT, one.node) for one in self.connections)
        own = sum(CONNECTION_POINTS + factor * node.total(size_of) for factor, node in sized)
        return self.points + float(own) + sum(max(one.total(size_of) for one in choice) for choice in self.choices)


class Connection(NamedTuple):
    """A connection that a query selects: where (as response keys), the field, and the price of a node."""

    path: tuple[str, ...]
    definition: GraphQLField
    field: FieldNode
    node: Price


def requested_cost(operation: Operation) -> int:
    """Return the points asked for before the query runs."""

    def size_of(connection: Connection) -> int:
        args = get_argument_values(connection.definition, connection.field, operation.variables)
        return max(args.get("first") or args.get("last") or 0, 0)

    return _total(operation, size_of)


def actual_cost(operation: Operation, data: dict[str, Any] | None) -> int:
    """Return the points of what came back: each connection counts as the fullest of its pages."""
    return _total(operation, lambda connection: size(data, connection.path))


def connections(operation: Operation) -> list[tuple[str, ...]]:
    """Return where the connections of an operation are, as response keys."""
    found: dict[tuple[str, ...], int] = {}
    _total(operation, lambda connection: found.setdefault(connection.path, 0))
    return list(found)


def size(data: object, path: tuple[str, ...]) -> int:
    """Return how many nodes the fullest page of a connection has."""
    return max(map(_length, _pluck(data, path)), default=0)


def cost_of(operation: Operation, sizes: dict[tuple[str, ...], int]) -> int:
    """Return the points of connections of such sizes."""
    return _total(operation, lambda connection: sizes[connection.path])


def _total(operation: Operation, size_of: SizeOf) -> int:
    points = _price(_Selected.of(operation)).total(size_of)
    mutation = operation.definition.operation == OperationType.MUTATION
    return math.ceil(points) + (MUTATION_POINTS - 1 if mutation else 0)


class _Selected(NamedTuple):
    """What decides which fields an operation selects: the variables that are true or false may leave some out."""

    schema: GraphQLSchema
    definition: OperationDefinitionNode
    fragments: tuple[FragmentDefinitionNode, ...]
    truths: tuple[tuple[str, bool], ...]

    @classmethod
    def of(cls, operation: Operation) -> _Selected:
        truths = ((name, one) for name, one in operation.variables.coerced.items() if isinstance(one, bool))
        return cls(operation.schema, operation.definition, tuple(operation.fragments.values()), tuple(truths))

    @property
    def operation(self) -> Operation:
        variables = VariableValues(sources={}, coerced=dict(self.truths))
        return Operation(self.schema, self.definition, {one.name.value: one for one in self.fragments}, variables)


@lru_cache(maxsize=64)
def _price(selected: _Selected) -> Price:
    operation = selected.operation
    return _of_selection(operation, operation.root_type, [operation.definition.selection_set], ())


def _of_selection(
    operation: Operation, type_: GraphQLNamedType, selections: Sequence[SelectionSetNode], path: tuple[str, ...]
) -> Price:
    if isinstance(type_, (GraphQLInterfaceType, GraphQLUnionType)):
        possible = operation.schema.get_possible_types(type_)
        return Price(choices=[[_of_selection(operation, one, selections, path) for one in possible]])
    type_ = cast("GraphQLObjectType", type_)  # nothing else has selections
    price = Price()
    for key, nodes in operation.fields(type_, selections).items():
        name = nodes[0].name.value
        if name.startswith("__"):
            continue
        definition = type_.fields[name]
        named = get_named_type(definition.type)
        if is_leaf_type(named):
            continue
        inner = [node.selection_set for node in nodes if node.selection_set]
        below = _of_selection(operation, named, inner, (*path, key))
        if named.name.endswith("Connection"):
            price.connections.append(Connection((*path, key), definition, nodes[0], below))
            continue
        price.add(below)
        if not named.name.endswith("Edge") and named.name != "PageInfo":  # part of the connection's own price
            price.points += 1
    return price


def _pluck(data: object, path: tuple[str, ...]) -> Iterator[Any]:
    """Yield every value at a path of response keys, through all lists on the way."""
    if isinstance(data, list):
        for one in data:
            yield from _pluck(one, path)
    elif not path:
        yield data
    elif isinstance(data, dict) and data.get(path[0]) is not None:
        yield from _pluck(data[path[0]], path[1:])


def _length(connection: dict[str, Any]) -> int:
    return max((len(one) for one in connection.values() if isinstance(one, list)), default=0)


class Bucket:
    """A leaky bucket of points, full at first, which refills by `restore_rate` points a second."""

    def __init__(self, maximum_available: float, restore_rate: float, clock: Callable[[], datetime]) -> None:
        self._lock = threading.Lock()
        self.maximum_available, self.restore_rate, self._clock = float(maximum_available), float(restore_rate), clock
        self._available, self._at = self.maximum_available, clock()

    def take(self, points: float) -> bool:
        """Take points if there are so many; a negative number gives back."""
        with self._lock:
            now = self._clock()
            refilled = self._available + (now - self._at).total_seconds() * self.restore_rate
            self._available, self._at = min(self.maximum_available, refilled), now
            if points > self._available:
                return False
            self._available = min(self.maximum_available, self._available - points)
            return True

    def status(self) -> dict[str, float]:
        """Return the `throttleStatus` of a response."""
        self.take(0)
        return {
            "maximumAvailable": self.maximum_available,
            "currentlyAvailable": math.floor(self._available),
            "restoreRate": self.restore_rate,
        }
