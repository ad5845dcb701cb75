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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from target_posthog.delivery.distinct_ids import DistinctIds
from target_posthog.mapping.event import REVENUE, is_identified, money_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.mapping.event import Event
    from target_posthog.posthog.client import Client

MOST_NAMED = 20  # in a line; the file of `summary_path` names all


@dataclass
class Summary:
    """The counts and sums of one run; `money_names` are the properties with an amount, each with its currency's."""

    money_names: Mapping[str, str] = field(default_factory=lambda: REVENUE)
    records: Counter[str] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    person_skipped: Counter[str] = field(default_factory=Counter)  # events that PostHog kept without their person
    persons_behind: list[str] = field(default_factory=list)  # records whose person PostHog has skipped to the end
    persons_forgotten: int = 0  # more of them, without a name
    days: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # by day, event, currency (or "")
    money: dict[tuple[str, str, str], Decimal] = field(default_factory=dict)  # by the same
    oldest: str = ""
    newest: str = ""
    started_at: float = field(default_factory=time.monotonic)
    _ids: DistinctIds = field(default_factory=DistinctIds)

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
        if is_identified(event):
            self._ids.see(event["distinct_id"])
            if "$anon_distinct_id" in properties:
                self._ids.link(properties["$anon_distinct_id"])

    @property
    def persons(self) -> int:
        """The number of persons that the events are about: their ids, less those that were linked to another."""
        return self._ids.persons

    def as_json(self, client: Client) -> dict[str, Any]:
        """Return everything as JSON values; money as decimal texts, times as RFC 3339, durations in seconds.

        `days` has a row per day, event and currency (or ""): day, event, currency, accepted events, revenue (or null).
        """
        names = sorted({*self.accepted, *self.repeated, *self.refused})
        revenue: dict[str, dict[str, Decimal]] = {name: {} for name in names}
        for (_, name, currency), amount in sorted(self.money.items(), key=lambda item: item[0][2]):
            revenue[name][currency] = revenue[name].get(currency, Decimal()) + amount
        return {
            "records": dict(sorted(self.records.items())),
            "left_out": [
                {"stream": stream, "reason": reason, "records": count}
                for (stream, reason), count in sorted(self.left_out.items())
            ],
            "events": {
                name: {
                    "accepted": self.accepted[name],
                    "repeated": self.repeated[name],
                    "refused": self.refused[name],
                    "person_skipped": self.person_skipped[name],
                    "revenue": {currency: f"{amount:f}" for currency, amount in revenue[name].items()},
                }
                for name in names
            },
            "days": [
                [*key, count, f"{self.money[key]:f}" if key in self.money else None]
                for key, count in sorted(self.days.items())
            ],
            "persons": self.persons,
            "persons_behind": self.persons_behind,
            "persons_forgotten": self.persons_forgotten,
            "oldest": self.oldest or None,
            "newest": self.newest or None,
            "requests": client.requests,
            "retries": client.retries,
            "seconds": round(time.monotonic() - self.started_at, 1),
        }

    def lines(self, client: Client) -> Iterator[str]:
        """Yield the summary line by line, the total first."""
        summary = self.as_json(client)
        yield (
            f"{self.accepted.total():,} events accepted by PostHog, of {self.records.total():,} records and "
            f"{summary['persons']:,} persons, in {summary['seconds']:,} s "
            f"({client.requests:,} requests, {client.retries:,} retries)"
        )
        for name, event in summary["events"].items():
            counts = ", ".join(f"{event[kind]:,} {kind}" for kind in ("accepted", "repeated", "refused"))
            money = "".join(f", revenue {amount} {currency}" for currency, amount in event["revenue"].items())
            yield f"  {name}: {counts}{money}"
        for left_out in summary["left_out"]:
            yield f"  left out of {left_out['stream']}: {left_out['records']:,} records ({left_out['reason']})"
        if self.person_skipped:
            yield f"  kept by PostHog without looking at the person: {self.person_skipped.total():,} events"
        if self.persons_behind or self.persons_forgotten:
            more = len(self.persons_behind) - MOST_NAMED + self.persons_forgotten
            named = ", ".join(self.persons_behind[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
            yield f"  persons that PostHog has not brought up to date, sent again in vain: {named}"
        if self.oldest:
            yield f"  from {self.oldest} to {self.newest}"

    def write(self, path: str, client: Client) -> None:
        """Write the summary as a JSON file; raises OSError."""
        Path(path).write_text(json.dumps(self.as_json(client), indent=2, ensure_ascii=False) + "\n", "utf-8")
