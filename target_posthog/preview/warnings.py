"""Warnings of a plan: what in it deserves a second look.

Pure: takes events with their records, then the plan's counts; returns JSON values. Examples are names of records, never
personal.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from target_posthog.mapping.event import COPIED_TO_PERSON, FUTURE_AFTER, IDENTIFY, is_identified
from target_posthog.mapping.language.functions import as_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.mapping.event import Event
    from target_posthog.mapping.language.functions import JSON
    from target_posthog.preview.file import KnownRecord
    from target_posthog.preview.persons import Persons

MOST_EXAMPLES = 3
SELDOM = 0.05  # of an event's occurrences: a property below it is as good as empty


class Gaps:
    """Gaps in who events are of: of nobody, or of several records that are one person by an id they share."""

    def __init__(self, persons: Persons) -> None:
        self._persons = persons
        self._nobody: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = defaultdict(list)
        # A distinct id, and the stream and the name of the record that describes its person.
        self._described: list[tuple[str, str, str]] = []

    def add(self, record: KnownRecord, event: Event) -> None:
        """Look at an event."""
        if not is_identified(event):
            name = event["event"]
            self._nobody[name] += 1
            if len(self._examples[name]) < MOST_EXAMPLES:
                self._examples[name].append(record.name)
        elif event["event"] == IDENTIFY and "$set" in event["properties"]:
            self._described.append((event["distinct_id"], record.stream, record.name))

    def warnings(self, events: Mapping[str, Mapping[str, JSON]]) -> Iterator[dict[str, Any]]:
        """Yield the warnings, with the plan's counts of the events, by name."""
        # Where all events of a name are of nobody, the mapping wants it so.
        gaps = {name: count for name, count in sorted(self._nobody.items()) if events[name]["identified"]}
        if gaps:
            listed = ", ".join(f"{count:,} of {events[name]['count']:,} {name}" for name, count in gaps.items())
            yield {
                "about": "nobody",
                "text": f"events of nobody, which count for no person: {listed}",
                "count": sum(gaps.values()),
                "examples": list(dict.fromkeys(record for name in gaps for record in self._examples[name]))[
                    :MOST_EXAMPLES
                ],
            }
        yield from self._shared()

    def _shared(self) -> Iterator[dict[str, Any]]:
        describing: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        for distinct_id, stream, record in self._described:
            describing[self._persons.of(distinct_id), stream][record] = None
        shared: dict[str, list[str]] = defaultdict(list)
        for (_, stream), names in describing.items():
            if len(names) > 1:
                more = [f"{len(names) - MOST_EXAMPLES:,} more"] if len(names) > MOST_EXAMPLES else []
                shared[stream].append(" and ".join([*list(names)[:MOST_EXAMPLES], *more]))
        for stream, found in sorted(shared.items()):
            yield {
                "about": "shared",
                "text": f"persons who are several {stream} by an id that these share: {len(found):,}",
                "count": len(found),
                "examples": found[:MOST_EXAMPLES],
            }


class Copied:
    """Properties that PostHog copies onto the person of their event, over what the person had."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)  # of properties, by event
        self._examples: dict[str, None] = {}

    def add(self, record: KnownRecord, event: Event) -> None:
        """Look at an event."""
        if COPIED_TO_PERSON.isdisjoint(event["properties"]) or not is_identified(event):
            return
        self._counts[event["event"]].update(COPIED_TO_PERSON & event["properties"].keys())
        if len(self._examples) < MOST_EXAMPLES:
            self._examples[record.name] = None

    def warnings(self) -> Iterator[dict[str, Any]]:
        """Yield the warning."""
        if self._counts:
            listed = "; ".join(
                f"`{name}`: {', '.join(f'{one} ({count:,})' for one, count in sorted(counts.items()))}"
                for name, counts in sorted(self._counts.items())
            )
            yield {
                "about": "copied",
                "text": "PostHog copies these properties onto the person, in the order of arrival, over what a web "
                f"shop has set there; give them other names, such as record_utm_source, if that isn't meant: {listed}",
                "count": sum(counts.total() for counts in self._counts.values()),
                "examples": [*self._examples],
            }


class Future:
    """Events whose time lies so far ahead of the preview's that it depends on the protocol what becomes of them."""

    def __init__(self, made_at: str) -> None:
        made = datetime.fromisoformat(made_at.replace("Z", "+00:00"))
        self._latest = as_timestamp(made + FUTURE_AFTER)
        self._count = 0
        self._examples: dict[str, None] = {}

    def add(self, record: KnownRecord, event: Event) -> None:
        """Look at an event."""
        if event["timestamp"] > self._latest:
            self._count += 1
            if len(self._examples) < MOST_EXAMPLES:
                self._examples[record.name] = None

    def warnings(self) -> Iterator[dict[str, Any]]:
        """Yield the warning."""
        if self._count:
            yield {
                "about": "future",
                "text": f"events more than {FUTURE_AFTER // timedelta(hours=1)} hours in the future, which capture V1 "
                f"keeps as they are, while by `/batch/` they are undeliverable: {self._count:,}",
                "count": self._count,
                "examples": [*self._examples],
            }


def not_met(sentence: str) -> Iterator[dict[str, Any]]:
    """Yield a warning of streams with rules that didn't come, if there is a sentence about some."""
    if sentence:
        yield {"about": "streams", "text": sentence, "count": 1, "examples": []}


def never_filled(events: Mapping[str, Mapping[str, JSON]]) -> Iterator[dict[str, Any]]:
    """Yield a warning for each event with properties that are empty, always or nearly so.

    Of one that isn't sent, as PostHog has all of it already, nothing is known.
    """
    for name, event in events.items():
        if event["count"] == 0:
            continue
        filled: dict[str, int] = {**event["properties"], **event["set"], **event["set_once"]}
        empty = [prop for prop, count in filled.items() if count == 0]
        seldom = [prop for prop, count in filled.items() if 0 < count < event["count"] * SELDOM]
        sentences = [
            f"{len(names)} of {len(filled)} properties are {how}: {', '.join(names)}"
            for names, how in ((empty, "always empty"), (seldom, f"in fewer than {SELDOM:.0%} of the events"))
            if names
        ]
        if sentences:
            yield {
                "about": "empty",
                "text": f"`{name}`: {'; '.join(sentences)}",
                "count": len(empty) + len(seldom),
                "examples": [],
            }
