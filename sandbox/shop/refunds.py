"""Refunds of an order, in: an order dict and what is taken back; out: the dict with a refund and its agreement.

Knows no store and no GraphQL.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.shop import ledger, orders, parts, prices, totals
from sandbox.shop.goods import Payment, Reversal
from sandbox.shop.money import ZERO, shop_amount
from sandbox.shop.practice import USUAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from sandbox.shop.ledger import Sale
    from sandbox.shop.orders import Order
    from sandbox.shop.practice import Practice

    Node = dict[str, Any]


class _Given(NamedTuple):
    """What is given back: the money, and how much of it is beyond the goods (negative where less is given), its tax."""

    money: Decimal
    beyond: Decimal
    tax: Decimal = ZERO


def refund(order: Order, ids: Iterator[int], at: str, back: Reversal, practice: Practice = USUAL) -> Node:
    """Add a refund and the transaction that pays it; returns the refund.

    Raises ValueError where more would go back than is there, in goods or in money ("allowOverRefunding: false",
    https://shopify.dev/docs/api/admin-graphql/latest/input-objects/RefundInput).
    """
    taken = _everything_left(order, back) if back.everything else back
    as_adjustment = practice.shipping_is_adjusted and _is_shipping_alone(back)
    given = _given(order, taken, is_shipping=as_adjustment)
    if given.money > available(order):
        raise ValueError(f"of the money there are {available(order)} to give back, not {given.money}")
    if as_adjustment:
        taken = replace(taken, shipping=ZERO)
    lines = [
        refund_line(order, ids, place, count, order["lineItems"][place]["_count"]) | parts.restocked(back.restock_type)
        for place, count in taken.quantities.items()
    ]
    beside = _beside_lines(order, taken, ids)
    sales = [*taken_back(order, taken)]
    one = _refund(order, ids, at, given.money, lines)
    adjusted = [each for each in _adjustments(given, back.status) if each[0]]
    one |= {
        "processedAt": back.processed_at or at,
        "note": back.note,
        **beside,
        "orderAdjustments": [parts.order_adjustment(order, *each, ids) for each in adjusted],
        "transactions": [_payment(order, ids, at, given.money, back.status)] if given.money else [],
    }
    _add(order, one)
    happened = one[practice.refunded_at]
    sales += [ledger.adjustment(amount, tax) for amount, tax, _ in adjusted]
    ledger.write(order, "RefundAgreement", happened, sales, one)
    order["_deeds"].append((happened, back))
    orders.touch(order, at)
    return one


def refund_of_return(order: Order, ids: Iterator[int], at: str, money: Decimal, lines: list[Node]) -> Node:
    """Add the refund of a return: it has the lines, but what came back is in the return's agreement."""
    if money > available(order):
        raise ValueError(f"of the money there are {available(order)} to give back, not {money}")
    one = _refund(order, ids, at, money, lines)
    nothing: Node = {key: [] for key in ("duties", "refundShippingLines", "orderAdjustments")}
    one |= {"note": None, **nothing, "transactions": [_payment(order, ids, at, money, "SUCCESS")]}
    return _add(order, one)


def cancel(  # noqa: PLR0913  # the arguments of orderCancel
    order: Order,
    ids: Iterator[int],
    at: str,
    reason: str,
    *,
    refunded: bool = False,
    restock: bool = True,
    practice: Practice = USUAL,
) -> None:
    """Cancel an order: all that is left is taken back, with the money or without.

    Of an unpaid order the sale is reversed and no money moves. Whether that happens where the money is kept, isn't
    known (`Practice.unrefunded_cancel_reverses`). What was authorized is released in any case. Raises ValueError as in
    https://shopify.dev/docs/api/admin-graphql/latest/mutations/orderCancel: "hasn't already been cancelled", "no active
    returns in progress".
    """
    if order["cancelledAt"]:
        raise ValueError(f"order {order['name']} is cancelled already")
    if any(one["status"] == "OPEN" for one in order["returns"]):
        raise ValueError(f"order {order['name']} has a return in progress")
    paid = available(order)
    kept = ZERO if refunded else paid
    restock_type = "CANCEL" if restock else "NO_RESTOCK"
    back = Reversal(everything=True, kept=kept, restock_type=restock_type)
    if (not kept or practice.unrefunded_cancel_reverses) and _takes_anything(order, back):
        refund(order, ids, at, back, practice)
    orders.cancel(order, at, reason)


def available(order: Order) -> Decimal:
    """Return the money that can still be given back; a refund that is pending is on its way already."""
    pending = (
        shop_amount(one["amountSet"])
        for each in order["refunds"]
        for one in each["transactions"]
        if one["status"] == "PENDING"
    )
    return totals.net_payment(order) - sum(pending, ZERO)


def refund_line(order: Order, ids: Iterator[int], place: int, count: int, had: int) -> Node:
    """Return the RefundLineItem of so many units of a line that had so many."""
    line = order["lineItems"][place]
    return parts.refund_line(order, line, prices.of_next(order, line, had, count), count, ids)


def taken_back(order: Order, back: Reversal) -> Iterator[Sale]:
    """Yield the sales that take back goods, shipping and duties; the order has them no longer afterwards."""
    yield from goods_back(order, back.quantities)
    left = back.shipping
    for line in order["shippingLines"]:
        amount = min(left, line["_left"])
        if amount:
            left -= amount
            yield ledger.unship(order, line, amount)
    if left:
        raise ValueError(f"of the shipping there are {left} less to take back than {back.shipping}")
    for duty in _duties(order, back):
        yield ledger.plain(order, "DUTY", -duty["_amount"], rate=duty["_rate"], link=duty, action="RETURN")
        duty["_amount"] = ZERO


def goods_back(order: Order, quantities: Mapping[int, int]) -> Iterator[Sale]:
    """Yield the sales that take back so many of some lines; raises ValueError where there aren't as many."""
    for place, count in quantities.items():
        line = order["lineItems"][place]
        if not 0 < count <= line["_count"]:
            raise ValueError(f"of line {place} there are {line['_count']} to take back, not {count}")
        yield ledger.goods(order, line, -count)


def value(order: Order, back: Reversal) -> Decimal:
    """Return what goods, shipping and duties come to that would be taken back; nothing changes."""
    lines = order["lineItems"]
    worth = [
        prices.of_next(order, lines[place], lines[place]["_count"], count) for place, count in back.quantities.items()
    ]
    worth.append(_shipping_gone(order, back.shipping))
    worth += [prices.of_amount(order, duty["_amount"], duty["_rate"]) for duty in _duties(order, back)]
    return prices.summed(worth).total


def _shipping_gone(order: Order, amount: Decimal) -> prices.Price:
    """Return the price of so much of the shipping that goes back, from the first line on."""
    gone, left = [], amount
    for line in order["shippingLines"]:
        less = min(left, line["_left"])
        left -= less
        before, after = (prices.of_shipping(order, line, line["_left"] - each) for each in (ZERO, less))
        gone.append(prices.Price(*(more - rest for more, rest in zip(before, after, strict=True))))
    return prices.summed(gone)


def _duties(order: Order, back: Reversal) -> list[Node]:
    """Return the duties that go back and haven't yet."""
    every = (duty for line in order["lineItems"] for duty in line["duties"])
    return [duty for duty in every if back.duties and duty["_amount"]]


def _everything_left(order: Order, back: Reversal) -> Reversal:
    quantities = {place: line["_count"] for place, line in enumerate(order["lineItems"]) if line["_count"]}
    shipping = sum((line["_left"] for line in order["shippingLines"]), ZERO)
    return replace(back, quantities=quantities, shipping=shipping, duties=True)


def _takes_anything(order: Order, back: Reversal) -> bool:
    taken = _everything_left(order, back)
    given = _given(order, taken, is_shipping=False)
    return any((taken.quantities, taken.shipping, _duties(order, taken), given.money, given.beyond))


def _is_shipping_alone(back: Reversal) -> bool:
    return bool(back.shipping) and not back.quantities and back.paid is None


def _given(order: Order, taken: Reversal, *, is_shipping: bool) -> _Given:
    """Return the money for what is taken back; shipping alone may be an adjustment, as REST's `shipping_refund` was."""
    worth = value(order, taken)
    if taken.everything:
        return _Given(available(order) - taken.kept, totals.owed(order) - worth - taken.kept)
    if is_shipping:
        gone = _shipping_gone(order, taken.shipping)
        return _Given(worth + taken.owed, gone.total, gone.tax)
    paid = worth if taken.paid is None else taken.paid
    return _Given(paid + taken.owed, paid - worth)


def _adjustments(given: _Given, status: str) -> list[tuple[Decimal, Decimal, str]]:
    """Return amount, tax and reason of the adjustments.

    While the money is PENDING, two more say that it isn't paid yet; they add up to nothing (community.shopify.com
    859492: "refund discrepancy" and "pending refund discrepancy").
    """
    found = [(given.beyond, given.tax, "REFUND_DISCREPANCY")]
    if status == "PENDING":
        found += [(-given.money, ZERO, "REFUND_DISCREPANCY"), (given.money, ZERO, "PENDING_REFUND_DISCREPANCY")]
    return found


def _beside_lines(order: Order, taken: Reversal, ids: Iterator[int]) -> Node:
    """Return what a refund says of shipping and duties, before they go back."""
    bag, tax = order["_currencies"].bag, _shipping_gone(order, taken.shipping).tax
    return {
        "refundShippingLines": [parts.refund_shipping_line(order, taken.shipping, tax, ids)] if taken.shipping else [],
        "duties": [
            {
                "amountSet": bag(prices.of_amount(order, duty["_amount"], duty["_rate"]).total),
                "originalDuty": duty,
            }
            for duty in _duties(order, taken)
        ],
    }


def _refund(order: Order, ids: Iterator[int], at: str, money: Decimal, lines: list[Node]) -> Node:
    number = next(ids)
    return {
        "id": parts.gid("Refund", number),
        "legacyResourceId": str(number),
        **dict.fromkeys(("createdAt", "processedAt", "updatedAt"), at),
        "order": order,
        "return": None,
        "totalRefundedSet": order["_currencies"].bag(money),
        "refundLineItems": lines,
    }


def _add(order: Order, one: Node) -> Node:
    order["transactions"].extend(one["transactions"])
    order["refunds"].append(one)
    return one


def _payment(order: Order, ids: Iterator[int], at: str, amount: Decimal, status: str) -> Node:
    """Return the transaction that gives an amount back where it came from."""
    paid = next((one for one in order["transactions"] if one["kind"] in ("SALE", "CAPTURE")), None)
    how = Payment("REFUND", paid["gateway"] if paid else "manual", parent=paid, status=status)
    return parts.transaction(order, ids, at, how, order["_currencies"].bag(amount))
