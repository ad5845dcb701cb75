"""The ledger of an order, in: what is sold and taken back; out: agreements with their sales, signed and to the cent.

The agreements are never changed once written. Knows no totals and no GraphQL. Source:
https://shopify.dev/docs/api/admin-graphql/latest/interfaces/SalesAgreement and .../interfaces/Sale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.shop.money import ZERO, Currencies, rounded, smallest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

Node = dict[str, Any]


class Worth(NamedTuple):
    """What something costs: after discounts and with the tax, the tax in it, and the discount before taxes."""

    total: Decimal = ZERO
    tax: Decimal = ZERO
    discount: Decimal = ZERO

    def less(self, other: Worth) -> Worth:
        """Return the difference."""
        return Worth(self.total - other.total, self.tax - other.tax, self.discount - other.discount)


@dataclass(frozen=True)
class Sale:
    """One signed line of an agreement, in the shop's currency; `link` is what was sold, where the type has one."""

    action: str
    line_type: str
    quantity: int | None
    worth: Worth
    link: Node | None = None
    rate: Decimal = ZERO


@dataclass(frozen=True)
class Agreement:
    """What was agreed at one moment; `link` is the refund or return that it is about."""

    type_name: str
    at: str
    sales: tuple[Sale, ...]
    link: Node | None = None


def write(order: Node, type_name: str, at: str, sales: Iterable[Sale], link: Node | None = None) -> None:
    """Add an agreement to an order's ledger."""
    order["_agreements"].append(Agreement(type_name, at, tuple(sales), link))


def worth(price: Decimal, off: Decimal, rate: Decimal, currencies: Currencies, *, taxes_included: bool) -> Worth:
    """Return what a price comes to, from which `off` was taken; both contain the tax if it is included."""
    if taxes_included:
        tax = rounded(price * rate / (1 + rate), currencies.shop)
        return Worth(price, tax, off - rounded(off * rate / (1 + rate), currencies.shop))
    tax = rounded(price * rate, currencies.shop)
    return Worth(price + tax, tax, off)


def taken_off(order: Node, line: Node, count: int) -> Decimal:
    """Return the discount on so many units of a line, as priced.

    "Left-over cents are allocated one at a time from the first line, and never reallocated" (the description of
    Sale.totalDiscountAmountAfterTaxes): here from the first unit.
    """
    off: Decimal = line["_off"] * count
    return off + min(line["_rest"], count * smallest(order["_currencies"].shop)) if line["_rest"] else off


def of_line(order: Node, line: Node, count: int) -> Worth:
    """Return what so many units of a line cost, at its present price."""
    off = taken_off(order, line, count)
    final = line["_list"] * count - off
    return worth(final, off, line["_rate"], order["_currencies"], taxes_included=order["taxesIncluded"])


def of_shipping(order: Node, line: Node, amount: Decimal) -> Worth:
    """Return what an amount of a shipping line's price costs, with its share of the discount."""
    price, off = line["_price"], line["_off"]
    share = off if amount == price else rounded(off * amount / price, order["_currencies"].shop)
    return worth(amount, share, line["_rate"], order["_currencies"], taxes_included=order["taxesIncluded"])


def goods(order: Node, line: Node, count: int) -> Sale:
    """Move so many units of a line, back if it is negative; the line has them afterwards.

    The units of a line differ by cents where a tax can't be divided: the sum over all of them is exact.
    """
    before = of_line(order, line, line["_count"])
    line["_count"] += count
    moved = of_line(order, line, line["_count"]).less(before)
    return Sale("ORDER" if count > 0 else "RETURN", line["_type"], count, moved, line, line["_rate"])


def reprice(order: Node, line: Node, price: Decimal, off: Decimal, quantity: int | None) -> Sale:
    """Give a line another list price or discount per unit; the sale is the difference for the units that are there."""
    before = of_line(order, line, line["_count"])
    line["_list"], line["_off"], line["_rest"] = price, off, ZERO
    moved = of_line(order, line, line["_count"]).less(before)
    return Sale("UPDATE", line["_type"], quantity, moved, line, line["_rate"])


def retax(order: Node, line: Node, rate: Decimal, quantity: int | None) -> Sale:
    """Tax a line or a shipping line at another rate; the sale is the difference in tax on what is there."""
    goods = "_count" in line
    before = of_line(order, line, line["_count"]) if goods else of_shipping(order, line, line["_left"])
    line["_rate"] = rate
    after = of_line(order, line, line["_count"]) if goods else of_shipping(order, line, line["_left"])
    return Sale("UPDATE", line["_type"] if goods else "SHIPPING", quantity, after.less(before), line, rate)


def ship(order: Node, line: Node) -> Sale:
    """Ask for shipping by a new line."""
    line["_left"] = line["_price"]
    return Sale("ORDER", "SHIPPING", 1, of_shipping(order, line, line["_price"]), line, line["_rate"])


def unship(order: Node, line: Node, amount: Decimal) -> Sale:
    """Take back an amount of what was asked for shipping.

    "`shippingLine` is not available if the SaleActionType is a return"
    (https://shopify.dev/docs/api/admin-graphql/latest/objects/ShippingLineSale).
    """
    before = of_shipping(order, line, line["_left"])
    line["_left"] -= amount
    return Sale("RETURN", "SHIPPING", -1, of_shipping(order, line, line["_left"]).less(before), None, line["_rate"])


def plain(  # noqa: PLR0913  # what a sale says
    order: Node,
    line_type: str,
    amount: Decimal,
    *,
    rate: Decimal = ZERO,
    link: Node | None = None,
    action: str = "ORDER",
) -> Sale:
    """Return a sale of an amount without discount: a duty or a fee, taxed or not."""
    moved = worth(amount, ZERO, rate, order["_currencies"], taxes_included=order["taxesIncluded"])
    return Sale(action, line_type, 1 if amount >= 0 else -1, moved, link, rate)


def adjustment(given: Decimal, tax: Decimal = ZERO) -> Sale:
    """Return the ADJUSTMENT for money that was given beyond the goods: negative; for money kept it is positive."""
    return Sale("RETURN", "ADJUSTMENT", None, Worth(-given, -tax))
