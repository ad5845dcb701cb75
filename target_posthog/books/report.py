"""Shopify's own sales report: takes a record of the stream that holds it, returns what it says of a day.

Pure. It is what all else is judged by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from target_posthog.books.accounts import Shop, shop_of
from target_posthog.books.figures import SALES
from target_posthog.mapping.language.functions import as_decimal

if TYPE_CHECKING:
    from target_posthog.books.figures import Figures
    from target_posthog.mapping.language.compiler import Record


class ReportedDay(NamedTuple):
    """What the report says of a day of the shop's time zone; a figure that the shop's report lacks isn't there."""

    shop: Shop
    day: str
    time_zone: str
    currency: str
    figures: Figures


def reported(record: Record) -> ReportedDay:
    """Return what a record says; raises ValueError for an amount that is none."""
    figures = {name: as_decimal(record[name]) for name in SALES if record.get(name) is not None}
    day, time_zone, currency = (str(record.get(name) or "") for name in ("day", "time_zone", "currency"))
    return ReportedDay(shop_of(record), day, time_zone, currency, figures)
