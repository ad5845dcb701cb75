"""What a record adds, takes back and leaves, by the shipped mapping's books and by one's own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from target_posthog.books.entries import Books, Entry
from target_posthog.errors import RuleError
from target_posthog.mapping.document import load

BOOKS = load("ecommerce")["books"]["orders"]
DAY = "2026-11-01T23:30:00-05:00"  # the second of November in UTC


def order(**changes: Any) -> dict[str, Any]:
    return {
        "processed_at": DAY,
        "currency": "USD",
        "subtotal_price": "29.30",
        "current_subtotal_price": "29.30",
        "cancelled_at": None,
        "refunds": [],
    } | changes


def refund(*subtotals: str, at: str | None = "2026-11-03T00:00:00Z") -> dict[str, Any]:
    return {"processed_at": at, "created_at": at, "refund_line_items": [{"subtotal": one} for one in subtotals]}


PLACED = Entry("placed", "Order Completed", "2026-11-02", Decimal("29.30"))


@pytest.mark.parametrize(
    ("record", "entries", "difference"),
    [
        (order(), [PLACED], "0"),
        (
            order(refunds=[refund("10.10", "0.20")], current_subtotal_price="19.00"),
            [PLACED, Entry("refunded", "Order Refunded", "2026-11-03", Decimal("-10.30"))],
            "0",
        ),
        (
            order(cancelled_at="2026-11-04T00:00:00Z"),
            [PLACED, Entry("cancelled", "Order Cancelled", "2026-11-04", Decimal("-29.30"))],
            "0",
        ),
        (
            order(cancelled_at="2026-11-04T00:00:00Z", refunds=[refund("29.30")], current_subtotal_price="0.00"),
            [
                PLACED,
                Entry("refunded", "Order Refunded", "2026-11-03", Decimal("-29.30")),
                Entry("cancelled", "Order Cancelled", "2026-11-04", Decimal(0)),
            ],
            "0",
        ),
        (order(refunds=[refund("5.00", at=None)]), [PLACED], "0"),
        (order(current_subtotal_price="39.31"), [PLACED], "10.01"),
        (order(current_subtotal_price=None), [PLACED], "0"),
    ],
)
def test_an_orders_entries_come_to_what_is_left(record: dict[str, Any], entries: list[Entry], difference: str) -> None:
    account = Books("orders", BOOKS).account(record)
    assert account.entries == entries
    assert account.difference == Decimal(difference)


def test_an_edited_order_is_known() -> None:
    assert Books("orders", BOOKS).account(order(edited=True)).edited
    assert not Books("orders", BOOKS).account(order()).edited


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"curency": "currency"}, "`books` of stream `bills` has no key `curency`; did you mean `currency`"),
        ({"entries": {"paid": {"at": "a", "adds": "b"}}}, "`paid` needs `event`, `at` and either `adds` or `takes`"),
        ({"entries": {"paid": {"event": "P", "at": "a", "adds": "b", "takes": "c"}}}, "either `adds` or `takes`"),
        ({"entries": {"paid": {"event": "P", "at": "a b", "adds": "b"}}}, "`a b` is no JMESPath expression"),
        ({"properties": ["revenue"]}, "`books` of stream `bills` needs an object"),
    ],
)
def test_books_that_cant_be_used_are_named(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RuleError, match=sentence):
        Books("bills", spec)


def test_a_record_whose_money_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a number"):
        Books("orders", BOOKS).account(order(subtotal_price="a lot"))
