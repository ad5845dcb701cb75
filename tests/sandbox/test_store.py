"""The store: CDNOW's purchases to the cent, every kind of order, and changes to them."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timezone
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.shop import Shop
from sandbox.shop.catalog import PRODUCTS
from sandbox.shop.cdnow import CDNOW_DOLLARS, cdnow_store, purchases
from sandbox.shop.goods import Line, Placed
from sandbox.shop.ledger_nodes import agreements
from sandbox.shop.money import Currencies, money
from sandbox.shop.people import person

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.shop.store import Store


AT = "2026-11-01T10:00:00Z"


def amount(bag: dict[str, Any]) -> Decimal:
    return Decimal(bag["shopMoney"]["amount"])


def real_usd(store: Store) -> list[dict[str, Any]]:
    return [one for one in store.orders if one["currencyCode"] == "USD" and not one["test"]]


def journey(order: dict[str, Any]) -> dict[str, Any]:
    return order.get("customerJourneySummary") or {}


@pytest.fixture(scope="module")
def full_store() -> Store:
    """Build the whole store once; the tests that use it only read."""
    return cdnow_store(date(2026, 11, 22))


def placed_goods(order: dict[str, Any]) -> Decimal:
    """Return what an order's goods cost when it was placed, net of tax."""
    sales = [one for one in agreements(order)[0]["sales"] if one["lineType"] == "PRODUCT"]
    return sum((amount(one["totalAmount"]) - amount(one["totalTaxAmount"]) for one in sales), Decimal(0))


def is_as_placed(order: dict[str, Any]) -> bool:
    """Say whether nothing came to an order's goods, shipping and tips, and nothing happened to it later."""
    types = {sale["lineType"] for one in agreements(order) for sale in one["sales"]}
    is_plain = types <= {"PRODUCT", "SHIPPING", "TIP"} and not order["taxesIncluded"]
    return is_plain and len(agreements(order)) == 1 and order["discountCodes"] != ["SHIPFREE"]


def test_the_dollars_of_the_sample_come_out_to_the_cent(full_store: Store) -> None:
    assert sum(placed_goods(one) for one in real_usd(full_store)) == CDNOW_DOLLARS == Decimal("244091.94")
    assert len(real_usd(full_store)) == 6_919


def test_each_purchase_is_an_order_of_its_day_and_dollars(full_store: Store) -> None:
    shift = date(2026, 11, 22) - date(1998, 6, 30)
    expected = Counter((str(one.day + shift), one.dollars) for one in purchases())
    assert Counter((one["processedAt"][:10], placed_goods(one)) for one in real_usd(full_store)) == expected


def test_a_store_is_the_same_each_time_and_a_small_one_holds_the_same_people(full_store: Store) -> None:
    small, again = (cdnow_store(date(2026, 11, 22), customers=5) for _ in range(2))
    assert [(one["id"], one["updatedAt"], one["email"]) for one in small.orders] == [
        (one["id"], one["updatedAt"], one["email"]) for one in again.orders
    ]
    names = {one["id"]: one["displayName"] for one in full_store.customers}
    assert all(
        names[one["id"]] == one["displayName"] for one in small.customers if one["id"] < "gid://shopify/Customer/5"
    )


def test_nothing_happens_after_the_last_day_or_after_an_orders_last_update(full_store: Store) -> None:
    for one in full_store.orders:
        parts = [*one["transactions"], *one["refunds"], *one["fulfillments"]]
        times = [
            part[key]
            for part in parts
            for key in ("createdAt", "processedAt", "updatedAt", "deliveredAt")
            if part.get(key)
        ]
        times += [one[key] for key in ("createdAt", "processedAt", "closedAt", "cancelledAt") if one[key]]
        assert max(times) <= one["updatedAt"] < "2026-11-23"


def test_lines_shipping_tax_and_tip_add_up_to_the_total(full_store: Store) -> None:
    for one in filter(is_as_placed, full_store.orders):
        goods = [line for line in one["lineItems"] if line["title"] != "Tip"]
        lines = sum(amount(line["discountedUnitPriceAfterAllDiscountsSet"]) * line["quantity"] for line in goods)
        off = sum(amount(part["allocatedAmountSet"]) for line in goods for part in line["discountAllocations"])
        original = sum(amount(line["originalTotalSet"]) for line in goods)
        assert lines == amount(one["subtotalPriceSet"]) == original - off
        extra = sum(amount(one[key]) for key in ("totalShippingPriceSet", "totalTaxSet", "totalTipReceivedSet"))
        assert lines + extra == amount(one["totalPriceSet"])
        assert off == amount(one["totalDiscountsSet"])


