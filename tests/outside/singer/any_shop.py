"""A Shopify that answers any query, in: a store of the sandbox; out: answers to what the public tap-shopify asks of it.

The sandbox's own shop knows only the part of Shopify's schema that this project reads, and refuses the rest as Shopify
would. This one goes by the store's nodes: what they lack is null, and a list is a connection where it is asked as one.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from graphql import FieldNode, FragmentDefinitionNode, OperationDefinitionNode, parse, value_from_ast_untyped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import SelectionSetNode

    from sandbox.shop.store import Store
    from tests.outside.singer.stand_in import Answer, Request

SCOPES = (
    *("read_orders", "read_all_orders", "read_customers", "read_products", "read_users", "read_fulfillments"),
    *("read_inventory", "read_locations", "read_assigned_fulfillment_orders"),
    *("read_merchant_managed_fulfillment_orders", "read_third_party_fulfillment_orders"),
)
# What Shopify's schema has as a list that is never null.
LISTS = (
    *("additionalFees", "addresses", "customAttributes", "discountAllocations", "discountApplications", "disputes"),
    *("duties", "fees", "fulfillments", "orderAdjustments", "paymentGatewayNames", "refundLineItems", "tags"),
    *("taxExemptions", "taxLines", "trackingInfo", "discountCodes"),
)
CONNECTION = {"edges", "nodes", "pageInfo"}
TIME = re.compile(r"(updated_at|created_at)\s*:\s*(>=|<=|>|<)\s*'?\"?([0-9T:.+Z-]+)")
Node = dict[str, Any]


class AnyShop:
    """Answers for one store; `answer` is what a stand-in needs."""

    def __init__(self, store: Store, host: str) -> None:
        self._store = store
        self._host = host
        self._bulk: Node | None = None
        self._rows: bytes = b""

    def answer(self, request: Request) -> Answer:
        """Answer the shop's properties, a query, or the file of a bulk operation."""
        if request.path.endswith("/shop.json"):
            shop = {"id": 60_000_000_001, "name": self._store.shop["name"], "myshopify_domain": self._host}
            return 200, json.dumps({"shop": shop}).encode()
        if request.path == "/bulk.jsonl":
            return 200, self._rows
        asked = request.json()
        return 200, json.dumps({"data": self._data(asked["query"], asked.get("variables") or {})}).encode()

    def _data(self, query: str, variables: Mapping[str, Any]) -> Node:
        return _Query(query, variables, self).data()

    def root(self, name: str, arguments: Mapping[str, Any]) -> object:
        """Return the value of a field of the root."""
        if name == "currentAppInstallation":
            return {"accessScopes": [{"handle": one} for one in SCOPES]}
        if name == "shop":
            return self._store.shop
        if name == "bulkOperationRunQuery":
            return self._run(arguments["query"])
        if name in {"currentBulkOperation", "node"}:
            found = self._bulk if name == "currentBulkOperation" else self._store.node(arguments["id"])
            return found or self._bulk
        nodes = {"orders": self._store.orders, "customers": self._store.customers}.get(name, [])
        return _between(nodes, str(arguments.get("query") or ""))

    def _run(self, query: str) -> Node:
        """Do a bulk operation at once: its rows as Shopify lays them out, children after their parents."""
        rows: list[Node] = []
        _Query(query, {}, self).bulk(rows)
        self._rows = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        self._bulk = {
            "id": "gid://shopify/BulkOperation/1",
            "status": "COMPLETED",
            "errorCode": None,
            "createdAt": "2026-11-01T00:00:00Z",
            "completedAt": "2026-11-01T00:00:01Z",
            "objectCount": str(len(rows)),
            "fileSize": str(len(self._rows)),
            "url": f"https://{self._host}/bulk.jsonl" if rows else None,
            "partialDataUrl": None,
            "type": "QUERY",
            "query": query,
        }
        return {"bulkOperation": self._bulk, "userErrors": []}


