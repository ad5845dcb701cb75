"""The fields that need more than a dict's own value, in: a store and one request's circumstances; out: resolvers.

Knows Shopify's root fields, connections and search filters, but neither HTTP nor how GraphQL is executed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from graphql import GraphQLError, get_named_type

from sandbox.shop import ledger_nodes
from sandbox.shop.access import SCOPES, Access
from sandbox.shop.connections import connect, connect_list, everything
from sandbox.shop.filters import (
    AGREEMENT_FILTERS,
    CUSTOMER_COUNT_FILTERS,
    CUSTOMER_FILTERS,
    EVENT_FILTERS,
    ORDER_FILTERS,
    SORT_KEYS,
)
from sandbox.shop.nodes import number_of
from sandbox.shop.search import Search, search

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import GraphQLField

    from sandbox.shop.search import Filter
    from sandbox.shop.store import Store

    Node = dict[str, Any]
    Resolver = Callable[[Node, dict[str, Any]], Any]
    Page = Callable[[dict[str, Any], Callable[[Node], bool] | None], Node]

MOST_IDS = 250  # https://shopify.dev/docs/api/usage/limits: input arrays


@dataclass(frozen=True)
class Limits:
    """How many objects pages and counts go to, None for no limit; `counts_tell` says whether such a count tells."""

    most_paged: int | None = None
    most_counted: int | None = None
    counts_tell: bool = True
    nested_most: int | None = None  # of a connection inside another, in a bulk operation


@dataclass
class Graph:
    """Resolvers for one request. `unbounded` reads connections whole, as a bulk operation does."""

    store: Store
    version: str
    unbounded: bool = False
    access: Access = field(default_factory=lambda: Access(frozenset(SCOPES)))
    limits: Limits = Limits()
    customer_filters: Mapping[str, Filter] = field(default_factory=dict)  # in the place of the usual ones
    visible: Callable[[Node], bool] | None = None  # of orders: which ones the app may see
    fields: Mapping[str, Resolver] = field(default_factory=dict)  # further resolvers, by `Type.field`
    # Further connections that can be searched, by `Type.field`.
    rows: Mapping[str, tuple[Mapping[str, Filter], Page]] = field(default_factory=dict)
    searches: list[tuple[list[str], Search]] = field(default_factory=list)

    def resolver_for(self, type_name: str, name: str, definition: GraphQLField, key: str) -> Resolver | None:
        """Return the resolver of a field, or None where the dict's own value is the answer."""
        refusal = self.access.refusal(type_name, name, definition)
        if refusal:
            return lambda _source, _args: _raise(refusal)
        if f"{type_name}.{name}" in self.rows:
            filters, page = self.rows[f"{type_name}.{name}"]
            return lambda _, args: page(args, self._search(filters, args, key))
        found = self.fields.get(f"{type_name}.{name}") or self._own(type_name, name, key)
        if found:
            return found
        if get_named_type(definition.type).name.endswith("Connection"):
            return lambda source, args: self._inner(source[name], args)
        if "first" in definition.args:
            return lambda source, args: source[name] if args.get("first") is None else source[name][: args["first"]]
        return None

    def search_reports(self, *, always: bool) -> list[dict[str, Any]]:
        """Return the entries of `extensions.search`: those with warnings, or all."""
        return [one.report(path) for path, one in self.searches if always or one.warnings]

    def _own(self, type_name: str, name: str, key: str) -> Resolver | None:
        if type_name == "QueryRoot":
            return {
                "orders": lambda _, args: self._rows("Order", ORDER_FILTERS, args, key),
                "customers": lambda _, args: self._rows(
                    "Customer", {**CUSTOMER_FILTERS, **self.customer_filters}, args, key
                ),
                "events": lambda _, args: self._rows("BasicEvent", EVENT_FILTERS, args, key),
                "ordersCount": lambda _, args: self._count("Order", ORDER_FILTERS, args, key),
                "customersCount": lambda _, args: self._count(
                    "Customer", {**CUSTOMER_COUNT_FILTERS, **self.customer_filters}, args, key
                ),
                "order": lambda _, args: self._node(args["id"], "Order"),
                "customer": lambda _, args: self._node(args["id"], "Customer"),
                "node": lambda _, args: self._node(args["id"]),
                "nodes": lambda _, args: self._nodes(args["ids"]),
                "shop": lambda _, __: self.store.shop,
            }.get(name)
        if type_name == "Order":
            return self._of_order(name, key)
        if (type_name, name) == ("Customer", "orders"):
            return lambda source, args: self._orders_of(source, args, key)
        return None

    def _of_order(self, name: str, key: str) -> Resolver | None:
        return {
            "agreements": lambda source, args: self._agreements(source, args, key),
            "purchasingEntity": lambda source, _: self._purchaser(source),
            "shippingLines": lambda source, args: self._inner(
                [one for one in source["shippingLines"] if args["includeRemovals"] or not one["isRemoved"]], args
            ),
        }.get(name)

    def _agreements(self, order: Node, args: dict[str, Any], key: str) -> Node:
        """Return a page of an order's ledger."""
        found = ledger_nodes.served(order, self.store.practice)
        return self._inner([*filter(self._search(AGREEMENT_FILTERS, args, key), found)], args)

    def _purchaser(self, order: Node) -> Node | None:
        """Return the company that bought, else the customer."""
        entity: Node | None = order.get("purchasingEntity") or order["customer"]
        refusal = self.access.refusal_of_node("Customer")
        if entity is order["customer"] and entity and refusal:
            raise refusal
        return entity

    def _inner(self, nodes: list[Node], args: dict[str, Any]) -> Node:
        if self.unbounded:
            return everything(nodes[: self.limits.nested_most])
        return connect_list(nodes[::-1] if args.get("reverse") else nodes, {**args, "reverse": False})

    def _search(self, filters: Mapping[str, Filter], args: dict[str, Any], key: str) -> Callable[[Node], bool] | None:
        if not (args.get("query") or "").strip():
            return None
        found = search(args["query"], filters, self.version)
        self.searches.append(([key], found))
        return found.matches

    def _test(
        self, type_name: str, filters: Mapping[str, Filter], args: dict[str, Any], key: str
    ) -> Callable[[Node], bool] | None:
        found = self._search(filters, args, key)
        visible = self.visible if type_name == "Order" else None
        if found and visible:
            return lambda node: visible(node) and found(node)
        return found or visible

    def _rows(self, type_name: str, filters: Mapping[str, Filter], args: dict[str, Any], key: str) -> Node:
        sort_name = args["sortKey"]
        value = SORT_KEYS[type_name].get(sort_name)
        if value is None:
            raise GraphQLError(f"The sandbox can't sort {type_name} by {sort_name}.")
        rows = self.store.sorted(type_name, sort_name, value)
        test = self._test(type_name, filters, args, key)
        if self.unbounded:
            return everything(filter(test, rows[::-1] if args["reverse"] else rows))
        if self.limits.most_paged is not None:  # pages end there as if that were all
            found = islice(filter(test, rows[::-1] if args["reverse"] else rows), self.limits.most_paged)
            rows = [*found][:: -1 if args["reverse"] else 1]
        return connect(rows, args, lambda node: (value(node), number_of(node)), test)

    def _count(self, type_name: str, filters: Mapping[str, Filter], args: dict[str, Any], key: str) -> Node:
        count, limit = self.store.count(type_name, self._test(type_name, filters, args, key)), args.get("limit")
        most = self.limits.most_counted
        if most is not None and count > most:  # one more is returned
            return {"count": most + 1, "precision": "AT_LEAST" if self.limits.counts_tell else "EXACT"}
        if limit is not None and count > limit:
            return {"count": limit, "precision": "AT_LEAST"}
        return {"count": count, "precision": "EXACT"}

    def _orders_of(self, customer: Node, args: dict[str, Any], key: str) -> Node:
        value = SORT_KEYS["Order"].get(args["sortKey"], number_of)
        rows = sorted(self.store.orders_of(customer), key=lambda node: (value(node), number_of(node)))
        test = self._test("Order", ORDER_FILTERS, args, key)
        if self.unbounded:
            return everything(filter(test, rows))
        return connect(rows, args, lambda node: (value(node), number_of(node)), test)

    def _node(self, global_id: str, type_name: str | None = None) -> Node | None:
        if not re.fullmatch(r"gid://shopify/\w+/\d+", global_id):
            raise GraphQLError(f"Invalid global id '{global_id}'")
        found_type = global_id.split("/")[3]
        if type_name and type_name != found_type:
            return None
        if found_type == "BulkOperation":
            operation: Node | None = self.fields["QueryRoot.bulkOperation"]({}, {"id": global_id})
            return operation
        refusal = self.access.refusal_of_node(found_type)
        if refusal:
            raise refusal
        found = self.store.node(global_id)
        if found and found_type == "Order" and self.visible and not self.visible(found):
            return None
        return found

    def _nodes(self, ids: list[str]) -> list[Node | None]:
        if len(ids) > MOST_IDS:
            message = f"The input array size of {len(ids)} is greater than the maximum allowed of {MOST_IDS}."
            raise GraphQLError(message, extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"})
        return [self._node(one) for one in ids]


def _raise(error: GraphQLError) -> NoReturn:
    raise error
