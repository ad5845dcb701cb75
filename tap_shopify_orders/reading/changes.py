"""Changes of one stream: takes what there is to read and what is known, returns its records, oldest change first.

It decides what bulk operations read and what pages do. It knows neither Singer nor which fields there are.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from tap_shopify_orders.moments import DAY, EARLIEST, SECOND, utc
from tap_shopify_orders.reading.by_bulk import Form, History, Task
from tap_shopify_orders.reading.customer_search import finds_seconds
from tap_shopify_orders.reading.known import Mark, change_of, reached
from tap_shopify_orders.reading.progress import SECONDS_A_LINE
from tap_shopify_orders.reading.windows import RECORDS_PER_OPERATION, Window, changed_at, split
from tap_shopify_orders.shopify.answers import Denied, Refused
from tap_shopify_orders.shopify.client import LARGEST_RESULT_BYTES
from tap_shopify_orders.shopify.pages import MOST_OBJECTS, nodes_of, patiently, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, timedelta

    from tap_shopify_orders.reading.by_pages import Reading
    from tap_shopify_orders.reading.join import Joined, Rows
    from tap_shopify_orders.reading.known import Known
    from tap_shopify_orders.records.fields import Names
    from tap_shopify_orders.records.records import Node, Record
    from tap_shopify_orders.shopify.store import Count, Store

FEW_RECORDS = 100  # so many are always read by pages
# Where pages take longer than this, by the store's rate limit, bulk operations pay: a small one takes a minute.
PAGES_SECONDS = 120.0
PAGED_SHARE = 0.8  # of the objects that pages may have, for some come into a window while it is read
MOST_NESTED = 4  # connections inside a bulk operation's, which may have five in all (operation-restrictions)


@dataclass(frozen=True)
class Limits:
    """How much a store's run reads at once, and how often it says how far it is; a test of a small store has less."""

    operation_records: int = RECORDS_PER_OPERATION
    most_objects: int = MOST_OBJECTS
    most_result_bytes: int = LARGEST_RESULT_BYTES
    progress_seconds: float = SECONDS_A_LINE


class Place(Protocol):
    """What is asked of the stream's bookmark, and what it is told."""

    @property
    def value(self) -> datetime | None:
        """The latest change that was emitted."""

    def tasks(self) -> list[Task]:
        """Return what an earlier run left for bulk operations to read."""

    def note(self, tasks: Sequence[Task]) -> None:
        """Keep what bulk operations are to read."""

    def forget_tasks(self) -> list[str]:
        """Leave what bulk operations were to read; returns their ids."""


