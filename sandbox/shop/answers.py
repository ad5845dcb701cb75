"""One GraphQL request, in: a query with variables, and what the app may see; out: the body of the response.

Knows how Shopify judges, prices and reports a query, but not HTTP; what the fields mean is `graph`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from graphql import GraphQLError, execute_sync
from graphql.execution import get_variable_values

from sandbox.shop.access import denied
from sandbox.shop.bulk import REFUSALS, refused, without_permission
from sandbox.shop.bulk_rows import rows
from sandbox.shop.bulk_rules import complaints
from sandbox.shop.cost import LARGEST_QUERY_POINTS, actual_cost, requested_cost
from sandbox.shop.execution import Execution
from sandbox.shop.filters import BULK_FILTERS, by_day
from sandbox.shop.graph import Graph, Limits
from sandbox.shop.moments import instant
from sandbox.shop.operation import Operation, definition_of
from sandbox.shop.sales_report import sales_by_day
from sandbox.shop.schemas import RETIRED, VERSIONS, read_document, refusal, schema
from sandbox.shop.shopifyql import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import DocumentNode, GraphQLField
    from graphql.execution.values import VariableValues

    from sandbox.shop import Shop
    from sandbox.shop.access import Access
    from sandbox.shop.execution import Resolver, ResolverFor
    from sandbox.shop.search import Filter

    Node = dict[str, Any]

ORDER_WINDOW = timedelta(days=60)  # without read_all_orders (the description of the type Order)
MOST_ERRORS = 100  # there is a limit, its size is not published
TOO_MANY_ERRORS = {"message": "Too many execution errors, max error limit reached. Results truncated"}
THROTTLED = {
    "message": "Throttled",
    "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
}


@dataclass(frozen=True)
class Answers:
    """Answers one request to a shop; `url` is the address by which the shop was reached."""

    shop: Shop
    version: str
    access: Access
    request_id: str
    url: str

    def body(self, query: str, variables: Node, operation_name: str | None, *, debug: bool = False) -> Node:
        """Return the body of the response; `debug` reports every search, not only those with warnings."""
        document = read_document(self.version, query)
        if isinstance(document, list):
            return {"errors": [refusal(error) for error in document]}
        try:
            definition = definition_of(document, operation_name)
            values = get_variable_values(schema(self.version), definition.variable_definitions or (), variables)
            if isinstance(values, list):
                return {"errors": [dict(error.formatted) for error in values]}
            operation = Operation.of(schema(self.version), document, operation_name, values)
        except GraphQLError as error:
            return {"errors": [dict(error.formatted)]}
        if any(name.startswith("__") for name in operation.root_names):
            return {"data": execute_sync(operation.schema, document).data}
        return self._judged(operation, debug=debug)

    def _judged(self, operation: Operation, *, debug: bool) -> Node:
        """Judge what the operation costs, then run it; the bucket must hold the request, the difference comes back."""
        requested = requested_cost(operation)
        if requested > LARGEST_QUERY_POINTS:
            return {"errors": [_too_dear(requested)]}
        if not self.shop.bucket.take(requested):
            return {"errors": [THROTTLED], "extensions": {"cost": self._cost(requested, None)}}
        graph = self._graph(unbounded=False)
        execution = Execution(operation, self._resolver_for(graph), keeps_refused_roots=True)
        with self.shop.store.lock:
            data = execution.run({})
        actual = min(actual_cost(operation, data), requested)
        self.shop.bucket.take(actual - requested)
        body: Node = {"data": data}
        if execution.errors:
            too_many = len(execution.errors) > MOST_ERRORS
            body["errors"] = [*execution.errors[:MOST_ERRORS], TOO_MANY_ERRORS] if too_many else execution.errors
        body["extensions"] = {"cost": self._cost(requested, actual)}
        reports = graph.search_reports(always=debug)
        if reports:
            body["extensions"]["search"] = reports
        return body

    def _cost(self, requested: int, actual: int | None) -> Node:
        status = self.shop.bucket.status()
        return {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}

    def _graph(self, *, unbounded: bool) -> Graph:
        oldest, settings = instant(self.shop.clock() - ORDER_WINDOW), self.shop.settings
        return Graph(
            self.shop.store,
            self.version,
            unbounded=unbounded,
            access=self.access,
            limits=Limits(
                settings.most_paged,
                settings.most_counted,
                counts_tell=settings.counts_tell,
                nested_most=settings.bulk_nested_most,
            ),
            customer_filters=self._customer_filters(),
            visible=None
            if "read_all_orders" in self.access.scopes
            else lambda order: bool(order["createdAt"] >= oldest),
            fields={
                "QueryRoot.currentAppInstallation": lambda _, __: self._installation(),
                "QueryRoot.shopifyqlQuery": lambda _, args: self._report(args["query"]),
                "QueryRoot.publicApiVersions": lambda _, __: self._versions(),
                "QueryRoot.bulkOperation": lambda _, args: self._bulk_operation(args["id"]),
                "QueryRoot.currentBulkOperation": lambda _, __: self.shop.bulk.newest(self.url),
                "Mutation.bulkOperationRunQuery": lambda _, args: self._run_bulk(
                    args["query"], grouped=args["groupObjects"]
                ),
                "Mutation.bulkOperationCancel": lambda _, args: self.shop.bulk.cancel(args["id"]),
            },
            rows={
                "QueryRoot.bulkOperations": (BULK_FILTERS, lambda args, test: self.shop.bulk.page(args, self.url, test))
            },
        )

    def _customer_filters(self) -> dict[str, Filter]:
        settings = self.shop.settings
        if not settings.customers_by_day:
            return {}
        return {"updated_at": by_day(settings.customers_by_day, whole=settings.customers_whole_days)}

    def _resolver_for(self, graph: Graph) -> ResolverFor:
        """Let fields that were told to break do so, in whichever object they are next read."""

        def resolver_for(type_name: str, name: str, definition: GraphQLField, key: str) -> Resolver | None:
            resolve = graph.resolver_for(type_name, name, definition, key)
            field = f"{type_name}.{name}"
            if not self.shop.breaks.get(field):
                return resolve

            def breaking(source: Node, args: Node) -> object:
                if self.shop.breaks[field]:
                    self.shop.breaks[field] -= 1
                    raise self._internal_error()
                return resolve(source, args) if resolve else source.get(name)

            return breaking

        return resolver_for

    def _internal_error(self) -> GraphQLError:
        message = (
            "Internal error. Looks like something went wrong on our end.\n"
            f"Request ID: {self.request_id} (include this in support requests)."
        )
        return GraphQLError(message, extensions={"code": "INTERNAL_SERVER_ERROR", "requestId": self.request_id})

    def _installation(self) -> Node:
        scopes = sorted(self.access.scopes)
        return {
            "id": "gid://shopify/AppInstallation/1",
            "app": {"id": "gid://shopify/App/1", "title": "Sandbox app", "handle": "sandbox-app"},
            "accessScopes": [{"handle": one, "description": one.replace("_", " ").capitalize()} for one in scopes],
        }

    def _versions(self) -> list[Node]:
        versions = self.shop.settings.versions
        gone = [one for one in (*RETIRED, *VERSIONS) if one < versions[0]]
        return [{"handle": one, "displayName": one, "supported": one in versions} for one in (*gone, *versions)]

    def _report(self, query: str) -> Node:
        """Answer ShopifyQL from the sales report; it may be refused though the scope is granted (REPORT: #1415)."""
        store, report = self.shop.store, self.shop.settings.report
        if report.refused:
            raise denied("shopifyqlQuery", ("read_reports",))
        zone, currency = store.shop["ianaTimezone"], store.shop["currencyCode"]
        days = store.derived(f"sales report {zone}", lambda: sales_by_day(store.orders, currency, zone, store.practice))
        return answer(query, days, self.shop.clock().astimezone(ZoneInfo(zone)).date(), report)

    def _bulk_operation(self, global_id: str) -> Node | None:
        """Answer `bulkOperation`, which an app that lost its permission meanwhile may not see either."""
        if self.shop.settings.bulk_refusal in REFUSALS:
            without_permission(self.shop.settings.bulk_refusal)
        return self.shop.bulk.get(global_id, self.url)

    def _run_bulk(self, query: str, *, grouped: bool) -> Node:
        """Answer `bulkOperationRunQuery`: what breaks the rules is a user error, lacking the permission an error."""
        if self.shop.settings.bulk_refusal:
            return without_permission(self.shop.settings.bulk_refusal)
        document, settings = read_document(self.version, query), self.shop.settings
        wrong = complaints(
            schema(self.version),
            query,
            document,
            nodes_only=settings.bulk_nodes_only,
            node_parents_only=settings.bulk_node_parents_only,
        )
        if wrong:
            return refused("INVALID", wrong[0], field=["query"])
        return self.shop.bulk.submit(query, lambda: self._rows(query, grouped=grouped))

    def _rows(self, query: str, *, grouped: bool) -> Iterator[tuple[bool, str]]:
        document = cast("DocumentNode", read_document(self.version, query))  # it passed the rules
        definition = definition_of(document, None)
        values = get_variable_values(schema(self.version), definition.variable_definitions or (), {})
        operation = Operation.of(schema(self.version), document, None, cast("VariableValues", values))
        with self.shop.store.lock:
            yield from rows(operation, self._resolver_for(self._graph(unbounded=True)), grouped=grouped)


def _too_dear(points: int) -> Node:
    more = "for more information on how the cost of a query is calculated."
    return {
        "message": (
            f"Query cost is {points}, which exceeds the single query max cost limit ({LARGEST_QUERY_POINTS}).\n\n"
            f"See https://shopify.dev/concepts/about-apis/rate-limits {more}"
        ),
        "extensions": {
            "code": "MAX_COST_EXCEEDED",
            "cost": points,
            "maxCost": LARGEST_QUERY_POINTS,
            "documentation": "https://shopify.dev/api/usage/rate-limits",
        },
    }
