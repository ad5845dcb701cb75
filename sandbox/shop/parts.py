"""The parts of an order, in: what was bought, paid, sent or given back; out: dicts shaped as Shopify's types.

Knows what each part says of itself, not the totals and statuses that follow (`totals`) nor when it happens (`orders`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.shop import prices
from sandbox.shop.money import ZERO, Currencies, money, rounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from sandbox.shop.goods import Line, Payment, Placed, Product
    from sandbox.shop.prices import Price

Node = dict[str, Any]


class Carriage(NamedTuple):
    """What is asked for shipping after a discount, the discount, and the rate of the tax on it."""

    charged: Decimal
    off: Decimal
    rate: Decimal


def gid(type_name: str, number: int) -> str:
    """Return a global id, such as `gid://shopify/Order/1`."""
    return f"gid://shopify/{type_name}/{number}"


WAREHOUSE = {"id": gid("Location", 655441491), "legacyResourceId": "655441491", "name": "Warehouse"}


def application(placed: Placed) -> Node | None:
    """Return the DiscountApplication of an order, if it has one."""
    discount = placed.discount
    if discount is None:
        return None
    off = sum((line.off * line.quantity + line.rest for line in placed.lines), placed.shipping_off)
    value = (
        {"__typename": "PricingPercentageValue", "percentage": discount.percentage}
        if discount.percentage is not None
        else {"__typename": "MoneyV2", **money(off, placed.currencies.shop)}
    )
    label = "code" if discount.type_name == "DiscountCodeApplication" else "title"
    return {
        "__typename": discount.type_name,
        "index": 0,
        label: discount.label,
        "description": discount.label if discount.type_name == "ManualDiscountApplication" else None,
        "allocationMethod": "ACROSS",
        "targetSelection": "ALL",
        "targetType": discount.target_type,
        "value": value,
    }


def line_item(order: Node, line: Line, application: Node | None, ids: Iterator[int]) -> Node:
    """Return a LineItem that nobody has bought yet: `ledger.goods` counts its units."""
    number, product = next(ids), line.product
    name = product.title if product.gift_card else f"{product.title} - {product.variant}"
    item = {
        "id": gid("LineItem", number),
        "title": product.title,
        "variantTitle": None if product.gift_card else product.variant,
        "name": name,
        "sku": product.sku,
        "vendor": product.vendor,
        "quantity": 0,
        "product": _product(product),
        "variant": _variant(product),
        "customAttributes": [{"key": key, "value": value} for key, value in line.properties],
        "duties": [_duty(order, line, ids)] if line.duty else [],
        "isGiftCard": product.gift_card,
        "taxable": not product.gift_card,
        "requiresShipping": not product.gift_card,
        "merchantEditable": True,
        "restockable": not product.gift_card,
        "nonFulfillableQuantity": 0,
        "weight": {"unit": "GRAMS", "value": float(product.grams)},
        "originalUnitPriceSet": order["_currencies"].bag(line.unit + line.off),
        "_type": "GIFT_CARD" if product.gift_card else "PRODUCT",
        "_application": application,
        "_list": line.unit + line.off,
        "_off": line.off,
        "_rest": line.rest,
        "_rate": ZERO if product.gift_card else order["_tax_rate"],
        "_count": 0,
        "_bought": line.quantity,
    }
    return price(order, item, line.quantity)


def tip_item(order: Node, amount: Decimal, ids: Iterator[int]) -> Node:
    """Return the LineItem of a tip: no product, no SKU, nothing to send (TipSale.lineItem is never null)."""
    item = {
        "id": gid("LineItem", next(ids)),
        **dict.fromkeys(("sku", "vendor", "product", "variant", "variantTitle")),
        "title": "Tip",
        "name": "Tip",
        "customAttributes": [],
        "duties": [],
        "isGiftCard": False,
        "taxable": False,
        "requiresShipping": False,
        "merchantEditable": False,
        "restockable": False,
        "nonFulfillableQuantity": 0,
        "weight": {"unit": "GRAMS", "value": 0.0},
        "originalUnitPriceSet": order["_currencies"].bag(amount),
        "_type": "TIP",
        "_application": None,
        "_list": amount,
        "_off": ZERO,
        "_rest": ZERO,
        "_rate": ZERO,
        "_count": 0,
        "_bought": 1,
    }
    return price(order, item, 1)


def price(order: Node, line: Node, quantity: int) -> Node:
    """Say in a line what its units cost now that it has so many, those taken back among them."""
    bag, application = order["_currencies"].bag, line["_application"]
    final, tax, _, off = prices.of_units(order, line, quantity)
    unit = rounded(final / quantity, order["_currencies"].shop) if line["_rest"] else line["_list"] - line["_off"]
    by_code = application is not None and application["__typename"] == "DiscountCodeApplication"
    original = line["_list"] * quantity
    line.update(
        quantity=quantity,
        originalTotalSet=bag(original),
        # Line prices leave code discounts out (https://shopify.dev/docs/api/admin-graphql/latest/objects/LineItem).
        discountedUnitPriceSet=bag(line["_list"] if by_code else unit),
        discountedTotalSet=bag(original if by_code else final),
        totalDiscountSet=bag(ZERO if by_code else off),
        discountedUnitPriceAfterAllDiscountsSet=bag(unit),
        priceAfterAllDiscountsBeforeTaxesSet=bag(final - (tax if order["taxesIncluded"] else ZERO)),
        discountAllocations=[{"allocatedAmountSet": bag(off), "discountApplication": application}]
        if off and application
        else [],
        taxLines=tax_lines(bag(tax), line["_rate"]) if tax else [],
    )
    return line


def retax(order: Node, line: Node) -> None:
    """Say in a line or a shipping line what tax is on it now."""
    if "_count" in line:
        price(order, line, line["quantity"])
    else:
        line["taxLines"] = _shipping_taxes(order, line)


def shipping_line(order: Node, carriage: Carriage, application: Node | None, ids: Iterator[int]) -> Node:
    """Return a ShippingLine; free shipping is one as well."""
    bag, (charged, off, rate) = order["_currencies"].bag, carriage
    free = not charged and not off
    line = {
        "id": gid("ShippingLine", next(ids)),
        "title": "Free shipping" if free else "Standard",
        "code": "free" if free else "standard",
        "source": "shopify",
        "carrierIdentifier": None,
        "custom": False,
        "isRemoved": False,
        "originalPriceSet": bag(charged + off),
        "discountedPriceSet": bag(charged),
        "currentDiscountedPriceSet": bag(charged),
        "discountAllocations": [{"allocatedAmountSet": bag(off), "discountApplication": application}] if off else [],
        "_price": charged,
        "_off": off,
        "_rate": rate,
        "_left": ZERO,
    }
    return line | {"taxLines": _shipping_taxes(order, line)}


def _shipping_taxes(order: Node, line: Node) -> list[Node]:
    tax = prices.of_shipping(order, line, line["_price"]).tax
    return tax_lines(order["_currencies"].bag(tax), line["_rate"]) if tax else []


def additional_fee(order: Node, name: str, amount: Decimal, rate: Decimal, ids: Iterator[int]) -> Node:
    """Return an AdditionalFee, such as an import fee."""
    return {"id": gid("AdditionalFee", next(ids)), "name": name, **_plain(order, amount, rate)}


def transaction(order: Node, ids: Iterator[int], at: str, payment: Payment, bag: Node) -> Node:
    """Return an OrderTransaction over an amount."""
    return {
        "id": gid("OrderTransaction", next(ids)),
        "kind": payment.kind,
        "status": payment.status,
        "gateway": payment.gateway,
        "formattedGateway": payment.gateway.replace("_", " ").title(),
        "amountSet": bag,
        "createdAt": at,
        "processedAt": None if payment.status == "PENDING" and payment.unprocessed else at,
        "errorCode": payment.error_code,
        "order": order,
        "parentTransaction": payment.parent,
        "test": order["test"],
        "manualPaymentGateway": payment.gateway in ("manual", "cash", "Bank Deposit"),
        "manuallyCapturable": payment.kind == "AUTHORIZATION",
        "multiCapturable": False,
    }


def refund_line(order: Node, line: Node, gone: Price, count: int, ids: Iterator[int]) -> Node:
    """Return a RefundLineItem of so many units of a line that go back, at their price."""
    bag = order["_currencies"].bag
    return {
        "id": gid("RefundLineItem", next(ids)),
        "lineItem": line,
        "quantity": count,
        "priceSet": line["discountedUnitPriceAfterAllDiscountsSet"],
        "subtotalSet": bag(gone.asked),
        "totalTaxSet": bag(gone.tax),
    }


def restocked(restock_type: str) -> Node:
    """Return what a RefundLineItem says of where its goods went."""
    is_restocked = restock_type != "NO_RESTOCK"
    location = WAREHOUSE if is_restocked else None
    return {"restockType": restock_type, "restocked": is_restocked, "location": location}


def fee(order: Node, type_name: str, amount: Decimal, ids: Iterator[int]) -> Node:
    """Return a RestockingFee or a ReturnShippingFee."""
    node = {
        "__typename": type_name,
        "id": gid(type_name, next(ids)),
        "amountSet": order["_currencies"].bag(amount),
        "_deleted": False,
    }
    return node | ({"percentage": 10.0} if type_name == "RestockingFee" else {})


def return_(order: Node, quantities: dict[int, int], ids: Iterator[int], at: str) -> Node:
    """Return a Return that is open: so many of a line item (by its place) are to come back."""
    return {
        "id": gid("Return", next(ids)),
        "name": f"{order['name']}-R{len(order['returns']) + 1}",
        "order": order,
        "status": "OPEN",
        "totalQuantity": sum(quantities.values()),
        "createdAt": at,
        "requestApprovedAt": at,
        "closedAt": None,
        "refunds": [],
        "returnShippingFees": [],
        "_kept": ZERO,
        "_lines": quantities,
        "_is_written": False,
        "_is_processed": False,
    }


def tax_lines(bag: Node, rate: Decimal) -> list[Node]:
    """Return the one TaxLine of an amount."""
    return [
        {
            "title": "Sales tax",
            "rate": float(rate),
            "ratePercentage": float(rate * 100),
            "priceSet": bag,
            "source": "Shopify",
            "channelLiable": False,
        }
    ]


def _duty(order: Node, line: Line, ids: Iterator[int]) -> Node:
    return {
        "id": gid("Duty", next(ids)),
        "countryCodeOfOrigin": "JP",
        "harmonizedSystemCode": "8523.49",
        **_plain(order, line.duty, line.duty_tax_rate),
        "_price": line.duty,
    }


def _plain(order: Node, amount: Decimal, rate: Decimal) -> Node:
    """Return what a duty and a fee say of their price."""
    bag, tax = order["_currencies"].bag, prices.of_amount(order, amount, rate).tax
    return {
        "price": bag(amount),
        "taxLines": tax_lines(bag(tax), rate) if tax else [],
        "_amount": amount,
        "_rate": rate,
    }


def _product(product: Product) -> Node:
    number = 8_000_000_000_000 + product.number
    return {
        "id": gid("Product", number),
        "legacyResourceId": str(number),
        "title": product.title,
        "vendor": product.vendor,
        "handle": product.sku.lower(),
        "productType": "Gift card" if product.gift_card else "Music",
    }


def _variant(product: Product) -> Node:
    number = 44_000_000_000_000 + product.number
    return {
        "id": gid("ProductVariant", number),
        "legacyResourceId": str(number),
        "title": product.variant,
        "sku": product.sku,
    }


def letters(number: int) -> str:
    """Return nine letters for a number, as a confirmation number looks."""
    mixed = number * 2654435761 % 26**9
    return "".join(chr(65 + mixed // 26**place % 26) for place in range(9))


def fulfillment(order: Node, lines: Sequence[Node], ids: Iterator[int], at: str, delivered_at: str | None) -> Node:
    """Return a Fulfillment of whole lines."""
    number, count = next(ids), len(order["fulfillments"]) + 1
    tracking = f"1Z{number % 10**12:012d}"
    parts = [
        {
            "id": gid("FulfillmentLineItem", next(ids)),
            "lineItem": line,
            "quantity": line["quantity"],
            "discountedTotalSet": line["discountedTotalSet"],
            "originalTotalSet": line["originalTotalSet"],
        }
        for line in lines
    ]
    return {
        "id": gid("Fulfillment", number),
        "legacyResourceId": str(number),
        "name": f"{order['name']}-F{count}",
        "order": order,
        "status": "SUCCESS",
        "displayStatus": "DELIVERED" if delivered_at else "IN_TRANSIT",
        "createdAt": at,
        "inTransitAt": at,
        "estimatedDeliveryAt": None,
        "deliveredAt": delivered_at,
        "updatedAt": delivered_at or at,
        "requiresShipping": True,
        "totalQuantity": sum(line["quantity"] for line in lines),
        "fulfillmentLineItems": parts,
        "trackingInfo": [{"company": "UPS", "number": tracking, "url": f"https://example.com/track/{tracking}"}],
        "location": WAREHOUSE,
    }


def refund_shipping_line(order: Node, amount: Decimal, tax: Decimal, ids: Iterator[int]) -> Node:
    """Return a RefundShippingLine."""
    currencies: Currencies = order["_currencies"]
    return {
        "id": gid("RefundShippingLine", next(ids)),
        "shippingLine": order["shippingLine"],
        "subtotalAmountSet": currencies.bag(amount),
        "taxAmountSet": currencies.bag(tax),
    }


def order_adjustment(order: Node, amount: Decimal, tax: Decimal, reason: str, ids: Iterator[int]) -> Node:
    """Return an OrderAdjustment; what is given back beyond the lines counts against the merchant, so it is negative."""
    currencies: Currencies = order["_currencies"]
    return {
        "id": gid("OrderAdjustment", next(ids)),
        "amountSet": currencies.bag(tax - amount),
        "taxAmountSet": currencies.bag(-tax),
        "reason": reason,
    }
