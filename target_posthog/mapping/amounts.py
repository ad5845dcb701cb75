"""An event's money, in: its properties; out: an exact amount and its currency.

Pure, and knows no currency and no rule: which properties hold money is the mapping's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from target_posthog.mapping.language.functions import as_decimal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from target_posthog.mapping.language.functions import JSON

REVENUE = {"revenue": "currency"}  # https://posthog.com/docs/data/event-spec/ecommerce-events


class Money(NamedTuple):
    """An exact amount in a currency."""

    amount: Decimal
    currency: str


def money_in(properties: Mapping[str, JSON], names: Mapping[str, str] = REVENUE) -> Money | None:
    """Return the money of the first property of `names` that holds an amount and whose currency is there."""
    for name, currency_name in names.items():
        amount, currency = properties.get(name), properties.get(currency_name)
        if amount is None or not isinstance(currency, str):
            continue
        try:
            return Money(as_decimal(amount), currency)
        except ValueError:
            continue
    return None
