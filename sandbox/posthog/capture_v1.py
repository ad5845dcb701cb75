"""A request to `/i/v1/analytics/events`, in: headers and JSON text; out: its events, and a verdict on each.

What PostHog's rust/capture v1 (analytics/process.rs, analytics/types.rs, context.rs, error.rs) and the `posthog`
library's capture_v1.py say of this protocol. Knows nothing of persons or storage.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from sandbox.posthog.capture import (
    FURTHEST_FUTURE,
    LARGEST_EVENT_BYTES,
    LONGEST_NAME,
    MIB,
    Event,
    Refused,
    check_key,
    message_bytes,
    rfc3339,
    to_json,
    unpacked,
)

if TYPE_CHECKING:
    from datetime import datetime

    from werkzeug.datastructures import Headers

PATH = "/i/v1/analytics/events"
LARGEST_BODY_BYTES = 10 * MIB  # PostHog rust/capture v1, wire
LARGEST_TEXT_BYTES = 50 * MIB  # PostHog rust/capture v1/context.rs, decompressed
RETRY_AFTER_SECONDS = "1"  # on 408 and 5xx, "a floor": PostHog rust/capture v1/analytics/constants.rs [02291397]
RETRY_AFTER_A_LIMIT_SECONDS = "60"  # on 429
REQUIRED_HEADERS = (
    "Content-Type",
    "User-Agent",
    "PostHog-Sdk-Info",
    "PostHog-Attempt",
    "PostHog-Request-Id",
    "PostHog-Request-Timestamp",
)
# Ids that stand for a sender's mistake: the event is kept without a person (PostHog v1/analytics/constants.rs).
ILLEGAL_IDS = frozenset(
    (
        *("0", str(UUID(int=0)), "[object object]", "anonymous", "anonymous-user", "backend", "distinct_id"),
        *("distinctid", "email", "false", "guest", "id", "nan", "none", "not_authenticated", "null", "system"),
        *("true", "undefined", "user"),
    )
)
PERSON_PROCESSING_DISABLED = "person_processing_disabled"  # v1/analytics/constants.rs
# The typed options, and the property each becomes again (`build_property_injections` in types.rs).
OPTION_PROPERTIES = {
    "cookieless_mode": "$cookieless_mode",
    "disable_skew_correction": "$ignore_sent_at",
    "product_tour_id": "$product_tour_id",
    "process_person_profile": "$process_person_profile",
}


class Verdict(msgspec.Struct, omit_defaults=True):
    """What became of one event: `ok`, `warning` (kept), `drop` (refused for good) or `retry` (send it again)."""

    result: str
    details: str | None = None


class _Options(msgspec.Struct):
    # Strict, as posthog's capture_v1.py describes it: a wrong type fails the batch. Newer servers drop the one event.
    cookieless_mode: bool | None = None
    disable_skew_correction: bool | None = None
    product_tour_id: str | None = None
    process_person_profile: bool | None = None


class _SentEvent(msgspec.Struct):
    event: str
    uuid: str
    distinct_id: str
    timestamp: str
    session_id: str | None = None
    window_id: str | None = None
    options: _Options = msgspec.field(default_factory=_Options)
    properties: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))


class _Batch(msgspec.Struct):
    created_at: str
    batch: list[_SentEvent]
    historical_migration: bool = False


_batch = msgspec.json.Decoder(_Batch)
_properties = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class Request:
    """The checked headers of one request: whose, when by the sender's clock, how compressed, by which library."""

    api_key: str
    sent_at: datetime
    encoding: str
    library: dict[str, msgspec.Raw]  # the properties that it adds to each event, none for an unreadable header

    @classmethod
    def of(cls, headers: Headers) -> Request:
        """Check the headers; raises Refused with 400, 401 or 415 (PostHog v1/context.rs, in its order)."""
        if "Authorization" not in headers:
            raise Refused(401, "missing_authorization", "request is missing the Authorization header")
        missing = [name.lower() for name in REQUIRED_HEADERS if name not in headers]
        if missing:
            raise Refused(400, "missing_required_headers", f"request is missing required headers: {missing}")
        scheme, _, api_key = headers["Authorization"].partition(" ")
        if scheme.lower() != "bearer":
            raise _invalid_header("Authorization must use Bearer scheme")
        check_key(api_key.strip())
        if headers["Content-Type"].partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "unsupported_content_type", f"unsupported content type: {headers['Content-Type']}")
        encoding = headers.get("Content-Encoding", "").lower()
        if encoding not in {"", "gzip", "deflate", "zstd"}:  # the real one takes br too
            raise Refused(415, "unsupported_encoding", f"unsupported content encoding: {encoding}")
        if _uuid(headers["PostHog-Request-Id"]) is None:
            raise _invalid_header("PostHog-Request-Id is not a valid UUID")
        if not re.fullmatch(r"0*[1-9][0-9]*", headers["PostHog-Attempt"]):
            raise _invalid_header("PostHog-Attempt must be a positive integer")
        sent_at = rfc3339(headers["PostHog-Request-Timestamp"])
        if sent_at is None:
            raise _invalid_header("PostHog-Request-Timestamp is not valid RFC 3339")
        name, _, version = (part.strip() for part in headers["PostHog-Sdk-Info"].rpartition("/"))
        library = {"$lib": to_json(name), "$lib_version": to_json(version)} if name and version else {}
        return cls(api_key.strip(), sent_at, encoding, library)


