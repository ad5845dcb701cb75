"""The default store with what merchants do in it: a share of each situation, sound to the cent, and CDNOW's dollars."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.shop.cdnow import BUYERS, FIRST_CUSTOMER, cdnow_store
from sandbox.shop.ledger_nodes import agreements
from tests.sandbox.ledgers import amount, sales, sound

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.shop.store import Store

    Node = dict[str, Any]

LAST_DAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def lively() -> Store:
    """Build the whole store once; the tests that use it only read."""
    return cdnow_store(LAST_DAY)


def kinds(order: Node) -> list[str]:
    return [one["__typename"] for one in agreements(order)]


def wrote(order: Node, *, line_type: str = "", action: str = "") -> bool:
    return any(one["lineType"] == line_type or one["actionType"] == action for one in sales(order))


def test_every_ledger_agrees_with_its_order_and_with_the_report_of_each_day(lively: Store) -> None:
    sound(lively)


def test_nothing_happens_after_the_last_day(lively: Store) -> None:
    for order in lively.orders:
        parts = [*order["transactions"], *order["refunds"], *order["fulfillments"], *order["returns"]]
        times = [part[key] for part in parts for key in ("createdAt", "processedAt", "closedAt") if part.get(key)]
        assert max([order["updatedAt"], *times]) < "2026-11-23", order["name"]


@pytest.mark.parametrize(
    ("what", "test"),
    [
        ("edited", lambda one: one["edited"] and "OrderEditAgreement" in kinds(one)),
        ("a quantity lowered", lambda one: one["edited"] and wrote(one, action="RETURN")),
        ("a price changed", lambda one: wrote(one, action="UPDATE")),
        ("shipping added", lambda one: len(one["shippingLines"]) > 1),
        ("exchanged", lambda one: any({"ORDER", "RETURN"} <= actions(each) for each in agreements(one))),
        ("exchanged at an old till", lambda one: {"ReturnAgreement", "OrderEditAgreement"} <= {*kinds(one)}),
        ("returned", lambda one: any(each["status"] == "CLOSED" for each in one["returns"])),
        ("returned in parts", lambda one: kinds(one).count("ReturnAgreement") > 1),
        ("return under way", lambda one: one["returnStatus"] == "IN_PROGRESS"),
        ("returned with a fee", lambda one: wrote(one, line_type="FEE")),
        ("returned for less", lambda one: one["returns"] and amount(one["totalOutstandingSet"]) < 0),
        ("kept in part", lambda one: any(kept(each) > 0 for each in sales(one))),
        ("goodwill", lambda one: any(kept(each) < 0 for each in sales(one))),
        ("refund pending", lambda one: has(one["transactions"], kind="REFUND", status="PENDING")),
        ("unpaid and reversed", lambda one: one["cancelledAt"] and taken_back(one)),
        ("gift card sold", lambda one: wrote(one, line_type="GIFT_CARD") and one["currencyCode"] == "USD"),
        ("gift card spent", lambda one: [each["gateway"] for each in one["transactions"]][:1] == ["gift_card"]),
        ("tip", lambda one: wrote(one, line_type="TIP")),
        ("duties", lambda one: amount(one["originalTotalDutiesSet"])),
        ("import fee", lambda one: amount(one["originalTotalAdditionalFeesSet"])),
        ("free shipping by code", lambda one: one["discountCodes"] == ["SHIPFREE"]),
        ("prices with tax", lambda one: one["taxesIncluded"]),
        ("a company", lambda one: one.get("purchasingEntity") and one["paymentTerms"]),
        ("captured in parts", lambda one: [each["kind"] for each in one["transactions"]].count("CAPTURE") > 1),
        ("paid later", lambda one: any(each["createdAt"] < each["processedAt"] for each in one["transactions"])),
        ("parcel cancelled", lambda one: has(one["fulfillments"], status="CANCELLED")),
        ("e-mail corrected", lambda one: (one["email"] or "").startswith("corrected.")),
        ("erased", lambda one: one["customer"] and not one["customer"]["displayName"]),
    ],
)  # fmt: skip
def test_there_is_a_share_of_each_situation(what: str, test: Callable[[Any], object], lively: Store) -> None:
    assert any(test(one) for one in lively.orders), what


def actions(agreement: Node) -> set[str]:
    return {one["actionType"] for one in agreement["sales"]}


def taken_back(order: Node) -> bool:
    return bool(order["refunds"]) and not order["transactions"][1:] and order["displayFinancialStatus"] == "VOIDED"


def kept(sale: Node) -> Decimal:
    return amount(sale["totalAmount"]) if sale["lineType"] == "ADJUSTMENT" else Decimal(0)


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
