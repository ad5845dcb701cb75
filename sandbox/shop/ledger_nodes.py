"""The ledger as it is served, in: an order with its agreements; out: dicts shaped as SalesAgreement and Sale.

Neither type is a Node, so nothing is found by its id alone; ids don't tell the type. Knows no store and no GraphQL.
Source: https://shopify.dev/docs/api/admin-graphql/latest/interfaces/SalesAgreement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.shop.money import ZERO, rounded
from sandbox.shop.nodes import number_of
from sandbox.shop.parts import gid, tax_lines

if TYPE_CHECKING:
    from sandbox.shop.ledger import Agreement, Sale
    from sandbox.shop.practice import Practice

    Node = dict[str, Any]

REASONS = {
    "OrderAgreement": "ORDER",
    "OrderEditAgreement": "ORDER_EDIT",
    "RefundAgreement": "REFUND",
    "ReturnAgreement": "RETURN",
}
# The type of a sale by its line type, and the field of its link.
SALE_TYPES = {
    "PRODUCT": ("ProductSale", "lineItem"),
    "GIFT_CARD": ("GiftCardSale", "lineItem"),
    "TIP": ("TipSale", "lineItem"),
    "SHIPPING": ("ShippingLineSale", "shippingLine"),
    "DUTY": ("DutySale", "duty"),
    "ADDITIONAL_FEE": ("AdditionalFeeSale", "additionalFee"),
    "FEE": ("FeeSale", "fee"),
    "ADJUSTMENT": ("AdjustmentSale", ""),
}
LINKS = {"OrderAgreement": "order", "RefundAgreement": "refund", "ReturnAgreement": "return"}
PLACES = 1_000  # an order has fewer agreements, and each of them fewer sales, by far


def served(order: Node, practice: Practice) -> list[Node]:
    """Return the agreements of an order as they are answered this time.

    A ledger that was told to be cut short so many times lacks its last sale; nothing else says so.
    """
    nodes = agreements(order, after_taxes=practice.discount_after_taxes)
    if order.get("_cuts"):
        order["_cuts"] -= 1
        nodes[0]["sales"] = nodes[0]["sales"][:-1]
    return nodes[::-1] if practice.newest_first else nodes


def agreements(order: Node, *, after_taxes: bool = False) -> list[Node]:
    """Return the nodes of an order's agreements; `after_taxes` says discounts after taxes as well."""
    base = number_of(order) * PLACES
    return [
        {
            "__typename": one.type_name,
            "id": gid("SalesAgreement", base + place),
            "happenedAt": one.at,
            "reason": REASONS.get(one.type_name, "UNKNOWN"),
            "app": _app(order),
            "sales": _sales(order, one, (base + place) * PLACES, after_taxes=after_taxes),
            LINKS.get(one.type_name, "_"): order if one.type_name == "OrderAgreement" else one.link,
        }
        for place, one in enumerate(order["_agreements"])
    ]


def _app(order: Node) -> Node | None:
    app = order["app"]
    return app and {"id": app["id"], "title": app["name"], "handle": app["name"].lower().replace(" ", "-")}


def _sales(order: Node, agreement: Agreement, base: int, *, after_taxes: bool) -> list[Node]:
    return [_sale(order, one, base + place, after_taxes=after_taxes) for place, one in enumerate(agreement.sales)]


def _sale(order: Node, sale: Sale, number: int, *, after_taxes: bool) -> Node:
    bag, worth = order["_currencies"].bag, sale.worth
    type_name, link = SALE_TYPES.get(sale.line_type, ("UnknownSale", ""))
    tax = bag(worth.tax)
    taxed = worth.discount * (1 + sale.rate) if after_taxes else ZERO
    return {
        "__typename": type_name,
        "id": gid("Sale", number),
        "actionType": sale.action,
        "lineType": sale.line_type if type_name != "UnknownSale" else "UNKNOWN",
        "quantity": sale.quantity,
        "totalAmount": bag(worth.total),
        "totalTaxAmount": tax,
        "totalDiscountAmountBeforeTaxes": bag(worth.discount),
        "totalDiscountAmountAfterTaxes": bag(rounded(taxed, order["_currencies"].shop)),
        "taxes": [{"id": gid("SaleTax", number), "amount": tax, "taxLine": tax_lines(tax, sale.rate)[0]}]
        if worth.tax
        else [],
        link or "_": sale.link,
    }