class _Query:
    """One operation, walked over nodes."""

    def __init__(self, text: str, variables: Mapping[str, Any], shop: AnyShop) -> None:
        document = parse(text)
        self._shop = shop
        self._variables = variables
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._operation = next(one for one in document.definitions if isinstance(one, OperationDefinitionNode))

    def data(self) -> Node:
        return {
            _key(field): self._value(self._shop.root(field.name.value, self._arguments(field)), field)
            for field in self._fields(self._operation.selection_set, None)
        }

    def bulk(self, rows: list[Node]) -> None:
        for field in self._fields(self._operation.selection_set, None):
            self._rows_of(self._shop.root(field.name.value, self._arguments(field)), field, None, rows)

    def _rows_of(self, nodes: object, field: FieldNode, parent: str | None, rows: list[Node]) -> None:
        assert isinstance(nodes, list)
        for node in nodes:
            row: Node = {}
            rows.append(row)
            for one in self._fields(self._of_nodes(field), node):
                value = _field(node, one)
                if self._is_connection(one):
                    self._rows_of(value or [], one, node["id"], rows)
                else:
                    row[_key(one)] = self._value(value, one)
            if parent:
                row["__parentId"] = parent

    def _value(self, value: object, field: FieldNode) -> object:
        if field.selection_set is None:
            return value if not isinstance(value, (dict, list)) or _is_plain(value) else None
        if self._is_connection(field):
            return self._connection(value if isinstance(value, list) else [], field)
        if isinstance(value, list):
            return [self._object(one, field.selection_set) for one in value]
        return self._object(value, field.selection_set) if isinstance(value, dict) else None

    def _object(self, node: Node, selection: SelectionSetNode) -> Node:
        return {_key(one): self._value(_field(node, one), one) for one in self._fields(selection, node)}

    def _connection(self, nodes: list[Node], field: FieldNode) -> Node:
        arguments = self._arguments(field)
        start = int(arguments.get("after") or 0)
        end = min(start + int(arguments.get("first") or len(nodes)), len(nodes))
        made = [self._object(one, self._of_nodes(field)) for one in nodes[start:end]]
        return {
            "edges": [{"node": one, "cursor": str(start + at + 1)} for at, one in enumerate(made)],
            "nodes": made,
            "pageInfo": {
                "hasNextPage": end < len(nodes),
                "endCursor": str(end),
                "hasPreviousPage": start > 0,
                "startCursor": str(start),
            },
        }

    def _of_nodes(self, field: FieldNode) -> SelectionSetNode:
        """Return what is asked of each node of a connection."""
        for one in self._fields(field.selection_set, None):
            if one.name.value == "edges":
                return self._of_nodes(one)
            if one.name.value in {"node", "nodes"}:
                assert one.selection_set
                return one.selection_set
        raise ValueError(f"{field.name.value} asks for no nodes")

    def _is_connection(self, field: FieldNode) -> bool:
        names = {one.name.value for one in self._fields(field.selection_set, None)}
        return bool(names & CONNECTION)

    def _fields(self, selection: SelectionSetNode | None, node: Node | None) -> list[FieldNode]:
        found: list[FieldNode] = []
        for one in selection.selections if selection else ():
            if isinstance(one, FieldNode):
                found.append(one)
                continue
            inner = one if hasattr(one, "selection_set") else self._fragments[one.name.value]
            kind = inner.type_condition.name.value if inner.type_condition else None
            typename = (node or {}).get("__typename")
            if kind is None or node is None or typename in {None, kind}:
                found += self._fields(inner.selection_set, node)
        return found

    def _arguments(self, field: FieldNode) -> Node:
        return {
            one.name.value: value_from_ast_untyped(one.value, dict(self._variables)) for one in field.arguments or ()
        }


def _key(field: FieldNode) -> str:
    return field.alias.value if field.alias else field.name.value


def _field(node: Node, field: FieldNode) -> object:
    name = field.name.value
    if name == "legacyResourceId":
        return node["id"].rpartition("/")[2]
    if name in {"email", "phone"} and name not in node:  # as of 2025-07 a customer has them beside their new places
        places = {"email": ("defaultEmailAddress", "emailAddress"), "phone": ("defaultPhoneNumber", "phoneNumber")}
        outer, inner = places[name]
        return (node.get(outer) or {}).get(inner)
    return node.get(name, [] if name in LISTS else None)


def _is_plain(value: object) -> bool:
    return isinstance(value, list) and all(not isinstance(one, (dict, list)) for one in value)


def _between(nodes: list[Node], query: str) -> list[Node]:
    """Return the nodes that a search's bounds of time let through, as they are sorted there: by their last change."""
    found = sorted(nodes, key=lambda one: one["updatedAt"])
    for name, sign, bound in TIME.findall(query):
        field = "updatedAt" if name == "updated_at" else "createdAt"
        edge = bound.rstrip("Z").ljust(26, "0") if "." in bound else bound.rstrip("Z")
        compared = {
            ">=": lambda value, edge: value >= edge,
            ">": lambda value, edge: value > edge,
            "<": lambda value, edge: value < edge,
            "<=": lambda value, edge: value <= edge,
        }[sign]
        found = [one for one in found if compared(one[field], edge)]
    return found