def test_refunds_add_up_and_never_give_back_more_than_was_received(full_store: Store) -> None:
    for one in full_store.orders:
        paid = [part for part in one["transactions"] if part["status"] == "SUCCESS"]
        back = sum(amount(part["amountSet"]) for part in paid if part["kind"] == "REFUND")
        assert back == amount(one["totalRefundedSet"]) <= amount(one["totalReceivedSet"])
        if len(paid) == len(one["transactions"]):
            assert back == sum(amount(part["totalRefundedSet"]) for part in one["refunds"])


def test_customers_count_and_sum_their_own_orders(full_store: Store) -> None:
    store = full_store
    for customer in store.customers:
        mine = [one for one in store.orders_of(customer) if not one["test"]]
        assert customer["numberOfOrders"] == str(len(mine))
        spent = sum(
            (
                amount(one["currentTotalPriceSet"]) + amount(one["refundDiscrepancySet"])
                for one in mine
                if one["currencyCode"] == "USD" and not one["cancelledAt"]
            ),
            Decimal(0),
        )
        assert Decimal(customer["amountSpent"]["amount"]) == spent
        assert customer["lastOrder"] is (mine[-1] if mine else None)


@pytest.mark.parametrize(
    ("what", "test"),
    [
        ("guests", lambda one: one["customer"] is None and one["email"]),
        ("nobody", lambda one: one["customer"] is None and not one["email"]),
        ("telephone only", lambda one: one["customer"] and not one["email"] and one["phone"]),
        ("closed", lambda one: one["closed"] and not one["cancelledAt"]),
        ("cancelled for fraud", lambda one: one["cancelReason"] == "FRAUD"),
        ("voided", lambda one: one["displayFinancialStatus"] == "VOIDED"),
        ("pending", lambda one: one["displayFinancialStatus"] == "PENDING"),
        ("authorized", lambda one: one["displayFinancialStatus"] == "AUTHORIZED"),
        ("partially paid", lambda one: one["displayFinancialStatus"] == "PARTIALLY_PAID"),
        ("refunded", lambda one: one["displayFinancialStatus"] == "REFUNDED"),
        ("partially refunded", lambda one: one["displayFinancialStatus"] == "PARTIALLY_REFUNDED"),
        ("in another month", lambda one: one["refunds"] and one["refunds"][-1]["createdAt"][:7] > one["createdAt"][:7]),
        ("refunded twice", lambda one: len(one["refunds"]) == 2),
        ("shipping refunded", lambda one: any(part["refundShippingLines"] for part in one["refunds"])),
        ("an amount refunded", lambda one: any(part["orderAdjustments"] for part in one["refunds"])),
        ("two parcels", lambda one: len(one["fulfillments"]) == 2),
        ("partially fulfilled", lambda one: one["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"),
        ("a gift card bought", lambda one: any(line["isGiftCard"] for line in one["lineItems"])),
        ("paid with a gift card", lambda one: "gift_card" in one["paymentGatewayNames"]),
        ("a tip", lambda one: amount(one["totalTipReceivedSet"])),
        ("a declined card", lambda one: any(part["errorCode"] == "CARD_DECLINED" for part in one["transactions"])),
        ("presentment in JPY", lambda one: (one["currencyCode"], one["presentmentCurrencyCode"]) == ("USD", "JPY")),
        ("in JPY", lambda one: one["currencyCode"] == "JPY"),
        ("in KWD", lambda one: one["currencyCode"] == "KWD" and amount(one["subtotalPriceSet"]) % Decimal("0.01")),
        ("a test", lambda one: one["test"]),
        ("free", lambda one: not amount(one["totalPriceSet"])),
        ("300 lines", lambda one: len(one["lineItems"]) == 300),
        ("a code", lambda one: one["discountCodes"] == ["SUMMER10"]),
        ("automatic", lambda one: "Long tail 15%" in {part.get("title") for part in one["discountApplications"]}),
        ("till", lambda one: one["sourceName"] == "pos" and one["processedAt"] < one["createdAt"]),
        ("draft", lambda one: one["sourceName"] == "shopify_draft_order" and one["attribution"] is None),
        ("a web visit", lambda one: "_posthog_session_id" in {part["key"] for part in one["customAttributes"]}),
        ("rubbish in its place", lambda one: any(part["value"] == "undefined" for part in one["customAttributes"])),
        ("300 letters in its place", lambda one: any(len(part["value"]) == 300 for part in one["customAttributes"])),
        ("a journey with UTM", lambda one: journey(one).get("firstVisit", {}).get("utmParameters")),
        ("no journey", lambda one: one.get("customerJourneySummary") is None),
    ],
)  # fmt: skip
def test_there_are_orders_of_every_kind(what: str, test: Callable[[Any], object], full_store: Store) -> None:
    assert any(test(one) for one in full_store.orders), what


@pytest.mark.parametrize(
    ("what", "test"),
    [
        ("no orders", lambda one: one["numberOfOrders"] == "0"),
        ("opted out", lambda one: one["dataSaleOptOut"]),
        ("telephone only", lambda one: one["defaultEmailAddress"] is None and one["defaultPhoneNumber"]),
        ("subscribed", lambda one: (one["defaultEmailAddress"] or {}).get("marketingState") == "SUBSCRIBED"),
        ("texted", lambda one: (one["defaultPhoneNumber"] or {}).get("marketingState") == "SUBSCRIBED"),
        ("not ASCII", lambda one: not one["displayName"].isascii()),
        ("upper case", lambda one: one["email"] and one["email"] != one["email"].lower()),
    ],
)  # fmt: skip
def test_there_are_customers_of_every_kind(what: str, test: Callable[[Any], object], full_store: Store) -> None:
    assert any(test(one) for one in full_store.customers), what


def test_two_customers_share_an_email_in_different_case(full_store: Store) -> None:
    emails = Counter(one["email"].lower() for one in full_store.customers if one["email"])
    assert [count for count in emails.values() if count > 1] == [2]


def test_orders_share_a_second_and_two_an_instant(full_store: Store) -> None:
    instants = Counter(one["updatedAt"] for one in full_store.orders)
    seconds = Counter(one["updatedAt"][:19] for one in full_store.orders)
    assert instants["2026-11-22T21:00:00.600000Z"] == 2
    assert seconds["2026-11-22T21:00:00"] == 7


def test_addresses_of_people_are_nobodys(full_store: Store) -> None:
    assert {one["email"].split("@")[1].lower() for one in full_store.customers if one["email"]} == {
        "example.com",
        "example.net",
        "example.org",
    }


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        ("10", "USD", "10.0"),
        ("29.90", "USD", "29.9"),
        ("0", "EUR", "0.0"),
        ("1980", "JPY", "1980.0"),
        ("3.475", "KWD", "3.475"),
        ("-5", "USD", "-5.0"),
    ],
)
def test_amounts_are_written_as_shopify_writes_them(value: str, currency: str, text: str) -> None:
    assert money(Decimal(value), currency) == {"amount": text, "currencyCode": currency}