@dataclass
class Changes:
    """The changes of one stream of one store.

    `window` returns what there is to read as the bookmark is by now, and `lookback` is how far before the newest record
    the next run will look again. `method` is `pages`, `bulk`, or `auto`, which takes what is quicker.

    `nested` has the connections to ask for by bulk operations, the best choice first; `prepared` returns a node of
    theirs with what can be known of it without asking. Where the search `may_go_by_days`, it is tried.
    """

    reading: Reading
    store: Store
    bookmark: Place
    window: Callable[[], Window]
    method: str
    lookback: timedelta
    stop_if_asked: Callable[[], None]
    nested: Sequence[Sequence[Names]] = ((),)
    prepared: Callable[[Node], Node] = lambda node: node
    may_go_by_days: bool = False
    operation_records: int = RECORDS_PER_OPERATION
    _found_by_day: bool | None = None

    def read(self, known: Known) -> Iterator[tuple[Mark, Record]]:
        """Yield the window's records: by bulk operations where that pays, and as far as no later run reads it again."""
        emitted_before = self.bookmark.value
        tasks, rest = self._resumed(), self.window()
        if tasks:
            if "denied_fields" in self.reading.accept:
                # What they ask for is known once it is known what is denied.
                patiently(partial(self.reading.ask, ""), self.reading.pause)
            rest = Window(tasks[-1].window.until, rest.until)
        bulk = self._for_bulk(rest)
        if bulk and bulk.since and bulk.since != rest.since:
            yield from self._by_pages(Window(rest.since, bulk.since), known)
        windows = self._split(bulk, self._counted(rest), self.operation_records) if bulk else iter(())
        for window, rows in self._history().read(tasks, windows):
            if rows is None:
                yield from self._by_pages(window, known)
            else:
                self.reading.logger.info(
                    "%s %s of %s, by a bulk operation.", f"{rows.counted.roots:,}", self.reading.name, window
                )
                yield from self._joined(rows, window, emitted_before)
        last = Window(bulk.until, rest.until) if bulk else rest
        if not last.empty:
            yield from self._by_pages(last, known)

    def count(self, window: Window) -> Count:
        """Return how many records a window has."""
        counted = window.of_days() if self._is_by_day else window
        # Not `pause`, which says how far the stream is, and for that counts.
        return patiently(partial(self.store.count, self.reading.name, counted.search), self.stop_if_asked)

    def forms(self) -> list[Form]:
        """Return the ways to ask by bulk operations, the best first: with which connections of a record."""
        query = self.reading.question.query
        wanted = (tuple(path for path in choice if path in query.connections) for choice in self.nested)
        return [Form(query, nested, self._asked) for nested in dict.fromkeys(paths[:MOST_NESTED] for paths in wanted)]

    def _resumed(self) -> list[Task]:
        """Return the windows of bulk operations that an earlier run left behind."""
        tasks = self.bookmark.tasks() if self.method != "pages" else []
        if tasks and not self._begins_before(tasks[0].window):
            return tasks
        for operation in self.bookmark.forget_tasks():  # it would hold a slot for nothing
            with suppress(Denied, Refused):  # what may not cancel may still read by pages
                patiently(partial(self.store.bulk.cancel, operation), self.reading.pause)
        return []

    def _begins_before(self, window: Window) -> bool:
        """Say whether nothing was emitted yet and reading begins before a window: the start date is an earlier one."""
        since = self.window().since
        return not self.bookmark.value and window.since is not None and (since is None or since < window.since)

    def _for_bulk(self, whole: Window) -> Window | None:
        """Return the part of a window that is for bulk operations; None where pages take it all.

        What an earlier run emitted, and what the next one will read again, are for pages: marks are those of pages.
        """
        if self.method == "pages" or whole.empty:
            return None
        records = self._counted(whole)
        if self.method == "auto" and records is not None and records <= FEW_RECORDS:
            return None
        ask = partial(self.reading.ask, self._asked(whole).search, newest_first=True)
        answer = patiently(ask, self.reading.pause)
        newest = [min(change_of(raw), whole.until) for raw in nodes_of(answer)]
        if not newest:
            return None
        if self.method == "auto" and records is not None and seconds_of(records, answer, len(newest)) <= PAGES_SECONDS:
            return None
        bookmark = self.bookmark.value
        after_bookmark = bookmark + SECOND if bookmark else None
        begins = [moment for moment in (whole.since, after_bookmark) if moment]
        bulk = Window(max(begins, default=None), newest[0] - self.lookback)
        return None if bulk.empty else bulk

    @property
    def _is_by_day(self) -> bool:
        """Whether the search goes by whole days alone."""
        if self._found_by_day is None:  # no `cached_property`, as for what a store grants
            self._found_by_day = self.may_go_by_days and self._goes_by_days()
        return self._found_by_day

    def _goes_by_days(self) -> bool:
        try:
            is_by_day = not patiently(partial(finds_seconds, self.reading.client), self.reading.pause)
        except Denied:
            return False  # the pages say what is denied
        if is_by_day:
            self.reading.logger.info(
                "Shopify's search finds customers by whole days: those around a window are read as well."
            )
        return is_by_day

    def _asked(self, window: Window) -> Window:
        """Return what to ask for, so that all of a window is in the answer; what else there is isn't the window's."""
        return window.of_days(more=1) if self._is_by_day else window

    def _counted(self, window: Window) -> int | None:
        """Return how many records a window has; None if there may be more than Shopify counts."""
        return self.count(window).up_to(self.reading.most_objects)

    def _split(self, window: Window, records: int | None, most: int) -> Iterator[Window]:
        return split(window, records, self._counted, most, DAY if self._is_by_day else SECOND)

    def _halved(self, window: Window) -> Sequence[Window]:
        """Return the parts of a window, each with half of its records at most if time can be split so finely."""
        records = self._counted(window)
        if records is None:
            return window.halves(DAY if self._is_by_day else SECOND) or ()
        return list(self._split(window, records, max(1, records // 2)))

    def _by_pages(self, window: Window, known: Known) -> Iterator[tuple[Mark, Record]]:
        """Yield the window's records, read by pages of parts that are small enough for Shopify to have pages of all."""
        most = int(self.reading.most_objects * PAGED_SHARE)
        records = self._counted(self.window())  # it is known already, and a part can't have more
        if records is None or records > most:
            records = self._counted(window)
        for part in self._split(window, records, most):
            yield from self.reading.changes(part, known, self._asked(part))

    def _history(self) -> History:
        return History(
            self.store.bulk,
            self.forms,
            note=self.bookmark.note,
            now=lambda: utc(self.store.client.at),
            pause=self.reading.pause,
            halved=self._halved,
            has_pages=self.method == "auto",
        )

    def _joined(self, rows: Rows, window: Window, emitted_before: datetime | None) -> Iterator[tuple[Mark, Record]]:
        """Yield the records of an operation's rows, after those that an interrupted run emitted."""
        question = self.reading.question
        begins = max(window.since or EARLIEST, emitted_before or EARLIEST)
        last = ""

        def node_of(row: Joined) -> Node:
            nonlocal last
            node = self.prepared(question.reader.joined(*row))
            last = node["updated_at"]  # it may be read again as a whole, and have changed since
            return node

        for batch in rows.batches(utc(begins), utc(window.until)):
            records = self.reading.completion.records(map(node_of, batch), question)
            moments = [changed_at(record.updated_at) for record in records]
            places = reached(moments, changed_at(last))
            for record, moment, place in zip(records, moments, places, strict=True):
                yield Mark.unknown(moment, place), record
