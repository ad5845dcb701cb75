"""A capture request, in: headers and bytes; out: the JSON text inside, or the answer that refuses it.

Knows what both capture protocols share (keys, sizes, compression, times, illegal ids), not what an event does later.
"""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from io import BytesIO

import msgspec
import zstandard

MIB = 1024 * 1024
LARGEST_EVENT_BYTES = 1_000_000  # PostHog rust/capture config.rs, kafka_producer_message_max_bytes
LONGEST_NAME = 200  # of an event, and of a distinct id: PostHog rust/capture v1/analytics/constants.rs
LONGEST_KEY = 64  # PostHog rust/capture token.rs
FURTHEST_FUTURE = timedelta(hours=23)  # PostHog rust/common/types/src/timestamp.rs
ENVELOPE_BYTES = 400  # uuid, token, ip and times of the message that carries one event to Kafka


class Refused(Exception):  # noqa: N818  # it names what happened to the request, as the answer does
    """The whole request is refused: nothing (more) of it is kept, and the answer says why."""

    def __init__(self, status: int, tag: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.tag = tag


class Event(msgspec.Struct):
    """One event as PostHog keeps it; `properties` holds each value as the JSON text that was sent."""

    uuid: str
    event: str
    distinct_id: str
    timestamp: datetime
    properties: dict[str, msgspec.Raw]
    historical: bool = False
    person_processing: bool = True
    sender: str = ""  # the address that the request came from
    created_at: datetime | None = None  # when PostHog took it


@dataclass(frozen=True)
class Notice:
    """What PostHog calls an ingestion warning: something it did differently from what the sender may have hoped."""

    type: str
    details: dict[str, str] = field(default_factory=dict)


def check_key(key: str) -> None:
    """Raise Refused(401) for a key of a shape that no project has (PostHog rust/capture token.rs)."""
    if not key or len(key) > LONGEST_KEY or not key.isascii() or key.startswith("phx_"):
        raise Refused(401, "invalid_api_token", "The provided API token is not valid.")


def unpacked(body: bytes, encoding: str, largest_bytes: int) -> bytes:
    """Decompress a body of `gzip`, `deflate` (zlib), `zstd` or no encoding into UTF-8.

    Raises Refused: 413 beyond `largest_bytes`, 400 if it can't be decompressed or read, 415 for another encoding.
    """
    try:
        if encoding == "gzip":
            text = gzip.GzipFile(fileobj=BytesIO(body)).read(largest_bytes + 1)
        elif encoding == "deflate":
            text = zlib.decompressobj().decompress(body, largest_bytes + 1)
        elif encoding == "zstd":
            text = zstandard.ZstdDecompressor().stream_reader(body).read(largest_bytes + 1)
        elif encoding:
            raise Refused(415, "unsupported_encoding", f"unsupported content encoding: {encoding}")
        else:
            text = body
        if len(text) <= largest_bytes:
            text.decode()
    except (OSError, EOFError, zlib.error, zstandard.ZstdError, UnicodeDecodeError) as error:
        raise Refused(400, "request_decoding_error", "Failed to decode request body.") from error
    if len(text) > largest_bytes:
        raise Refused(413, "payload_too_large", f"payload too large: more than {largest_bytes} bytes decompressed")
    return text


def rfc3339(text: str) -> datetime | None:
    """Read a time as RFC 3339 asks, with its offset; None if it isn't one."""
    try:
        time = msgspec.convert(text, datetime)
        return time.astimezone(timezone.utc) if time.tzinfo else None
    except (msgspec.ValidationError, OverflowError):
        return None


def lenient_time(text: str) -> datetime | None:
    """Read a time as `/batch/` does: RFC 3339, without offset, a date, RFC 2822 or seconds since 1970.

    https://posthog.com/docs/data/timestamps; PostHog rust/common/types/src/timestamp.rs.
    """
    time = rfc3339(text)
    if time is None:
        for read in (datetime.fromisoformat, parsedate_to_datetime, _since_1970):
            with suppress(ValueError, TypeError, OverflowError, OSError):
                time = read(text)
                break
    if time is None:
        return None
    return time.astimezone(timezone.utc) if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _since_1970(text: str) -> datetime:
    return datetime.fromtimestamp(float(text), timezone.utc)


def message_bytes(name: str, distinct_id: str, properties: msgspec.Raw) -> int:
    """Estimate one event's message to Kafka: its JSON travels as a string in JSON, so quotes count twice.

    PostHog rust/capture: `CapturedEvent.data` is such a string.
    """
    text = bytes(properties)
    escaped = len(text) + text.count(b'"') + text.count(b"\\")
    return escaped + 2 * (len(name.encode()) + len(distinct_id.encode())) + ENVELOPE_BYTES


def to_json(value: object) -> msgspec.Raw:
    """Encode a value to stand among properties as they were sent."""
    return msgspec.Raw(msgspec.json.encode(value))
