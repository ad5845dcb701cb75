"""What a run would do, in: a preview's records and events; out: the plan, as JSON values.

Pure, and knows neither files nor rules. Money stays exact and is written as text; times are RFC 3339 in UTC.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from target_posthog.preview.personal import personal_names_of
from target_posthog.preview.persons import Persons
from target_posthog.preview.places import is_identified, places_of
from target_posthog.preview.warnings import Gaps, never_filled

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from target_posthog.mapping.catalogue import EventEntry
    from target_posthog.mapping.language.functions import JSON
    from target_posthog.preview.file import KnownRecord, PlannedEvent

FORMAT = 1
MOST_EXAMPLES = 3
PLACES = ("properties", "set", "set_once", "unset", "group_set")

Sums = dict[str, Decimal]  # by currency


@dataclass
class Reasons:
    """Why records of a stream became nothing."""

    records: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, record: KnownRecord) -> None:
        """Count a record."""
        self.records += 1
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(record.called)


@dataclass
class EventFigures:
    """The figures of all events of one name; `filled` counts by place and property the events that carry it."""

    count: int = 0
    repeated: int = 0
    historical: int = 0
    identified: int = 0
    oldest: str = ""
    newest: str = ""
    money: Sums = field(default_factory=lambda: defaultdict(Decimal))
    filled: dict[str, Counter[str]] = field(default_factory=lambda: {place: Counter() for place in PLACES})
    sample: dict[str, JSON] | None = None

    def add(self, one: PlannedEvent) -> None:
        """Count an event."""
        timestamp = one.event["timestamp"]
        self.count += 1
        self.historical += one.historical
        self.identified += is_identified(one.event)
        self.oldest = min(self.oldest or timestamp, timestamp)
        self.newest = max(self.newest, timestamp)
        for place, properties in places_of(one.event).items():
            self.filled[place].update(properties.keys())
        if one.amount and one.currency:
            self.money[one.currency] += Decimal(one.amount)

    def announce(self, entry: EventEntry) -> None:
        """Let the properties that a rule names be known, also those that no event carries."""
        for one in entry["properties"]:
            self.filled[one["place"]].setdefault(one["name"], 0)

    def figures(self) -> dict[str, JSON]:
        """Return them as JSON values."""
        return {
            "count": self.count,
            "repeated": self.repeated,
            "historical": self.historical,
            "live": self.count - self.historical,
            "identified": self.identified,
            "anonymous": self.count - self.identified,
            "oldest": self.oldest or None,
            "newest": self.newest or None,
            "money": _texts(self.money),
            **{place: dict(sorted(counts.items())) for place, counts in self.filled.items()},
            "sample": self.sample,
        }


class Planning:
    """Counts what a preview holds; `about` stands at the plan's head, `personal` are names of personal properties."""

    def __init__(self, about: Mapping[str, JSON], personal: Collection[str], entries: Iterable[EventEntry]) -> None:
        self._about = about
        self._personal = personal
        self._entries = list(entries)
        self._records: Counter[str] = Counter()
        self._without_events: Counter[str] = Counter()
        self._left_out: dict[tuple[str, str], Reasons] = defaultdict(Reasons)
        self._refused: dict[tuple[str, str], Reasons] = defaultdict(Reasons)
        self._events: dict[str, EventFigures] = defaultdict(EventFigures)
        self._days: dict[str, tuple[Counter[str], dict[str, Sums]]] = {}
        self._personal_events: Counter[tuple[str, str]] = Counter()
        self._persons = Persons()
        self._gaps = Gaps(self._persons)

    def plan(self, records: Iterable[KnownRecord], events: Iterable[PlannedEvent]) -> dict[str, Any]:
        """Return the plan; both come in the order of the records, the events of one that has any right after it."""
        waiting = iter(events)
        event = next(waiting, None)
        for record in records:
            has_events = event is not None and event.record == record.id
            self._add_record(record, has_events=has_events)
            while event is not None and event.record == record.id:
                self._add_event(record, event)
                event = next(waiting, None)
        for entry in self._entries:
            if entry["event"] in self._events and entry["stream"] in self._records:
                self._events[entry["event"]].announce(entry)
        return self._figures()

    def _add_record(self, record: KnownRecord, *, has_events: bool) -> None:
        self._records[record.stream] += 1
        if record.left_out:
            self._left_out[record.stream, record.left_out].add(record)
        if record.refused:
            self._refused[record.stream, record.refused].add(record)
        if not (has_events or record.left_out or record.refused):
            self._without_events[record.stream] += 1

    def _add_event(self, record: KnownRecord, one: PlannedEvent) -> None:
        event = one.event
        name, figures = event["event"], self._events[event["event"]]
        if one.repeated:
            figures.repeated += 1
            return
        figures.add(one)
        figures.sample = figures.sample or {"stream": record.stream, "record": record.called, "event": event}
        counts, money = self._days.setdefault(event["timestamp"][:10], (Counter(), {}))
        counts[name] += 1
        if one.amount and one.currency:
            money.setdefault(name, defaultdict(Decimal))[one.currency] += Decimal(one.amount)
        self._personal_events.update(personal_names_of(event, self._personal))
        if is_identified(event):
            person = self._persons.of(event["distinct_id"])
            for key in ("$anon_distinct_id", "alias"):
                if isinstance(event["properties"].get(key), str):
                    self._persons.link(person, event["properties"][key])
        self._gaps.add(record, event)

    def _figures(self) -> dict[str, Any]:
        events = {name: one.figures() for name, one in sorted(self._events.items())}
        counts = {
            key: sum(one[key] for one in events.values())
            for key in ("count", "historical", "live", "identified", "anonymous")
        }
        return {
            **self._about,
            "records": dict(sorted(self._records.items())),
            "left_out": _reasons(self._left_out),
            "refused": _reasons(self._refused),
            "without_events": dict(sorted(self._without_events.items())),
            "events": events,
            "days": [
                {
                    "day": day,
                    "events": dict(sorted(names.items())),
                    "money": {name: _texts(sums) for name, sums in sorted(money.items())},
                }
                for day, (names, money) in sorted(self._days.items())
            ],
            "money": self._money(),
            "persons": {
                "ids": self._persons.ids,
                "persons": self._persons.count,
                "merged": self._persons.ids - self._persons.count,
            },
            "bill": {"events": counts["count"], "identified": counts["identified"], "anonymous": counts["anonymous"]},
            "historical": counts["historical"],
            "live": counts["live"],
            "oldest": min((one["oldest"] for one in events.values() if one["oldest"]), default=None),
            "newest": max((one["newest"] for one in events.values() if one["newest"]), default=None),
            "personal": [
                {"name": name, "place": place, "events": count}
                for (place, name), count in sorted(self._personal_events.items())
            ],
            "warnings": [*self._gaps.warnings(events), *never_filled(events)],
        }

    def _money(self) -> dict[str, dict[str, str]]:
        """Return the sums by currency and event."""
        found: dict[str, dict[str, str]] = {}
        for name, one in sorted(self._events.items()):
            for currency, amount in one.money.items():
                found.setdefault(currency, {})[name] = f"{amount:f}"
        return dict(sorted(found.items()))


def _texts(sums: Sums) -> dict[str, str]:
    return {currency: f"{amount:f}" for currency, amount in sorted(sums.items())}


def _reasons(found: Mapping[tuple[str, str], Reasons]) -> list[dict[str, JSON]]:
    return [
        {"stream": stream, "reason": reason, "records": one.records, "examples": one.examples}
        for (stream, reason), one in sorted(found.items())
    ]
