"""What a question selects, in: a GraphQL document and a store's nodes; out: their JSON with marks, and what it costs.

Each node is rendered once. Knows the two forms in which the tap asks, pages and bulk operations, but no HTTP.
"""

from __future__ import annotations

import json
import re
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
from graphql import get_argument_values, get_named_type
from graphql.execution import get_variable_values

from benchmarks.copies import MARK, copy, digits, marked
from sandbox.shop.bulk_rows import rows
from sandbox.shop.connections import connect
from sandbox.shop.cost import connections, cost_of, requested_cost, size
from sandbox.shop.execution import Execution
from sandbox.shop.filters import CUSTOMER_FILTERS, ORDER_FILTERS
from sandbox.shop.graph import Graph
from sandbox.shop.nodes import number_of
from sandbox.shop.operation import Operation, definition_of
from sandbox.shop.schemas import read_document, schema
from sandbox.shop.search import search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from graphql import DocumentNode, FieldNode, GraphQLObjectType

    from benchmarks.copied_store import CopiedStore, Copy

    Node = dict[str, Any]

VERSION = "2026-10"
KIND_OF = {"customers": "Customer", "orders": "Order"}  # by the field of the root
FILTERS = {"Customer": CUSTOMER_FILTERS, "Order": ORDER_FILTERS}
OWN_ID = re.compile(r'"id":"gid://shopify/\w+/(\d+)"')


def matcher(kind: str, text: str) -> Callable[[Node], bool] | None:
    """Return what a search asks of a node; None if it is empty."""
    return search(text, FILTERS[kind], VERSION).matches if text else None


class PageQuestion:
    """A document with one field, of customers or of orders, that selects `pageInfo` and `nodes`."""

    def __init__(self, text: str, variables: Node, store: CopiedStore) -> None:
        self._text, self._operation = text, _operation(text, variables)
        selected = self._operation.fields(self._operation.root_type, [self._operation.definition.selection_set])
        ((self._key, (self._field,)),) = selected.items()
        self.kind = KIND_OF[self._field.name.value]
        self._definition = self._operation.root_type.fields[self._field.name.value]
        connection: Any = get_named_type(self._definition.type)
        self._selected = self._below(connection, self._field)
        (nodes,) = (one for one in self._selected.values() if one.name.value == "nodes")
        self._info = self._below(connection.fields["pageInfo"].type.of_type, self._selected["pageInfo"])
        node_type = get_named_type(connection.fields["nodes"].type)
        resolver_for = Graph(store, VERSION).resolver_for
        self._complete = Execution(self._operation, resolver_for).compile(node_type, [nodes.selection_set])
        self._whole, *self._inside = sorted(connections(self._operation), key=len)
        self._rendered: dict[int, tuple[bytes, tuple[int, ...]]] = {}
        # The shop finds a query's price by hashing its tree, which takes several times as long as a page takes here.
        self._requested: dict[int, int] = {}
        self._actual: dict[tuple[int, ...], int] = {}

    def page(self, copies: Sequence[Copy], variables: Node) -> tuple[Node, int, int]:
        """Return the data of an answer, the points it asks for and those it takes."""
        operation = _operation(self._text, variables)
        arguments = get_argument_values(self._definition, self._field, operation.variables)
        found: Any = connect(cast("Any", copies), arguments, cast("Any", attrgetter("key")))  # they are no plain nodes
        page = {
            key: [msgspec.Raw(copy(self._node(one.node)[0], one.number)) for one in found["nodes"]]
            if one.name.value == "nodes"
            else {key: found["pageInfo"][inner.name.value] for key, inner in self._info.items()}
            for key, one in self._selected.items()
        }
        return {self._key: page}, *self._cost(operation, arguments["first"], found["nodes"])

    def _below(self, type_: GraphQLObjectType, one: FieldNode) -> dict[str, Any]:
        return {
            key: nodes[0]
            for key, nodes in self._operation.fields(type_, [one.selection_set] if one.selection_set else []).items()
        }

    def _node(self, node: Node) -> tuple[bytes, tuple[int, ...]]:
        """Return a node's JSON with marks, and the sizes of the connections inside it."""
        number = number_of(node)
        if number not in self._rendered:
            selected = self._complete(node)
            text = json.dumps(selected, ensure_ascii=False, separators=(",", ":"))
            sizes = tuple(size(selected, path[len(self._whole) + 1 :]) for path in self._inside)
            self._rendered[number] = marked(text.encode()), sizes
        return self._rendered[number]

    def _cost(self, operation: Operation, first: int, copies: Sequence[Copy]) -> tuple[int, int]:
        """Return the points asked for and taken: each connection counts as the fullest of its pages."""
        if first not in self._requested:
            self._requested[first] = requested_cost(operation)
        inside = (
            map(max, zip(*(self._node(one.node)[1] for one in copies), strict=True))
            if copies
            else [0] * len(self._inside)
        )
        sizes = (len(copies), *inside)
        if sizes not in self._actual:
            self._actual[sizes] = cost_of(operation, dict(zip((self._whole, *self._inside), sizes, strict=True)))
        return self._requested[first], min(self._actual[sizes], self._requested[first])


class Rows(NamedTuple):
    """A node's rows in the file of a bulk operation: its own, and those of its children."""

    node: Node
    root: bytes
    children: bytes
    objects: int

    def size_bytes(self, numbers: Iterable[int]) -> int:
        """Return how long the rows of those copies are."""
        size = len(self.root) + len(self.children)
        marks = self.root.count(MARK) + self.children.count(MARK)
        return sum(size + marks * (len(digits(number)) - 1) for number in numbers)


class RowsQuestion:
    """A bulk query without its search; `rows` are those of all nodes, oldest change first."""

    def __init__(self, text: str, store: CopiedStore) -> None:
        operation = _operation(text, {})
        ((nodes, *_),) = operation.fields(operation.root_type, [operation.definition.selection_set]).values()
        self.kind = KIND_OF[nodes.name.value]
        lines = rows(operation, Graph(store, VERSION, unbounded=True).resolver_for, grouped=True)
        self.rows = [self._of_one(group, store) for group in _grouped(lines)]

    def _of_one(self, lines: Sequence[str], store: CopiedStore) -> Rows:
        root, *children = (marked(line.encode()) + b"\n" for line in lines)
        node = store.by_type[self.kind][int(OWN_ID.findall(lines[0])[0])]
        return Rows(node, root, b"".join(children), len(lines))


def _grouped(lines: Iterable[tuple[bool, str]]) -> Iterator[list[str]]:
    """Yield the lines of each root, its own first."""
    group: list[str] = []
    for is_root, line in lines:
        if is_root and group:
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _operation(text: str, variables: Node) -> Operation:
    document = cast("DocumentNode", read_document(VERSION, text))  # the tap's own questions are valid
    definition = definition_of(document, None)
    values: Any = get_variable_values(schema(VERSION), definition.variable_definitions or (), variables)
    return Operation.of(schema(VERSION), document, None, values)
