"""Returns and exchanges of an order, in: an order dict and what comes back or goes out; out: the dict with a return.

Since 2025-07 a return is written into the ledger when it is processed, and so in parts where it is processed in parts
(https://shopify.dev/docs/apps/build/orders-fulfillment/returns-apps/migrate-to-return-processing). Before, it was
written when it was opened, or not at all until it was refunded: `Practice.return_writes`. Knows no store and no
GraphQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.shop import ledger, parts, prices, refunds
from sandbox.shop.edits import add_lines
from sandbox.shop.goods import Opened, Processed, Reversal, Withdrawn
from sandbox.shop.money import ZERO
from sandbox.shop.orders import touch
from sandbox.shop.practice import USUAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from sandbox.shop.ledger import Sale
    from sandbox.shop.orders import Order
    from sandbox.shop.practice import Practice

    Node = dict[str, Any]


def open_return(
    order: Order, ids: Iterator[int], at: str, quantities: Mapping[int, int], practice: Practice = USUAL
) -> Node:
    """Open a return of so many units of some lines; raises ValueError where the buyer hasn't as many to send."""
    _check_open(order)
    for place, count in quantities.items():
        there = free(order, place)
        if not 0 < count <= there:
            raise ValueError(f"of line {place} there are {there} to return, not {count}")
    one = parts.return_(order, dict(quantities), ids, at)
    order["returns"].append(one)
    order["_deeds"].append((at, Opened(quantities)))
    if practice.return_writes == "opened":
        ledger.write(order, "ReturnAgreement", at, [*refunds.goods_back(order, quantities)], one)
        one["_is_written"] = True
    if "return opened" in practice.moves:
        touch(order, at)
    return one


def free(order: Order, place: int) -> int:
    """Return how many units of a line can still be returned: those in a return under way can't."""
    line = order["lineItems"][place]
    under_way = [one for one in order["returns"] if one["status"] == "OPEN" and not one["_is_written"]]
    count: int = line["_count"] - sum(one["_lines"].get(place, 0) for one in under_way)
    return 0 if line["_type"] == "TIP" else count


def process(order: Order, ids: Iterator[int], at: str, done: Processed, practice: Practice = USUAL) -> Node:
    """Process units of the open return, whole or in part; returns the return, closed when all units are done.

    The newer `returnProcess` writes no adjustment where the money is less than the goods (REPORT, community.shopify.dev
    32180). Raises ValueError for units that aren't in the return.
    """
    one = _open(order)
    _check_left(one, done.quantities)
    if practice.return_writes == "refunded":
        _refunded_as_before(order, ids, at, done, practice)
    else:
        _processed(order, ids, at, done, practice)
    _leave(one, done.quantities)
    one["_is_processed"] = True
    _close_if_done(one, at, "CLOSED")
    if done.money or "return processed" in practice.moves:  # a payment moves it in any case
        touch(order, at)
    return one


def withdraw(order: Order, at: str, quantities: Mapping[int, int] | None = None, practice: Practice = USUAL) -> Node:
    """Remove units from the open return, or cancel it as a whole.

    "Canceling a return is only available before any work has been done on the return"
    (https://shopify.dev/docs/api/admin-graphql/latest/mutations/returnCancel), else it raises ValueError. What that
    writes where the return is written already, isn't known (`Practice.cancelled_return_reverses`).
    """
    one = _open(order)
    if quantities is None and one["_is_processed"]:
        raise ValueError(f"return {one['name']} is processed in part")
    withdrawn = dict(one["_lines"] if quantities is None else quantities)
    _check_left(one, withdrawn)
    _leave(one, withdrawn)
    order["_deeds"].append((at, Withdrawn(withdrawn)))
    if quantities is not None:
        one["totalQuantity"] -= sum(quantities.values())
    _close_if_done(one, at, "CLOSED" if one["_is_processed"] else "CANCELED")
    if one["_is_written"] and practice.cancelled_return_reverses:
        lines = order["lineItems"]
        again = [ledger.goods(order, lines[place], count) for place, count in withdrawn.items()]
        ledger.write(order, "ReturnAgreement", at, again, one)
    if "return opened" in practice.moves:
        touch(order, at)
    return one


