"""The overview's rows become its two charts, in: rows and what a person chose; out: SVG whose bars lead on.

Knows what the figures mean, not how a chart is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import url_for

from sandbox.posthog.pages import charts
from sandbox.posthog.pages.words import count, money

if TYPE_CHECKING:
    from datetime import date

    from markupsafe import Markup

    from sandbox.posthog.pages.overview import Row, View
    from sandbox.posthog.pages.periods import Period


def into(period: Period, view: View) -> str:
    """Return where a period leads: to the events of a day, else to the overview of the period."""
    days = _days(period.first, period.last)
    if period.first == period.last:
        return url_for("pages.events", **days)
    return url_for("pages.overview", currency=view.currency, **days)


def money_chart(rows: list[Row], view: View) -> Markup:
    """Draw what orders came to when they were placed, and what edits, returns and refunds made of it."""

    def bars(name: str, words: str) -> list[charts.Bar]:
        amounts = [getattr(row, name) for row in rows]
        told = [f"{words} {money(amount, view.currency)}" for amount in amounts]
        return [_bar(row, float(amount), one, view) for row, amount, one in zip(rows, amounts, told, strict=True)]

    series = {"placed": bars("placed", "as placed"), "changes": bars("changes", "edits, returns and refunds")}
    return charts.columns(_labels(rows), series, view.currency)


def orders_chart(rows: list[Row], view: View) -> Markup:
    """Draw the number of orders."""
    return charts.columns(
        _labels(rows), {"orders": [_bar(row, row.orders, f"{count(row.orders)} orders", view) for row in rows]}
    )


def _bar(row: Row, value: float, words: str, view: View) -> charts.Bar:
    period = row.period
    told = f"{period.label}{', unfinished' if period.unfinished else ''}: {words}"
    short = f"{value:,.0f}" if round(value) > 0 else ""
    return charts.Bar(value, told, short, into(period, view), period.unfinished)


def _labels(rows: list[Row]) -> list[str]:
    return [row.period.label for row in rows]


def _days(first: date, last: date) -> dict[str, Any]:
    return {"from": first.isoformat(), "to": last.isoformat()}
