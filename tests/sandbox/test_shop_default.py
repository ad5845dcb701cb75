"""The default store with what merchants do in it: a share of each situation, sound to the cent, and CDNOW's dollars."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.shop.cdnow import BUYERS, FIRST_CUSTOMER, cdnow_store
from sandbox.shop.ledger_nodes import agreements
from sandbox.shop.situations import Situation
from tests.sandbox.ledgers import amount, sales, sound

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from sandbox.shop.store import Store

    Node = dict[str, Any]

LAST_DAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def lively() -> Store:
    """Build the whole store once; the tests that use it only read."""
    return cdnow_store(LAST_DAY)


def kinds(order: Node) -> list[str]:
    return [one["__typename"] for one in agreements(order)]


def wrote(order: Node, kind: str = "", *, line_type: str = "", action: str = "") -> bool:
    chosen = (one for each in agreements(order) if kind in ("", each["__typename"]) for one in each["sales"])
    return any(one["lineType"] == line_type or one["actionType"] == action for one in chosen)


def test_every_ledger_agrees_with_its_order_and_with_the_report_of_each_day(lively: Store) -> None:
    sound(lively)


def test_nothing_happens_after_the_last_day(lively: Store) -> None:
    for order in lively.orders:
        parts = [*order["transactions"], *order["refunds"], *order["fulfillments"], *order["returns"]]
        times = [part[key] for part in parts for key in ("createdAt", "processedAt", "closedAt") if part.get(key)]
        assert max([order["updatedAt"], *times]) < "2026-11-23", order["name"]


# What merchants and buyers did, how many orders have it at least, and how it is told.
SHARES: list[tuple[str, int, Callable[[Node], object]]] = [
    ("edited", 50, lambda one: one["edited"] and "OrderEditAgreement" in kinds(one)),
    ("a quantity lowered", 10, lambda one: one["edited"] and wrote(one, "OrderEditAgreement", action="RETURN")),
    ("a price changed", 15, lambda one: wrote(one, action="UPDATE")),
    ("shipping added", 5, lambda one: len(one["shippingLines"]) > 1),
    ("exchanged", 15, lambda one: any({"ORDER", "RETURN"} <= actions(each) for each in agreements(one))),
    ("exchanged at an old till", 5, lambda one: {"ReturnAgreement", "OrderEditAgreement"} <= {*kinds(one)}),
    ("returned", 100, lambda one: has(one["returns"], status="CLOSED")),
    ("returned in parts", 2, lambda one: kinds(one).count("ReturnAgreement") > 1),
    ("return under way", 5, lambda one: one["returnStatus"] == "IN_PROGRESS"),
    ("return cancelled", 5, lambda one: has(one["returns"], status="CANCELED")),
    ("returned with a restocking fee", 15, lambda one: feed(one) and not shipped_back(one)),
    ("returned with a fee for shipping", 15, lambda one: feed(one) and shipped_back(one)),
    ("returned with a fee that is taxed", 3, lambda one: any(amount(each["totalTaxAmount"]) for each in feed(one))),
    ("returned for less", 5, lambda one: one["returns"] and amount(one["totalOutstandingSet"]) < 0),
    ("kept in part", 5, lambda one: paid_for_goods(one) and adjusted(one) > 0),
    ("refund of nothing", 10, lambda one: refunded_goods(one) and not paid_for_goods(one) and adjusted(one) > 0),
    ("goodwill", 50, lambda one: goodwill(one) and adjusted(one) < 0),
    ("refund pending", 2, lambda one: has(one["transactions"], kind="REFUND", status="PENDING")),
    ("refund dated back", 10, lambda one: any(each["processedAt"] < each["createdAt"] for each in one["refunds"])),
    ("cancelled with the money back", 50, lambda one: cancelled(one) and received(one) and not net_payment(one)),
    ("cancelled with the money kept", 5, lambda one: cancelled(one) and net_payment(one) > 0 and adjusted(one) > 0),
    ("cancelled before it was paid", 3, lambda one: cancelled(one) and not received(one) and one["refunds"]),
    ("cancelled without restock", 20, lambda one: cancelled(one) and restocked(one, "NO_RESTOCK")),
    ("cancelled with restock", 40, lambda one: cancelled(one) and restocked(one, "CANCEL")),
    ("gift card sold", 30, lambda one: wrote(one, line_type="GIFT_CARD") and one["currencyCode"] == "USD"),
    ("gift card spent", 30, lambda one: [each["gateway"] for each in one["transactions"]][:1] == ["gift_card"]),
    ("store credit spent", 15, lambda one: "shopify_store_credit" in one["paymentGatewayNames"]),
    ("tip", 30, lambda one: wrote(one, line_type="TIP")),
    ("duties", 15, lambda one: amount(one["originalTotalDutiesSet"])),
    ("import fee", 15, lambda one: amount(one["originalTotalAdditionalFeesSet"])),
    ("free shipping by code", 20, lambda one: one["discountCodes"] == ["SHIPFREE"]),
    ("prices with tax", 10, lambda one: one["taxesIncluded"]),
    ("a company", 20, lambda one: one.get("purchasingEntity") and one["paymentTerms"]),
    ("captured in parts", 5, lambda one: [each["kind"] for each in one["transactions"]].count("CAPTURE") > 1),
    ("paid later", 5, lambda one: any(each["createdAt"] < each["processedAt"] for each in one["transactions"])),
    ("payment pending", 50, lambda one: has(one["transactions"], kind="SALE", status="PENDING")),
    ("authorization voided", 5, lambda one: has(one["transactions"], kind="VOID") and is_paid(one, "VOIDED")),
    ("authorization expired", 5, lambda one: is_paid(one, "EXPIRED")),
    ("attribution open", 5, lambda one: one.get("customerJourneySummary", {}) and not attributed(one)),
    ("parcel cancelled", 10, lambda one: has(one["fulfillments"], status="CANCELLED")),
    ("e-mail corrected", 15, lambda one: (one["email"] or "").startswith("corrected.")),
    ("customer removed", 10, lambda one: deed(one) == "customer removed" and not one["customer"]),
    ("erased", 5, lambda one: one["customer"] and not one["customer"]["displayName"]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "least", "test"), SHARES, ids=[what for what, _, _ in SHARES])
def test_there_is_a_share_of_each_situation(
    what: str, least: int, test: Callable[[Node], object], lively: Store
) -> None:
    found = sum(bool(test(one)) for one in lively.orders)
    assert least <= found < len(lively.orders) / 20, what


def actions(agreement: Node) -> set[str]:
    return {one["actionType"] for one in agreement["sales"]}


def adjusted(order: Node) -> Decimal:
    return amount(order["refundDiscrepancySet"])


def feed(order: Node) -> list[Node]:
    return [one for one in sales(order) if one["lineType"] == "FEE"]


def shipped_back(order: Node) -> bool:
    return any(one["returnShippingFees"] for one in order["returns"])


def refunded_goods(order: Node) -> list[Node]:
    """Return the refunds of goods of an order that isn't cancelled."""
    return [one for one in order["refunds"] if one["refundLineItems"] and not cancelled(order)]


