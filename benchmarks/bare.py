"""The least that a tap and a target can be, in: recorded questions, or events as lines; out: pages, or the events.

The measure of what code may cost on this machine: no checks, no retries, no state, nothing to rely on.
"""

from __future__ import annotations

import gzip
import sys
from itertools import islice
from pathlib import Path
from uuid import UUID

import msgspec
import requests

EVENTS_A_REQUEST = 500
GZIP_LEVEL = 1  # most of the gain for the least time


def ask(url: str, questions: str) -> None:
    """Ask what the tap asked, and write each node of a page, and each row of a bulk operation, as a line."""
    session, write = requests.Session(), sys.stdout.buffer.write
    headers = {"X-Shopify-Access-Token": "shpat_sandbox", "Content-Type": "application/json"}
    results = set()
    for path, body in msgspec.json.decode(Path(questions).read_bytes(), type=list[tuple[str, str]]):
        answer = msgspec.json.decode(session.post(url + path, data=body.encode(), headers=headers, timeout=60).content)
        data = answer.get("data") or {}
        for node in (data.get("page") or {}).get("nodes", ()):
            write(msgspec.json.encode(node) + b"\n")
        result = (data.get("operation") or {}).get("url")
        if result and result not in results:  # the tap looked at it more than once
            results.add(result)
            for row in session.get(result, stream=True, timeout=60).raw:
                write(msgspec.json.encode(msgspec.json.decode(row)) + b"\n")


def send(url: str) -> None:
    """Send the events, 500 at a time."""
    session = requests.Session()
    headers = {
        "Authorization": "Bearer phc_sandbox",
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
        "PostHog-Sdk-Info": "bare/1.0",
        "PostHog-Attempt": "1",
        "PostHog-Request-Id": str(UUID(int=1)),
        "PostHog-Request-Timestamp": "2026-11-01T00:00:00Z",
    }
    events = map(msgspec.json.decode, sys.stdin.buffer)
    while batch := list(islice(events, EVENTS_A_REQUEST)):
        body = msgspec.json.encode({"created_at": "2026-11-01T00:00:00Z", "batch": batch})
        packed = gzip.compress(body, GZIP_LEVEL)
        session.post(f"{url}/i/v1/analytics/events", data=packed, headers=headers, timeout=60).raise_for_status()


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask(*sys.argv[2:])
    else:
        send(*sys.argv[2:])
