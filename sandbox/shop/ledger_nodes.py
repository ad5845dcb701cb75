"""The ledger as it is served, in: an order with its agreements; out: dicts shaped as SalesAgreement and Sale.

Neither type is a Node, so nothing is found by its id alone; ids don't tell the type. Knows no store and no GraphQL.
Source: https://shopify.dev/docs/api/admin-graphql/latest/interfaces/SalesAgreement.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from sandbox.shop.money import ZERO, rounded, shop_amount
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
    "UNKNOWN": ("UnknownSale", ""),
}
LINKS = {"OrderAgreement": "order", "RefundAgreement": "refund", "ReturnAgreement": "return"}
# Ids of today have thirteen digits; what stands before them, as in the benchmarks' copies of a store, stays. Each order
# has room for so many agreements and sales, by far more than there are.
DIGITS = 10**13
FIRST_ID, FIRST_ORDER_ID = 6_000_000_000_000, 5_000_000_000_000
AGREEMENTS, SALES = 100, 10_000


def served(order: Node, practice: Practice) -> list[Node]:
    """Return the agreements of an order as they are answered this time.

    A ledger that was told to be cut short so many times lacks the last sale that comes to anything; nothing says so.
    """
    if order.get("_hidden"):
        return []
    nodes = agreements(order, after_taxes=practice.discount_after_taxes)
    if order.get("_cuts"):
        order["_cuts"] -= 1
        cut = nodes[order["_cut"]]
        worth = [one for one in cut["sales"] if shop_amount(one["totalAmount"])]
        cut["sales"] = [one for one in cut["sales"] if one is not worth[-1]]
    return nodes[::-1] if practice.newest_first else nodes


def agreements(order: Node, *, after_taxes: bool = False) -> list[Node]:
    """Return the nodes of an order's agreements; `after_taxes` says discounts after taxes as well."""
    before, number = divmod(number_of(order), DIGITS)
    first, place = before * DIGITS + FIRST_ID, number - FIRST_ORDER_ID
    agreement_ids, sale_ids = count(first + place * AGREEMENTS), count(first + place * SALES)
    return [
        {
            "__typename": one.type_name,
            "id": gid("SalesAgreement", next(agreement_ids)),
            "happenedAt": one.at,
            "reason": "UNKNOWN" if _is_unknown(one) else REASONS[one.type_name],
            "app": _app(order),
            "sales": [_sale(order, sale, next(sale_ids), after_taxes=after_taxes) for sale in one.sales],
            LINKS.get(one.type_name, "_"): order if one.type_name == "OrderAgreement" else one.link,
        }
        for one in order["_agreements"]
    ]


def _is_unknown(agreement: Agreement) -> bool:
    return any(one.line_type == "UNKNOWN" for one in agreement.sales)


def _app(order: Node) -> Node | None:
    app = order["app"]
    return app and {"id": app["id"], "title": app["name"], "handle": app["name"].lower().replace(" ", "-")}


def _sale(order: Node, sale: Sale, number: int, *, after_taxes: bool) -> Node:
    bag, worth = order["_currencies"].bag, sale.worth
    type_name, link = SALE_TYPES[sale.line_type]
    tax = bag(worth.tax)
    taxed = worth.discount * (1 + sale.rate) if after_taxes else ZERO
    return {
        "__typename": type_name,
        "id": gid("Sale", number),
        "actionType": sale.action,
        "lineType": sale.line_type,
        "quantity": sale.quantity,
        "totalAmount": bag(worth.total),
        "totalTaxAmount": tax,
        "totalDiscountAmountBeforeTaxes": bag(worth.discount),
        "totalDiscountAmountAfterTaxes": bag(rounded(taxed, order["_currencies"].shop)),
        "taxes": [{"id": gid("SaleTax", number), "amount": tax, "taxLine": tax_lines(tax, sale.rate)[0]}]
        if worth.tax
        else [],
        link or "_": None if sale.link and sale.link.get("_deleted") else sale.link,
    }