def test_a_changed_order_has_its_new_field_and_time(store: Store) -> None:
    order = store.change_order("#1001", AT, note="by the door")
    assert (order["note"], order["updatedAt"]) == ("by the door", "2026-11-01T10:00:00.000000Z")
    assert order["customer"]["updatedAt"] == order["updatedAt"]


def test_a_changed_customer_has_its_new_email_or_none(store: Store) -> None:
    customer_id = int(store.customers[0]["legacyResourceId"])
    customer = store.change_customer(customer_id, AT, email="new@example.com", phone="+12025550100", firstName="Zoë")
    assert (customer["defaultEmailAddress"]["emailAddress"], customer["email"]) == ("new@example.com",) * 2
    assert (customer["phone"], customer["firstName"]) == ("+12025550100", "Zoë")
    assert customer["updatedAt"] == "2026-11-01T10:00:00.000000Z"
    assert store.change_customer(customer_id, AT, email=None)["defaultEmailAddress"] is None


def test_a_refund_of_everything_gives_all_back_and_changes_the_customers_sum(store: Store) -> None:
    order = next(
        one
        for one in store.orders
        if one["customer"]
        and one["displayFinancialStatus"] == "PAID"
        and amount(one["totalPriceSet"])
        and not one["test"]
    )
    before = Decimal(order["customer"]["amountSpent"]["amount"])
    store.refund_order(order["name"], AT)
    assert order["displayFinancialStatus"] == "REFUNDED"
    assert amount(order["currentTotalPriceSet"]) == 0
    assert Decimal(order["customer"]["amountSpent"]["amount"]) < before


def test_a_refund_of_one_line_or_of_an_amount_is_partial(store: Store) -> None:
    order = next(one for one in store.orders if one["displayFinancialStatus"] == "PAID" and len(one["lineItems"]) > 2)
    store.refund_order(order["name"], AT, quantities={1: 1})
    store.refund_order(order["name"], AT, amount="0.25")
    first, second = order["refunds"][-2:]
    assert [part["lineItem"]["id"] for part in first["refundLineItems"]] == [order["lineItems"][1]["id"]]
    assert order["lineItems"][1]["currentQuantity"] == order["lineItems"][1]["quantity"] - 1
    assert amount(second["orderAdjustments"][0]["amountSet"]) == Decimal("-0.25")
    assert order["displayFinancialStatus"] == "PARTIALLY_REFUNDED"


