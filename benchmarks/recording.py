"""A tap's messages in a file, in: a recording; out: a larger one, and the events that it means.

The copies differ in the numbers and e-mails of their customers and orders, and in nothing else.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.mapping import StreamMapping
from target_posthog.rules import active, load

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = re.compile(rb'"id":(\d+)')
EMAIL = re.compile(rb'"(email|contact_email)":"')
NUMBERS_APART = 10**13  # above all numbers of the sandbox's shop; a thousand copies stay below 2**53


def multiply(recording: Path, copies: int, larger: Path) -> None:
    """Write so many copies of a recording, one after another."""
    with larger.open("wb") as file:
        for copy in range(copies):
            prefix = rb'"\1":"%d.' % copy if copy else rb'"\1":"'
            apart = copy * NUMBERS_APART
            with recording.open("rb") as lines:
                for line in lines:
                    shifted = NUMBER.sub(lambda found: b'"id":%d' % (int(found[1]) + apart), line)  # noqa: B023  # called here
                    file.write(EMAIL.sub(prefix, shifted))


def count(recording: Path) -> Counter[str]:
    """Return how many records each stream has."""
    with recording.open("rb") as lines:
        return Counter(one["stream"] for one in map(msgspec.json.decode, lines) if one["type"] == "RECORD")


def write_events(recording: Path, events: Path) -> int:
    """Write the events that the target makes of a recording, one a line; return how many different ones they are."""
    rules = load("ecommerce")["streams"]
    streams: dict[str, StreamMapping] = {}
    written: set[str] = set()
    with recording.open("rb") as lines, events.open("wb") as file:
        for message in map(msgspec.json.decode, lines):
            stream: Any = message.get("stream")
            if message["type"] == "SCHEMA" and stream not in streams:
                streams[stream] = StreamMapping(
                    stream, active(rules[stream]), identity="email", schema=message["schema"]
                )
            elif message["type"] == "RECORD" and not streams[stream].reason_to_leave_out(message["record"]):
                for event in streams[stream].events(message["record"]):
                    file.write(msgspec.json.encode(event) + b"\n")
                    written.add(event["uuid"])
    return len(written)
