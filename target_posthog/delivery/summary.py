"""Summary of a run: how many records and events, which money, which days.

Takes events with PostHog's answer to them; returns lines for people and JSON for machines. It keeps counts and sums,
never an event.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from target_posthog.delivery.distinct_ids import DistinctIds
from target_posthog.mapping.event import REVENUE, is_identified, money_in
from target_posthog.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.delivery.destination import Origin
    from target_posthog.mapping.event import Event
    from target_posthog.posthog.client import Client
    from target_posthog.receipts.sifter import Candidate

KINDS = (
    ("already_there", "already there"),
    ("changed", "changed since, kept as sent"),
    ("not_resent", "not sent again: another name, distinct id or day"),
)

MOST_NAMED = 20  # in a line; the file of `summary_path` names all


@dataclass
class Summary:
    """The counts and sums of one run; `money_names` are the properties with an amount, each with its currency's."""

    money_names: Mapping[str, str] = field(default_factory=lambda: REVENUE)
    records: Counter[str] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    unreadable_lines: int = 0
    made: Counter[str] = field(default_factory=Counter)  # events, by stream
    missing: dict[str, list[str]] = field(default_factory=dict)  # by stream: what of shipped rules has no fields
    silences: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)  # by stream: by rule and reason
    accepted: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    already_there: Counter[str] = field(default_factory=Counter)  # PostHog has it: not sent again
    changed: Counter[str] = field(default_factory=Counter)  # of these, the record has changed since
    not_resent: Counter[str] = field(default_factory=Counter)
    provisional: Counter[tuple[str, str]] = field(default_factory=Counter)  # by event and what it lacks
    never_sent: Counter[str] = field(default_factory=Counter)  # events not sent, as nothing was of the record
    without_amounts: Counter[str] = field(default_factory=Counter)  # events that know no amounts to take back
    erased: Counter[str] = field(default_factory=Counter)  # events not sent, as they are about an erased person
    person_skipped: Counter[str] = field(default_factory=Counter)  # events that PostHog kept without their person
    persons_behind: list[str] = field(default_factory=list)  # records whose person PostHog has skipped to the end
    persons_forgotten: int = 0  # more of them, without a name
    days: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # by day, event, currency (or "")
    money: dict[tuple[str, str, str], Decimal] = field(default_factory=dict)  # by the same
    money_of: dict[str, str] = field(default_factory=dict)  # by event: the property that has the money
    oldest: str = ""
    newest: str = ""
    started_at: float = field(default_factory=time.monotonic)
    _ids: DistinctIds = field(default_factory=DistinctIds)

    def note_origin(self, origin: Origin) -> None:
        """Add what a stream's rules lacked, and why they made nothing; once for each origin, at its end."""
        stream = origin.stream_name
        self.missing[stream] = list(dict.fromkeys([*self.missing.get(stream, ()), *origin.missing]))
        if not origin.is_left_out:
            counts = {(silence.rule, silence.reason): silence.records for silence in origin.silences()}
            self.silences.setdefault(stream, Counter()).update(counts)

    def accept(self, event: Event) -> None:
        """Count an event that PostHog has acknowledged."""
        name, properties, timestamp = event["event"], event["properties"], event["timestamp"]
        self.accepted[name] += 1
        self.oldest = min(self.oldest or timestamp, timestamp)
        self.newest = max(self.newest, timestamp)
        money = money_in(properties, self.money_names)
        key = (timestamp[:10], name, money.currency if money else "")
        self.days[key] += 1
        if money:
            self.money[key] = self.money.get(key, Decimal()) + money.amount
            self.money_of[name] = money.name
        if is_identified(event):
            self._ids.see(event["distinct_id"])
            if "$anon_distinct_id" in properties:
                self._ids.link(properties["$anon_distinct_id"])

    def note_already_there(self, candidate: Candidate, *, changed: bool) -> None:
        """Count an event that PostHog has already; `changed` if its content isn't what was sent."""
        self.already_there[candidate.event["event"]] += 1
        if changed:
            self.changed[candidate.event["event"]] += 1

    def note_repeated(self, candidate: Candidate) -> None:
        """Count an event that this run has sent already, or has tried to."""
        self.repeated[candidate.event["event"]] += 1

    def note_not_resent(self, candidate: Candidate) -> None:
        """Count an event that was to be sent again, but would come under another name, distinct id or day."""
        self.not_resent[candidate.event["event"]] += 1

    def note_not_due(self, candidate: Candidate) -> None:
        """Pass over an event that would complete another one, which lacks nothing."""

    def note_provisional(self, candidate: Candidate) -> None:
        """Count an event that is sent, and isn't final."""
        for reason in candidate.proviso.lacks:
            self.provisional[candidate.event["event"], reason] += 1

    def note_never_sent(self, candidate: Candidate) -> None:
        """Count an event that was to take back what was sent of its record, and isn't sent, as nothing was."""
        self.never_sent[candidate.event["event"]] += 1

    def note_without_amounts(self, candidate: Candidate) -> None:
        """Count an event that was to take back what was sent of its record, of which no amounts are known."""
        self.without_amounts[candidate.event["event"]] += 1

    def note_erased(self, candidate: Candidate) -> None:
        """Count an event that says something of a person who was erased."""
        self.erased[candidate.event["event"]] += 1

    @property
    def persons(self) -> int | None:
        """The number of persons that the events are about, or None: their ids, less those linked to another."""
        return self._ids.persons

    def as_json(self, client: Client) -> dict[str, Any]:
        """Return everything as JSON values; money as decimal texts, times as RFC 3339, durations in seconds.

        `days` has a row per day, event and currency (or ""): day, event, currency, accepted events, amount (or null).
        """
        return {
            "records": dict(sorted(self.records.items())),
            "left_out": [
                {"stream": stream, "reason": reason, "records": count}
                for (stream, reason), count in sorted(self.left_out.items())
            ],
            "ignored": {stream: count for stream, count in sorted(self.ignored.items()) if count},
            "missing": {stream: list(names) for stream, names in sorted(self.missing.items()) if names},
            "dead_letters": dict(sorted(self.dead_letters.items())),
            "unreadable_lines": self.unreadable_lines,
            "events": self._events_as_json(),
            "days": [
                [*key, count, f"{self.money[key]:f}" if key in self.money else None]
                for key, count in sorted(self.days.items())
            ],
            "provisional": [
                {"event": event, "reason": reason, "events": count}
                for (event, reason), count in sorted(self.provisional.items())
            ],
            "never_sent": dict(sorted(self.never_sent.items())),
            "without_amounts": dict(sorted(self.without_amounts.items())),
            "erased": dict(sorted(self.erased.items())),
            "persons": self.persons,
            "persons_behind": self.persons_behind,
            "persons_forgotten": self.persons_forgotten,
            "oldest": self.oldest or None,
            "newest": self.newest or None,
            "requests": client.requests,
            "retries": client.retries,
            "seconds": round(time.monotonic() - self.started_at, 1),
        }

    def _events_as_json(self) -> dict[str, dict[str, Any]]:
        names = sorted({*self.accepted, *self.repeated, *self.refused, *self.already_there, *self.not_resent})
        sums: dict[str, dict[str, Decimal]] = {name: {} for name in names}
        for (_, name, currency), amount in sorted(self.money.items(), key=lambda item: item[0][2]):
            sums[name][currency] = sums[name].get(currency, Decimal()) + amount
        return {
            name: {
                "accepted": self.accepted[name],
                "repeated": self.repeated[name],
                "refused": self.refused[name],
                "already_there": self.already_there[name],
                "changed": self.changed[name],
                "not_resent": self.not_resent[name],
                "person_skipped": self.person_skipped[name],
                "money": {self.money_of[name]: {currency: f"{amount:f}" for currency, amount in sums[name].items()}}
                if sums[name]
                else {},
            }
            for name in names
        }

    def warnings(self) -> Iterator[str]:
        """Yield a sentence for each stream with rules of which nothing became an event."""
        for stream, silences in self.silences.items():
            if self.made[stream] or self.dead_letters[stream] or not self.records[stream]:
                continue
            reasons = [f"rule `{rule}`: {reason} ({count:,})" for (rule, reason), count in silences.items()]
            left_out = [(reason, count) for (of, reason), count in self.left_out.items() if of == stream]
            reasons += [f"left out: {reason} ({count:,})" for reason, count in left_out]
            why = "; ".join(reasons) or "it has no rule that makes one"
            yield f"Stream `{stream}`: none of its {self.records[stream]:,} records became an event ({why})"

    def lines(self, client: Client) -> Iterator[str]:
        """Yield the summary line by line, the total first."""
        summary = self.as_json(client)
        persons = "an unknown number of" if summary["persons"] is None else f"{summary['persons']:,}"
        yield (
            f"{self.accepted.total():,} events accepted by PostHog, of {self.records.total():,} records and "
            f"{persons} persons, in {summary['seconds']:,} s "
            f"({client.requests:,} requests, {client.retries:,} retries)"
        )
        if self.already_there:
            yield f"  {self.already_there.total():,} events are in PostHog already and weren't sent again"
        for name, event in summary["events"].items():
            counts = ", ".join(f"{event[kind]:,} {kind}" for kind in ("accepted", "repeated", "refused"))
            counts += "".join(f", {event[kind]:,} {words}" for kind, words in KINDS if event[kind])
            money = "".join(
                f", {money_name.replace('_', ' ')} {Decimal(amount):,f} {currency}"
                for money_name, amounts in event["money"].items()
                for currency, amount in amounts.items()
            )
            yield f"  {name}: {counts}{money}"
        for provisional in summary["provisional"]:
            yield f"  not final yet: {provisional['events']:,} {provisional['event']} ({provisional['reason']})"
        for name, count in summary["never_sent"].items():
            yield f"  {name}: {count:,} weren't sent, for no receipt says that anything was sent of their records"
        for name, count in summary["without_amounts"].items():
            yield f"  {name}: {count:,} take no amounts back, for no receipts say what was sent of their records"
        for name, count in summary["erased"].items():
            yield f"  {name}: {count:,} weren't sent, for their persons were erased"
        yield from self._lines_of_the_rest(summary)
        yield from self._lines_of_skipped_persons()
        if self.oldest:
            yield f"  from {self.oldest} to {self.newest}"

    def _lines_of_the_rest(self, summary: Mapping[str, Any]) -> Iterator[str]:
        """Yield what became no event, by stream."""
        for left_out in summary["left_out"]:
            yield f"  left out of {left_out['stream']}: {left_out['records']:,} records ({left_out['reason']})"
        for stream, count in summary["ignored"].items():
            yield f"  ignored of {stream}: {count:,} records (it has no rules)"
        for stream, names in summary["missing"].items():
            yield f"  missing in {stream}, which has no fields for them: {', '.join(names)}"
        for stream, count in summary["dead_letters"].items():
            yield f"  dead letters of {stream}: {count:,} records"
        if self.unreadable_lines:
            yield f"  {self.unreadable_lines:,} lines were no Singer messages; they are among the dead letters"

    def _lines_of_skipped_persons(self) -> Iterator[str]:
        if self.person_skipped:
            yield f"  kept by PostHog without looking at the person: {self.person_skipped.total():,} events"
        if self.persons_behind or self.persons_forgotten:
            more = len(self.persons_behind) - MOST_NAMED + self.persons_forgotten
            named = ", ".join(self.persons_behind[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
            yield f"  persons that PostHog has not brought up to date, sent again in vain: {named}"

    def write(self, path: str, client: Client) -> None:
        """Write the summary as a JSON file, whole or not at all; raises OSError."""
        write_whole(path, json.dumps(self.as_json(client), indent=2, ensure_ascii=False) + "\n")
