"""Stream of the shop's own sales report: takes what the store's run gives it, returns each day that changed.

It is what all else is judged by, and no event. Imports, deletions and a changed time zone move old days: so the last
year is read again once a day, and what hasn't changed isn't emitted again.
"""

from __future__ import annotations

from datetime import date, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL
from typing_extensions import override

from tap_shopify_orders.bookmark import DayBookmark
from tap_shopify_orders.moments import as_datetime
from tap_shopify_orders.records import schema
from tap_shopify_orders.selection import SelectedStream
from tap_shopify_orders.settings import has_numbers
from tap_shopify_orders.shopify.answers import Denied
from tap_shopify_orders.shopify.sales_report import FIRST_DAY, SalesReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context

    from tap_shopify_orders.streams import Run

SCOPE = "read_reports"
DAY = timedelta(days=1)
YEAR = timedelta(days=365)


class SalesByDay(SelectedStream):
    """The store's sales report, by day of the store's time zone."""

    name = "sales_by_day"
    primary_keys: ClassVar[tuple[str, ...]] = ("shop_id", "day")
    replication_key = "day"
    always = ("shop_id", "day")
    is_sorted = True
    check_sorted = False  # days before the bookmark are read again
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Tap, run: Run) -> None:
        """Declare the stream; nothing is asked yet."""
        super().__init__(tap, schema=schema.report_schema(numbers=has_numbers(tap.config)))
        self._run = run
        self.bookmark = DayBookmark(
            lambda: self.stream_state, lambda: self.replication_method == REPLICATION_INCREMENTAL
        )
        self.emitted = self.deleted = 0  # no day is deleted

    @override
    def get_records(self, context: Context | None) -> Iterator[dict[str, Any]]:
        """Yield the days that are new or have changed, oldest first; none where Shopify refuses the report."""
        self._run.begin_reading()
        granted = self._run.store.granted
        same = {"time_zone": granted.time_zone, "currency": granted.currency}
        today = granted.at.date() + DAY  # the store's day may be a day ahead
        since, until = self._since(today), self._until(today)
        known = self.bookmark.days(today - YEAR)
        try:
            for day, figures in SalesReport(self._run.store.client, self._run.stop_if_asked).days(since, until):
                digest = blake2b(msgspec.json.encode((same, figures)), digest_size=6).hexdigest()
                if known.get(str(day)) == digest or not (
                    str(day) in known or any(map(_is_something, figures.values()))
                ):
                    continue
                self.emitted += 1
                # The SDK writes it, and calls _increment_stream_state.
                yield {**granted.shop, **same, "day": str(day), **self._written(figures)}
                if day >= today - YEAR:
                    self.bookmark.keep(day, digest)
                self._run.stop_if_asked()
        except Denied as reason:
            self.logger.warning(
                "No sales_by_day, as Shopify refuses the sales report: %s Ask for access to reports, or deselect it.",
                reason,
            )
            return
        self.bookmark.read_again(today)

    def _written(self, figures: dict[str, Any]) -> dict[str, Any]:
        """Return a day's figures with money as it is wanted; a sum of a day has fewer digits than a float holds."""
        if not has_numbers(self.config):
            return figures
        return {name: float(value) if isinstance(value, str) else value for name, value in figures.items()}

    @override
    def _increment_stream_state(self, latest_record: dict[str, Any], *, context: Context | None = None) -> None:
        """Move the bookmark, once the record is written."""
        self.bookmark.advance(latest_record["day"])

    def _since(self, today: date) -> date:
        """Return the first day to read: all of them at first, a year once a day, else the last days."""
        start = as_datetime(self.config["start_date"]).date() if self.config.get("start_date") else FIRST_DAY
        if self.bookmark.value is None:
            return max(start, FIRST_DAY)
        begins = [self.bookmark.value - DAY, today - DAY - DAY]
        if not self.bookmark.was_read_again(today):
            begins.append(today - YEAR)
        return max(start, FIRST_DAY, min(begins))

    def _until(self, today: date) -> date:
        end = self.config.get("end_date")
        return min(today, as_datetime(end).date() - DAY) if end else today


def _is_something(figure: object) -> bool:
    return figure is not None and float(str(figure)) != 0
