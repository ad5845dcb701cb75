"""Differences between records, planned events and what PostHog has, each with its reason.

Pure: takes accounts, planned and arrived events; yields differences. All money is exact.

"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from target_posthog.books.arrived import Arrived, Figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from target_posthog.books.entries import Account

READ, PLANNED, ACKNOWLEDGED, ARRIVED = LEGS = ("read", "planned", "acknowledged", "in PostHog")
AS_PLANNED, AS_ACKNOWLEDGED, AS_ARRIVED = f"{READ} | {PLANNED}", f"{PLANNED} | {ACKNOWLEDGED}", f"{PLANNED} | {ARRIVED}"
IN_ITSELF = "entries | left"
VERSION_OF_OURS = "5"  # of the uuids of this target's events: the first digit of their third part
UNKNOWN = "unknown"
# What it means that PostHog has no such event.
NOT_THERE = f"{UNKNOWN}: not in PostHog; has the run ended, and for this project?"
NOT_SENT = f"{UNKNOWN}: not in PostHog, and the summary's run didn't send it"
IN_FLIGHT = "in flight: PostHog has acknowledged it, and shows it later"
LOST = f"{UNKNOWN}: PostHog has acknowledged it, and doesn't show it; its ingestion warnings may say why"


class Planned(NamedTuple):
    """One event that a preview announced; money that it takes back is below zero.

    `day` is one of the books' time zone, `utc_day` that of the same moment in UTC, as a run's summary has it.
    """

    uuid: str
    event: str
    day: str
    currency: str
    amount: Decimal
    utc_day: str


@dataclass(frozen=True)
class BookedRecord:
    """A record as it was read: its account, its planned events, and why it has none, as far as the preview knows."""

    name: str
    account: Account
    events: Sequence[Planned]
    reasons: Mapping[str, str] = field(default_factory=dict)  # by event; "" stands for all others


class Difference(NamedTuple):
    """Where two sides differ, with the reason; `unknown` means that nobody has explained it."""

    record: str
    day: str
    currency: str
    kind: str
    between: str
    left: Decimal | None
    right: Decimal | None
    reason: str

    @property
    def is_explained(self) -> bool:
        """Whether there is a reason that is none to worry about, or that says what to do."""
        return not self.reason.startswith(UNKNOWN)


Key = tuple[str, str, str]  # day, kind, currency


class Evidence(NamedTuple):
    """What else is known: the day of the preview, why records became dead letters, and why an event may be missing.

    The reasons of dead letters stand by the record's name, those of missing events by day in UTC, kind and currency.
    """

    previewed_on: str
    dead_letters: Mapping[str, str]
    missing: Mapping[Key, str]


class Ledger:
    """The sums of each side, per day, kind and currency."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Key, Figure]] = {}

    def add(self, side: str, key: Key, amount: Decimal, number: int = 1) -> None:
        """Count something on a side."""
        figures = self.sides.setdefault(side, {})
        known = figures.get(key, Figure())
        figures[key] = Figure(known.number + number, known.amount + amount)

    def figures(self, key: Key, sides: Iterable[str] = LEGS) -> dict[str, Figure]:
        """Return what each of these sides, as far as they are known, has under a key."""
        return {side: self.sides[side].get(key, Figure()) for side in sides if side in self.sides}

    def keys(self, sides: Iterable[str] = LEGS) -> list[Key]:
        """Return all keys of these sides, day by day."""
        return sorted({key for side in sides for key in self.sides.get(side, ())})

    def keys_that_differ(self, sides: Iterable[str]) -> list[Key]:
        """Return the keys under which these sides don't agree, as far as they are known."""
        known = [self.sides[side] for side in sides if side in self.sides]
        return [key for key in self.keys(sides) if len({figures.get(key, Figure()) for figures in known}) > 1]

    def totals(self) -> dict[tuple[str, str], dict[str, Figure]]:
        """Return what each side has per kind and currency."""
        sums: dict[tuple[str, str], dict[str, Figure]] = defaultdict(dict)
        for key in self.keys():
            for side, figure in self.figures(key).items():
                known = sums[key[1:]].get(side, Figure())
                sums[key[1:]][side] = Figure(known.number + figure.number, known.amount + figure.amount)
        return dict(sums)


def of_record(record: BookedRecord) -> Iterator[Difference]:
    """Yield where a record and its planned events differ, and where the record doesn't add up in itself."""
    account, events, unmet = record.account, list(record.events), []
    for entry in account.entries:
        same = (entry.event, entry.day, account.currency, entry.amount)
        met = next((event for event in events if event[1:5] == same), None)
        if met is None:
            unmet.append(entry)
        else:
            events.remove(met)
    for entry in unmet:
        near = next((event for event in events if event.event == entry.event), None)
        if near is None:
            reason = record.reasons.get(entry.event) or record.reasons.get("") or f"{UNKNOWN}: no rule made the event"
        else:
            events.remove(near)
            reason = f"{UNKNOWN}: the event says {near.amount} {near.currency} on {near.day}"
        place = (record.name, entry.day, account.currency, entry.kind, AS_PLANNED)
        yield Difference(*place, entry.amount, near and near.amount, reason)
    for event in events:
        place = (record.name, event.day, event.currency, event.event, AS_PLANNED)
        yield Difference(*place, None, event.amount, f"{UNKNOWN}: the record has no entry for the event")
    if account.difference:
        own = sum((entry.amount for entry in account.entries), Decimal())
        reason = "edited" if account.edited else f"{UNKNOWN}: its entries don't come to what its source says is left"
        day = account.entries[0].day if account.entries else ""
        yield Difference(record.name, day, account.currency, "left", IN_ITSELF, own, account.left, reason)


def of_arrivals(
    planned: Mapping[str, tuple[str, Planned]],
    arrived: Iterable[Arrived],
    kinds: Mapping[str, str],
    evidence: Evidence,
) -> Iterator[Difference]:
    """Yield where PostHog differs from what was planned for the same days.

    `planned` holds the record's name and the event, by uuid; `kinds` the kind of entry by event.
    """
    seen: set[str] = set()
    for event in arrived:
        name, announced = planned.get(event.uuid, (event.name, None))
        again = event.uuid in seen
        seen.add(event.uuid)
        if announced is None or again:
            left, reason = None, _why_more(event, evidence.previewed_on, again=again)
        elif (event.day, event.currency, event.amount) == (announced.day, announced.currency, announced.amount):
            continue
        else:
            left, reason = announced.amount, f"{UNKNOWN}: if it has changed in its source since, preview again"
        place = (name, event.day, event.currency, kinds[event.event], AS_ARRIVED)
        yield Difference(*place, left, event.amount, reason)
    for uuid, (name, announced) in planned.items():
        if uuid not in seen:
            kind = kinds[announced.event]
            dead_letter = evidence.dead_letters.get(name)
            reason = evidence.missing.get((announced.utc_day, kind, announced.currency), NOT_THERE)
            if dead_letter:
                reason = f"dead letter: {dead_letter}"
            place = (name, announced.day, announced.currency, kind, AS_ARRIVED)
            yield Difference(*place, announced.amount, None, reason)


def _why_more(event: Arrived, previewed_on: str, *, again: bool) -> str:
    if again:
        return f"{UNKNOWN}: PostHog counts it twice, as its distinct id or day differs"
    if event.uuid[14:15] != VERSION_OF_OURS:
        return f"{UNKNOWN}: another source sends events of this name, and both count"
    if event.day >= previewed_on:
        return "newer than the preview"
    return f"{UNKNOWN}: the preview has no such event; was it sent with another mapping?"
