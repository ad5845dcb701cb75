"""Lines become books, in: events with their money; out: exact sums, per currency and kind.

Pure: knows neither the database nor how a sum looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.posthog.totals import amount_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.posthog.pages.lines import Line

COMPLETED = ("Order Completed", "Created Shopify Order")
PAID, REFUNDED, CANCELLED = "Order Paid", "Order Refunded", "Order Cancelled"
ZERO = Decimal(0)


@dataclass
class Book:
    """What orders came to in one currency; refunded and cancelled are what was taken back, above zero."""

    currency: str
    orders: int = 0
    completed: Decimal = ZERO
    paid: Decimal = ZERO
    refunded: Decimal = ZERO
    cancelled: Decimal = ZERO
    shopify_has: Decimal | None = None

    @property
    def left(self) -> Decimal:
        """What is left of the orders."""
        return self.completed - self.refunded - self.cancelled

    @property
    def adds_up(self) -> bool:
        """Whether completed less refunded is what Shopify said that the order comes to, when it was read last."""
        return self.completed - self.refunded == self.shopify_has


def books_of(lines: Iterable[Line]) -> list[Book]:
    """Keep one book per currency, in the order of the currencies' names."""
    books: dict[str, Book] = {}
    for line in lines:
        amount = abs(line.amount or ZERO)
        if line.event not in (*COMPLETED, PAID, REFUNDED, CANCELLED):
            continue
        book = books.setdefault(line.currency, Book(line.currency))
        if line.event in COMPLETED:
            book.orders += 1
            book.completed += amount
            book.shopify_has = amount_in(line.properties.get("current_total"))
        elif line.event == PAID:
            book.paid += amount
        elif line.event == REFUNDED:
            book.refunded += amount
        else:
            book.cancelled += amount
    return [books[currency] for currency in sorted(books)]
