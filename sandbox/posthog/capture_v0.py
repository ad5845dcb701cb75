"""A request to `/batch/`, in: headers, query and bytes; out: its events, of which one malformed refuses them all.

What PostHog's rust/capture (payload, api.rs) and rust/common/types/src/event.rs say of this protocol. Knows nothing of
persons or storage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec

from sandbox.posthog.capture import (
    FURTHEST_FUTURE,
    LARGEST_EVENT_BYTES,
    LONGEST_NAME,
    MIB,
    Event,
    Notice,
    Refused,
    check_key,
    lenient_time,
    message_bytes,
    to_json,
    unpacked,
)

if TYPE_CHECKING:
    from datetime import datetime

    from werkzeug.datastructures import Headers

PATH = "/batch/"
LARGEST_BODY_BYTES = 20 * MIB  # PostHog rust/capture server.rs, BATCH_BODY_SIZE
LARGEST_TEXT_BYTES = 5 * LARGEST_BODY_BYTES  # PostHog rust/capture, decompressed
GZIP_MAGIC = b"\x1f\x8b"


class _SentEvent(msgspec.Struct):
    event: str
    distinct_id: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    uuid: str | None = None
    timestamp: str | None = None
    properties: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
    set: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw, name="$set")
    set_once: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw, name="$set_once")


class _Batch(msgspec.Struct):
    batch: list[_SentEvent]
    api_key: str | None = None
    token: str | None = None
    sent_at: str | None = None
    historical_migration: bool = False


@dataclass
class Batch:
    """What one request brought; `oversized` says that the events stop before one that is too large (413)."""

    api_key: str
    events: list[Event] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    oversized: bool = False


_batch = msgspec.json.Decoder(_Batch)
_properties = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read(
    headers: Headers,
    compression: str,
    body: bytes,
    now: datetime,
    largest_event_bytes: int = LARGEST_EVENT_BYTES,
) -> Batch:
    """Read a batch; raises Refused: 400 for one malformed event, an empty or undecodable body, 401, 413.

    `compression` is the query's; gzip is also recognised by its header or its first bytes, nothing else is taken.
    """
    if len(body) > LARGEST_BODY_BYTES:
        raise Refused(413, "payload_too_large", "Payload Too Large")
    if compression not in {"", "gzip", "gzip-js"}:
        raise Refused(400, "request_decoding_error", f"unsupported compression: {compression}")
    is_gzip = bool(compression) or headers.get("Content-Encoding") == "gzip" or body.startswith(GZIP_MAGIC)
    try:
        batch = _batch.decode(unpacked(body, "gzip" if is_gzip else "", LARGEST_TEXT_BYTES))
        sent = [(event, _properties.decode(event.properties)) for event in batch.batch]
    except msgspec.DecodeError as error:
        raise Refused(400, "request_parsing_error", f"failed to hydrate events from request: {error}") from error
    if not sent:
        raise Refused(400, "empty_batch", "request holds no event")
    sent_at = lenient_time(batch.sent_at) if batch.sent_at else None
    read_batch = Batch(_key(batch, sent))
    events = [_event(one, properties, sent_at, now, read_batch.notices) for one, properties in sent]
    for (one, _), event in zip(sent, events, strict=True):
        if message_bytes(event.event, event.distinct_id, one.properties) > largest_event_bytes:
            read_batch.oversized = True
            break
        event.historical = batch.historical_migration
        read_batch.events.append(event)
    return read_batch


def _key(batch: _Batch, sent: list[tuple[_SentEvent, dict[str, msgspec.Raw]]]) -> str:
    key = batch.api_key or batch.token
    if key is None:
        keys = {bytes(properties["token"]) for _, properties in sent if "token" in properties}
        if len(keys) != 1:
            raise Refused(401, "invalid_api_token", f"request holds {'several' if keys else 'no'} API keys")
        key = _text(msgspec.Raw(keys.pop()))
    check_key(key)
    return key


def _event(
    sent: _SentEvent, properties: dict[str, msgspec.Raw], sent_at: datetime | None, now: datetime, notices: list[Notice]
) -> Event:
    if not sent.event:
        raise Refused(400, "missing_event_name", "event submitted without an event name")
    distinct_id = _text(sent.distinct_id) or _text(properties.get("distinct_id", msgspec.Raw()))
    distinct_id = distinct_id.replace("\0", "\ufffd")[:LONGEST_NAME]  # cut without a word; V1 refuses it instead
    if not distinct_id.strip():
        raise Refused(400, "missing_distinct_id", "event submitted without a distinct_id")
    try:
        uuid = str(UUID(sent.uuid) if sent.uuid else uuid4())
    except ValueError as error:
        raise Refused(400, "invalid_event_uuid", f"failed to hydrate events from request: {error}") from error
    properties |= {name: value for name, value in (("$set", sent.set), ("$set_once", sent.set_once)) if bytes(value)}
    timestamp = _timestamp(sent, uuid, None if _ignores_sent_at(properties) else sent_at, now, notices)
    return Event(uuid, sent.event[:LONGEST_NAME], distinct_id, timestamp, properties)


def _timestamp(sent: _SentEvent, uuid: str, sent_at: datetime | None, now: datetime, notices: list[Notice]) -> datetime:
    """Say when the event happened by the server's clock (PostHog rust/common/types/src/timestamp.rs)."""
    if sent.timestamp is None:
        return now
    timestamp = lenient_time(sent.timestamp)
    if timestamp is None:
        notices.append(Notice("ignored_invalid_timestamp", {"eventUuid": uuid, "value": sent.timestamp}))
        return now
    if sent_at is not None:
        timestamp -= sent_at - now
    return now if timestamp - now > FURTHEST_FUTURE else timestamp


def _ignores_sent_at(properties: dict[str, msgspec.Raw]) -> bool:
    return properties.get("$ignore_sent_at") == to_json(value=True)


def _text(value: msgspec.Raw) -> str:
    """Read an id that may be any JSON: what is no string stands for its JSON text."""
    text = bytes(value)
    if text in {b"", b"null"}:
        return ""
    return msgspec.json.decode(text, type=str) if text.startswith(b'"') else text.decode()