def _check_open(order: Order) -> None:
    if order["cancelledAt"]:
        raise ValueError(f"order {order['name']} is cancelled")


def _open(order: Order) -> Node:
    for one in reversed(order["returns"]):
        if one["status"] == "OPEN":
            found: Node = one
            return found
    raise ValueError(f"order {order['name']} has no open return")


def _check_left(one: Node, quantities: Mapping[int, int]) -> None:
    if not quantities:
        raise ValueError(f"nothing of return {one['name']} is named")
    for place, count in quantities.items():
        left = one["_lines"].get(place, 0)
        if not 0 < count <= left:
            raise ValueError(f"return {one['name']} has {left} left of line {place}, not {count}")


def _leave(one: Node, quantities: Mapping[int, int]) -> None:
    for place, count in quantities.items():
        one["_lines"][place] -= count


def _close_if_done(one: Node, at: str, status: str) -> None:
    if not any(one["_lines"].values()):
        one.update(status=status, closedAt=at)


def _processed(order: Order, ids: Iterator[int], at: str, done: Processed, practice: Practice) -> None:
    """Write what comes back and goes out, and pay it."""
    one = _open(order)
    lines = [
        refunds.refund_line(order, ids, place, count, _had(order, one, place)) | parts.restocked("RETURN")
        for place, count in done.quantities.items()
    ]
    kept = done.kept
    if practice.process_adjusts and done.money is not None and not (kept or done.exchanged):
        kept = _worth(order, one, done) - done.money
    sales = [] if one["_is_written"] else [*refunds.goods_back(order, done.quantities)]
    sales += _beside_goods(order, ids, one, done, practice)
    if kept:
        sales.append(ledger.adjustment(-kept))
    if sales:
        ledger.write(order, "ReturnAgreement", at, sales, one)
    order["_deeds"].append((at, done))
    if not done.money:
        one["_kept"] += kept
        return
    refund = refunds.refund_of_return(order, ids, at, done.money, lines)
    refund["return"] = one
    one["refunds"].append(refund)
    if kept:
        refund["orderAdjustments"] = [parts.order_adjustment(order, -kept, ZERO, "REFUND_DISCREPANCY", ids)]
    if practice.refund_of_a_return:
        ledger.write(order, "RefundAgreement", at, (), refund)


def _had(order: Order, one: Node, place: int) -> int:
    """Return how many units of a line there were before the next ones of a return came back."""
    count: int = order["lineItems"][place]["_count"]
    return count + (one["_lines"][place] if one["_is_written"] else 0)


def _worth(order: Order, one: Node, done: Processed) -> Decimal:
    """Return what comes back is worth, less fees."""
    lines = order["lineItems"]
    goods = [
        prices.of_next(order, lines[place], _had(order, one, place), count) for place, count in done.quantities.items()
    ]
    fees = [prices.of_amount(order, amount, done.fee_tax_rate) for amount in done.fees.values()]
    return prices.summed(goods).total - prices.summed(fees).total


def _beside_goods(order: Order, ids: Iterator[int], one: Node, done: Processed, practice: Practice) -> Iterator[Sale]:
    yield from add_lines(order, ids, done.exchanged)
    for type_name, amount in done.fees.items():
        fee = parts.fee(order, type_name, amount, ids)
        if type_name == "ReturnShippingFee":
            one["returnShippingFees"].append(fee)
        order["_return_fees"].append((amount, done.fee_tax_rate))
        yield ledger.plain(order, "FEE", amount, rate=done.fee_tax_rate, link=fee, action=practice.fee_action)


def _refunded_as_before(order: Order, ids: Iterator[int], at: str, done: Processed, practice: Practice) -> None:
    """Pay what comes back by a refund that reverses it, as before 2024-02: there were no fees and no exchanges yet."""
    if done.fees or done.exchanged or done.kept:
        raise ValueError("a return that is written by its refund has no fees and exchanges nothing")
    if done.money is not None:
        one = _open(order)
        refund = refunds.refund(order, ids, at, Reversal(done.quantities, paid=done.money), practice)
        refund["return"] = one
        one["refunds"].append(refund)