def read(
    request: Request, body: bytes, now: datetime, largest_event_bytes: int = LARGEST_EVENT_BYTES
) -> list[tuple[Event | None, str, Verdict]]:
    """Judge a batch: for each event what is kept (None if dropped), its uuid and the verdict, in the batch's order.

    Raises Refused(400) for what fails the whole batch: no JSON of the right types, no events, a uuid that is missing,
    invalid or there twice; and 413 or 400 for a body that is too large or can't be decompressed.
    """
    if not body:
        raise Refused(400, "empty_body", "request body is empty")
    if len(body) > LARGEST_BODY_BYTES:
        raise Refused(413, "payload_too_large", f"payload too large: more than {LARGEST_BODY_BYTES} bytes")
    try:
        batch = _batch.decode(unpacked(body, request.encoding, LARGEST_TEXT_BYTES))
    except msgspec.DecodeError as error:
        raise Refused(400, "request_parsing_error", "Failed to parse request body.") from error
    if not batch.batch:
        raise Refused(400, "empty_batch", "request batch is empty")
    if rfc3339(batch.created_at) is None:
        raise Refused(400, "invalid_batch", f"invalid batch: created_at is not valid RFC 3339: {batch.created_at}")
    uuids = _distinct_uuids(batch.batch)
    judged: list[tuple[Event | None, str, Verdict]] = []
    for sent, uuid in zip(batch.batch, uuids, strict=True):
        timestamp = rfc3339(sent.timestamp)
        reason = _drop_reason(sent, largest_event_bytes)
        if timestamp is None or reason:
            judged.append((None, uuid, Verdict("drop", reason or "invalid_event_timestamp")))
            continue
        if not sent.options.disable_skew_correction:
            timestamp = _corrected(timestamp, request.sent_at, now)
        event = _event(sent, uuid, timestamp, request)
        event.historical = batch.historical_migration
        # An illegal id is `ok` with this detail; `warning` comes of the limit per distinct id (process.rs [01cfdef4]).
        kept = Verdict("ok", None if event.person_processing else PERSON_PROCESSING_DISABLED)
        judged.append((event, uuid, kept))
    return judged


def _distinct_uuids(events: list[_SentEvent]) -> list[str]:
    uuids: dict[str, None] = {}
    for event in events:
        if not event.uuid.strip():
            raise Refused(400, "missing_event_uuid", "event submitted without a uuid")
        uuid = _uuid(event.uuid.strip())
        if uuid is None:
            raise Refused(400, "invalid_event_uuid", f"event submitted with an invalid uuid: {event.uuid}")
        if uuid in uuids:
            raise Refused(400, "duplicate_event_uuid", f"duplicate event uuid: {event.uuid}")
        uuids[uuid] = None
    return list(uuids)


def _drop_reason(sent: _SentEvent, largest_event_bytes: int) -> str | None:
    distinct_id = sent.distinct_id.strip()
    faults = {
        "dropped_performance_event": sent.event == "$performance_event",
        "missing_event_name": not sent.event,
        "event_name_too_long": len(sent.event.encode()) > LONGEST_NAME,
        "missing_distinct_id": not distinct_id,
        "distinct_id_too_large": len(distinct_id.encode()) > LONGEST_NAME,
        "malformed_event_properties": bytes(sent.properties)[:1] != b"{",
        "event_too_big": message_bytes(sent.event, distinct_id, sent.properties) > largest_event_bytes,
    }
    return next((reason for reason, found in faults.items() if found), None)


def _corrected(timestamp: datetime, sent_at: datetime, now: datetime) -> datetime:
    """Move a time by the difference of the clocks; one too far ahead becomes now (`normalize_timestamp`)."""
    timestamp -= sent_at - now
    return now if timestamp - now > FURTHEST_FUTURE else timestamp


def _event(sent: _SentEvent, uuid: str, timestamp: datetime, request: Request) -> Event:
    properties = _properties.decode(sent.properties)
    for name, value in (("$session_id", sent.session_id), ("$window_id", sent.window_id)):
        if value is not None:
            properties[name] = to_json(value)
    for option, name in OPTION_PROPERTIES.items():
        value = getattr(sent.options, option)
        if value is not None:
            properties[name] = to_json(value)
    properties |= request.library
    distinct_id = sent.distinct_id.strip()
    legal = distinct_id.lower() not in ILLEGAL_IDS
    return Event(uuid, sent.event, distinct_id, timestamp, properties, person_processing=legal)


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


def _invalid_header(description: str) -> Refused:
    return Refused(400, "invalid_header_value", f"invalid header value: {description}")
