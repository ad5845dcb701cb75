"""Figures of the books: exact amounts by name, as Shopify's sales report names them.

Pure. A figure that isn't there is zero.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Figures = dict[str, Decimal]

ZERO = Decimal()
# What the report shows, in its order, and what total sales are the sum of:
# https://shopify.dev/docs/api/shopifyql/latest/schemas/sales_revenue/sales
NET = ("gross_sales", "discounts", "returns")
TOTAL = ("net_sales", "shipping", "taxes", "duties", "additional_fees", "return_fees")
SALES = (*NET, *TOTAL, "total_sales")
BESIDE = ("tips", "gift_cards")  # neither net nor total sales
WORDS = {"shipping": "shipping charges", "gift_cards": "gift cards sold"}  # where the report has more of them


def words(name: str) -> str:
    """Return a figure's name as people read it."""
    return WORDS.get(name, name.replace("_", " "))


def add(figures: Figures, more: Mapping[str, Decimal], sign: int = 1) -> None:
    """Add figures to others in place."""
    for name, amount in more.items():
        figures[name] = figures.get(name, ZERO) + sign * amount


def less(left: Mapping[str, Decimal], right: Mapping[str, Decimal]) -> Figures:
    """Return the figures by which the left ones exceed the right ones, without zeros."""
    found = dict(left)
    add(found, right, -1)
    return without_zeros(found)


def without_zeros(figures: Mapping[str, Decimal]) -> Figures:
    """Return the figures that aren't zero, Shopify's in the order of its report."""
    known = [*(name for name in (*SALES, *BESIDE) if name in figures), *(name for name in figures if name not in SALES)]
    return {name: figures[name] for name in dict.fromkeys(known) if figures[name]}


def summed_up(parts: Figures) -> Figures:
    """Return the parts with net and total sales, which are their sums."""
    found = dict(parts)
    found["net_sales"] = sum((parts.get(name, ZERO) for name in NET), ZERO)
    found["total_sales"] = sum((found.get(name, ZERO) for name in TOTAL), parts.get("total_sales", ZERO))
    return found
