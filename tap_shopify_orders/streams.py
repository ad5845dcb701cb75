"""The streams, in: what reading finds; out: records of one window, and a bookmark that never runs ahead of them.

Knows Singer's state, and what is for bulk operations, but neither HTTP nor which fields there are.
"""

from __future__ import annotations

from datetime import datetime, timezone
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk import Stream
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib import RecordMessage

from tap_shopify_orders.reading.by_bulk import Form, History, Task
from tap_shopify_orders.reading.by_pages import Reading
from tap_shopify_orders.reading.known import Known, Mark
from tap_shopify_orders.reading.progress import SECONDS_A_LINE, Progress
from tap_shopify_orders.reading.windows import EARLIEST, RECORDS_PER_OPERATION, SECOND, Window, split, utc
from tap_shopify_orders.records import schema
from tap_shopify_orders.records.fields import select
from tap_shopify_orders.settings import instant
from tap_shopify_orders.shopify.answers import Refused
from tap_shopify_orders.shopify.grants import count
from tap_shopify_orders.shopify.pages import nodes_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from singer_sdk.helpers.types import Context
    from singer_sdk.mapper import StreamMap
    from singer_sdk.singerlib import Catalog

    from tap_shopify_orders.records.fields import Field, Names
    from tap_shopify_orders.records.join import Rows
    from tap_shopify_orders.records.records import Record
    from tap_shopify_orders.tap import TapShopifyOrders

_KNOWN, _TASKS = "known", "bulk"  # the state's keys for what was emitted, and for what bulk operations are to read
FEW_RECORDS = 100  # so many are always read by pages
# Where pages take longer than this, by the store's rate limit, bulk operations pay: a small one takes a minute.
PAGES_SECONDS = 120.0


class _Changed(msgspec.Struct):
    updated_at: str


