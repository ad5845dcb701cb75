"""What happens to an order, in: an order dict and a deed (place, pay, fulfill, cancel); out: the dict, changed.

An order is shaped as Shopify's type `Order`: camelCase, connections are plain lists, keys that begin with `_` are never
answered. The deeds add `parts` and agreements of the `ledger`, and note in `_deeds` what was wanted; what follows
from the parts is `totals`'. Knows no store and no GraphQL.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.shop import ledger, parts
from sandbox.shop.goods import Payment
from sandbox.shop.money import ZERO
from sandbox.shop.practice import USUAL
from sandbox.shop.totals import whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox.shop.goods import Placed
    from sandbox.shop.ledger import Sale
    from sandbox.shop.practice import Practice

Order = dict[str, Any]


def place(placed: Placed, ids: Iterator[int], practice: Practice = USUAL) -> Order:
    """Return a new order that nobody has paid yet."""
    number = next(ids)
    application = parts.application(placed)
    order: Order = {
        **_UNEVENTFUL,
        "id": parts.gid("Order", number),
        "legacyResourceId": str(number),
        "name": f"#{placed.number}",
        "number": placed.number,
        "createdAt": placed.at,
        "processedAt": placed.at,
        "updatedAt": placed.at,
        "currencyCode": placed.currencies.shop,
        "presentmentCurrencyCode": placed.currencies.presentment,
        "confirmationNumber": parts.letters(number),
        "customer": placed.customer,
        "billingAddress": placed.address,
        "shippingAddress": placed.address,
        "displayAddress": placed.address,
        "billingAddressMatchesShippingAddress": placed.address is not None,
        "discountApplications": [application] if application else [],
        "statusPageUrl": f"https://sandbox.myshopify.com/orders/{parts.letters(number).lower()}/authenticate",
        **{key: [] for key in ("transactions", "fulfillments", "refunds", "returns", "_agreements")},
        "taxesIncluded": placed.taxes_included,
        "_currencies": placed.currencies,
        "_tax_rate": placed.tax_rate,
        "_shipping_rate": placed.shipping_tax_rate,
        "_return_fees": [],
        "_unnamed": ZERO,
        "_deeds": [(placed.at, placed)],
    }
    code = placed.discount.label if placed.discount and placed.discount.type_name == "DiscountCodeApplication" else None
    order["discountCode"], order["discountCodes"] = code, [code] if code else []
    order |= dict(placed.extra)
    on_goods, on_shipping = (application, None) if not placed.shipping_off else (None, application)
    lines = [parts.line_item(order, line, on_goods, ids) for line in placed.lines]
    carriage = parts.Carriage(placed.shipping, placed.shipping_off, placed.shipping_tax_rate)
    shipping = [parts.shipping_line(order, carriage, on_shipping, ids)] if placed.address or placed.shipping else []
    order["lineItems"] = [*lines, parts.tip_item(order, placed.tip, ids)] if placed.tip else lines
    order["shippingLines"], order["shippingLine"] = shipping, shipping[0] if shipping else None
    order["additionalFees"] = [
        parts.additional_fee(order, *fee, placed.fee_tax_rate, ids) for fee in placed.fees.items()
    ]
    ledger.write(order, "OrderAgreement", order[practice.placed_at], _first_sales(order))
    order["_original"], order["_duties"] = whole(order), [duty["_price"] for line in lines for duty in line["duties"]]
    return order


def _first_sales(order: Order) -> Iterator[Sale]:
    """Yield the sales of the agreement that places an order."""
    for line in order["lineItems"]:
        yield ledger.goods(order, line, line["quantity"])
        for duty in line["duties"]:
            yield ledger.plain(order, "DUTY", duty["_amount"], rate=duty["_rate"], link=duty)
    for line in order["shippingLines"]:
        yield ledger.ship(order, line)
    for fee in order["additionalFees"]:
        yield ledger.plain(order, "ADDITIONAL_FEE", fee["_amount"], rate=fee["_rate"], link=fee)


def pay(order: Order, ids: Iterator[int], at: str, payment: Payment | None = None, practice: Practice = USUAL) -> None:
    """Add a transaction: a sale of the whole order, or what else is said; and the change that was given, if any."""
    payment = payment or Payment()
    bag = order["_currencies"].bag
    amount = whole(order) if payment.amount is None else payment.amount
    order["transactions"].append(parts.transaction(order, ids, at, payment, bag(amount)))
    if payment.tendered is not None:
        sale, change = order["transactions"][-1], payment.tendered - amount
        if practice.cash_is_tendered:
            sale.update(amountSet=bag(payment.tendered), _change=change)
        given = replace(payment, kind="CHANGE", parent=sale)
        order["transactions"].append(parts.transaction(order, ids, at, given, bag(change)))
    if payment.gateway not in order["paymentGatewayNames"]:
        order["paymentGatewayNames"] = [*order["paymentGatewayNames"], payment.gateway]
    touch(order, at)


def fulfill(
    order: Order,
    ids: Iterator[int],
    at: str,
    *,
    lines: Sequence[dict[str, Any]] | None = None,
    delivered_at: str | None = None,
) -> None:
    """Send the lines (all by default), and say when they were delivered."""
    sent = [line for line in order["lineItems"] if line["_type"] != "TIP"] if lines is None else lines
    order["fulfillments"].append(parts.fulfillment(order, sent, ids, at, delivered_at))
    touch(order, delivered_at or at)


def complete(order: Order, at: str, status: str = "SUCCESS", practice: Practice = USUAL) -> None:
    """Let the newest pending transaction succeed or fail: the same one changes, no new one comes."""
    pending = [one for one in order["transactions"] if one["status"] == "PENDING"]
    if not pending:
        raise ValueError(f"order {order['name']} has no pending transaction")
    pending[-1]["status"] = status
    if practice.success_is_processed:
        pending[-1]["processedAt"] = at
    if "payment succeeded" in practice.moves:
        touch(order, at)


def cancel_fulfillment(order: Order, at: str, place: int = -1) -> None:
    """Cancel a parcel; what was in it is to be sent again."""
    if order["fulfillments"][place]["status"] == "CANCELLED":
        raise ValueError(f"the parcel of order {order['name']} is cancelled already")
    order["fulfillments"][place].update(status="CANCELLED", displayStatus="CANCELED", updatedAt=at)
    touch(order, at)


def deliver(order: Order, at: str, place: int = -1, *, moves: bool = False) -> None:
    """Let tracking say that a parcel has arrived."""
    if order["fulfillments"][place]["status"] == "CANCELLED":
        raise ValueError(f"the parcel of order {order['name']} is cancelled")
    order["fulfillments"][place].update(displayStatus="DELIVERED", deliveredAt=at, updatedAt=at)
    if moves:
        touch(order, at)


def cancel(order: Order, at: str, reason: str) -> None:
    """Cancel and close the order; money isn't given back by this alone."""
    order.update(cancelledAt=at, cancelReason=reason, cancellation={"staffNote": None})
    close(order, at)


