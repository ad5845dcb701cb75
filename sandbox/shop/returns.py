"""Returns and exchanges of an order, in: an order dict and what comes back or goes out; out: the dict with a return.

Since 2025-07 a return is written into the ledger when it is processed, not when it is opened, and so in parts where it
is processed in parts (https://shopify.dev/docs/apps/build/orders-fulfillment/returns-apps/migrate-to-return-processing).
Knows no store and no GraphQL.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.shop import ledger, parts
from sandbox.shop.edits import add_lines
from sandbox.shop.money import ZERO
from sandbox.shop.orders import touch
from sandbox.shop.practice import USUAL
from sandbox.shop.refunds import payment, taken_back, value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from sandbox.shop.goods import Processed
    from sandbox.shop.ledger import Sale
    from sandbox.shop.orders import Order
    from sandbox.shop.practice import Practice

    Node = dict[str, Any]


def open_return(order: Order, ids: Iterator[int], at: str, quantity: int, *, moves: bool = True) -> Node:
    """Open a return of so many units; nothing is in the ledger of it yet."""
    one = parts.return_(order, quantity, ids, at)
    order["returns"].append(one)
    if moves:
        touch(order, at)
    return one


def process(order: Order, ids: Iterator[int], at: str, done: Processed, practice: Practice = USUAL) -> Node:
    """Process units of the open return, whole or in part; returns the return, closed when all units are done.

    `back.money` of what was done is the money given back: the newer `returnProcess` writes no adjustment where that is
    less than the goods (REPORT, community.shopify.dev 32180).
    """
    one = _open(order)
    lines = [
        parts.refund_line(order, order["lineItems"][place], count, done.back.restock_type, ids)
        for place, count in done.back.quantities.items()
    ]
    if practice.process_adjusts and done.back.money is not None and not (done.back.adjustment or done.exchanged):
        kept = value(order, done.back) - sum(done.fees.values(), ZERO) - done.back.money
        done = replace(done, back=replace(done.back, adjustment=-kept))
    sales = list(_sales(order, ids, one, done, practice))
    ledger.write(order, "ReturnAgreement", at, sales, one)
    order["_deeds"].append((at, done))
    one["_left"] -= sum(done.back.quantities.values())
    if one["_left"] <= 0:
        one.update(status="CLOSED", closedAt=at)
    if done.back.money:
        refund = _paid_out(order, ids, at, lines, done.back.money)
        refund["return"] = one
        one["refunds"].append(refund)
        if practice.refund_of_a_return:
            ledger.write(order, "RefundAgreement", at, (), refund)
    if done.back.money or "return processed" in practice.moves:  # a payment moves it in any case
        touch(order, at)
    return one


def cancel_return(order: Order, at: str, *, moves: bool = True) -> Node:
    """Cancel the open return; whether that writes anything isn't known, here it doesn't as nothing was processed."""
    one = _open(order)
    one.update(status="CANCELED", closedAt=at)
    if moves:
        touch(order, at)
    return one


def _open(order: Order) -> Node:
    for one in reversed(order["returns"]):
        if one["status"] == "OPEN":
            found: Node = one
            return found
    raise ValueError(f"order {order['name']} has no open return")


def _sales(order: Order, ids: Iterator[int], one: Node, done: Processed, practice: Practice) -> Iterator[Sale]:
    yield from taken_back(order, done.back)
    yield from add_lines(order, ids, done.exchanged)
    for type_name, amount in done.fees.items():
        fee = parts.fee(order, type_name, amount, ids)
        if type_name == "ReturnShippingFee":
            one["returnShippingFees"].append(fee)
        order["_return_fees"] += amount
        yield ledger.plain("FEE", amount, fee, practice.fee_action)
    if done.back.adjustment:
        adjusted = ledger.adjustment(done.back.adjustment, done.back.adjustment_tax)
        order["_adjusted"] += adjusted.worth.total
        yield adjusted


def _paid_out(order: Order, ids: Iterator[int], at: str, lines: list[Node], money: Decimal) -> Node:
    """Add the refund of a return: it has the lines, but its agreement reverses nothing again (INFERRED)."""
    number = next(ids)
    refund: Node = {
        "id": parts.gid("Refund", number),
        "legacyResourceId": str(number),
        **dict.fromkeys(("createdAt", "processedAt", "updatedAt"), at),
        "note": None,
        "order": order,
        "totalRefundedSet": order["_currencies"].bag(money),
        "refundLineItems": lines,
        **{key: [] for key in ("duties", "refundShippingLines", "orderAdjustments")},
        "transactions": [payment(order, ids, at, money, "SUCCESS")],
    }
    order["transactions"].extend(refund["transactions"])
    order["refunds"].append(refund)
    return refund
