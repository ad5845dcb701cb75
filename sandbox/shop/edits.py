"""Edits of an order, in: an order dict and what is to change; out: the dict with new lines and an agreement.

Knows no store and no GraphQL. Source: https://shopify.dev/docs/apps/build/orders-fulfillment/order-management-apps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.shop import ledger, parts
from sandbox.shop.money import ZERO
from sandbox.shop.orders import touch
from sandbox.shop.practice import USUAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from sandbox.shop.goods import Edit, Line
    from sandbox.shop.ledger import Sale
    from sandbox.shop.orders import Order
    from sandbox.shop.practice import Practice

BY_HAND = {
    "__typename": "ManualDiscountApplication",
    "index": 0,
    "title": "Price match",
    "description": "Price match",
    "allocationMethod": "EACH",
    "targetSelection": "EXPLICIT",
    "targetType": "LINE_ITEM",
}


def edit(order: Order, ids: Iterator[int], at: str, change: Edit, practice: Practice = USUAL) -> None:
    """Edit an order; raises ValueError for one that is cancelled."""
    if order["cancelledAt"]:
        raise ValueError(f"order {order['name']} is cancelled")
    sales = list(_sales(order, ids, change, practice))
    ledger.write(order, "OrderEditAgreement", at, sales)
    order["_deeds"].append((at, change))
    order["edited"] = True
    touch(order, at)


def add_lines(order: Order, ids: Iterator[int], added: Sequence[Line]) -> Iterator[Sale]:
    """Add line items and yield their sales."""
    for line in added:
        item = parts.line_item(order, line, None, ids)
        order["lineItems"].append(item)
        yield ledger.goods(order, item, line.quantity)


def _sales(order: Order, ids: Iterator[int], change: Edit, practice: Practice) -> Iterator[Sale]:
    for place, count in change.quantities.items():
        line = order["lineItems"][place]
        more = count - line["_count"]
        if count < 0 or not more:
            raise ValueError(f"line {place} has {line['_count']} already, or can't have {count}")
        line["_bought"] += more
        yield ledger.goods(order, line, more)
        # LineItem.quantity: "the number of units ordered, including refunded and removed units".
        parts.price(order, line, line["quantity"] + max(more, 0))
    for place in {**change.prices, **change.discounts}:
        line = order["lineItems"][place]
        new_price, off = change.prices.get(place, line["_list"]), change.discounts.get(place, line["_off"])
        yield ledger.reprice(order, line, new_price, off, practice.update_quantity)
        line["_application"] = line["_application"] or _by_hand(order, off)
        parts.price(order, line, line["quantity"])
    yield from add_lines(order, ids, change.added)
    if change.tax_rate is not None:
        yield from _retaxed(order, change.tax_rate, practice)
    if change.shipping is not None:
        carriage = parts.Carriage(change.shipping, ZERO, order["_shipping_rate"])
        line = parts.shipping_line(order, carriage, None, ids)
        order["shippingLines"].append(line)
        order["shippingLine"] = order["shippingLine"] or line
        yield ledger.ship(order, line)


def _retaxed(order: Order, rate: Decimal, practice: Practice) -> Iterator[Sale]:
    """Tax goods and shipping at another rate: from 2026-10 on a change of address does so before anything is sent.

    https://shopify.dev/changelog/posts/updating-an-orders-shipping-address-returns-accurate-financial-data; that the
    sales are updates isn't known.
    """
    if order["fulfillments"]:
        raise ValueError(f"of order {order['name']} something is sent already")
    order["_tax_rate"] = rate
    if order["_shipping_rate"]:
        order["_shipping_rate"] = rate
    for line in (*order["lineItems"], *order["shippingLines"]):
        if line["_rate"]:
            yield ledger.retax(order, line, rate, practice.update_quantity)
            parts.retax(order, line)


def _by_hand(order: Order, off: Decimal) -> dict[str, Any]:
    shop_money = order["_currencies"].bag(off)["shopMoney"]
    return {**BY_HAND, "value": {"__typename": "MoneyV2", **shop_money}}
