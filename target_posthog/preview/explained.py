"""A record explained for people, in: a record, what each rule did and its events; out: lines of text.

Pure; what it is given may be masked before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from target_posthog.mapping.language.functions import JSON
    from target_posthog.preview.file import KnownRecord, PlannedEvent

MARKS = {True: "+", False: "-"}
LONGEST_VALUE = 100  # characters; whole in the record above it


def explanation_lines(
    record: KnownRecord,
    content: JSON,
    explained: Iterable[Mapping[str, Any]],
    events: Sequence[PlannedEvent],
    known: Collection[str] | None,
) -> Iterator[str]:
    """Yield the record, what each rule did, and the events; `known` are the uuids that PostHog has, if it was asked."""
    yield f"{record.called} ({record.stream}, {record.name})"
    if record.left_out:
        yield f"Left out: {record.left_out}"
    if record.refused:
        yield f"REFUSED, which would end a run: {record.refused}"
    yield "\nThe record as read"
    yield from (f"  {line}" for line in json.dumps(content, indent=2, ensure_ascii=False).splitlines())
    yield "\nThe rules (+ fired, - didn't)"
    for one in explained:
        yield from _rule_lines(one)
    yield f"\nThe events: {len(events)}"
    for planned in sorted(events, key=lambda one: one.event["timestamp"]):
        yield from _event_lines(planned, known)


def _rule_lines(one: Mapping[str, Any]) -> Iterator[str]:
    verb = "leaves out" if one["kind"] == "leave_out" else "makes"
    why_not = f": {one['why_not']}" if one["why_not"] else ""
    yield f"  {MARKS[one['fired']]} {verb} `{one['rule']}`{why_not}"
    for what, reason in one["lacks"].items():
        yield f"      without {what}: {reason}"
    if one["for_each"]:
        yield f"      for each of {_asked(one['for_each'])} items"
    for attempt in one["attempts"]:
        if attempt["item"] is not None:
            why = f": {attempt['why_not']}" if attempt["why_not"] else ""
            yield f"      {MARKS[attempt['fired']]} item {attempt['item'] + 1}{why}"
        if attempt["when"]:
            yield f"      when {_asked(attempt['when'])}"
        for candidate in attempt["candidates"]:
            why = "counts" if candidate["counts"] else candidate["why_not"]
            yield f"      {candidate['key']} {candidate['expression']} = {_short(candidate['value'])}: {why}"


def _event_lines(planned: PlannedEvent, known: Collection[str] | None) -> Iterator[str]:
    event = planned.event
    verdict = "PostHog wasn't asked"
    if known is not None:
        verdict = "PostHog has it" if event["uuid"] in known else "PostHog doesn't have it"
    repeated = "; a later one here is the same to PostHog" if planned.repeated else ""
    yield f"  {event['timestamp']}  {event['event']}  (rule `{planned.rule}`)"
    yield f"      uuid {event['uuid']}  distinct id {event['distinct_id']}"
    yield f"      {verdict}{repeated}"
    for name, value in event["properties"].items():
        yield f"      {name}: {json.dumps(value, ensure_ascii=False)}"


def _asked(asked: Mapping[str, JSON]) -> str:
    return f"{asked['expression']} = {asked['problem'] or _short(asked['value'])}"


def _short(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
