"""What arrived becomes figures, in: the database and what to look at; out: totals, and rows for charts.

Knows SQL and sums, not how a chart looks.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from sandbox.posthog.database import EPOCH
from sandbox.posthog.pages.lines import ONE_MICROSECOND, day_in
from sandbox.posthog.pages.periods import DAYS_IN, Period, periods, usual_unit
from sandbox.posthog.totals import Totals, sales_of, totals_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from sandbox.posthog.database import Database

QUARTER = timedelta(minutes=15) // ONE_MICROSECOND  # the clocks of all zones differ by quarters of an hour
COUNTS = f"select event, at_microseconds / {QUARTER}, count(*) from events group by 1, 2"  # noqa: S608  # a number of our own
ZERO = Decimal(0)


@dataclass(frozen=True)
class DaysSale:
    """The money of one event on its day."""

    day: date
    currency: str
    net: Decimal
    total: Decimal
    is_order: bool


@dataclass(frozen=True)
class Figures:
    """Everything that charts are made of, by day of a time zone; kept until the database changes."""

    totals: Totals
    sales: list[DaysSale]
    counts: list[tuple[date, str, int]]

    @property
    def days(self) -> tuple[date, date] | None:
        """The first day and the last, None while there are no events."""
        days = [day for day, _, _ in self.counts]
        return (min(days), max(days)) if days else None

    @property
    def currencies(self) -> list[str]:
        """The currencies in which money came, the one of most orders first."""
        seen = [sale.currency for sale in self.sales if sale.is_order]
        known = {*self.totals.net_sales, *self.totals.total_sales}
        return sorted(known, key=lambda one: (-seen.count(one), one))


@dataclass(frozen=True)
class Row:
    """One period of the charts; `changes` is what edits, returns and refunds made of net sales, mostly below zero."""

    period: Period
    placed: Decimal
    changes: Decimal
    total: Decimal
    orders: int

    @property
    def net(self) -> Decimal:
        """Net sales."""
        return self.placed + self.changes


@dataclass(frozen=True)
class View:
    """What a person chose to see."""

    currency: str
    unit: str
    first: date
    last: date
    today: date

    @property
    def periods(self) -> list[Period]:
        """The periods that it shows."""
        return periods(self.first, self.last, self.unit, self.today)

    @classmethod
    def of(cls, asked: Mapping[str, str], figures: Figures, today: date) -> View | None:
        """Read a URL's parameters, None while there are no events; raises ValueError for a date that is none.

        `today` is the day on which the events were there, in the page's time zone.
        """
        if figures.days is None:
            return None
        oldest, newest = figures.days
        first, last = day_in(asked.get("from", "")) or oldest, day_in(asked.get("to", "")) or newest
        currencies = figures.currencies
        currency = asked.get("currency", "")
        unit = asked.get("per", "")
        return cls(
            currency=currency if currency in currencies else next(iter(currencies), ""),
            unit=unit if unit in DAYS_IN else usual_unit(first, last),
            first=first,
            last=max(first, last),
            today=today,
        )


def figures_of(database: Database, zone: ZoneInfo) -> Figures:
    """Read everything once."""

    @cache
    def day_of(quarter: int) -> date:
        return (EPOCH + quarter * QUARTER * ONE_MICROSECOND).astimezone(zone).date()

    sales = list(sales_of(database))
    return Figures(
        totals=totals_of(database, sales),
        sales=[
            DaysSale(day_of(at // QUARTER), currency, net or ZERO, total or ZERO, is_order)
            for at, currency, net, total, is_order in sales
        ],
        counts=[(day_of(quarter), event, count) for event, quarter, count in database.ask(COUNTS)],
    )


def rows_of(figures: Figures, view: View) -> list[Row]:
    """Sum sales in the view's currency, and orders in any, per period."""
    shown = view.periods
    starts = [one.first for one in shown]
    placed, changes, total = ([ZERO] * len(shown), [ZERO] * len(shown), [ZERO] * len(shown))
    orders = [0] * len(shown)
    for sale in figures.sales:
        if not starts[0] <= sale.day <= view.last:
            continue
        at = bisect_right(starts, sale.day) - 1
        orders[at] += sale.is_order
        if sale.currency == view.currency:
            (placed if sale.is_order else changes)[at] += sale.net
            total[at] += sale.total
    return [Row(*row) for row in zip(shown, placed, changes, total, orders, strict=True)]


def names_of(figures: Figures, view: View) -> dict[str, int]:
    """Count the view's events by name, the most frequent first."""
    counts: dict[str, int] = {}
    for day, event, count in figures.counts:
        if view.first <= day <= view.last:
            counts[event] = counts.get(event, 0) + count
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
