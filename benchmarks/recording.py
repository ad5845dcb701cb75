"""What a tap wrote becomes templates, in: a recording; out: its messages, and the events that they mean, with marks.

Knows what the target makes of a record, not how many copies there will be.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.copies import marked
from benchmarks.feed import WIDE_MARK
from target_posthog.mapping.document import active, load
from target_posthog.mapping.meanings import StreamMapping

if TYPE_CHECKING:
    from collections.abc import Iterator

UUID = re.compile(rb'("uuid":")[0-9a-f]{3}')


def write_messages(recording: Path, template: Path) -> dict[str, int]:
    """Write a tap's messages with marks in the records; return how many records each stream has."""
    records: Counter[str] = Counter()
    with template.open("wb") as file:
        for line, message in _messages(recording):
            is_record = message["type"] == "RECORD"
            file.write(marked(line) if is_record else line)
            records.update([message["stream"]] if is_record else [])
    return dict(records)


def write_events(recording: Path, template: Path) -> int:
    """Write the events that the target makes of the records, with marks too; return how many different ones."""
    rules = load("ecommerce")["streams"]
    streams: dict[str, StreamMapping] = {}
    written: set[str] = set()
    with template.open("wb") as file:
        for _, message in _messages(recording):
            stream: Any = message.get("stream")
            if message["type"] == "SCHEMA" and stream not in streams:
                streams[stream] = StreamMapping(
                    stream, active(rules[stream]), identity="email", schema=message["schema"]
                )
            elif message["type"] == "RECORD" and not streams[stream].reason_to_leave_out(message["record"]):
                for event in streams[stream].events(message["record"]):
                    file.write(UUID.sub(rb"\1" + WIDE_MARK, marked(msgspec.json.encode(event) + b"\n")))
                    written.add(event["uuid"])
    return len(written)


def _messages(recording: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    with recording.open("rb") as lines:
        for line in lines:
            yield line, msgspec.json.decode(line)


if __name__ == "__main__":
    print(write_events(Path(sys.argv[1]), Path(sys.argv[2])))
