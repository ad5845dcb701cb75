"""Streams of records: each takes what the store's run gives it, returns the records of one window, oldest change first.

A stream knows what is for bulk operations and what is for pages, but neither HTTP nor which fields there are. Its
bookmark never runs ahead of the records.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import cached_property, partial
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from msgspec import UNSET
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL
from typing_extensions import override

from tap_shopify_orders.bookmark import Bookmark
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.reading.by_bulk import Form, History, Task
from tap_shopify_orders.reading.by_pages import Reading
from tap_shopify_orders.reading.known import Known, Mark, changed, reached
from tap_shopify_orders.reading.progress import SECONDS_A_LINE, Progress
from tap_shopify_orders.reading.seconds import finds_seconds
from tap_shopify_orders.reading.watch import Watch
from tap_shopify_orders.reading.windows import (
    DAY,
    EARLIEST,
    RECORDS_PER_OPERATION,
    SECOND,
    Window,
    changed_at,
    split,
    utc,
)
from tap_shopify_orders.records import schema
from tap_shopify_orders.records.fields import select, with_numbers
from tap_shopify_orders.records.order import has_no_discount
from tap_shopify_orders.records.records import WHOLE, Connection
from tap_shopify_orders.selection import SelectedStream
from tap_shopify_orders.settings import as_datetime, has_numbers
from tap_shopify_orders.shopify.answers import Denied
from tap_shopify_orders.shopify.pages import MOST_OBJECTS, nodes_of, patiently, seconds_of

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Sequence

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context
    from singer_sdk.mapper import StreamMap

    from tap_shopify_orders.reading.join import Joined, Rows
    from tap_shopify_orders.records.fields import Field, Names
    from tap_shopify_orders.records.records import Node, Record
    from tap_shopify_orders.shopify.store import Count, Store

ORDER_ID = "gid://shopify/Order/"
FEW_RECORDS = 100  # so many are always read by pages
# Where pages take longer than this, by the store's rate limit, bulk operations pay: a small one takes a minute.
PAGES_SECONDS = 120.0
PAGED_SHARE = 0.8  # of the objects that pages may have, for some come into a window while it is read
MOST_NESTED = 4  # connections inside a bulk operation's, which may have five in all (operation-restrictions)
BULK_CONNECTIONS = (("line_items",), ("shipping_lines",), ("discount_applications",), ("returns",))


class Run(Protocol):
    """What a stream takes of the run that reads its store."""

    @property
    def store(self) -> Store:
        """The store."""

    def begin_reading(self) -> None:
        """Take note that records come from now on."""

    def write_state(self) -> None:
        """Write the state; only called where state and messages agree."""

    def stop_if_asked(self) -> None:
        """End the run with its state, if a signal asked for it; only called where state and messages agree."""


class ShopStream(SelectedStream):
    """A stream of records, read in the order in which they changed."""

    primary_keys: ClassVar[tuple[str, ...]] = schema.KEYS
    replication_key = schema.BOOKMARK
    always = (*schema.KEYS, schema.BOOKMARK, schema.DELETED_AT)
    is_timestamp_replication_key = True  # whatever a catalog says of its type
    is_sorted = True
    check_sorted = False  # the lookback begins before the bookmark
    STATE_MSG_FREQUENCY = 1_000
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # records are made of JSON's own types

    fields: ClassVar[tuple[Field, ...]]
    subject: ClassVar[str]  # the records' type, as events name it
    first_page = 10  # nodes, so that no run begins with a query that costs too much
    operation_records = RECORDS_PER_OPERATION
    most_objects = MOST_OBJECTS
    progress_seconds = SECONDS_A_LINE
    _emitted_before: datetime | None = None  # the bookmark that the run began with
    bulk_forms: ClassVar[tuple[tuple[Names, ...], ...]] = ((),)  # connections to ask for by bulk operations, best first

    def __init__(self, tap: Tap, run: Run) -> None:
        """Declare the stream; nothing is asked yet."""
        self._fields = with_numbers(self.fields) if has_numbers(tap.config) else self.fields
        super().__init__(tap, schema=schema.stream_schema(self._fields))
        self._run = run
        self.bookmark = Bookmark(
            lambda: self.stream_state, run.write_state, lambda: self.replication_method == REPLICATION_INCREMENTAL
        )
        self.lookback = timedelta(seconds=self.config.get("lookback_seconds", 0))
        self.emitted = 0

    @property
    def since(self) -> datetime | None:
        """Where reading begins, inclusive: bookmark less lookback, not before the start date; None for no limit."""
        start, bookmark = self.config.get("start_date"), self.bookmark.value
        begins = [as_datetime(start), EARLIEST] if start else []
        return max([*begins, bookmark - self.lookback] if bookmark else begins, default=None)

    @property
    def until(self) -> datetime:
        """Where reading ends, exclusive: the second in which the run began by Shopify's clock, or the end date."""
        now, end = self._run.store.granted.at, self.config.get("end_date")
        return min(now, as_datetime(end)) if end else now

    @property
    def window(self) -> Window:
        """What there is to read."""
        until = self.until  # asks what is granted, and with that the bookmark is known
        return Window(self.since, until)

    @cached_property
    def _is_by_day(self) -> bool:
        """Whether the search goes by whole days alone."""
        return False

    def _asked(self, window: Window) -> Window:
        """Return what to ask for, so that all of a window is in the answer; what else there is isn't the window's."""
        return window.of_days(more=1) if self._is_by_day else window

    def _split(self, window: Window, records: int | None, most: int) -> Iterator[Window]:
        return split(window, records, self._counted, most, DAY if self._is_by_day else SECOND)

    @cached_property
    def _reading(self) -> Reading:
        store = self._run.store
        return Reading(
            self.name,
            select(self._fields, self._is_wanted),
            store.client,
            shop={name: value for name, value in store.granted.shop.items() if self._is_wanted((name,))},
            ungranted=store.granted.without_scope(schema.SCOPED),
            first_page=self.first_page,
            most_objects=self.most_objects,
            accept=frozenset(self.config.get("accept") or ()),
            pause=self._pause,
            logger=self.logger,
        )

    @cached_property
    def _progress(self) -> Progress:
        client, window = self._run.store.client, self.window
        return Progress(
            self.logger,
            self.name,
            lambda: self._count(window),
            lambda: client.points_left,
            seconds=self.progress_seconds,
        )

    def _is_wanted(self, path: Names) -> bool:
        return bool(self.mask[tuple(step for name in path for step in ("properties", name))])

    def probe(self) -> None:
        """Find out what is denied, with a page of the oldest records; raises RunError unless the gaps are accepted."""
        self._reading.ask("")

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:  # type: ignore[override]  # all that the SDK asks of a record is its bookmark
        """Yield the window's records that are new or changed, oldest change first; then tombstones of deleted ones.

        Raises RunError, and Busy when patience ran out; either way the state covers what was yielded, and no more.
        """
        self._run.begin_reading()
        window, self._emitted_before = self.window, self.bookmark.value
        self.bookmark.begin(self._run.store.granted.at)
        known = self.bookmark.known(self.lookback)
        deletions = self._deletions(window, known) if self._emitted_before else iter(())
        for mark, record in chain(self._examined(self._changes(known), window), deletions):
            if mark.updated_at >= window.until:
                continue  # it changed while it was read: the next run's, and a bookmark must not go so far
            self.emitted += 1
            self._mark = mark
            yield record  # the SDK writes it, and calls _increment_stream_state
            if mark.fingerprint:
                known.add(mark)
                self.bookmark.keep(known)
            self._pause()
        self.bookmark.keep(known)
        if self._emitted_before:
            self.bookmark.end_deletions()

    def _deletions(self, window: Window, known: Known) -> Iterator[tuple[Mark, Record]]:
        """Return tombstones of what was deleted in a window, and before it if an earlier run didn't get so far."""
        since = self.bookmark.begin_deletions(window.since or EARLIEST)  # now: the bookmark moves before they are read
        deleted = self._reading.deletions(Window(since, window.until), self.subject, known)
        return ((mark, record) for mark, record in deleted if self.bookmark.may_have_emitted(mark.updated_at))

    def _prepared(self, node: Node) -> Node:
        """Return a node of a bulk operation with what can be known of it without asking."""
        return node

    def _examined(self, changes: Iterator[tuple[Mark, Record]], window: Window) -> Iterator[tuple[Mark, Record]]:  # noqa: ARG002  # orders look at it
        """Yield the records that may be emitted."""
        yield from changes

    def summary(self) -> str:
        """Return what a run says of the stream at its end; empty where all is well."""
        return ""

    @override
    def _increment_stream_state(self, latest_record: Record, *, context: Context | None = None) -> None:  # type: ignore[override]  # as that of get_records
        """Move the bookmark, once the record is written, as far as everything has been read with it."""
        in_order = self._mark.updated_at <= self._mark.reached
        self.bookmark.advance(latest_record.updated_at if in_order else utc(self._mark.reached))

    def _pause(self) -> None:
        """Log how far it is if it is time to, and end the run if a signal asked for it."""
        self._progress.tick(self.emitted)
        self._run.stop_if_asked()

    def _changes(self, known: Known) -> Iterator[tuple[Mark, Record]]:
        """Yield the window's records: by bulk operations where that pays, and as far as no later run reads it again."""
        tasks, rest = self._resumed(), self.window
        if tasks:
            if "denied_fields" in (self.config.get("accept") or ()):
                patiently(self.probe, self._pause)  # what they ask for is known once it is known what is denied
            rest = Window(tasks[-1].window.until, rest.until)
        bulk = self._for_bulk(rest)
        if bulk and bulk.since and bulk.since != rest.since:
            yield from self._by_pages(Window(rest.since, bulk.since), known)
        windows = self._split(bulk, self._counted(rest), self.operation_records) if bulk else iter(())
        yield from self._by_bulk(tasks, windows, known)
        last = Window(bulk.until, rest.until) if bulk else rest
        if not last.empty:
            yield from self._by_pages(last, known)

    def _resumed(self) -> list[Task]:
        """Return the windows of bulk operations that an earlier run left behind."""
        if self.config["method"] != "pages" and (tasks := self.bookmark.tasks()):
            return tasks
        for operation in self.bookmark.forget_tasks():  # it would hold a slot for nothing
            with suppress(Denied):
                patiently(partial(self._run.store.bulk.cancel, operation), self._pause)
        return []

    def _for_bulk(self, whole: Window) -> Window | None:
        """Return the part of a window that is for bulk operations; None where pages take it all.

        What an earlier run emitted, and what the next one will read again, are for pages: marks are those of pages.
        """
        method = self.config["method"]
        if method == "pages" or whole.empty:
            return None
        records = self._counted(whole)
        if method == "auto" and records is not None and records <= FEW_RECORDS:
            return None
        answer = patiently(partial(self._reading.ask, self._asked(whole).search, newest_first=True), self._pause)
        newest = [min(changed(raw), whole.until) for raw in nodes_of(answer)]
        if not newest:
            return None
        if method == "auto" and records is not None and seconds_of(records, answer, len(newest)) <= PAGES_SECONDS:
            return None
        bookmark = self.bookmark.value
        after_bookmark = bookmark + SECOND if bookmark else None
        begins = [moment for moment in (whole.since, after_bookmark) if moment]
        bulk = Window(max(begins, default=None), newest[0] - self.lookback)
        return None if bulk.empty else bulk

    def _count(self, window: Window) -> Count:
        counted = window.of_days() if self._is_by_day else window
        return patiently(partial(self._run.store.count, self.name, counted.search), self._run.stop_if_asked)

    def _counted(self, window: Window) -> int | None:
        """Return how many records a window has; None if there may be more than Shopify counts."""
        return self._count(window).up_to(self.most_objects)

    def _halved(self, window: Window) -> Sequence[Window]:
        """Return the parts of a window, each with half of its records at most if time can be split so finely."""
        records = self._counted(window)
        if records is None:
            return window.halves(DAY if self._is_by_day else SECOND) or ()
        return list(self._split(window, records, max(1, records // 2)))

    def _by_pages(self, window: Window, known: Known) -> Iterator[tuple[Mark, Record]]:
        """Yield the window's records, read by pages of parts that are small enough for Shopify to have pages of all."""
        most = int(self.most_objects * PAGED_SHARE)
        records = self._counted(self.window)  # it is known already, and a part can't have more
        if records is None or records > most:
            records = self._counted(window)
        for part in self._split(window, records, most):
            yield from self._reading.changes(part, known, self._asked(part))

    def _by_bulk(self, tasks: Sequence[Task], windows: Iterator[Window], known: Known) -> Iterator[tuple[Mark, Record]]:
        """Yield the windows' records, read by bulk operations, or by pages where these fail."""
        store = self._run.store
        history = History(
            store.bulk,
            self._forms,
            note=self.bookmark.note,
            now=lambda: utc(store.client.at),
            pause=self._pause,
            halved=self._halved,
            has_pages=self.config["method"] == "auto",
        )
        for window, rows in history.read(tasks, windows):
            if rows is None:
                yield from self._by_pages(window, known)
            else:
                self.logger.info("%s %s of %s, by a bulk operation.", f"{rows.counted.roots:,}", self.name, window)
                yield from self._joined(rows, window)

    def _forms(self) -> list[Form]:
        """Return the ways to ask by bulk operations, the best first: with which connections of a record."""
        query = self._reading.question.query
        wanted = (tuple(path for path in form if path in query.connections) for form in self.bulk_forms)
        return [Form(query, nested, self._asked) for nested in dict.fromkeys(form[:MOST_NESTED] for form in wanted)]

    def _joined(self, rows: Rows, window: Window) -> Iterator[tuple[Mark, Record]]:
        """Yield the records of an operation's rows, after those that an interrupted run emitted."""
        question = self._reading.question
        begins = max(window.since or EARLIEST, self._emitted_before or EARLIEST)
        last = ""

        def node_of(row: Joined) -> Node:
            nonlocal last
            node = self._prepared(question.reader.joined(*row))
            last = node["updated_at"]  # it may be read again as a whole, and have changed since
            return node

        for batch in rows.batches(utc(begins), utc(window.until)):
            records = self._reading.completion.records(map(node_of, batch), question)
            moments = [changed_at(record.updated_at) for record in records]
            places = reached(moments, changed_at(last))
            for record, moment, place in zip(records, moments, places, strict=True):
                yield Mark("", "", moment, place), record

    @override
    def generate_child_contexts(self, record: object, context: Context | None) -> Iterator[Context | None]:
        """Yield nothing: there are no child streams, and the SDK would copy each record for them."""
        yield from ()

    def _mapped(self, stream_map: StreamMap, record: Record) -> dict[str, Any] | None:
        """Return what a stream map makes of a record; raises RunError without what Python says, as it quotes values."""
        values = record.to_dict()
        number = values["id"]
        try:
            return stream_map.transform(values)
        except Exception as error:  # noqa: BLE001  # an expression of the user's may raise anything
            raise RunError(
                f"A stream map of {self.name} can't take the record with the id {number} ({type(error).__name__}):"
                " check the setting `stream_maps`."
            ) from None

    @override
    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage, None, None]:  # type: ignore[override]  # as that of get_records
        """Make the record's messages as the SDK does, less the search for what is deselected: it wasn't asked for."""
        for stream_map in self.stream_maps:
            as_it_is = isinstance(stream_map, SameRecordTransform) and not stream_map.flattening_enabled
            mapped: Any = record.json if as_it_is else self._mapped(stream_map, record)
            if mapped is not None:
                yield RecordMessage(
                    stream=stream_map.stream_alias, record=mapped, time_extracted=datetime.now(timezone.utc)
                )


class Customers(ShopStream):
    """The store's customers."""

    name = "customers"
    subject = "CUSTOMER"
    fields = schema.CUSTOMERS

    @cached_property
    @override
    def _is_by_day(self) -> bool:
        try:
            is_by_day = not patiently(partial(finds_seconds, self._run.store.client), self._pause)
        except Denied:
            return False  # the pages say what is denied
        if is_by_day:
            self.logger.info("Shopify's search finds customers by whole days: those around a window are read as well.")
        return is_by_day


class Orders(ShopStream):
    """The store's orders, of every status, with all that belongs to them."""

    name = "orders"
    subject = "ORDER"
    first_page = 5
    # The ledger first; without it, as Shopify refused it from April to July 2026; then those of Nodes alone, as its
    # documentation has it. What isn't asked for here is read by ids.
    bulk_forms = (
        (("agreements",), ("agreements", "sales"), *BULK_CONNECTIONS),
        BULK_CONNECTIONS,
        (("line_items",), ("returns",)),
    )
    fields = schema.ORDERS
    _watch: Watch | None = None

    @override
    def _examined(self, changes: Iterator[tuple[Mark, Record]], window: Window) -> Iterator[tuple[Mark, Record]]:
        """Yield the orders that may be emitted, then those of earlier runs that were held or waited."""
        held, waiting, as_is = self.bookmark.watch()
        age = timedelta(days=self.config["look_again_days"])
        hours = 0 if self.config.get("end_date") else self.config["attribution_hours"]  # a part may be the only run
        accept = self.config.get("accept") or ()
        watch = Watch(
            held,
            waiting,
            as_is,
            since=window.until - age,
            held_since=window.until - timedelta(hours=hours) if hours else None,
            accepts_no_ledger="no_ledger" in accept if self._is_wanted(("agreements",)) else None,
            again=self._again,
            logger=self.logger,
        )
        self._watch = watch
        for mark, record in changes:
            if mark.updated_at >= window.until:
                continue  # as in get_records, and nothing is to be remembered of it
            for passed in watch.examine([record], by_bulk=not mark.is_of_page):
                yield (mark if passed is record else Mark.unknown(passed.updated_at, mark.reached)), passed
        yield from self._looked_at_again(watch, watch.held_before())
        if numbers := watch.waiting_before():
            points = self._run.store.client.points
            changed = self._changed_meanwhile(watch, numbers)
            yield from self._looked_at_again(watch, changed)
            points = self._run.store.client.points - points
            self.logger.log(
                logging.INFO if changed else logging.DEBUG,
                "Looked again at %s orders that wait for something: %s have changed. That took %.0f points.",
                f"{len(numbers):,}",
                f"{len(changed):,}",
                points,
            )
        if watch.held_for_attribution:
            self.logger.info(
                "Held %s orders until Shopify has worked out where their buyers came from, each for %s hours at most.",
                f"{watch.held_for_attribution:,}",
                hours,
            )

    @override
    def summary(self) -> str:
        """Return which ledgers disagree with their orders, and how many orders are held."""
        return self._watch.summary() if self._watch else ""

    @override
    def _prepared(self, node: Node) -> Node:
        """Return an order that has no discount applications, if its ledger has no discount and it has no code.

        To ask for them would cost five points an order, and most orders have none.
        """
        if getattr(node, "discount_applications", None) is UNSET and has_no_discount(node):
            node.discount_applications = Connection([], WHOLE)  # type: ignore[attr-defined]  # a struct made for the fields
        return node

    def _again(self, number: str) -> Record | None:
        """Read an order once more, as pages do; None if it is there no more."""
        return next(self._reading.by_ids([f"{ORDER_ID}{number}"]), None)

    def _looked_at_again(self, watch: Watch, numbers: list[str]) -> Iterator[tuple[Mark, Record]]:
        records = self._reading.by_ids([f"{ORDER_ID}{number}" for number in numbers])
        for record in watch.examine(records, once_more=True):
            yield Mark.unknown(record.updated_at), record
        watch.forget_unseen(numbers)

    def _changed_meanwhile(self, watch: Watch, numbers: list[str]) -> list[str]:
        """Return which of the orders that wait have changed; asks for no more than what they wait for."""

        def look(numbers: Sequence[str], fields: Collection[Names]) -> Iterator[Record]:
            ids = [f"{ORDER_ID}{number}" for number in numbers]
            return self._reading.by_ids(ids, lambda path: any(wanted[: len(path)] == path for wanted in fields))

        return watch.changed(numbers, look)