def paid_for_goods(order: Node) -> bool:
    return any(amount(one["totalRefundedSet"]) for one in refunded_goods(order))


def goodwill(order: Node) -> bool:
    beside = [one for one in order["refunds"] if not one["refundLineItems"] and not one["refundShippingLines"]]
    return any(has(one["transactions"], status="SUCCESS") for one in beside) and not cancelled(order)


def cancelled(order: Node) -> bool:
    return order["cancelledAt"] is not None


def received(order: Node) -> Decimal:
    return amount(order["totalReceivedSet"])


def net_payment(order: Node) -> Decimal:
    return amount(order["netPaymentSet"])


def restocked(order: Node, how: str) -> bool:
    return any(has(one["refundLineItems"], restockType=how) for one in order["refunds"])


def is_paid(order: Node, status: str) -> bool:
    return bool(order["displayFinancialStatus"] == status)


def attributed(order: Node) -> bool:
    return bool(order["customerJourneySummary"]["ready"])


def deed(order: Node) -> str:
    """Return what chance has let happen to an order."""
    return Situation(order["number"], iter(()), datetime.max.replace(tzinfo=timezone.utc)).deed


def has(parts: list[Node], **values: str) -> bool:
    return any(all(part[key] == value for key, value in values.items()) for part in parts)


def test_most_orders_have_nothing_peculiar(lively: Store) -> None:
    counts = Counter(len(kinds(one)) for one in lively.orders)
    assert counts[1] > len(lively.orders) * 0.85
    assert max(counts) <= 5


def test_some_orders_were_deleted_and_some_customers_merged(lively: Store) -> None:
    deleted = [one["subjectType"] for one in lively.by_type["BasicEvent"].values()]
    assert deleted == ["ORDER"] * 3
    numbers = {int(one["id"].rsplit("/", 1)[1]) for one in lively.customers}
    assert any(FIRST_CUSTOMER + buyer not in numbers for buyer in range(1, BUYERS + 1))


def test_the_figures_are_the_same_whatever_the_last_day() -> None:
    def figures(last_day: date) -> list[tuple[Any, ...]]:
        names = ("name", "displayFinancialStatus", "totalPriceSet", "totalRefundedSet")
        orders = cdnow_store(last_day, customers=600).orders
        return [(*(one[name] for name in names), len(one["refunds"]), len(one["_agreements"])) for one in orders]

    assert figures(LAST_DAY) == figures(date(2028, 2, 28))