class ShopStream(Stream):
    """A stream of records, read in the order in which they changed."""

    primary_keys: ClassVar[tuple[str, ...]] = schema.KEYS
    replication_key = schema.BOOKMARK
    is_sorted = True
    check_sorted = False  # the lookback begins before the bookmark
    STATE_MSG_FREQUENCY = 1_000
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # records are made of JSON's own types

    fields: ClassVar[tuple[Field, ...]]
    subject: ClassVar[str]  # the records' type, as events name it
    operation_records = RECORDS_PER_OPERATION
    progress_seconds = SECONDS_A_LINE
    connections_of_nodes: ClassVar[tuple[str, ...]] = ()  # connections of a record to objects that implement Node
    _tap: TapShopifyOrders

    def __init__(self, tap: TapShopifyOrders) -> None:
        """Declare the stream; nothing is asked yet."""
        super().__init__(tap, schema=schema.stream_schema(self.fields))
        self.emitted = 0

    @property
    def since(self) -> datetime | None:
        """Where reading begins, inclusive: bookmark less lookback, not before the start date; None for no limit."""
        start, bookmark = self.config.get("start_date"), self.stream_state.get("replication_key_value")
        begins = [instant(start)] if start else []
        return max([*begins, instant(bookmark) - self._tap.lookback] if bookmark else begins, default=None)

    @property
    def window(self) -> Window:
        """What there is to read."""
        return Window(self.since, self._tap.until)

    @cached_property
    def _reading(self) -> Reading:
        return Reading(
            self.name,
            select(self.fields, self._wants),
            self._tap.client,
            shop=self._tap.granted.domain,
            accept=self._tap.accept,
            pause=self._pause,
            logger=self.logger,
        )

    @cached_property
    def _progress(self) -> Progress:
        client, counts = self._tap.client, lambda: self._tap.counts[self.name].count
        return Progress(self.logger, self.name, counts, lambda: client.points_left, seconds=self.progress_seconds)

    def _wants(self, path: Names) -> bool:
        always = path[0] in (*schema.KEYS, schema.BOOKMARK)
        return always or bool(self.mask[tuple(step for name in path for step in ("properties", name))])

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take what a catalog selects; windows are of the one key that there is, whatever it names."""
        super().apply_catalog(catalog)
        self.replication_key = schema.BOOKMARK

    def probe(self) -> None:
        """Find out what is denied, with a page of the oldest records; raises Refused unless the gaps are accepted."""
        self._reading.ask("")

    def get_records(self, context: Context | None) -> Iterator[Record]:  # type: ignore[override]  # noqa: ARG002  # the SDK's signature, and all that it asks of a record is its bookmark
        """Yield the window's records that are new or changed, oldest change first; then tombstones of deleted ones.

        Raises Refused, and Busy when patience ran out; either way the state covers what was yielded, and no more.
        """
        self._tap.reading = True
        state = self.stream_state
        began = state.get("replication_key_value")  # else nothing was read that can be known, or have been deleted
        known = Known(state.get(_KNOWN, {}) if began else {}, self._tap.lookback)
        window, highest = self.window, instant(began or "0001-01-01")
        deletions = self._reading.deletions(window.search, self.subject, known) if began else iter(())
        for mark, record in chain(self._changes(known), deletions):
            if mark.updated_at >= window.until:
                continue  # it changed while it was read: the next run's, and a bookmark must not go so far
            self.emitted += 1
            yield record  # the SDK writes it, and sets the bookmark to its updated_at
            highest = max(highest, mark.updated_at)
            if highest > mark.updated_at:
                state["replication_key_value"] = utc(highest)
            if mark.fingerprint:
                known.add(mark)
                state[_KNOWN] = known.prints
            self._pause()
        state[_KNOWN] = known.prints

    def _pause(self) -> None:
        """Say how far it is if it is time to, and end the run if a signal asked for it."""
        self._progress.tick(self.emitted)
        self._tap.stop_if_asked()

    def _changes(self, known: Known) -> Iterator[tuple[Mark, Record]]:
        """Yield the window's records: by bulk operations where that pays, and as far as no later run reads it again."""
        tasks, rest = self._resumed(), self.window
        if tasks:
            rest = Window(tasks[-1].window.until, rest.until)
        bulk = self._for_bulk(rest)
        if bulk and bulk.since and bulk.since != rest.since:
            yield from self._reading.changes(Window(rest.since, bulk.since).search, known)
        windows = split(bulk, self._count(rest), self._count, self.operation_records) if bulk else iter(())
        yield from self._by_bulk(tasks, windows, known)
        last = Window(bulk.until, rest.until) if bulk else rest
        if not last.empty:
            yield from self._reading.changes(last.search, known)

    def _resumed(self) -> list[Task]:
        """Return the windows of bulk operations that an earlier run left behind."""
        if self.config["method"] == "pages":
            self.stream_state.pop(_TASKS, None)
        bookmark = self.stream_state.get("replication_key_value")
        since = instant(bookmark) if bookmark else None
        return [Task.loaded(one, since) for one in self.stream_state.get(_TASKS, [])]

    def _note(self, tasks: Sequence[Task]) -> None:
        """Keep in the state what bulk operations are to read, and write it: a later run must not submit them again."""
        self.stream_state[_TASKS] = [task.saved for task in tasks]
        if not tasks:
            del self.stream_state[_TASKS]
        self._tap.write_state()

    def _for_bulk(self, whole: Window) -> Window | None:
        """Return the part of a window that is for bulk operations; None where pages take it all.

        What an earlier run emitted, and what the next one will read again, are for pages: marks are those of pages.
        """
        method = self.config["method"]
        if method == "pages" or whole.empty:
            return None
        records = self._count(whole)
        if method == "auto" and records <= FEW_RECORDS:
            return None
        answer = self._reading.ask(whole.search, newest_first=True)
        newest = [msgspec.json.decode(raw, type=_Changed).updated_at for raw in nodes_of(answer)]
        if not newest or (method == "auto" and seconds_of(records, answer, len(newest)) <= PAGES_SECONDS):
            return None
        bookmark = self.stream_state.get("replication_key_value")
        begins = [one for one in (whole.since, bookmark and instant(bookmark) + SECOND) if one]
        bulk = Window(max(begins, default=None), instant(newest[0]) - self._tap.lookback)
        return None if bulk.empty else bulk

    def _count(self, window: Window) -> int:
        if window == self.window:
            return self._tap.counts[self.name].count
        return count(self._tap.client, {self.name: window.search})[self.name].count

    def _by_bulk(self, tasks: Sequence[Task], windows: Iterator[Window], known: Known) -> Iterator[tuple[Mark, Record]]:
        """Yield the windows' records, read by bulk operations, or by pages where these fail."""
        pause, client = self._pause, self._tap.client
        history = History(self._tap.bulk, self._forms, note=self._note, now=lambda: utc(client.at), pause=pause)
        for window, rows in history.read(tasks, windows):
            if rows is None:
                yield from self._reading.changes(window.search, known)
            else:
                self.logger.info("%s %s of %s, by a bulk operation.", f"{rows.counted.roots:,}", self.name, window)
                yield from self._joined(rows, window)

    def _forms(self) -> list[Form]:
        """Return the ways to ask by bulk operations: with all connections of a record, or with those of Nodes only."""
        plan = self._reading.plan.query
        every = tuple(path[0] for path in plan.connections if len(path) == 1)
        nodes = tuple(one for one in every if one in self.connections_of_nodes)
        return [Form(plan, nested) for nested in dict.fromkeys((every, nodes))]

    def _joined(self, rows: Rows, window: Window) -> Iterator[tuple[Mark, Record]]:
        """Yield the records of an operation's rows, after those that an interrupted run emitted."""
        plan = self._reading.plan
        begins = window.since or EARLIEST
        if bookmark := self.stream_state.get("replication_key_value"):
            begins = max(begins, instant(bookmark))
        for batch in rows.batches(utc(begins), utc(window.until)):
            for one in self._reading.completion.records((plan.reader.joined(*row) for row in batch), plan):
                yield Mark("", "", instant(one.updated_at)), one

    def generate_child_contexts(self, record: object, context: Context | None) -> Iterator[Context | None]:  # noqa: ARG002  # the SDK's signature
        """Yield nothing: there are no child streams, and the SDK would copy each record for them."""
        yield from ()

    def _mapped(self, stream_map: StreamMap, record: Record) -> dict[str, Any] | None:
        """Return what a stream map makes of a record; raises Refused without what Python says, as it quotes values."""
        values = record.to_dict()
        number = values["id"]
        try:
            return stream_map.transform(values)
        except Exception as error:  # noqa: BLE001  # an expression of the user's may raise anything
            raise Refused(
                f"A stream map of {self.name} can't take the record with the id {number} ({type(error).__name__}):"
                " check the setting `stream_maps`."
            ) from None

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


class Orders(ShopStream):
    """The store's orders, of every status, with all that belongs to them."""

    name = "orders"
    subject = "ORDER"
    connections_of_nodes = ("line_items",)
    fields = schema.ORDERS
