"""Batches: which events travel in one request, and in which order the requests are sent.

Pure: takes events in the order of their records, returns batches in the order of sending.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from target_posthog.mapping.event import LINK_KEYS, changes_person, only_sets_once, touched_ids
from target_posthog.mapping.language.functions import LARGEST_WHOLE_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from target_posthog.mapping.event import Event
    from target_posthog.mapping.language.functions import JSON
    from target_posthog.receipts.sifter import Sifted

# An event travels through PostHog as JSON within JSON, at most 1,000,000 bytes (PostHog rust/capture, config.rs,
# kafka_producer_message_max_bytes); other senders found somewhat less refused already.
LARGEST_EVENT_BYTES = 900_000
LARGEST_BATCH_BYTES = 4 * 1024 * 1024  # below the 10 MiB that rust/capture v1 reads and the 20 MiB of /batch/
MOST_EVENTS_IN_A_BATCH = 500
# Sought in an event's JSON, for few have one: 16 digits in a row, where every digit reads 0. A regular expression takes
# eight times as long.
MAYBE_LONG_NUMBER = b"0" * 16
DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
LIVE = "~"  # sorts after every day
Identity = tuple[str, str, str, str]


class Outgoing(NamedTuple):
    """An event on its way, with its size as JSON; `sifted` is what it was before, with its receipts."""

    event: Event
    size_bytes: int
    sifted: Sifted


@dataclass
class Batch:
    """The events of one request; `is_old` says that all are older than PostHog asks of a back-fill."""

    is_old: bool
    changes_persons: bool = False
    items: list[Outgoing] = field(default_factory=list)
    overtaken: list[Outgoing] = field(default_factory=list)  # what another target has sent in the meantime
    undecided: list[Outgoing] = field(default_factory=list)  # what PostHog hadn't decided on when an error ended it

    @property
    def historical(self) -> bool:
        """Whether they travel as a historical migration.

        That is another topic in PostHog, without any order towards the main one, so changes of persons stay out of it.
        """
        return self.is_old and not self.changes_persons

    @property
    def events(self) -> list[Event]:
        """Return the events alone."""
        return [outgoing.event for outgoing in self.items]


class SendingOrder(NamedTuple):
    """First `persons`, each batch once the one before is acknowledged, then `lanes`, side by side.

    `repeated` isn't sent at all.
    """

    persons: list[Batch]
    lanes: list[list[Batch]]
    repeated: list[Outgoing]


def sized(sifted: Sifted) -> Outgoing | None:
    """Return its event ready to go; None if it is too large for PostHog even with its lists shortened.

    The longest list in its properties is shortened until it fits, and `<name>_shortened_from` says how long it was. A
    whole number that PostHog would round becomes text, wherever it stands.
    """
    event = sifted.event
    data = msgspec.json.encode(event)
    if MAYBE_LONG_NUMBER in data.translate(DIGITS_AS_ZERO):
        event = {**event, "properties": _exact(event["properties"])}
        data = msgspec.json.encode(event)
    size = _size(data)
    if size <= LARGEST_EVENT_BYTES:
        return Outgoing(event, size, sifted)
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
        size = _size(msgspec.json.encode(event))
    return Outgoing(event, size, sifted) if size <= LARGEST_EVENT_BYTES else None


def sending_order(outgoing: Sequence[Outgoing], *, historical_before: str, senders: int = 1) -> SendingOrder:
    """Return what to send and in which order.

    Events that change persons go first, because PostHog applies such changes in the order of arrival: in the order of
    their records for each distinct id, and where two distinct ids change the same person, one acknowledged after the
    other. The others follow in `senders` lanes, each person's in one lane. Events older than `historical_before` (RFC
    3339) travel apart, oldest day first: https://posthog.com/docs/migrate. Of events that PostHog would take for the
    same (uuid, name, distinct id, day), the last one counts; an earlier one is sent before it only if it says something
    of persons that the next one doesn't repeat, as PostHog applies both and stores the last.
    """
    kept, repeated, versions = _without_repeated(outgoing)
    persons: list[Outgoing] = []
    lanes: list[list[Outgoing]] = [[] for _ in range(senders)]
    for item in kept:
        if changes_person(item.event) or (versions and identity_of(item.event) in versions):
            persons.append(item)
        else:
            lanes[zlib.crc32(item.event["distinct_id"].encode()) % senders].append(item)
    return SendingOrder(
        _batches(_in_order_per_person(persons, historical_before), changes_persons=True),
        [_batches((0, _slot(item, historical_before), item) for item in lane) for lane in lanes if lane],
        repeated,
    )


def identity_of(event: Event) -> Identity:
    """Return what PostHog takes for the same event: posthog/models/event/sql.py, ORDER BY."""
    return event["uuid"], event["event"], event["distinct_id"], event["timestamp"][:10]


def _without_repeated(outgoing: Sequence[Outgoing]) -> tuple[list[Outgoing], list[Outgoing], set[Identity]]:
    """Return the events that count, those in whose stead a later one does, and what counts in several versions.

    PostHog stores the last version that it gets, so they leave by one way. A later one leaves in its own place, for
    PostHog applies changes of a person in order; but what makes a person, and changes nothing of one, in the earlier
    one's: before all that was to come after it.
    """
    kept: list[Outgoing | None] = []
    repeated: list[Outgoing] = []
    places: dict[Identity, int] = {}
    versions: set[Identity] = set()
    for item in outgoing:
        identity = identity_of(item.event)
        place = places.get(identity)
        earlier = kept[place] if place is not None else None
        if place is not None and earlier and _repeats(item.event["properties"], earlier.event["properties"]):
            repeated.append(earlier)
            if only_sets_once(item.event):
                kept[place] = item
                continue
            kept[place] = None
        elif earlier:
            versions.add(identity)
        places[identity] = len(kept)
        kept.append(item)
    return [item for item in kept if item], repeated, versions


def _repeats(later: Mapping[str, JSON], earlier: Mapping[str, JSON]) -> bool:
    """Say whether persons are the same with the later properties alone as with the earlier ones and then the later."""
    decided = {place: {*later.get("$set", ()), *later.get("$unset", ())} for place in ("$set", "$unset")}
    decided["$group_set"] = {*later.get("$group_set", ())}
    return (
        all(earlier.get(key) in (None, later.get(key)) for key in LINK_KEYS)
        and earlier.get("$set_once", {}).items() <= later.get("$set_once", {}).items()
        and all(names.issuperset(earlier.get(place, ())) for place, names in decided.items())
    )


def _exact(value: JSON) -> JSON:
    """Return a value with text for each whole number that readers of JSON may round: RFC 8259, section 6."""
    if isinstance(value, int):
        return value if -LARGEST_WHOLE_NUMBER <= value <= LARGEST_WHOLE_NUMBER else str(value)
    if isinstance(value, dict):
        return {key: _exact(part) for key, part in value.items()}
    return [_exact(part) for part in value] if isinstance(value, list) else value


def _size(data: bytes) -> int:
    """Return the bytes of an event as JSON, as JSON within JSON where that could matter."""
    if len(data) * 2 < LARGEST_EVENT_BYTES:
        return len(data)
    return len(data) + data.count(b'"') + data.count(b"\\")


def _slot(item: Outgoing, historical_before: str) -> str:
    """Return the day of a historical event, `LIVE` for the others."""
    timestamp = item.event["timestamp"]
    return timestamp[:10] if timestamp < historical_before else LIVE


def _in_order_per_person(persons: Iterable[Outgoing], historical_before: str) -> Iterable[tuple[int, str, Outgoing]]:
    """Yield each event with its round and its day.

    PostHog keeps the events of one distinct id in their order and promises nothing between two. So an event that
    touches an id which another distinct id's event before it touched waits for the next round: that one has been
    acknowledged then. Within a round, an event is moved to the day of its distinct id's event before it, if later.
    """
    last: dict[str, tuple[int, str]] = {}  # by id: the round of the last event that touches it, and whose that was
    latest: dict[str, str] = {}
    for item in persons:
        distinct_id, ids = item.event["distinct_id"], touched_ids(item.event)
        before = [last.get(id_, (0, distinct_id)) for id_ in ids]
        round_ = max(number + (owner != distinct_id) for number, owner in before)
        last.update(dict.fromkeys(ids, (round_, distinct_id)))
        latest[distinct_id] = max(_slot(item, historical_before), latest.get(distinct_id, ""))
        yield round_, latest[distinct_id], item


def _batches(placed: Iterable[tuple[int, str, Outgoing]], *, changes_persons: bool = False) -> list[Batch]:
    """Cut the events into batches, round by round and day by day.

    None mixes rounds or months, which PostHog stores apart, or has a uuid twice.
    """
    batches: list[Batch] = []
    place, size, uuids = (0, ""), 0, set[str]()
    for round_, slot, item in sorted(placed, key=lambda entry: entry[:2]):
        full = size + item.size_bytes > LARGEST_BATCH_BYTES or len(uuids) == MOST_EVENTS_IN_A_BATCH
        if full or (round_, slot[:7]) != place or item.event["uuid"] in uuids:
            batches.append(Batch(slot != LIVE, changes_persons))
            place, size, uuids = (round_, slot[:7]), 0, set()
        batches[-1].items.append(item)
        size += item.size_bytes
        uuids.add(item.event["uuid"])
    return batches
