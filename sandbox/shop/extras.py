"""What the sample has not, in: a last day; out: other currencies, test orders, 300 lines, customers without orders.

None of the orders is both in USD and real, so that the dollars of the sample stay exact. Knows no files and no GraphQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from sandbox.shop import catalog, orders
from sandbox.shop.customers import customer, email_address, phone_number
from sandbox.shop.goods import Line, Payment, Placed, Reversal
from sandbox.shop.moments import instant
from sandbox.shop.money import ZERO, Currencies
from sandbox.shop.people import person
from sandbox.shop.refunds import refund

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.shop.orders import Order

    Node = dict[str, Any]

PRICES = {"USD": Decimal("12.34"), "EUR": Decimal("19.99"), "JPY": Decimal(1980), "KWD": Decimal("3.475")}
# currency, is it a test, quantity (many: so many line items)
ORDERS = (
    ("EUR", False, 2),
    ("JPY", False, 1),
    ("KWD", False, 3),
    ("USD", True, 1),
    ("EUR", True, 1),
    ("EUR", False, 300),
    ("KWD", False, 1),
    ("JPY", False, 2),
    ("USD", True, 2),
    ("EUR", False, 1),
)


@dataclass
class Extras:
    """Customers and orders beyond the sample."""

    customers: list[Node]
    orders: list[Order]


def extras(ids: Iterator[int], end: datetime, number: int) -> Extras:
    """Return them; the first of the orders is called `#number`."""
    at = end - timedelta(days=20)
    people = _people(ids, at)
    placed = [
        _order(place, ids, at + timedelta(days=place, hours=5, microseconds=place * 1_111), number, people)
        for place in range(len(ORDERS))
    ]
    return Extras(people, placed)


def _people(ids: Iterator[int], at: datetime) -> list[Node]:
    """Return six people: one has a telephone only, two share an e-mail in different case, two never order anything."""
    random = Random("extras")
    people = [customer(next(ids), person(random, 90_000 + place), instant(at), "USD") for place in range(6)]
    people[1]["defaultEmailAddress"], people[1]["defaultPhoneNumber"] = None, phone_number("+12025550199")
    shared = people[2]["defaultEmailAddress"]["emailAddress"]
    people[3]["defaultEmailAddress"] = email_address(shared.title())
    return people


def _order(place: int, ids: Iterator[int], at: datetime, number: int, people: list[Node]) -> Order:
    currency, test, quantity = ORDERS[place]
    buyer = people[place % 4] if place % 5 else None
    email = buyer and buyer["defaultEmailAddress"]
    placed = Placed(
        at=instant(at),
        number=number + place,
        lines=_lines(place, currency, quantity),
        currencies=Currencies(currency, currency),
        tax_rate=ZERO if currency == "USD" else Decimal("0.10"),
        customer=buyer,
        address=buyer and buyer["defaultAddress"],
        extra={"test": test, "email": email and email["emailAddress"]},
    )
    order = orders.place(placed, ids)
    orders.pay(order, ids, instant(at + timedelta(seconds=1)), Payment(gateway="bogus" if test else "shopify_payments"))
    if place % 3 == 0:
        refund(order, ids, instant(at + timedelta(days=2, hours=3)), Reversal({0: 1}))
    return order


def _lines(place: int, currency: str, quantity: int) -> list[Line]:
    """Return one line, with a gift card beside it in EUR; or for many a line for each."""
    if quantity > catalog.MOST_LINES:
        many = catalog.PRODUCTS * (quantity // len(catalog.PRODUCTS) + 1)
        return [Line(many[step], 1, Decimal(7 + step)) for step in range(quantity)]
    line = Line(catalog.PRODUCTS[place], quantity, PRICES[currency], properties=(("engraving", "♥ Zoë"),))
    return [line, Line(catalog.GIFT_CARD, 1, Decimal(25))] if currency == "EUR" else [line]
