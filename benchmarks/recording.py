"""What a tap wrote becomes templates, in: a recording; out: its messages, and the events that they mean, with marks.

Knows what the target makes of a record, not how many copies there will be.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.copies import marked
from benchmarks.feed import WIDE_MARK
from benchmarks.receipts import Tally
from target_posthog.mapping.meanings import Meanings
from target_posthog.receipts.sifter import Candidate, NothingKnown, Sifter, without_receipts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.mapping.meanings import Meaning

UUID = re.compile(rb'("uuid":")[0-9a-f]{3}')
SETTINGS = {"mapping": "ecommerce", "identity": "email", "unmapped": "event", "groups": False}


def write_messages(recording: Path, template: Path) -> dict[str, int]:
    """Write a tap's messages with marks in the records; return how many records each stream has."""
    records: Counter[str] = Counter()
    with template.open("wb") as file:
        for line, message in _messages(recording):
            is_record = message["type"] == "RECORD"
            file.write(marked(line) if is_record else line)
            records.update([message["stream"]] if is_record else [])
    return dict(records)


def write_events(recording: Path, template: Path) -> dict[str, int]:
    """Write the events that the target makes of the records, with marks too; return how many different ones there are.

    `events` is without receipts; `events once` with them, from an empty store.
    """
    meanings = Meanings(SETTINGS)
    streams: dict[str, Meaning | None] = {}
    sifter = Sifter(NothingKnown(), Tally())
    written: set[str] = set()
    sent: set[str] = set()
    with template.open("wb") as file:
        for _, message in _messages(recording):
            stream: Any = message.get("stream")
            if message["type"] == "SCHEMA" and stream not in streams:
                streams[stream] = meanings.of(stream, message["schema"], message["key_properties"])
            meaning = streams.get(stream)
            if message["type"] != "RECORD" or not meaning or meaning.mapping.reason_to_leave_out(message["record"]):
                continue
            entity = meaning.entities.of(message["record"])
            made = meaning.mapping.made(message["record"])
            candidates = [
                Candidate(one.event, one.rule, entity, proviso=one.proviso, is_of_item=one.is_of_item) for one in made
            ]
            for item in without_receipts(candidates, Tally()):
                file.write(UUID.sub(rb"\1" + WIDE_MARK, marked(msgspec.json.encode(item.event) + b"\n")))
                written.add(item.event["uuid"])
            sent.update(item.event["uuid"] for item in sifter.sift(candidates))
    return {"events": len(written), "events once": len(sent)}


def _messages(recording: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    with recording.open("rb") as lines:
        for line in lines:
            yield line, msgspec.json.decode(line)


if __name__ == "__main__":
    print(json.dumps(write_events(Path(sys.argv[1]), Path(sys.argv[2]))))
