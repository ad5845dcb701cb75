"""ShopifyQL for the sales report, in: a query and days with their figures; out: a ShopifyqlQueryResponse.

Knows `FROM sales SHOW columns`, by day, with SINCE, UNTIL and ORDER BY day; whatever else is a parse error. Sources:
https://shopify.dev/docs/apps/build/shopifyql/graphql-admin-api and https://shopify.dev/docs/api/shopifyql. The words of
parse errors aren't published.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.shop.sales_report import Figures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    Node = dict[str, Any]

# Column, its attribute of Figures. "returns" became "sales_reversals" in 2026; shops may know either, or both.
COLUMNS = {
    "orders": "orders",
    "gross_sales": "gross_sales",
    "discounts": "discounts",
    "returns": "returns",
    "sales_reversals": "returns",
    "net_sales": "net_sales",
    "shipping_charges": "shipping_charges",
    "taxes": "taxes",
    "duties": "duties",
    "additional_fees": "additional_fees",
    "return_fees": "return_fees",
    "total_sales": "total_sales",
    "total_tips": "tips",
    "gift_cards_issued": "gift_cards_issued",
}
MOST_DAYS = 3_700  # ten years; a query that asks for more has a typing error

_QUERY = re.compile(
    r"""\s* FROM \s+ (?P<source>\w+) \s+ SHOW \s+ (?P<columns>\w+ (?: \s*,\s* \w+)*)
    (?: \s+ (?P<by>TIMESERIES | GROUP\ BY) \s+ (?P<unit>\w+))? (?P<totals> \s+ WITH \s+ TOTALS)?
    (?: \s+ SINCE \s+ (?P<since>\S+))? (?: \s+ UNTIL \s+ (?P<until>\S+))?
    (?: \s+ ORDER \s+ BY \s+ (?P<order>\w+) (?: \s+ (?P<direction>ASC|DESC))?)? \s*""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Report:
    """How a shop answers ShopifyQL: both forms of rows and of money are seen in public programs."""

    lacks: frozenset[str] = frozenset()
    arrays: bool = False
    numbers: bool = False
    refused: bool = False


@dataclass(frozen=True)
class _Asked:
    columns: list[str] = field(default_factory=list)
    by: str = ""
    since: date = date.min
    until: date = date.min
    backwards: bool = False
    errors: list[str] = field(default_factory=list)


def answer(query: str, days: Mapping[date, Figures], today: date, report: Report) -> Node:
    """Return the response to a query; with a parse error there is no table."""
    asked = _read(query, today, report)
    if asked.errors:
        return {"parseErrors": asked.errors, "parseWarnings": [], "tableData": None}
    columns = [_column("day"), *map(_column, asked.columns)] if asked.by else [*map(_column, asked.columns)]
    rows: list[Any] = [{key: _value(value, report) for key, value in row.items()} for row in _rows(asked, days)]
    if report.arrays:
        rows = [list(row.values()) for row in rows]
    return {"parseErrors": [], "parseWarnings": [], "tableData": {"columns": columns, "rows": rows}}


def _read(query: str, today: date, report: Report) -> _Asked:
    found = _QUERY.fullmatch(query)
    if not found:
        return _Asked(errors=["Line 1 Column 1: Syntax error: the sandbox knows FROM sales SHOW ... by day only."])
    names = re.split(r"\s*,\s*", found["columns"])
    known = COLUMNS.keys() - report.lacks
    errors = [
        f"Line 1 Column {query.index(name) + 1}: Column '{name}' not found." for name in names if name not in known
    ]
    if found["source"].lower() != "sales":
        errors.append(f"Line 1 Column 6: Table '{found['source']}' not found.")
    if found["unit"] and found["unit"].lower() != "day":
        errors.append(f"The sandbox has no {found['unit']}, only day.")
    try:
        since, until = (
            _date(found[name] or default, today) for name, default in (("since", "-30d"), ("until", "today"))
        )
    except ValueError as error:
        return _Asked(errors=[*errors, str(error)])
    if not 0 <= (until - since).days <= MOST_DAYS:
        errors.append(f"Invalid date range: {since} to {until}.")
    backwards = (found["direction"] or "").upper() == "DESC"
    return _Asked(names, (found["by"] or "").upper(), since, until, backwards, errors)


def _date(text: str, today: date) -> date:
    relative = re.fullmatch(r"-(\d{1,4})d", text)
    if relative:
        return today - timedelta(days=int(relative[1]))
    if text.lower() in ("today", "yesterday"):
        return today - timedelta(days=int(text.lower() == "yesterday"))
    return date.fromisoformat(text)


def _rows(asked: _Asked, days: Mapping[date, Figures]) -> list[Node]:
    """Return a row a day: TIMESERIES has all of them, GROUP BY those on which anything happened."""
    chosen = [asked.since + timedelta(days=step) for step in range((asked.until - asked.since).days + 1)]
    if not asked.by:
        sums = Figures()
        for day in chosen:
            sums.add(days.get(day, Figures()))
        return [_row(asked, sums)]
    if asked.by != "TIMESERIES":
        chosen = [day for day in chosen if day in days]
    if asked.backwards:
        chosen.reverse()
    return [{"day": str(day), **_row(asked, days.get(day, Figures()))} for day in chosen]


def _row(asked: _Asked, figures: Figures) -> Node:
    return {name: getattr(figures, COLUMNS[name]) for name in asked.columns}


def _value(value: str | int | Decimal, report: Report) -> str | float:
    if isinstance(value, (str, int)):
        return value if isinstance(value, str) or report.numbers else str(value)
    return float(value) if report.numbers else str(value)


def _column(name: str) -> Node:
    kind = {"day": "DAY_TIMESTAMP", "orders": "INTEGER"}.get(name, "MONEY")
    return {"name": name, "dataType": kind, "displayName": name.replace("_", " ").capitalize()}
