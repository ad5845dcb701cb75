"""Streams of records: each takes what the store's run gives it, returns the records of one window, oldest change first.

A stream knows what the SDK asks for and when its bookmark moves, which never runs ahead of the records; but neither
HTTP nor what is read how.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from functools import cached_property
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
from tap_shopify_orders.moments import EARLIEST, as_datetime, utc
from tap_shopify_orders.reading.by_pages import Reading
from tap_shopify_orders.reading.changes import Changes
from tap_shopify_orders.reading.known import Known, Mark
from tap_shopify_orders.reading.progress import Progress
from tap_shopify_orders.reading.watch import Watch
from tap_shopify_orders.reading.windows import Window, changed_at
from tap_shopify_orders.records import schema
from tap_shopify_orders.records.fields import select, with_needed, with_numbers
from tap_shopify_orders.records.order import NEEDS, has_no_discount
from tap_shopify_orders.records.records import WHOLE, Connection
from tap_shopify_orders.selection import SelectedStream
from tap_shopify_orders.settings import has_numbers
from tap_shopify_orders.shopify.answers import Denied
from tap_shopify_orders.shopify.store import denial_of_deletions

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Sequence

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context
    from singer_sdk.mapper import StreamMap

    from tap_shopify_orders.reading.changes import Limits
    from tap_shopify_orders.records.fields import Field, Names, Needs
    from tap_shopify_orders.records.records import Node, Record
    from tap_shopify_orders.shopify.store import Store

ORDER_ID = "gid://shopify/Order/"
BULK_CONNECTIONS = (("line_items",), ("shipping_lines",), ("discount_applications",), ("returns",))


class Run(Protocol):
    """What a stream takes of the run that reads its store."""

    limits: Limits

    @property
    def store(self) -> Store:
        """The store."""

    def begin_reading(self) -> None:
        """Begin, unless that has been done, and take note that records come from now on."""

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
    needs: ClassVar[Needs] = {}  # by what may be wanted, what it is judged by
    subject: ClassVar[str]  # the records' type, as events name it
    first_page = 10  # nodes, so that no run begins with a query that costs too much
    _emitted_before: datetime | None = None  # the bookmark that the run began with
    bulk_nested: ClassVar[tuple[tuple[Names, ...], ...]] = ((),)  # connections to ask bulk operations for, best first
    may_go_by_days: ClassVar[bool] = False  # whether Shopify's search may find them by whole days alone

    def __init__(self, tap: Tap, run: Run) -> None:
        """Declare the stream; nothing is asked yet."""
        self._fields = with_numbers(self.fields) if has_numbers(tap.config) else self.fields
        super().__init__(tap, schema=schema.stream_schema(self._fields))
        self._run = run
        self.bookmark = Bookmark(
            lambda: self.stream_state, run.write_state, lambda: self.replication_method == REPLICATION_INCREMENTAL
        )
        self.lookback = timedelta(seconds=self.config.get("lookback_seconds", 0))
        self.emitted = self.deleted = 0  # of the first, so many were tombstones

    @property
    def start(self) -> datetime | None:
        """The start date of the settings, or Shopify's own if it is older."""
        text = self.config.get("start_date")
        return max(as_datetime(text), EARLIEST) if text else None

    @property
    def since(self) -> datetime | None:
        """Where reading begins, inclusive: bookmark less lookback, not before the start date; None for no limit."""
        start, bookmark = self.start, self.bookmark.value
        begins = [start] if start else []
        return max([*begins, bookmark - self.lookback] if bookmark else begins, default=None)

    @property
    def until(self) -> datetime:
        """Where reading ends, exclusive: the second in which the run began by Shopify's clock, or the end date."""
        now, end = self._run.store.granted.at, self.config.get("end_date")
        return min(now, as_datetime(end)) if end else now

    @property
    def window(self) -> Window:
        """What there is to read."""
        return Window(self.since, self.until)

    @cached_property
    def _reading(self) -> Reading:
        store = self._run.store
        return Reading(
            self.name,
            with_needed(self._fields, select(self._fields, self._is_wanted), self.needs),
            store.client,
            shop={name: value for name, value in store.granted.shop.items() if self._is_wanted((name,))},
            ungranted=store.granted.without_scope(schema.SCOPED),
            first_page=self.first_page,
            most_objects=self._run.limits.most_objects,
            accept=frozenset(self.config.get("accept") or ()),
            pause=self._pause,
            logger=self.logger,
        )

    @cached_property
    def changes(self) -> Changes:
        """What there is to read, and how."""
        return Changes(
            self._reading,
            self._run.store,
            self.bookmark,
            window=lambda: self.window,
            method=self.config["method"],
            lookback=self.lookback,
            stop_if_asked=self._run.stop_if_asked,
            nested=self.bulk_nested,
            prepared=self._prepared,
            may_go_by_days=self.may_go_by_days,
            operation_records=self._run.limits.operation_records,
        )

    @cached_property
    def _progress(self) -> Progress:
        client, window = self._run.store.client, self.window
        return Progress(
            self.logger,
            self.name,
            lambda: self.changes.count(window),
            lambda: client.points_left,
            seconds=self._run.limits.progress_seconds,
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

        There are no tombstones in the first run of all.
        """
        self._run.begin_reading()
        window, self._emitted_before = self.window, self.bookmark.value
        self.bookmark.begin(self._run.store.granted.at, self.start)
        known = self.bookmark.known(self.lookback)
        deletions = self._deletions(window, known) if self._emitted_before else iter(())
        for mark, record in chain(self._examined(self.changes.read(known), window), deletions):
            if mark.updated_at >= window.until:
                continue  # it changed while it was read: the next run's, and a bookmark must not go so far
            self.emitted += 1
            self._mark = mark
            yield record  # the SDK writes it, and calls _increment_stream_state
            if mark.fingerprint:
                known.add(mark)
                self.bookmark.keep(known)
            self._pause()
        if self.config.get("end_date"):  # the next part may begin there, long after the last change
            self.bookmark.reach(window.until)
        self.bookmark.keep(known)

    def _deletions(self, window: Window, known: Known) -> Iterator[tuple[Mark, Record]]:
        """Return tombstones of what was deleted in a window, and before it if an earlier run didn't get so far."""
        since = self.bookmark.begin_deletions(window.since or EARLIEST)  # now: the bookmark moves before they are read
        return self._tombstones(Window(since, window.until), known)

    def _tombstones(self, window: Window, known: Known) -> Iterator[tuple[Mark, Record]]:
        """Yield tombstones, and take note when all were taken; raises RunError where Shopify denies them.

        Where that is accepted the deletions are left to the run that may read them.
        """
        read_again = (self.bookmark.value or EARLIEST) - self.lookback
        try:
            for mark, record in self._reading.deletions(window, self.subject, known):
                if self.bookmark.may_have_emitted(mark.updated_at):
                    # What no later run reads again isn't remembered: after a denial it may be that of a year.
                    is_known = mark.updated_at >= read_again
                    self.deleted += 1
                    yield mark if is_known else Mark.unknown(mark.updated_at, mark.reached), record
        except Denied as gaps:
            if "denied_fields" not in self._reading.accept:
                raise RunError(denial_of_deletions(self.name, gaps)) from None
            self.logger.warning("Going on without deletions. %s", denial_of_deletions(self.name, gaps))
        else:
            self.bookmark.end_deletions(window.until)

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

    @override
    def generate_child_contexts(self, record: object, context: Context | None) -> Iterator[Context | None]:
        """Yield nothing: there are no child streams, and the SDK would copy each record for them."""
        yield from ()

    def _mapped(self, stream_map: StreamMap, record: Record) -> dict[str, Any] | None:
        """Return what a stream map makes of a record; raises RunError without what Python says, as it quotes values.

        What a tombstone lacks is null for expressions, and isn't there after them.
        """
        values = record.to_dict()
        number = values["id"]
        names = self.schema["properties"] if values[schema.DELETED_AT] else ()
        lacking = [name for name in names if name not in values]
        try:
            mapped = stream_map.transform({**dict.fromkeys(lacking), **values})
        except Exception as error:  # noqa: BLE001  # an expression of the user's may raise anything
            which = f"{self.name} can't take the record with the id {number} ({type(error).__name__})"
            remedy = "check the setting `stream_maps`"
            if lacking:
                remedy = "it was deleted, so its fields are null: let the map's `__filter__` be `not _sdc_deleted_at`"
            raise RunError(f"A stream map of {which}: {remedy}.") from None
        if not lacking or mapped is None:
            return mapped
        return {name: value for name, value in mapped.items() if value is not None or name not in lacking}

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
    may_go_by_days = True


class Orders(ShopStream):
    """The store's orders, of every status, with all that belongs to them."""

    name = "orders"
    subject = "ORDER"
    first_page = 5
    # The ledger first; without it, as Shopify refused it from April to July 2026; then those of Nodes alone, as its
    # documentation has it. What isn't asked for here is read by ids.
    bulk_nested = (
        (("agreements",), ("agreements", "sales"), *BULK_CONNECTIONS),
        BULK_CONNECTIONS,
        (("line_items",), ("returns",)),
    )
    fields = schema.ORDERS
    needs = NEEDS
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
            passed = watch.passed(record, by_bulk=not mark.is_of_page)
            if passed is not None:
                yield (mark if passed is record else Mark.unknown(changed_at(passed.updated_at), mark.reached)), passed
        if self._emitted_before and window.until <= self._emitted_before:
            return  # what is held or waits may have changed after the window, and would be left out there
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
        for record in watch.examine(records):
            yield Mark.unknown(changed_at(record.updated_at)), record
        watch.forget_unseen(numbers)

    def _changed_meanwhile(self, watch: Watch, numbers: list[str]) -> list[str]:
        """Return which of the orders that wait have changed; asks for no more than what they wait for."""

        def look(numbers: Sequence[str], fields: Collection[Names]) -> Iterator[Record]:
            ids = [f"{ORDER_ID}{number}" for number in numbers]
            return self._reading.by_ids(ids, lambda path: any(wanted[: len(path)] == path for wanted in fields))

        return watch.changed(numbers, look)