def test_an_order_is_added_paid_sent_cancelled_and_deleted(store: Store) -> None:
    at = "2026-11-01T09:00:00.000000Z"
    customer = store.add_customer(at, person(Random(1), 1))
    placed = Placed(at, 9001, [Line(PRODUCTS[0], 2, Decimal("5.25"))], Currencies("USD", "USD"), customer=customer)
    order = store.add_order(placed, paid=False)
    assert (order["name"], order["displayFinancialStatus"], customer["numberOfOrders"]) == ("#9001", "PENDING", "1")
    store.pay_order(order["name"], AT)
    store.fulfill_order(order["name"], AT, delivered_at="2026-11-01T11:00:00Z")
    assert (order["displayFinancialStatus"], order["displayFulfillmentStatus"]) == ("PAID", "FULFILLED")
    assert order["updatedAt"] == "2026-11-01T11:00:00.000000Z"
    store.cancel_order(order["name"], datetime(2026, 11, 2, tzinfo=timezone.utc), reason="FRAUD")
    assert (order["cancelReason"], order["closed"]) == ("FRAUD", True)
    store.delete_order(order["name"], "2026-11-03T00:00:00Z")
    assert customer["numberOfOrders"] == "0"
    with pytest.raises(KeyError):
        store.order("#9001")


def test_merged_customers_are_one_with_the_orders_of_both(store: Store) -> None:
    kept, gone = (one for one in store.customers[:2])
    together = len(store.orders_of(kept)) + len(store.orders_of(gone))
    store.merge_customers(int(kept["legacyResourceId"]), int(gone["legacyResourceId"]), AT)
    assert len(store.orders_of(kept)) == together
    assert gone["id"] not in {one["id"] for one in store.customers}


def test_a_customer_with_orders_cannot_be_deleted(store: Store) -> None:
    with pytest.raises(ValueError, match="with orders"):
        store.delete_customer(int(store.customers[0]["legacyResourceId"]), AT)


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        store.change_order("#1001", "2026-11-01T10:00:00")


def test_deleted_orders_and_customers_are_found_as_events(shop: Shop, ask: Callable[..., Any]) -> None:
    order = shop.store.delete_order("#1002", AT)["subjectId"]
    lonely = next(one for one in shop.store.customers if one["canDelete"])
    shop.store.delete_customer(int(lonely["legacyResourceId"]), AT)
    query = """query Q($query: String) { events(first: 10, query: $query, sortKey: CREATED_AT) {
      nodes { action createdAt ... on BasicEvent { subjectId subjectType } } } }"""
    search = "action:destroy subject_type:{} created_at:>='2026-11-01T00:00:00Z'"
    found = ask(shop, query, query=search.format("ORDER"))["data"]["events"]["nodes"]
    assert found == [{"action": "destroy", "createdAt": AT, "subjectId": order, "subjectType": "ORDER"}]
    found = ask(shop, query, query=search.format("CUSTOMER"))["data"]["events"]["nodes"]
    assert [one["subjectId"] for one in found] == [lonely["id"]]


def test_another_process_changes_an_order_over_http(shop: Shop) -> None:
    url = f"{shop.url}/_control/change"
    answer = requests.post(url, json={"change": "change_order", "order_id": "#1003", "note": "x"}, timeout=30)
    assert (answer.status_code, answer.json()["updatedAt"]) == (200, "2026-11-01T12:00:00.000000Z")
    assert shop.store.order("#1003")["note"] == "x"
    assert requests.post(
        url, json={"change": "refund_order", "order_id": "#1003", "quantities": {"0": 1}}, timeout=30
    ).ok
    assert shop.controls.requests == []


@pytest.mark.parametrize(
    "body", [{}, {"change": "fill"}, {"change": "cancel_order", "order_id": "#0"}, {"change": "cancel_order"}]
)
def test_a_change_that_makes_no_sense_is_refused_with_the_reason(shop: Shop, body: dict[str, Any]) -> None:
    answer = requests.post(f"{shop.url}/_control/change", json=body, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_journal_brings_changes_back_when_the_shop_is_opened_again(tmp_path):
    day, journal = date(2026, 10, 31), tmp_path / "changes.jsonl"
    with Shop(cdnow_store(day, customers=3), journal=journal).serve() as shop:
        change = {"change": "change_order", "order_id": "#1001", "note": "kept"}
        requests.post(f"{shop.url}/_control/change", json=change, timeout=30).raise_for_status()
        requests.post(f"{shop.url}/_control/change", json={"change": "fill"}, timeout=30)
        before = shop.store.order("#1001")
    after = Shop(cdnow_store(day, customers=3), journal=journal).store.order("#1001")
    assert (after["note"], after["updatedAt"]) == ("kept", before["updatedAt"])
