"""What the rows need, in: a folder with what a tap, a bare tap and `--discover` wrote; out: files beside it, sizes.

A process of its own, because memory that it takes would count for whatever its process starts afterwards.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.fields import few_fields, plain_streams
from benchmarks.recording import write_events, write_messages

NODES_FOR_A_SCHEMA = 1_000


def prepare(folder: Path) -> dict[str, int]:
    """Write templates of messages and events, a catalog of few fields and the SDK tap's streams; return the sizes."""
    recording = folder / "recording.jsonl"
    records = write_messages(recording, folder / "messages.jsonl")
    events = write_events(recording, folder / "events.jsonl")
    catalog = few_fields(json.loads((folder / "all_fields.json").read_bytes()))
    (folder / "few_fields.json").write_text(json.dumps(catalog))
    lines = (folder / "nodes.jsonl").read_bytes().splitlines()
    some = [json.loads(line) for line in lines[:: max(1, len(lines) // NODES_FOR_A_SCHEMA)]]
    streams = plain_streams(json.loads((folder / "questions_pages.json").read_bytes()), some)
    (folder / "plain_streams.json").write_text(json.dumps(streams))
    return {**records, **events}


if __name__ == "__main__":
    print(json.dumps(prepare(Path(sys.argv[1]))))
