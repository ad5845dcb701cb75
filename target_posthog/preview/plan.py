"""Plan: the forecast of what a run would send, made from a preview.

Pure: takes a preview's records and events, returns JSON values. Money stays exact and is written as text; times are RFC
3339 in UTC, days those of a time zone that is named.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from target_posthog.mapping.event import LINK_KEYS, PLACES, REVENUE, is_identified, places_of
from target_posthog.mapping.language.functions import day_of
from target_posthog.preview.personal import personal_names_of
from target_posthog.preview.persons import Persons
from target_posthog.preview.warnings import MOST_EXAMPLES, Copied, Future, Gaps, never_filled, not_met

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from target_posthog.mapping.catalogue import EventEntry
    from target_posthog.mapping.event import Event
    from target_posthog.mapping.language.functions import JSON
    from target_posthog.preview.file import KnownRecord, PlannedEvent

UTC = "UTC"

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
            self.examples.append(record.name)


@dataclass
class EventCounts:
    """The counts and sums of events of one name to be sent; `filled` counts by place and property."""

    count: int = 0
    repeated: int = 0
    already_there: int = 0
    historical: int = 0
    identified: int = 0
    oldest: str = ""
    newest: str = ""
    money: Sums = field(default_factory=lambda: defaultdict(Decimal))
    money_name: str | None = None  # the property that has it
    filled: dict[str, Counter[str]] = field(default_factory=lambda: {place: Counter() for place in PLACES})
    sample: dict[str, JSON] | None = None

    def add(self, planned: PlannedEvent, money_names: Iterable[str]) -> None:
        """Count an event, whose money is in the first of these properties that it has."""
        timestamp = planned.event["timestamp"]
        self.count += 1
        self.historical += planned.historical
        self.identified += is_identified(planned.event)
        self.oldest = min(self.oldest or timestamp, timestamp)
        self.newest = max(self.newest, timestamp)
        for place, properties in places_of(planned.event).items():
            self.filled[place].update(properties.keys())
        if planned.amount and planned.currency:
            self.money[planned.currency] += Decimal(planned.amount)
            properties = planned.event["properties"]
            self.money_name = next((name for name in money_names if properties.get(name) is not None), None)

    def announce(self, entry: EventEntry) -> None:
        """Let the properties that a rule names be known, also those that no event carries."""
        for named in entry["properties"]:
            self.filled[named["place"]].setdefault(named["name"], 0)

    def as_json(self) -> dict[str, JSON]:
        """Return them as JSON values."""
        return {
            "count": self.count,
            "repeated": self.repeated,
            "already_there": self.already_there,
            "historical": self.historical,
            "live": self.count - self.historical,
            "identified": self.identified,
            "anonymous": self.count - self.identified,
            "oldest": self.oldest or None,
            "newest": self.newest or None,
            "money": _texts(self.money),
            "money_name": self.money_name,
            **{place: dict(sorted(counts.items())) for place, counts in self.filled.items()},
            "sample": self.sample,
        }


class Planning:
    """Counts what a preview holds; `about` stands at the plan's head, `personal` are names of personal properties.

    `money_names` are the properties that can have an event's money, `time_zone` (an IANA name) that of the days,
    `unmet` a sentence about streams that didn't come.
    """

    def __init__(  # noqa: PLR0913  # what stands in a plan comes from these
        self,
        about: Mapping[str, JSON],
        personal: Collection[str],
        entries: Iterable[EventEntry],
        money_names: Iterable[str] = REVENUE,
        time_zone: str = UTC,
        *,
        unmet: str = "",
    ) -> None:
        self._money_names = tuple(money_names)
        self._zone = ZoneInfo(time_zone)
        self._about = about
        self._unmet = unmet
        self._personal = personal
        self._entries = list(entries)
        self._records: Counter[str] = Counter()
        self._without_events: Counter[str] = Counter()
        self._left_out: dict[tuple[str, str], Reasons] = defaultdict(Reasons)
        self._undeliverable: dict[tuple[str, str], Reasons] = defaultdict(Reasons)
        self._events: dict[str, EventCounts] = defaultdict(EventCounts)
        self._days: dict[str, tuple[Counter[str], dict[str, Sums]]] = {}
        self._personal_events: Counter[tuple[str, str]] = Counter()
        self._persons = Persons()
        self._gaps = Gaps(self._persons)
        self._copied = Copied()
        self._future = Future(str(about["made_at"]))

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
        return self._as_json()

    def _add_record(self, record: KnownRecord, *, has_events: bool) -> None:
        self._records[record.stream] += 1
        if record.left_out:
            self._left_out[record.stream, record.left_out].add(record)
        if record.undeliverable:
            self._undeliverable[record.stream, record.undeliverable].add(record)
        if not (has_events or record.left_out or record.undeliverable):
            self._without_events[record.stream] += 1

    def _add_event(self, record: KnownRecord, planned: PlannedEvent) -> None:
        event = planned.event
        name, counts = event["event"], self._events[event["event"]]
        if planned.there or planned.repeated:
            counts.already_there += planned.there
            counts.repeated += planned.repeated and not planned.there
            if not planned.there:
                self._link(event)  # what the last one doesn't repeat of it is sent, too
            return
        counts.add(planned, self._money_names)
        counts.sample = counts.sample or {"stream": record.stream, "record": record.name, "event": event}
        day_counts, money = self._days.setdefault(day_of(event["timestamp"], self._zone), (Counter(), {}))
        day_counts[name] += 1
        if planned.amount and planned.currency:
            money.setdefault(name, defaultdict(Decimal))[planned.currency] += Decimal(planned.amount)
        self._personal_events.update(personal_names_of(event, self._personal))
        if is_identified(event):
            self._persons.of(event["distinct_id"])
            self._link(event)
        self._gaps.add(record, event)
        self._copied.add(record, event)
        self._future.add(record, event)

    def _link(self, event: Event) -> None:
        others = (event["properties"].get(key) for key in LINK_KEYS)
        for other in others if is_identified(event) else ():
            if isinstance(other, str):
                self._persons.link(event["distinct_id"], other)

    def _as_json(self) -> dict[str, Any]:
        events = {name: counts.as_json() for name, counts in sorted(self._events.items())}
        totals = {
            key: sum(event[key] for event in events.values())
            for key in ("count", "historical", "live", "identified", "anonymous")
        }
        return {
            **self._about,
            "records": dict(sorted(self._records.items())),
            "left_out": _reasons(self._left_out),
            "undeliverable": _reasons(self._undeliverable),
            "without_events": dict(sorted(self._without_events.items())),
            "events": events,
            "time_zone": self._zone.key,
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
            "bill": {"events": totals["count"], "identified": totals["identified"], "anonymous": totals["anonymous"]},
            "historical": totals["historical"],
            "live": totals["live"],
            "oldest": min((event["oldest"] for event in events.values() if event["oldest"]), default=None),
            "newest": max((event["newest"] for event in events.values() if event["newest"]), default=None),
            "personal": [
                {"name": name, "place": place, "events": count}
                for (place, name), count in sorted(self._personal_events.items())
            ],
            "warnings": [
                *not_met(self._unmet),
                *self._gaps.warnings(events),
                *self._copied.warnings(),
                *self._future.warnings(),
                *never_filled(events),
            ],
        }

    def _money(self) -> dict[str, dict[str, str]]:
        """Return the sums by currency and event."""
        found: dict[str, dict[str, str]] = {}
        for name, counts in sorted(self._events.items()):
            for currency, amount in counts.money.items():
                found.setdefault(currency, {})[name] = f"{amount:f}"
        return dict(sorted(found.items()))


def _texts(sums: Sums) -> dict[str, str]:
    return {currency: f"{amount:f}" for currency, amount in sorted(sums.items())}


def _reasons(found: Mapping[tuple[str, str], Reasons]) -> list[dict[str, JSON]]:
    return [
        {"stream": stream, "reason": reason, "records": group.records, "examples": group.examples}
        for (stream, reason), group in sorted(found.items())
    ]
