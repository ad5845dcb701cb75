"""What the parts of an order cost, in: an order and its lines as they are; out: prices, with their tax and discount.

The order's own sums, beside those of the `ledger` and of the `sales_report`: the three share no line of code, so that
each can be held against the others. Knows no agreements. Sources:
https://shopify.dev/docs/api/admin-graphql/latest/objects/LineItem and .../objects/ShippingLine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.shop.money import ZERO, rounded, smallest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    Node = dict[str, Any]


class Price(NamedTuple):
    """An amount as it is asked for, the tax on it or in it, both together, and the discount that was taken off."""

    asked: Decimal = ZERO
    tax: Decimal = ZERO
    total: Decimal = ZERO
    off: Decimal = ZERO


def of_units(order: Node, line: Node, count: int) -> Price:
    """Return the price of the first so many units of a line."""
    off = discount(order, line, count)
    return of_amount(order, line["_list"] * count - off, line["_rate"], off)


def of_next(order: Node, line: Node, had: int, count: int) -> Price:
    """Return the price of so many units that go from a line which had so many: the last ones."""
    before, after = of_units(order, line, had), of_units(order, line, had - count)
    return Price(*(more - less for more, less in zip(before, after, strict=True)))


def discount(order: Node, line: Node, count: int) -> Decimal:
    """Return the discount on the first so many units of a line: of what can't be divided, a cent each."""
    off: Decimal = line["_off"] * count
    rest: Decimal = line["_rest"]
    return off + min(rest, smallest(order["_currencies"].shop) * count)


def of_shipping(order: Node, line: Node, asked: Decimal) -> Price:
    """Return the price of as much of a shipping line as is still asked for, with its share of the discount."""
    off: Decimal = line["_off"]
    if asked != line["_price"]:
        off = rounded(off * asked / line["_price"], order["_currencies"].shop)
    return of_amount(order, asked, line["_rate"], off)


def of_amount(order: Node, asked: Decimal, rate: Decimal, off: Decimal = ZERO) -> Price:
    """Return the price of an amount that contains the tax, or to which the tax is added."""
    currency = order["_currencies"].shop
    if order["taxesIncluded"]:
        return Price(asked, rounded(asked - asked / (1 + rate), currency), asked, off)
    tax = rounded(asked * rate, currency)
    return Price(asked, tax, asked + tax, off)


def summed(found: Iterable[Price]) -> Price:
    """Return the sum of prices."""
    prices = list(found)
    return Price(*(sum((one[place] for one in prices), ZERO) for place in range(4)))
