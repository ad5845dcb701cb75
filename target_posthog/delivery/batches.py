"""Batches: which events travel in one request, and in which order the requests are sent.

Pure: takes events in the order of their records, returns batches in the order of sending.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_posthog.mapping.event import Event

# An event travels through PostHog as JSON within JSON, at most 1,000,000 bytes (PostHog rust/capture, config.rs,
# kafka_producer_message_max_bytes); other senders found somewhat less refused already.
LARGEST_EVENT_BYTES = 900_000
LARGEST_BATCH_BYTES = 4 * 1024 * 1024  # below the 10 MiB that rust/capture v1 reads and the 20 MiB of /batch/
MOST_EVENTS_IN_A_BATCH = 500
LIVE = "~"  # sorts after every day
PERSON_CHANGES = frozenset(("$set", "$set_once", "$unset", "$anon_distinct_id", "$group_set", "alias"))


class Outgoing(NamedTuple):
    """An event on its way, with its size as JSON; `source` is what its destination knows the record by."""

    event: Event
    size_bytes: int
    source: object = None


@dataclass
class Batch:
    """The events of one request; `historical` says that all are older than PostHog asks of a back-fill."""

    historical: bool
    items: list[Outgoing] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        """Return the events alone."""
        return [outgoing.event for outgoing in self.items]


class SendingOrder(NamedTuple):
    """First `persons`, one batch after another, then `lanes`, side by side; `repeated` isn't sent at all."""

    persons: list[Batch]
    lanes: list[list[Batch]]
    repeated: list[Outgoing]


def sized(event: Event, source: object = None) -> Outgoing | None:
    """Return the event ready to go; None if it is too large for PostHog even with its lists shortened.

    The longest list in its properties is shortened until it fits, and `<name>_shortened_from` says how long it was.
    """
    size = _size(event)
    if size <= LARGEST_EVENT_BYTES:
        return Outgoing(event, size, source)
    properties = event["properties"]
    lists = {name: value for name, value in properties.items() if isinstance(value, list) and len(value) > 1}
    if not lists:
        return None
    name = max(lists, key=lambda name: len(msgspec.json.encode(lists[name])))
    kept = len(lists[name])
    while kept > 1 and size > LARGEST_EVENT_BYTES:
        kept = min(kept - 1, kept * LARGEST_EVENT_BYTES // size)
        shorter = {**properties, name: lists[name][:kept], f"{name}_shortened_from": len(lists[name])}
        event = {**event, "properties": shorter}
        size = _size(event)
    return Outgoing(event, size, source) if size <= LARGEST_EVENT_BYTES else None


def sending_order(outgoing: Sequence[Outgoing], *, historical_before: str, senders: int = 1) -> SendingOrder:
    """Return what to send and in which order.

    Events that change persons go first, in the order of their records for each person, because PostHog applies such
    changes in the order of arrival. The others follow in `senders` lanes, each person's in one lane. Events older than
    `historical_before` (RFC 3339) travel apart, oldest day first: https://posthog.com/docs/migrate. Of events that
    PostHog would take for the same (uuid, name, distinct id, day), the last one counts.
    """
    identities = [identity_of(item.event) for item in outgoing]
    latest = dict(zip(identities, outgoing, strict=True))
    persons: list[Outgoing] = []
    lanes: list[list[Outgoing]] = [[] for _ in range(senders)]
    repeated: list[Outgoing] = []
    for identity, item in zip(identities, outgoing, strict=True):
        if latest[identity] is not item:
            repeated.append(item)
        elif PERSON_CHANGES.isdisjoint(item.event["properties"]):
            lanes[zlib.crc32(item.event["distinct_id"].encode()) % senders].append(item)
        else:
            persons.append(item)
    return SendingOrder(
        _batches(_in_order_per_person(persons, historical_before)),
        [_batches((_slot(item, historical_before), item) for item in lane) for lane in lanes if lane],
        repeated,
    )


def identity_of(event: Event) -> tuple[str, str, str, str]:
    """Return what PostHog takes for the same event: posthog/models/event/sql.py, ORDER BY."""
    return event["uuid"], event["event"], event["distinct_id"], event["timestamp"][:10]


def _size(event: Event) -> int:
    """Return the bytes of an event as JSON, as JSON within JSON where that could matter."""
    data = msgspec.json.encode(event)
    if len(data) * 2 < LARGEST_EVENT_BYTES:
        return len(data)
    return len(data) + data.count(b'"') + data.count(b"\\")


def _slot(item: Outgoing, historical_before: str) -> str:
    """Return the day of a historical event, `LIVE` for the others."""
    timestamp = item.event["timestamp"]
    return timestamp[:10] if timestamp < historical_before else LIVE


def _in_order_per_person(persons: Iterable[Outgoing], historical_before: str) -> Iterable[tuple[str, Outgoing]]:
    """Move an event to the day of its person's event before it, where that is later."""
    latest: dict[str, str] = {}
    for item in persons:
        distinct_id = item.event["distinct_id"]
        latest[distinct_id] = max(_slot(item, historical_before), latest.get(distinct_id, ""))
        yield latest[distinct_id], item


def _batches(slotted: Iterable[tuple[str, Outgoing]]) -> list[Batch]:
    """Cut the events into batches, day by day; none mixes months, which PostHog stores apart, or has a uuid twice."""
    batches: list[Batch] = []
    month, size, uuids = "", 0, set[str]()
    for slot, item in sorted(slotted, key=lambda pair: pair[0]):
        full = size + item.size_bytes > LARGEST_BATCH_BYTES or len(uuids) == MOST_EVENTS_IN_A_BATCH
        if full or slot[:7] != month or item.event["uuid"] in uuids:
            batches.append(Batch(historical=slot != LIVE))
            month, size, uuids = slot[:7], 0, set()
        batches[-1].items.append(item)
        size += item.size_bytes
        uuids.add(item.event["uuid"])
    return batches
