"""The overview's rows become its three charts, in: rows and what a person chose; out: SVG whose bars lead on.

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
    """Draw what was sold upwards and what was taken back downwards."""

    def bars(name: str, words: str, sign: int) -> list[charts.Bar]:
        amounts = [(row.period, getattr(row, name)) for row in rows]
        return [
            charts.Bar(
                float(sign * amount), f"{period.label}: {words} {money(amount, view.currency)}", into(period, view)
            )
            for period, amount in amounts
        ]

    return charts.columns(_labels(rows), {"sold": bars("sold", "sold", 1), "back": bars("back", "taken back", -1)})


def orders_chart(rows: list[Row], view: View) -> Markup:
    """Draw the number of orders."""
    bars = [
        charts.Bar(row.orders, f"{row.period.label}: {count(row.orders)} orders", into(row.period, view))
        for row in rows
    ]
    return charts.columns(_labels(rows), {"orders": bars})


def names_chart(names: dict[str, int], view: View) -> Markup:
    """Draw the number of events per name."""
    days = _days(view.first, view.last)
    return charts.rows(
        {
            name: charts.Bar(number, f"{name}: {count(number)}", url_for("pages.events", name=name, **days))
            for name, number in names.items()
        }
    )


def _labels(rows: list[Row]) -> list[str]:
    return [row.period.label for row in rows]


def _days(first: date, last: date) -> dict[str, Any]:
    return {"from": first.isoformat(), "to": last.isoformat()}
