"""Reader of Shopify's ledger of sales: what an order's `agreements` come to, whatever the events' rules make of them.

Pure: takes an order's record, returns entries, and where Shopify's report may read the ledger otherwise. Sources:
https://shopify.dev/docs/api/admin-graphql/latest/interfaces/SalesAgreement and .../interfaces/Sale for the amounts,
https://help.shopify.com/manual/reports-and-analytics (sales report) for the columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.books.accounts import Entry, Reading
from target_posthog.books.figures import add, summed_up, without_zeros
from target_posthog.mapping.language.functions import as_decimal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from target_posthog.books.figures import Figures
    from target_posthog.mapping.language.compiler import Record

PLACING = "OrderAgreement"  # the first of them placed the order: it has the order's own time
OTHERS = "others"  # agreements of a kind that isn't named
COLUMNS = {
    "adjustment": "returns",
    "shipping": "shipping",
    "duty": "duties",
    "additional_fee": "additional_fees",
    "fee": "return_fees",
    "tip": "tips",
    "gift_card": "gift_cards",
}
# Test orders of Shopify Payments aren't in the report, those of others may be.
OWN_GATEWAY = "shopify_payments"

# Where nobody has seen for sure how the report reads the ledger: each reading in the words of an explanation.
ADJUSTMENTS = "Shopify leaves adjustments of refunds out of returns"
TIPS = "Shopify counts tips in total sales"
GIFT_CARDS = "Shopify counts gift cards sold in total sales"
DUTIES = "Shopify leaves duties out of total sales"
NEW_PRICES = "Shopify counts a price changed by an edit in returns"
ADDED_ITEMS = "Shopify counts items added by an edit in returns"
DISCOUNTS_BACK = "Shopify takes the discounts of what came back out of discounts, not out of returns"
SHIPPING_DISCOUNTS = "Shopify counts discounts on shipping in discounts"
PLACED_AT = "Shopify counts an order on the day of its ledger, not on that on which it was processed"
REFUNDED_AT = "Shopify counts a refund on the day on which it was processed, not on that of its ledger"
NEW_KINDS = "Shopify leaves sales of a kind that is new out of total sales"
TEST_ORDERS = "Shopify counts test orders of another gateway than its own"


def entries(order: Record, rules: Mapping[str, str]) -> Iterator[Entry]:
    """Yield an entry for each agreement; `rules` has the rule for each kind, `others` for what isn't named.

    A test order has none: it is no sale. An order without a ledger has its original total alone. Raises ValueError for
    an amount that is none.
    """
    if order.get("test"):
        return
    yield from _entries(order, rules)


def _entries(order: Record, rules: Mapping[str, str]) -> Iterator[Entry]:
    placed_at = _placed_at(order)
    if has_no_ledger(order):
        yield Entry(rules[PLACING], placed_at, {"total_sales": as_decimal(order.get("original_total_price") or 0)})
        return
    for kind, agreement in _agreements(order):
        figures: Figures = {}
        for sale in agreement.get("sales") or ():
            add(figures, _columns(_Sale.of(sale)))
        at = placed_at if kind == PLACING else agreement["happened_at"]
        yield Entry(rules.get(kind) or rules[OTHERS], at, without_zeros(summed_up(figures)))


def _agreements(order: Record) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the agreements, each after its kind; a second one that places the order is of the others."""
    is_placed = False
    for agreement in order.get("agreements") or ():
        kind = agreement.get("kind") or OTHERS
        yield OTHERS if kind == PLACING and is_placed else kind, agreement
        is_placed |= kind == PLACING


def has_no_ledger(order: Record) -> bool:
    """Say whether Shopify gives no ledger for an order, though it was asked for."""
    return "updated_at" in order and not order.get("agreements") and not order.get("_sdc_deleted_at")


