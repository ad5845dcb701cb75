"""Orders of the situations of Shopify's ledger, as they are placed: as data, which the shop makes nodes of.

Prices are without tax, which is 10 % on top; the first order is 2 x 50 with a code of 10 % and shipping of 10.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.shop.catalog import PRODUCTS
from sandbox.shop.goods import Discount, Line, Placed
from sandbox.shop.money import Currencies

PLACED = "2026-10-30T12:00:00.000000Z"
USD, TEN_PERCENT = Currencies("USD", "USD"), Decimal("0.10")
CD = PRODUCTS[0]
CODE = Discount("DiscountCodeApplication", "TEN", 10.0)


def order_of(*lines: Line, **more: Any) -> Placed:
    plain = {"shipping": Decimal(10), "shipping_tax_rate": TEN_PERCENT, "tax_rate": TEN_PERCENT}
    return Placed(PLACED, 1, list(lines), USD, **{**plain, **more})


FIRST = order_of(Line(CD, 2, Decimal(45), Decimal(5)), discount=CODE)
ONE = order_of(Line(CD, 1, Decimal(50)), shipping=Decimal(0))
INCLUSIVE = order_of(
    Line(CD, 2, Decimal("115.50"), Decimal("5.25")),
    shipping=Decimal(22),
    tax_rate=Decimal("0.05"),
    shipping_tax_rate=Decimal("0.05"),
    taxes_included=True,
    discount=CODE,
)
THIRDS = order_of(
    Line(CD, 3, Decimal("16.67"), Decimal("3.33"), rest=Decimal("0.01")), shipping=Decimal(0), discount=CODE
)
TAXED = order_of(
    Line(CD, 1, Decimal(50), duty=Decimal(12), duty_tax_rate=Decimal("0.10")),
    shipping=Decimal(0),
    fees={"Import": Decimal(3)},
    fee_tax_rate=Decimal("0.10"),
)
