"""The streams, in: pages of nodes; out: records of one window, and a bookmark that never runs ahead of them.

Knows Singer's state, but neither HTTP nor which fields there are.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property, partial
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import msgspec
from singer_sdk import Stream
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import RecordMessage

from tap_shopify_orders import query, schema
from tap_shopify_orders.answers import Denied, Refused
from tap_shopify_orders.client import LARGEST_PAGE, PageSize
from tap_shopify_orders.fields import paths, reader, select
from tap_shopify_orders.pages import ahead, finish, pages, patiently, unfinished
from tap_shopify_orders.settings import instant
from tap_shopify_orders.store import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from singer_sdk.helpers.types import Context, Record

    from tap_shopify_orders.answers import Answer
    from tap_shopify_orders.fields import Field, Names
    from tap_shopify_orders.tap import TapShopifyOrders

MOST_KNOWN_RECORDS = 10_000  # they stand in the state, with some 30 bytes each; of a busier hour the newest
_KNOWN = "known"  # the state's key for them


class Mark(NamedTuple):
    """Which record a node is, and in which state: its id, and a fingerprint of its JSON."""

    record_id: str
    fingerprint: str
    updated_at: datetime

    @classmethod
    def of(cls, node: Record, raw: msgspec.Raw) -> Mark:
        """Return the mark of a node that has `id` and `updated_at`."""
        fingerprint = blake2b(raw, digest_size=8).hexdigest()
        return cls(node["id"].removeprefix("gid://shopify/"), fingerprint, instant(node["updated_at"]))


class Known:
    """Records that were emitted within the lookback before the bookmark, so that unchanged ones aren't emitted again.

    `prints` are fingerprints by id, the stream's part of the state; bounded by the lookback and MOST_KNOWN_RECORDS.
    """

    def __init__(self, before: Mapping[str, str], lookback: timedelta) -> None:
        """Take the fingerprints of the last run, and how far back the next one will look."""
        self.prints: dict[str, str] = {}
        self._before = dict(before)
        self._lookback = lookback
        self._order: deque[Mark] = deque()

    def has(self, mark: Mark) -> bool:
        """Say whether the record was emitted in this very state."""
        return mark.fingerprint in (self.prints.get(mark.record_id), self._before.get(mark.record_id))

    def add(self, mark: Mark) -> None:
        """Note a record, and forget those that no later run will read again."""
        self.prints[mark.record_id] = mark.fingerprint
        self._order.append(mark)
        oldest = mark.updated_at - self._lookback
        while self._order[0].updated_at < oldest or len(self._order) > MOST_KNOWN_RECORDS:
            gone = self._order.popleft()
            if self.prints.get(gone.record_id) == gone.fingerprint:
                del self.prints[gone.record_id]


@dataclass(frozen=True)
class Plan:
    """How the fields that are selected and granted are asked for, and what makes records of the answer."""

    query: query.PageQuery
    read: Callable[[Record], None]

    @classmethod
    def of(cls, name: str, fields: tuple[Field, ...]) -> Plan:
        """Return the plan of a stream's fields; `id` and `updated_at` are always asked for."""
        return cls(query.PageQuery(query.read(name), {("id",), (schema.BOOKMARK,), *paths(fields)}), reader(fields))


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
    _tap: TapShopifyOrders

    def __init__(self, tap: TapShopifyOrders) -> None:
        """Declare the stream; nothing is asked yet."""
        super().__init__(tap, schema=schema.stream_schema(self.fields))
        self.emitted = 0
        self._denied: set[Names] = set()
        self._size, self._rest_size = PageSize(), PageSize(first=LARGEST_PAGE)

    @property
    def since(self) -> datetime | None:
        """Where reading begins, inclusive: bookmark less lookback, not before the start date; None for no limit."""
        start, bookmark = self.config.get("start_date"), self.stream_state.get("replication_key_value")
        begins = [instant(start)] if start else []
        return max([*begins, instant(bookmark) - self._tap.lookback] if bookmark else begins, default=None)

    @property
    def search(self) -> str:
        """The window as Shopify's search writes it: quoted, in UTC, inclusive below and exclusive above.

        https://shopify.dev/docs/api/usage/search-syntax
        """
        until = f"updated_at:<'{_utc(self._tap.until)}'"
        return f"updated_at:>='{_utc(self.since)}' AND {until}" if self.since else until

    @cached_property
    def _plan(self) -> Plan:
        """The plan without what turned out to be denied."""
        return Plan.of(self.name, select(self.fields, self._wants, self._denied))

    def _wants(self, path: Names) -> bool:
        return bool(self.mask[tuple(step for name in path for step in ("properties", name))])

    def probe(self) -> None:
        """Find out what is denied, with a page of the oldest records; raises Refused unless the gaps are accepted."""
        self._ask("", None)

    def get_records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002  # the SDK's signature
        """Yield the window's records that are new or changed, oldest change first; then tombstones of deleted ones.

        Raises Refused, and Busy when patience ran out; either way the state covers what was yielded, and no more.
        """
        self._tap.reading = True
        state = self.stream_state
        known = Known(state.get(_KNOWN) or {}, self._tap.lookback)
        search, highest = self.search, instant(state.get("replication_key_value", "0001-01-01"))
        deletions = self._deletions(search) if state.get("replication_key_value") else ()  # else nothing can be stale
        for plan, page in ahead(chain(self._pages(search), deletions), self._tap.stop_if_asked):
            for mark, record in self._fresh(plan, page, known):
                self.emitted += 1
                yield record  # the SDK writes it, and sets the bookmark to its updated_at
                highest = max(highest, mark.updated_at)
                if highest > mark.updated_at:
                    state["replication_key_value"] = _utc(highest)
                known.add(mark)
                state[_KNOWN] = known.prints
                self._tap.stop_if_asked()
            state[_KNOWN] = known.prints

    def _fresh(self, plan: Plan, page: list[msgspec.Raw], known: Known) -> Iterator[tuple[Mark, Record]]:
        """Yield the page's records that weren't emitted in this very state before."""
        fresh: list[tuple[Mark, Record]] = []
        for raw in page:
            node = msgspec.json.decode(raw)
            mark = Mark.of(node, raw)
            if known.has(mark):
                known.add(mark)
            else:
                fresh.append((mark, node))
        more = unfinished([node for _, node in fresh], plan.query)
        if more:
            patiently(partial(finish, more, plan.query, self._tap.client, self._rest_size), self._tap.stop_if_asked)
        for mark, record in fresh:
            plan.read(record)
            record["shop"] = self._tap.granted.domain
            record.setdefault("_sdc_deleted_at", None)
            yield mark, record

    def generate_child_contexts(self, record: Record, context: Context | None) -> Iterator[Context | None]:  # noqa: ARG002  # the SDK's signature
        """Yield nothing: there are no child streams, and the SDK would copy each record for them."""
        yield from ()

    def _pages(self, search: str) -> Iterator[tuple[Plan, list[msgspec.Raw]]]:
        for page in pages(lambda cursor: self._ask(search, cursor)):
            yield self._plan, page

    def _deletions(self, search: str) -> Iterator[tuple[Plan, list[msgspec.Raw]]]:
        """Yield pages of what was deleted in the window of a search; Shopify keeps these events for a year.

        https://shopify.dev/docs/api/admin-graphql/2026-10/queries/events
        """
        plan, size, client = Plan.of("deletions", schema.DELETIONS), PageSize(), self._tap.client
        events = f"action:destroy AND subject_type:{self.subject} AND {search.replace(schema.BOOKMARK, 'created_at')}"
        try:
            for page in pages(lambda cursor: client.ask(plan.query.text, {"query": events, "after": cursor}, size)):
                yield plan, page
        except Denied as gaps:
            self.logger.warning("No tombstones of deleted %s, as Shopify denies the events: %s", self.name, gaps)

    def _ask(self, search: str, cursor: str | None) -> Answer:
        """Return a page; without the fields that are denied, if that is accepted."""
        try:
            return self._tap.client.ask(self._plan.query.text, {"query": search, "after": cursor}, self._size)
        except Denied as gaps:
            self._go_without(gaps)
        return self._ask(search, cursor)  # each time for fewer fields

    def _go_without(self, gaps: Denied) -> None:
        denied = {path[2:] for path, _ in gaps.gaps}  # below page and nodes
        if "denied_fields" not in self._tap.accept or () in denied or denied <= self._denied:
            raise Refused(explain(self.name, gaps)) from None
        self._denied |= denied
        del self._plan
        self.logger.warning("Going on without fields that Shopify denies. %s", explain(self.name, gaps))

    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage, None, None]:
        """Make the record's messages as the SDK does, less the search for what is deselected: it wasn't asked for."""
        for stream_map in self.stream_maps:
            mapped = stream_map.transform(record)
            if mapped is not None:
                yield RecordMessage(
                    stream=stream_map.stream_alias, record=mapped, time_extracted=datetime.now(timezone.utc)
                )


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


class Customers(ShopStream):
    """The store's customers."""

    name = "customers"
    subject = "CUSTOMER"
    fields = schema.CUSTOMERS


class Orders(ShopStream):
    """The store's orders, of every status, with all that belongs to them."""

    name = "orders"
    subject = "ORDER"
    fields = schema.ORDERS
