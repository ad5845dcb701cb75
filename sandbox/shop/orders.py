"""What happens to an order, in: an order dict and a deed (place, pay, fulfill, refund, cancel); out: the dict, changed.

An order is shaped as Shopify's type `Order`: camelCase, connections are plain lists, keys that begin with `_` are never
answered. The deeds add `parts`; what follows from them is `ledger`'. Knows no store and no GraphQL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.shop import parts
from sandbox.shop.goods import Payment, Placed
from sandbox.shop.ledger import whole
from sandbox.shop.money import ZERO, shop_amount, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

Order = dict[str, Any]


def place(placed: Placed, ids: Iterator[int]) -> Order:
    """Return a new order that nobody has paid yet."""
    number = next(ids)
    application = parts.application(placed)
    lines = [parts.line_item(line, placed, application, ids) for line in placed.lines]
    shipping = [parts.shipping_line(placed, ids)] if placed.address else []
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
        "lineItems": lines,
        "shippingLines": shipping,
        "shippingLine": shipping[0] if shipping else None,
        "discountApplications": [application] if application else [],
        "statusPageUrl": f"https://sandbox.myshopify.com/orders/{parts.letters(number).lower()}/authenticate",
        "transactions": [],
        "fulfillments": [],
        "refunds": [],
        "_currencies": placed.currencies,
        "_tip": placed.tip,
    }
    code = placed.discount.label if placed.discount and placed.discount.type_name == "DiscountCodeApplication" else None
    order["discountCode"], order["discountCodes"] = code, [code] if code else []
    return order | dict(placed.extra)


def pay(order: Order, ids: Iterator[int], at: str, payment: Payment | None = None) -> None:
    """Add a transaction: a sale of the whole order, or what else is said."""
    payment = payment or Payment()
    amount = whole(order) if payment.amount is None else payment.amount
    order["transactions"].append(parts.transaction(order, ids, at, payment, order["_currencies"].bag(amount)))
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
    sent = order["lineItems"] if lines is None else lines
    order["fulfillments"].append(parts.fulfillment(order, sent, ids, at, delivered_at))
    touch(order, delivered_at or at)


@dataclass(frozen=True)
class Return:
    """What a refund gives back: so many of a line item (by its place), the shipping, and any further amount."""

    quantities: Mapping[int, int] = field(default_factory=dict)
    shipping: Decimal = ZERO
    adjustment: Decimal = ZERO
    restock_type: str = "RETURN"


def refund(order: Order, ids: Iterator[int], at: str, back: Return, *, note: str | None = None) -> dict[str, Any]:
    """Add a refund and the transaction that pays it; returns the refund."""
    number = next(ids)
    lines = [
        parts.refund_line(order, order["lineItems"][place], count, back.restock_type, ids)
        for place, count in back.quantities.items()
    ]
    amount = (
        total(line[key] for line in lines for key in ("subtotalSet", "totalTaxSet")) + back.shipping + back.adjustment
    )
    one: dict[str, Any] = {
        "id": parts.gid("Refund", number),
        "legacyResourceId": str(number),
        "createdAt": at,
        "processedAt": at,
        "updatedAt": at,
        "note": note,
        "order": order,
        "duties": [],
        "totalRefundedSet": order["_currencies"].bag(amount),
        "refundLineItems": lines,
        "refundShippingLines": [parts.refund_shipping_line(order, back.shipping, ids)] if back.shipping else [],
        "orderAdjustments": [parts.order_adjustment(order, back.adjustment, ids)] if back.adjustment else [],
        "transactions": [_refund_payment(order, ids, at, amount)] if amount else [],
    }
    order["transactions"].extend(one["transactions"])
    order["refunds"].append(one)
    touch(order, at)
    return one


def everything_left(order: Order) -> Return:
    """Return what gives back all that was received and not yet returned, a tip as well."""
    left = {place: line["refundableQuantity"] for place, line in enumerate(order["lineItems"])}
    quantities = {place: quantity for place, quantity in left.items() if quantity}
    shipping = shop_amount(order["currentShippingPriceSet"])
    explained = shop_amount(order["currentSubtotalPriceSet"]) + shop_amount(order["currentTotalTaxSet"]) + shipping
    return Return(quantities, shipping, shop_amount(order["netPaymentSet"]) - explained)


def _refund_payment(order: Order, ids: Iterator[int], at: str, amount: Decimal) -> dict[str, Any]:
    paid = next((one for one in order["transactions"] if one["kind"] in ("SALE", "CAPTURE")), None)
    payment = Payment("REFUND", paid["gateway"] if paid else "manual", parent=paid)
    return parts.transaction(order, ids, at, payment, order["_currencies"].bag(amount))


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
    "additionalFees": [],
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
    "productNetwork": False,
    "risk": {"recommendation": "ACCEPT", "assessments": [{"riskLevel": "LOW", "provider": None, "facts": []}]},
    "sourceName": "web",
    "tags": [],
    "taxExempt": False,
    "taxesIncluded": False,
    "test": False,
}