def readings(order: Record) -> Iterator[Reading]:
    """Yield what the report would have otherwise of an order, for each reading that matters to it."""
    if order.get("test"):
        gateways = order.get("payment_gateway_names") or [
            transaction.get("gateway") for transaction in order.get("transactions") or ()
        ]
        if gateways and OWN_GATEWAY not in gateways:
            for entry in _entries(order, {PLACING: "", OTHERS: ""}):
                yield Reading(TEST_ORDERS, entry.at, entry.figures)
        return
    for kind, agreement in _agreements(order):
        is_placing = kind == PLACING
        at = _placed_at(order) if is_placing else agreement["happened_at"]
        whole: Figures = {}
        for raw_sale in agreement.get("sales") or ():
            sale = _Sale.of(raw_sale)
            add(whole, _columns(sale))
            for name, parts in _otherwise(sale, is_placing=is_placing):
                yield Reading(name, at, summed_up(parts))
        elsewhere = agreement["happened_at"] if is_placing else _refunded_at(order, agreement)
        if elsewhere and elsewhere != at:
            name = PLACED_AT if is_placing else REFUNDED_AT
            moved = summed_up(whole)
            yield Reading(name, at, {figure: -amount for figure, amount in moved.items()})
            yield Reading(name, elsewhere, moved)


class _Sale(NamedTuple):
    action: str
    line_type: str
    net: Decimal
    tax: Decimal
    discount: Decimal

    @classmethod
    def of(cls, sale: Mapping[str, Any]) -> _Sale:
        """Take the amounts of a sale; its net is the total less the tax, whether prices include taxes or not."""
        total, tax, discount = (
            as_decimal(sale.get(name) or 0)
            for name in ("total_amount", "total_tax_amount", "total_discount_amount_before_taxes")
        )
        return cls(str(sale.get("action_type")), str(sale.get("line_type")), total - tax, tax, discount)


def _columns(sale: _Sale) -> Figures:
    """Return the figures of a sale but net and total sales; a sale of an unknown kind counts in these alone."""
    if sale.line_type == "product" and sale.action != "return":
        return {"gross_sales": sale.net + sale.discount, "discounts": -sale.discount, "taxes": sale.tax}
    if sale.line_type == "product":
        return {"returns": sale.net, "taxes": sale.tax}
    return {COLUMNS.get(sale.line_type, "total_sales"): sale.net, "taxes": sale.tax}


def _otherwise(sale: _Sale, *, is_placing: bool) -> Iterator[tuple[str, Figures]]:
    """Yield how a sale may be read otherwise, each with what that adds to the columns."""
    kind, net, discount = sale.line_type, sale.net, sale.discount
    if kind == "product" and sale.action == "return" and discount:
        yield DISCOUNTS_BACK, {"returns": discount, "discounts": -discount}
    elif kind == "product" and sale.action != "return" and not is_placing:
        name = NEW_PRICES if sale.action == "update" else ADDED_ITEMS
        yield name, {"gross_sales": -net - discount, "discounts": discount, "returns": net}
    elif kind == "shipping" and discount:
        yield SHIPPING_DISCOUNTS, {"discounts": -discount, "shipping": discount}
    in_total = {"tip": (TIPS, net), "gift_card": (GIFT_CARDS, net), "duty": (DUTIES, -net)}
    if kind == "adjustment":
        yield ADJUSTMENTS, {"returns": -net}
    elif kind in in_total:
        name, amount = in_total[kind]
        yield name, {"total_sales": amount}
    elif kind != "product" and kind not in COLUMNS:
        yield NEW_KINDS, {"total_sales": -net, "taxes": -sale.tax}


def _placed_at(order: Record) -> str:
    return str(order.get("processed_at") or order.get("created_at"))


def _refunded_at(order: Record, agreement: Mapping[str, Any]) -> str | None:
    number = agreement.get("refund_id")
    found = (refund for refund in order.get("refunds") or () if number is not None and refund.get("id") == number)
    return next((refund.get("processed_at") for refund in found), None)
