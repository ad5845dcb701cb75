"""What a query costs, in: an operation, its data and a clock; out: points, and a bucket that gives them.

Knows the published rules (https://shopify.dev/docs/api/usage/limits), not HTTP. Objects cost one point, scalars and
enums none, interfaces and unions their dearest selection, mutations ten, connections are sized by first or last.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    OperationType,
    get_argument_values,
    get_named_type,
    is_leaf_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from graphql import GraphQLNamedType, SelectionSetNode

    from sandbox.shop.operation import Operation

    SizeOf = Callable[[tuple[str, ...], dict[str, Any]], int]

LARGEST_QUERY_POINTS = 1_000  # on any plan
MUTATION_POINTS = 10
CONNECTION_POINTS = 2  # `products(first: 1) { edges { node { title } } }` costs 3

# Shopify sizes connections sub-linearly and doesn't say how. One measurement is public: orders(first: 250) with
# lineItems(first: 100) costs 464; size ** 0.5877 gives that, and is steeper than linear nowhere.
SIZE_EXPONENT = 0.5877


def requested_cost(operation: Operation) -> int:
    """Return the points asked for before the query runs."""
    return _total(operation, lambda _path, args: max(args.get("first") or args.get("last") or 0, 0))


def actual_cost(operation: Operation, data: dict[str, Any] | None) -> int:
    """Return the points of what came back: each connection counts as the fullest of its pages."""
    return _total(operation, lambda path, _args: size(data, path))


def connections(operation: Operation) -> list[tuple[str, ...]]:
    """Return where the connections of an operation are, as response keys."""
    found: dict[tuple[str, ...], int] = {}
    _total(operation, lambda path, _args: found.setdefault(path, 0))
    return list(found)


def size(data: object, path: tuple[str, ...]) -> int:
    """Return how many nodes the fullest page of a connection has."""
    return max(map(_length, _pluck(data, path)), default=0)


def cost_of(operation: Operation, sizes: dict[tuple[str, ...], int]) -> int:
    """Return the points of connections of such sizes."""
    return _total(operation, lambda path, _args: sizes[path])


def _total(operation: Operation, size_of: SizeOf) -> int:
    points = _selection(operation, operation.root_type, [operation.definition.selection_set], (), size_of)
    mutation = operation.definition.operation == OperationType.MUTATION
    return math.ceil(points) + (MUTATION_POINTS - 1 if mutation else 0)


def _selection(
    operation: Operation,
    type_: GraphQLNamedType,
    selections: Sequence[SelectionSetNode],
    path: tuple[str, ...],
    size_of: SizeOf,
) -> float:
    if isinstance(type_, (GraphQLInterfaceType, GraphQLUnionType)):
        possible = operation.schema.get_possible_types(type_)
        return max(_selection(operation, one, selections, path, size_of) for one in possible)
    type_ = cast("GraphQLObjectType", type_)  # nothing else has selections
    points = 0.0
    for key, nodes in operation.fields(type_, selections).items():
        name = nodes[0].name.value
        if name.startswith("__"):
            continue
        definition = type_.fields[name]
        named = get_named_type(definition.type)
        if is_leaf_type(named):
            continue
        inner = [node.selection_set for node in nodes if node.selection_set]
        below = _selection(operation, named, inner, (*path, key), size_of)
        if named.name.endswith("Connection"):
            args = get_argument_values(definition, nodes[0], operation.variables)
            points += CONNECTION_POINTS + size_of((*path, key), args) ** SIZE_EXPONENT * below
        elif named.name.endswith("Edge") or named.name == "PageInfo":
            points += below  # part of the connection's own price
        else:
            points += 1 + below
    return points


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
