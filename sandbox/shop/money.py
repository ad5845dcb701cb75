"""Money as Shopify's Admin API writes it, in: exact decimals and currencies; out: MoneyV2 and MoneyBag dicts.

Knows no orders. Amounts are strings with at least one decimal and no needless zeros ("10.0", "29.9"), as in the
examples of https://shopify.dev/docs/api/admin-graphql/latest/objects/MoneyV2.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

DECIMALS = {"JPY": 0, "KWD": 3}  # ISO 4217; every other currency of the sandbox has two
ZERO = Decimal(0)


@dataclass(frozen=True)
class Currencies:
    """The shop's currency of an order, and the one its customer saw at a fixed rate."""

    shop: str
    presentment: str
    rate: Decimal = Decimal(1)

    def bag(self, amount: Decimal) -> dict[str, Any]:
        """Return an amount of the shop's currency as a MoneyBag."""
        return _bag(self, amount)


@lru_cache(maxsize=100_000)
def _bag(currencies: Currencies, amount: Decimal) -> dict[str, Any]:
    """Return a MoneyBag; equal ones may be the same dict, so nothing changes them in place."""
    shop, presentment = currencies.shop, currencies.presentment
    shown = rounded(amount * currencies.rate, presentment) if shop != presentment else amount
    return {"shopMoney": money(amount, shop), "presentmentMoney": money(shown, presentment)}


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Round half up to what the currency can pay."""
    return amount.quantize(smallest(currency), ROUND_HALF_UP)


@lru_cache
def smallest(currency: str) -> Decimal:
    """Return the smallest amount of a currency, such as a cent."""
    return Decimal(1).scaleb(-DECIMALS.get(currency, 2))


def money(amount: Decimal, currency: str) -> dict[str, str]:
    """Return a MoneyV2."""
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0")
    return {
        "amount": text + "0" if text.endswith(".") else text if "." in text else text + ".0",
        "currencyCode": currency,
    }


def shop_amount(bag: dict[str, Any] | None) -> Decimal:
    """Return the amount of a MoneyBag in the shop's currency; nothing is zero."""
    return Decimal(bag["shopMoney"]["amount"]) if bag else ZERO


def total(bags: Iterable[dict[str, Any] | None]) -> Decimal:
    """Return the sum of MoneyBags in the shop's currency."""
    return sum((shop_amount(bag) for bag in bags), ZERO)
