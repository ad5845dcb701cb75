"""What arrived becomes figures, in: the database and what to look at; out: totals, and rows for three charts.

Knows SQL and sums, not how a chart looks.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.posthog.pages.books import COMPLETED
from sandbox.posthog.pages.lines import EPOCH, day_in
from sandbox.posthog.pages.periods import DAYS_IN, Period, periods, usual_unit
from sandbox.posthog.totals import REFUNDS, Amount, Totals, amounts, totals_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.posthog.database import Database

MICROSECONDS_A_DAY = 86_400_000_000
COUNTS = f"select event, at_microseconds / {MICROSECONDS_A_DAY}, count(*) from events group by 1, 2"  # noqa: S608  # a number of our own
ZERO = Decimal(0)


@dataclass(frozen=True)
class Figures:
    """Everything that charts are made of, by day; kept until the database changes."""

    totals: Totals
    money: list[Amount]
    counts: list[tuple[date, str, int]]

    @property
    def currencies(self) -> list[str]:
        """The currencies in which money came, the one of most orders first."""
        seen = [currency for _, event, currency, _ in self.money if event in COMPLETED]
        return sorted({*self.totals.revenue, *self.totals.refunds}, key=lambda one: (-seen.count(one), one))


@dataclass(frozen=True)
class Row:
    """One period of the charts; refunds are above zero."""

    period: Period
    revenue: Decimal
    refunds: Decimal
    orders: int


@dataclass(frozen=True)
class View:
    """What a person chose to see."""

    currency: str
    unit: str
    first: date
    last: date

    @classmethod
    def of(cls, asked: Mapping[str, str], figures: Figures) -> View | None:
        """Read a URL's parameters, None while there are no events; raises ValueError for a date that is none."""
        days = [day for day, _, _ in figures.counts]
        if not days:
            return None
        first, last = day_in(asked.get("from", "")) or min(days), day_in(asked.get("to", "")) or max(days)
        currencies = figures.currencies
        currency = asked.get("currency", "")
        unit = asked.get("per", "")
        return cls(
            currency=currency if currency in currencies else next(iter(currencies), ""),
            unit=unit if unit in DAYS_IN else usual_unit(first, last),
            first=first,
            last=max(first, last),
        )


def figures_of(database: Database) -> Figures:
    """Read everything once."""
    money = list(amounts(database))
    return Figures(
        totals=totals_of(database, money),
        money=money,
        counts=[(_day(number), event, count) for event, number, count in database.ask(COUNTS)],
    )


def rows_of(figures: Figures, view: View) -> list[Row]:
    """Sum revenue and refunds in the view's currency, and orders in any, per period."""
    shown = periods(view.first, view.last, view.unit)
    starts = [one.first for one in shown]
    revenue, refunds, orders = ([ZERO] * len(shown), [ZERO] * len(shown), [0] * len(shown))
    for day, event, currency, amount in figures.money:
        if currency == view.currency and starts[0] <= day <= view.last:
            (refunds if event in REFUNDS else revenue)[bisect_right(starts, day) - 1] += amount
    for day, event, count in figures.counts:
        if event in COMPLETED and starts[0] <= day <= view.last:
            orders[bisect_right(starts, day) - 1] += count
    return [Row(*row) for row in zip(shown, revenue, refunds, orders, strict=True)]


def names_of(figures: Figures, view: View) -> dict[str, int]:
    """Count the view's events by name, the most frequent first."""
    counts: dict[str, int] = {}
    for day, event, count in figures.counts:
        if view.first <= day <= view.last:
            counts[event] = counts.get(event, 0) + count
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _day(number: int) -> date:
    return EPOCH.date() + timedelta(days=number)
