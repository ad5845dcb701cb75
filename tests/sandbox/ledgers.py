"""Sums over the ledger of an order and what a shop says of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sandbox.shop.ledger_nodes import agreements
from sandbox.shop.sales_report import Figures, booked, sales_by_day

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.shop.store import Store

    Node = dict[str, Any]


COLUMNS = [one.name for one in fields(Figures) if one.name != "orders"]


def amount(bag: Node | None) -> Decimal:
    return Decimal(bag["shopMoney"]["amount"]) if bag else Decimal(0)


def sales(order: Node) -> list[Node]:
    return [sale for one in agreements(order) for sale in one["sales"]]


def total(chosen: Iterable[Node]) -> Decimal:
    return sum((amount(one["totalAmount"]) for one in chosen), Decimal(0))


def broken_identities(order: Node) -> list[str]:
    """Return which of the identities between a ledger and its order don't hold."""
    every = sales(order)
    adjusted = [one for one in every if one["lineType"] == "ADJUSTMENT"]
    goods = [one for one in every if one["lineType"] != "ADJUSTMENT"]
    nodes = agreements(order)
    counts: dict[str, int] = defaultdict(int)
    for one in every:
        if one["lineType"] in ("PRODUCT", "GIFT_CARD", "TIP"):
            counts[one["lineItem"]["id"]] += one["quantity"] or 0
    held = {
        "the first agreement is the original total": total(nodes[0]["sales"]) == amount(order["originalTotalPriceSet"]),
        "all but adjustments are the current total": total(goods) == amount(order["currentTotalPriceSet"]),
        "adjustments are the discrepancy": total(adjusted) == amount(order["refundDiscrepancySet"]),
        "all are paid or open": total(every) == amount(order["netPaymentSet"]) + amount(order["totalOutstandingSet"]),
        "units are there": all(counts[line["id"]] == line["currentQuantity"] for line in order["lineItems"]),
        "one order agreement": [one["reason"] for one in nodes].count("ORDER") == 1,
        "nothing after the last update": max(one["happenedAt"] for one in nodes) <= order["updatedAt"],
        "no id twice": len({one["id"] for one in every}) == len(every),
    }
    return [what for what, holds in held.items() if not holds]


def figures(order: Node) -> dict[tuple[date, str], Decimal]:
    """Return what an order's ledger comes to in the columns of the sales report, by day in New York."""
    found: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for one in agreements(order):
        at = order["processedAt"] if one["reason"] == "ORDER" else one["happenedAt"]
        day = datetime.fromisoformat(at.replace("Z", "+00:00")).astimezone(ZoneInfo("America/New_York")).date()
        for sale in one["sales"]:
            for column, value in _columns(sale).items():
                found[day, column] += value
    return {key: value for key, value in found.items() if value}


def _columns(sale: Node) -> dict[str, Decimal]:
    tax, off = amount(sale["totalTaxAmount"]), amount(sale["totalDiscountAmountBeforeTaxes"])
    net = amount(sale["totalAmount"]) - tax
    if sale["lineType"] == "PRODUCT" and sale["actionType"] != "RETURN":
        return {"gross_sales": net + off, "discounts": -off, "taxes": tax}
    if sale["lineType"] == "UNKNOWN":
        return {}
    names = {
        "PRODUCT": "returns",
        "ADJUSTMENT": "returns",
        "SHIPPING": "shipping_charges",
        "DUTY": "duties",
        "ADDITIONAL_FEE": "additional_fees",
        "FEE": "return_fees",
        "TIP": "tips",
        "GIFT_CARD": "gift_cards_issued",
    }
    return {names[sale["lineType"]]: net, "taxes": tax}


def sound(store: Store) -> None:
    """Hold the ledgers of a store against its orders and against its report, order by order and day by day."""
    expected: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for order in store.orders:
        assert broken_identities(order) == [], order["name"]
        found, bookings = figures(order), [one for _, one in booked(order, store.practice)]
        for name in COLUMNS:
            ledgers = sum(value for (_, column), value in found.items() if column == name)
            assert sum(getattr(one, name) for one in bookings) == ledgers, (order["name"], name)
        if order["currencyCode"] == "USD" and not order["test"]:
            for key, value in found.items():
                expected[key] += value
    days = sales_by_day(store.orders, "USD", "America/New_York", store.practice)
    reported = {(day, name): getattr(one, name) for day, one in days.items() for name in COLUMNS}
    assert without_zeros(reported) == without_zeros(expected)


def without_zeros(values: dict[Any, Decimal]) -> dict[Any, Decimal]:
    return {key: value for key, value in values.items() if value}
