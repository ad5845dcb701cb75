"""The shop's own sales report: takes a client and a span of days, returns the figures of each day.

It knows ShopifyQL's columns, but neither Singer nor which days are wanted. Which figures there are differs by shop: a
column that a shop lacks is left out, and said once.
https://shopify.dev/docs/api/shopifyql/latest/schemas/sales_revenue/sales
"""

from __future__ import annotations

import logging
import re
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tap_shopify_orders.decoding import decoded
from tap_shopify_orders.errors import RunError, printable
from tap_shopify_orders.shopify import query
from tap_shopify_orders.shopify.pages import patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_shopify_orders.shopify.client import Client

    Figures = dict[str, str | int | None]

FIRST_DAY = date(2018, 8, 1)  # the report has nothing before
DAYS_PER_QUERY = 31
MOST_DIGITS = 30  # of an amount
# Each figure with the columns that may hold it: "returns" became "sales_reversals" in 2026.
# https://shopify.dev/changelog/shopifyql-returns-fields-deprecated-and-replaced-with-sales-reversals-fields
COLUMNS: dict[str, tuple[str, ...]] = {
    "gross_sales": ("gross_sales",),
    "discounts": ("discounts",),
    "returns": ("sales_reversals", "returns"),
    "net_sales": ("net_sales",),
    "shipping": ("shipping_charges",),
    "taxes": ("taxes",),
    "duties": ("duties",),
    "additional_fees": ("additional_fees",),
    "return_fees": ("return_fees",),
    "total_sales": ("total_sales",),
    "orders": ("orders",),
}
_logger = logging.getLogger("tap-shopify-orders.sales_by_day")


class _Column(msgspec.Struct):
    name: str


class _Table(msgspec.Struct):
    columns: list[_Column]
    rows: msgspec.Raw


class _Report(msgspec.Struct, rename="camel"):
    parse_errors: list[str] = []
    table_data: _Table | None = None


class _Answer(msgspec.Struct):
    report: _Report | None = None


_answer = msgspec.json.Decoder(_Answer)
_rows = msgspec.json.Decoder(list[list[Any] | dict[str, Any]], float_hook=Decimal)


class SalesReport:
    """The sales report of one store, by day; `pause` is called while it waits."""

    def __init__(self, client: Client, pause: Callable[[], None]) -> None:
        """Take the way to the store."""
        self._client, self._pause = client, pause
        self._columns = {figure: list(columns) for figure, columns in COLUMNS.items()}

    def days(self, since: date, until: date) -> Iterator[tuple[date, Figures]]:
        """Yield the figures of each day from `since` to `until`, both inclusive; money as exact texts.

        Raises Denied where Shopify refuses the report, RunError for an answer that isn't of the promised form.
        """
        while since <= until:
            last = min(since + timedelta(days=DAYS_PER_QUERY - 1), until)
            yield from self._span(since, last)
            since = last + timedelta(days=1)

    def _span(self, since: date, until: date) -> Iterator[tuple[date, Figures]]:
        table = self._table(since, until)
        names = [column.name for column in table.columns]
        for row in decoded(table.rows, _rows):
            values = row if isinstance(row, dict) else dict(zip(names, row, strict=False))
            try:
                day = date.fromisoformat(str(values["day"])[:10])
            except (KeyError, ValueError):
                raise RunError("Shopify's sales report has a row without a day: try again.") from None
            yield day, {figure: _figure(figure, values.get(columns[0])) for figure, columns in self._columns.items()}

    def _table(self, since: date, until: date) -> _Table:
        """Return the table of a span, without the columns that the shop lacks."""
        while self._columns:
            shown = ", ".join(columns[0] for columns in self._columns.values())
            text = f"FROM sales SHOW {shown} TIMESERIES day SINCE {since} UNTIL {until} ORDER BY day"
            ask = partial(self._client.ask, query.read("sales_report"), {"query": text})
            answer = decoded(patiently(ask, self._pause).data, _answer)
            report = answer.report or _Report(parse_errors=["it gives no reason"])
            if report.table_data and not report.parse_errors:
                return report.table_data
            self._leave_out(report.parse_errors)
        raise RunError("Shopify's sales report has none of the figures that sales are made of.")

    def _leave_out(self, errors: list[str]) -> None:
        """Take the next name of each column that parse errors name, or leave its figure out."""
        words = {word for error in errors for word in re.findall(r"\w+", error)}
        named = [figure for figure, columns in self._columns.items() if columns[0] in words]
        if not named:
            raise RunError(
                f"Shopify's sales report can't be read ({printable('; '.join(errors)) or 'it gives no reason'}): try"
                " again, or deselect sales_by_day."
            )
        for figure in named:
            self._columns[figure].pop(0)
            if not self._columns[figure]:
                del self._columns[figure]
                _logger.warning("This store's sales report has no column for %s: the field is left out.", figure)


def _figure(name: str, value: object) -> str | int | None:
    """Return a number of orders as such, and money as an exact text; raises RunError for what is neither."""
    if value is None or value == "":
        return None
    try:
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
        is_one = amount.is_finite() and abs(amount.adjusted()) < MOST_DIGITS
    except ArithmeticError:
        is_one = False
    if not is_one:
        raise RunError(f"Shopify's sales report has a {name} that isn't a number: try again.")
    if name == "orders":
        return int(amount)
    return f"{amount:f}" if isinstance(value, Decimal) else str(value)