def close(order: Order, at: str) -> None:
    """Archive the order."""
    order.update(closed=True, closedAt=at)
    touch(order, at)


def touch(order: Order, at: str) -> None:
    """Move `updatedAt` forward, never back."""
    order["updatedAt"] = max(order["updatedAt"], at)


_UNEVENTFUL: dict[str, Any] = {
    "app": {"id": parts.gid("App", 580111), "name": "Online Store"},
    "attribution": {"handle": "online_store", "displayName": "Online Store", "icon": None},
    "canNotifyCustomer": True,
    "cancelReason": None,
    "cancelledAt": None,
    "closed": False,
    "closedAt": None,
    "confirmed": True,
    "customAttributes": [],
    "customerAcceptsMarketing": False,
    "customerLocale": "en",
    "dutiesIncluded": False,
    "edited": False,
    "estimatedTaxes": False,
    "hasTimelineComment": False,
    "merchantEditable": True,
    "merchantEditableErrors": [],
    "nonFulfillableLineItems": [],
    "paymentGatewayNames": [],
    "paymentTerms": None,
    "productNetwork": False,
    "risk": {"recommendation": "ACCEPT", "assessments": [{"riskLevel": "LOW", "provider": None, "facts": []}]},
    "sourceName": "web",
    "tags": [],
    "taxExempt": False,
    "test": False,
}
