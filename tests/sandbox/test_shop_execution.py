"""The compiled execution answers as graphql-core's own does, and the store can answer every field of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    execute_sync,
    get_named_type,
    is_leaf_type,
    parse,
    validate,
)
from graphql.execution import get_variable_values

from sandbox.shop.access import MORE_SCOPES, SCOPES, Access
from sandbox.shop.execution import Execution, type_name_of
from sandbox.shop.graph import Graph
from sandbox.shop.operation import Operation
from sandbox.shop.schemas import schema

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo

    from sandbox.shop.store import Store


SCHEMA = schema("2026-10")
EVERY_SCOPE = frozenset({*SCOPES, *MORE_SCOPES})


def selection(type_: Any, depth: int, above: tuple[str, ...] = ()) -> str:  # any composite type
    """Select every field of a type, down to a depth, without going in circles."""
    if isinstance(type_, (GraphQLUnionType, GraphQLInterfaceType)):
        parts = [f"... on {one.name} {selection(one, depth - 1, above)}" for one in SCHEMA.get_possible_types(type_)]
        return f"{{__typename {' '.join(parts)}}}"
    fields = ["__typename"]
    for name, field in type_.fields.items():
        target = get_named_type(field.type)
        if is_leaf_type(target):
            fields.append(name)
        elif depth > 0 and target.name not in above:
            args = "(first: 250)" if target.name.endswith("Connection") else ""
            fields.append(f"{name}{args} {selection(target, depth - 1, (*above, type_.name))}")
    return f"{{{' '.join(fields)}}}"


def both(
    store: Store, query: str, variables: dict[str, Any] | None = None, scopes: frozenset[str] = EVERY_SCOPE
) -> tuple[Any, Any]:
    """Run a query by both executions; returns their data and formatted errors."""
    document = parse(query)
    assert validate(SCHEMA, document) == []
    graph = Graph(store, "2026-10", access=Access(scopes))
    definitions = document.definitions[0].variable_definitions or ()
    operation = Operation.of(SCHEMA, document, None, get_variable_values(SCHEMA, definitions, variables or {}))
    ours = Execution(operation, graph.resolver_for)
    data = ours.run({})

    def resolve(source: dict[str, Any], info: GraphQLResolveInfo, **args: object) -> object:
        field = info.parent_type.fields[info.field_name]
        resolver = graph.resolver_for(info.parent_type.name, info.field_name, field, info.path.key)
        return resolver(source, args) if resolver else source.get(info.field_name)

    theirs = execute_sync(
        SCHEMA,
        document,
        {},
        variable_values=variables,
        field_resolver=resolve,
        type_resolver=lambda node, *_: type_name_of(node),
    )
    return (data, ours.errors), (theirs.data, [one.formatted for one in theirs.errors or ()])


@pytest.mark.parametrize(("root", "depth"), [("orders", 5), ("customers", 4)])
def test_every_field_of_the_schema_has_an_answer_and_both_executions_give_it(
    store: Store, root: str, depth: int
) -> None:
    connection = get_named_type(SCHEMA.query_type.fields[root].type)
    assert isinstance(connection, GraphQLObjectType)
    ours, theirs = both(store, f"{{{root}(first: 30, reverse: true) {selection(connection, depth)}}}")
    assert ours[1] == []
    assert ours == theirs


@pytest.mark.parametrize(
    "query",
    [
        """{a: orders(first: 2) {nodes {n: name ...F ...F}} b: orders(first: 1) {edges {node {id}}}}
           fragment F on Order {name customer {id} customer {state}}""",
        """query Q($yes: Boolean = true) {
             orders(first: 2) {nodes {id @include(if: $yes) name @skip(if: $yes) ... @skip(if: $yes) {note}}}
           }""",
        """{order(id: "gid://shopify/Order/1") {id} node(id: "rubbish") {id}
            nodes(ids: ["gid://shopify/Order/1", "x"]) {id}}""",
        "{orders(first: 251){nodes{id}}}",
        """{orders(first: 250) {nodes {discountApplications(first: 5) {nodes {
             __typename
             ... on DiscountCodeApplication {
               code value {... on PricingPercentageValue {percentage} ... on MoneyV2 {amount}}
             }
           }}}}}""",
        "{shop{name ... on Shop{plan{__typename}}}}",
    ],
)
def test_aliases_fragments_directives_and_errors_are_answered_alike(store: Store, query: str) -> None:
    ours, theirs = both(store, query)
    assert ours == theirs


def test_refused_fields_are_answered_alike_also_where_they_cannot_be_null(store: Store) -> None:
    query = "{customers(first: 3){nodes{id lastOrder{name}}} orders(first: 3){nodes{id}}}"
    ours, theirs = both(store, query, scopes=frozenset({"read_customers"}))
    assert ours == theirs
    assert ours[0] is None, "strictly; the shop answers what Shopify does (test_shop_access)"
