"""The ledger of sales of each order: what is served, by pages and in bulk, and that it agrees with the order."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.shop.access import MORE_SCOPES, SCOPES
from sandbox.shop.cdnow import cdnow_store
from sandbox.shop.ledger_nodes import agreements
from sandbox.shop.practice import Practice
from sandbox.shop.sales_report import booked
from tests.sandbox.ledgers import amount, broken_identities, figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.shop import Shop
    from sandbox.shop.store import Store

EVERYTHING = (*SCOPES, *MORE_SCOPES)
SALE = """id __typename actionType lineType quantity totalAmount { shopMoney { amount } } totalTaxAmount { shopMoney
  { amount } } totalDiscountAmountBeforeTaxes { shopMoney { amount } } taxes { id amount { shopMoney { amount } }
  taxLine { rate } } ... on ProductSale { lineItem { id sku } } ... on ShippingLineSale { shippingLine { id } }"""
AGREEMENT = "id __typename happenedAt reason app { id title } ... on RefundAgreement { refund { id } }"
PAGES = f"""query Q($id: ID!, $after: String, $first: Int = 10, $query: String, $within: String) {{ order(id: $id) {{
  agreements(first: $first, after: $after, query: $query) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ {AGREEMENT}
  sales(first: 50, after: $within) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ {SALE} }} }} }} }} }} }}"""
BULK = f"""{{ orders {{ edges {{ node {{ id agreements {{ edges {{ node {{ {AGREEMENT}
  sales {{ edges {{ node {{ {SALE} }} }} }} }} }} }} }} }} }} }}"""
RUN = """mutation M($query: String!) { bulkOperationRunQuery(query: $query) { bulkOperation { id } userErrors
  { message } } }"""


@pytest.fixture(scope="module")
def full_store() -> Store:
    """Build the whole store once; the tests that use it only read."""
    return cdnow_store(date(2026, 11, 22))


def refunded(store: Store) -> dict[str, Any]:
    """Return an order of which goods were given back by a refund, and nothing else was done to it."""
    kinds = ["OrderAgreement", "RefundAgreement"]
    given_back = (one for one in store.orders if one["refunds"] and one["refunds"][0]["refundLineItems"])
    return next(one for one in given_back if [each["__typename"] for each in agreements(one)] == kinds)


def test_the_ledger_of_every_order_agrees_with_the_order(full_store: Store) -> None:
    broken = {one["name"]: found for one in full_store.orders if (found := broken_identities(one))}
    assert broken == {}


def test_the_ledger_of_every_order_comes_to_what_the_accountant_books(full_store: Store) -> None:
    for one in full_store.orders:
        net = sum(value for (_, name), value in figures(one).items() if name in ("gross_sales", "discounts", "returns"))
        assert net == sum(booking.net_sales for _, booking in booked(one))


def drained(ask: Callable[..., Any], shop: Shop, order_id: str) -> Iterator[dict[str, Any]]:
    """Yield the agreements of an order and their sales, read agreement by agreement, as they stand in a bulk file."""
    more: dict[str, Any] = {"first": 1}
    for _ in range(1_000):
        found = ask(shop, PAGES, id=order_id, **more)["data"]["order"]["agreements"]
        (agreement,) = found["nodes"]
        sales = agreement.pop("sales")
        yield from (sale | {"__parentId": agreement["id"]} for sale in sales["nodes"])
        if sales["pageInfo"]["hasNextPage"]:
            more["within"] = sales["pageInfo"]["endCursor"]
            continue
        yield agreement | {"__parentId": order_id}
        if not found["pageInfo"]["hasNextPage"]:
            return
        more = {"first": 1, "after": found["pageInfo"]["endCursor"]}


def test_pages_and_bulk_say_the_same_of_every_order(shop: Shop, ask: Callable[..., Any]) -> None:
    paged = {node["id"]: node for one in shop.store.orders for node in drained(ask, shop, one["id"])}
    ask(shop, RUN, query=BULK)
    operation = ask(shop, "{currentBulkOperation{status url}}")
    operation = ask(shop, "{currentBulkOperation{status url}}")["data"]["currentBulkOperation"]
    lines = [json.loads(line) for line in requests.get(operation["url"], timeout=30).text.splitlines()]
    assert {line["id"]: line for line in lines if "__parentId" in line} == paged


def test_bulk_refuses_the_ledger_as_it_did_for_three_months(
    shop_with: Callable[..., Shop], ask: Callable[..., Any]
) -> None:
    shop = shop_with(bulk_node_parents_only=True)
    (error,) = ask(shop, RUN, query=BULK)["data"]["bulkOperationRunQuery"]["userErrors"]
    assert error["message"] == (
        "The parent 'node' field for a nested connection must return a type that implements the 'Node' interface. "
        "Invalid connections: agreements."
    )
    for allowed in ("agreements { edges { node { id } } }", "shippingLines { edges { node { id } } }"):
        query = f"{{ orders {{ edges {{ node {{ id {allowed} }} }} }} }}"
        assert ask(shop, RUN, query=query)["data"]["bulkOperationRunQuery"]["bulkOperation"]


def test_agreements_are_paged_and_searched_by_id_and_moment(shop: Shop, ask: Callable[..., Any]) -> None:
    order = refunded(shop.store)
    whole = ask(shop, PAGES, id=order["id"])["data"]["order"]["agreements"]["nodes"]
    first = ask(shop, PAGES, id=order["id"], first=1)["data"]["order"]["agreements"]
    after = first["pageInfo"]["endCursor"]
    rest = ask(shop, PAGES, id=order["id"], after=after)["data"]["order"]["agreements"]
    assert (first["pageInfo"]["hasNextPage"], first["nodes"] + rest["nodes"]) == (True, whole)
    search = f"happened_at:>='{whole[-1]['happenedAt']}'"
    assert ask(shop, PAGES, id=order["id"], query=search)["data"]["order"]["agreements"]["nodes"] == whole[-1:]
    number = whole[0]["id"].rsplit("/", 1)[1]
    assert ask(shop, PAGES, id=order["id"], query=f"id:{number}")["data"]["order"]["agreements"]["nodes"] == whole[:1]


def test_an_agreement_is_no_node_and_a_refunds_one_names_it(shop: Shop, ask: Callable[..., Any]) -> None:
    order = refunded(shop.store)
    found = ask(shop, PAGES, id=order["id"])["data"]["order"]["agreements"]["nodes"]
    assert ask(shop, "query Q($id: ID!) { node(id: $id) { id } }", id=found[0]["id"])["data"] == {"node": None}
    assert found[1]["refund"] == {"id": order["refunds"][0]["id"]}
    assert {one["id"].split("/")[3] for one in found[0]["sales"]["nodes"]} == {"Sale"}


def test_agreements_may_come_newest_first(ask: Callable[..., Any], shop_with: Callable[..., Shop]) -> None:
    shop = shop_with()
    order = refunded(shop.store)
    oldest_first = ask(shop, PAGES, id=order["id"])["data"]["order"]["agreements"]["nodes"]
    shop.store.practice = Practice(newest_first=True)
    assert ask(shop, PAGES, id=order["id"])["data"]["order"]["agreements"]["nodes"] == oldest_first[::-1]


def test_a_ledger_that_is_cut_short_lacks_a_sale_so_many_times(shop: Shop, ask: Callable[..., Any]) -> None:
    order = shop.store.cut_ledger(shop.store.orders[0]["name"], times=2)

    def first_total() -> Decimal:
        (first, *_) = ask(shop, PAGES, id=order["id"])["data"]["order"]["agreements"]["nodes"]
        return sum((amount(one["totalAmount"]) for one in first["sales"]["nodes"]), Decimal(0))

    assert first_total() < amount(order["originalTotalPriceSet"])
    assert first_total() < amount(order["originalTotalPriceSet"])
    assert first_total() == amount(order["originalTotalPriceSet"])


def test_an_old_order_may_have_no_ledger_until_it_appears(shop: Shop, ask: Callable[..., Any]) -> None:
    order = shop.store.hide_ledger(shop.store.orders[0]["name"], "2026-11-02T00:00:00Z")
    assert ask(shop, PAGES, id=order["id"])["data"]["order"]["agreements"]["nodes"] == []
    shop.store.hide_ledger(order["name"], "2026-11-03T00:00:00Z", hidden=False)
    assert len(ask(shop, PAGES, id=order["id"])["data"]["order"]["agreements"]["nodes"]) >= 1


NEEDS = """query Q($id: ID!) { order(id: $id) { id returns(first: 5) { nodes { id } } paymentTerms { id } retailLocation
  { id } purchasingEntity { __typename ... on Customer { id } } } }"""


def test_returns_and_payment_terms_need_scopes_of_their_own(
    shop_with: Callable[..., Shop], ask: Callable[..., Any]
) -> None:
    shop, poor = shop_with(scopes=EVERYTHING), shop_with()
    order = next(one for one in shop.store.orders if one["customer"])
    assert ask(shop, NEEDS, id=order["id"])["data"]["order"] == {
        "id": order["id"],
        "returns": {"nodes": []},
        "paymentTerms": None,
        "retailLocation": None,
        "purchasingEntity": {"__typename": "Customer", "id": order["customer"]["id"]},
    }
    refused = [one["message"] for one in ask(poor, NEEDS, id=order["id"])["errors"]]
    assert refused[0] == "Access denied for returns field. Required access: `read_returns` access scope."
