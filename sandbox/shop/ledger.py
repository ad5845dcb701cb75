"""What follows from an order's parts, in: an order dict; out: the same with its totals and statuses.

Knows no deeds and no store. What the totals mean: https://shopify.dev/docs/api/admin-graphql/latest/objects/Order.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.shop.money import ZERO, money, shop_amount, total
from sandbox.shop.parts import tax_lines

Order = dict[str, Any]


def settle(order: Order) -> Order:
    """Derive totals and statuses from the order's parts."""
    for line in order["lineItems"]:
        _settle_line(order, line)
    _settle_prices(order)
    _settle_payment(order)
    _settle_fulfillment(order)
    return order


def whole(order: Order) -> Decimal:
    """Return what the order costs, before anything was given back."""
    lines = sum((line["_final"] + line["_tax"] for line in order["lineItems"]), ZERO)
    tip: Decimal = order["_tip"]
    return lines + shipping(order) + tip


def shipping(order: Order) -> Decimal:
    """Return what was asked for shipping."""
    return total(line["discountedPriceSet"] for line in order["shippingLines"])


def _settle_line(order: Order, line: dict[str, Any]) -> None:
    bag = order["_currencies"].bag
    sent = sum(
        part["quantity"]
        for one in order["fulfillments"]
        for part in one["fulfillmentLineItems"]
        if part["lineItem"] is line
    )
    current = line["quantity"] - _refunded_quantity(order, line)
    waiting = max(current - sent, 0) if line["requiresShipping"] else 0
    line.update(
        currentQuantity=current,
        refundableQuantity=current,
        unfulfilledQuantity=waiting,
        unfulfilledDiscountedTotalSet=bag(shop_amount(line["discountedUnitPriceSet"]) * waiting),
        unfulfilledOriginalTotalSet=bag(shop_amount(line["originalUnitPriceSet"]) * waiting),
    )


def _refunded_quantity(order: Order, line: dict[str, Any]) -> int:
    return sum(
        part["quantity"] for one in order["refunds"] for part in one["refundLineItems"] if part["lineItem"] is line
    )


def _settle_prices(order: Order) -> None:
    bag = order["_currencies"].bag
    lines, refunds = order["lineItems"], order["refunds"]
    subtotal = sum((line["_final"] for line in lines), ZERO)
    tax = sum((line["_tax"] for line in lines), ZERO)
    off = total(part["allocatedAmountSet"] for line in lines for part in line["discountAllocations"])
    shipping = total(line["discountedPriceSet"] for line in order["shippingLines"])
    returned = total(part["subtotalSet"] for one in refunds for part in one["refundLineItems"])
    returned_tax = total(part["totalTaxSet"] for one in refunds for part in one["refundLineItems"])
    returned_shipping = total(part["subtotalAmountSet"] for one in refunds for part in one["refundShippingLines"])
    refunded = total(one["totalRefundedSet"] for one in refunds)
    whole = subtotal + tax + shipping + order["_tip"]
    rate = Decimal(str(lines[0]["taxLines"][0]["rate"])) if lines and lines[0]["taxLines"] else ZERO
    zero, discounts = bag(ZERO), bag(off)
    order.update(
        subtotalPriceSet=bag(subtotal),
        totalTaxSet=bag(tax),
        taxLines=tax_lines(bag(tax), rate) if tax else [],
        totalDiscountsSet=discounts,
        cartDiscountAmountSet=discounts if off else None,
        totalShippingPriceSet=bag(shipping),
        totalTipReceivedSet=bag(order["_tip"]),
        totalPriceSet=bag(whole),
        originalTotalPriceSet=bag(whole),
        totalPrice=money(whole, order["currencyCode"])["amount"],
        totalRefundedSet=bag(refunded),
        totalRefundedShippingSet=bag(returned_shipping),
        refundDiscrepancySet=bag(total(part["amountSet"] for one in refunds for part in one["orderAdjustments"])),
        currentSubtotalPriceSet=bag(subtotal - returned),
        currentTotalTaxSet=bag(tax - returned_tax),
        currentTaxLines=tax_lines(bag(tax - returned_tax), rate) if tax > returned_tax else [],
        currentTotalDiscountsSet=discounts,
        currentCartDiscountAmountSet=discounts,
        currentShippingPriceSet=bag(shipping - returned_shipping),
        currentTotalPriceSet=bag(whole - refunded),
        totalCashRoundingAdjustment={"paymentSet": zero, "refundSet": zero},
        subtotalLineItemsQuantity=sum(line["quantity"] for line in lines),
        currentSubtotalLineItemsQuantity=sum(line["currentQuantity"] for line in lines),
        totalWeight=str(round(sum(line["weight"]["value"] * line["quantity"] for line in lines))),
        currentTotalWeight=str(round(sum(line["weight"]["value"] * line["currentQuantity"] for line in lines))),
        requiresShipping=any(line["requiresShipping"] for line in lines),
    )


def _settle_payment(order: Order) -> None:
    bag = order["_currencies"].bag
    done = [one for one in order["transactions"] if one["status"] == "SUCCESS"]
    received = total(one["amountSet"] for one in done if one["kind"] in ("SALE", "CAPTURE"))
    authorized = total(one["amountSet"] for one in done if one["kind"] == "AUTHORIZATION")
    voided = any(one["kind"] == "VOID" for one in done)
    whole, refunded = shop_amount(order["totalPriceSet"]), shop_amount(order["totalRefundedSet"])
    open_amount = ZERO if order["cancelledAt"] else whole - received
    if not received and whole:
        status = "VOIDED" if voided or order["cancelledAt"] else "AUTHORIZED" if authorized else "PENDING"
    elif received < whole:
        status = "PARTIALLY_PAID"
    else:
        status = "PAID" if not refunded else "REFUNDED" if refunded >= received else "PARTIALLY_REFUNDED"
    order.update(
        displayFinancialStatus=status,
        totalReceivedSet=bag(received),
        netPaymentSet=bag(received - refunded),
        totalOutstandingSet=bag(open_amount),
        totalCapturableSet=bag(authorized - received if status == "AUTHORIZED" else ZERO),
        capturable=status == "AUTHORIZED",
        canMarkAsPaid=status == "PENDING",
        fullyPaid=received >= whole,
        unpaid=not received and bool(whole),
        refundable=received > refunded,
        transactionsCount={"count": len(order["transactions"]), "precision": "EXACT"},
    )


def _settle_fulfillment(order: Order) -> None:
    goods = [line for line in order["lineItems"] if line["requiresShipping"]]
    waiting = sum(line["unfulfilledQuantity"] for line in goods)
    if not goods:
        status = "FULFILLMENT_NOT_REQUIRED"
    elif not waiting and order["fulfillments"]:
        status = "FULFILLED"
    else:
        status = "PARTIALLY_FULFILLED" if order["fulfillments"] else "UNFULFILLED"
    returned = any(part["restockType"] == "RETURN" for one in order["refunds"] for part in one["refundLineItems"])
    order.update(
        displayFulfillmentStatus=status,
        fulfillable=bool(waiting),
        fulfillmentsCount={"count": len(order["fulfillments"]), "precision": "EXACT"},
        restockable=any(line["currentQuantity"] for line in goods),
        returnStatus="RETURNED" if returned else "NO_RETURN",
    )
