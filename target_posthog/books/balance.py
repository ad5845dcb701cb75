"""Balance of a preview's books: records as read, events as planned, acknowledged and arrived, side by side.

Takes the preview's file, a run's summary and PostHog's answers; returns sums and differences. What differs, and why, is
decided in `differences.py`. Days are those of one time zone, but for a run's summary, which has days of UTC alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from target_posthog.books.arrived import Figure, Properties, events_of, sums
from target_posthog.books.differences import (
    ACKNOWLEDGED,
    ARRIVED,
    AS_ACKNOWLEDGED,
    IN_FLIGHT,
    LEGS,
    LOST,
    NOT_SENT,
    PLANNED,
    READ,
    UNKNOWN,
    BookedRecord,
    Difference,
    Evidence,
    Ledger,
    Planned,
    of_arrivals,
    of_record,
)
from target_posthog.books.entries import Books, day_of
from target_posthog.errors import RunError
from target_posthog.mapping.language.functions import as_decimal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal

    from target_posthog.books.differences import Key
    from target_posthog.mapping.language.functions import JSON
    from target_posthog.posthog.query_api import Project, QueryApi
    from target_posthog.preview.file import KnownRecord, PlannedEvent, PreviewFile

UTC = "UTC"


@dataclass
class Balance:
    """The books of all streams that have some, side by side."""

    ledger: Ledger = field(default_factory=Ledger)
    differences: list[Difference] = field(default_factory=list)
    time_zone: str = UTC
    kept_from: str = ""  # the first day of which PostHog still gives all events, "" for all days
    copies: dict[str, int] = field(default_factory=dict)  # of the events in PostHog that aren't merged yet, by kind
    notes: list[str] = field(default_factory=list)  # what else bears on PostHog's answers

    def as_json(self) -> dict[str, JSON]:
        """Return everything as JSON values, money as decimal texts."""
        return {
            "totals": [_row(("kind", "currency"), key, sides) for key, sides in self.ledger.totals().items()],
            "days": [
                _row(("day", "kind", "currency"), key, self.figures(key)) for key in self.ledger.keys(self._sides)
            ],
            "differences": [
                {name: _text(value) for name, value in difference._asdict().items()} for difference in self.differences
            ],
            "time_zone": self.time_zone,
            "kept_from": self.kept_from,
            "copies": dict(self.copies),
        }

    @property
    def _sides(self) -> list[str]:
        """The sides that have days of the time zone."""
        return [side for side in LEGS if side != ACKNOWLEDGED or self.time_zone == UTC]

    def figures(self, key: Key) -> dict[str, Figure]:
        """Return what each side has on a day, as far as that is known."""
        return self.ledger.figures(key, [side for side in self._sides if side != ARRIVED or self.is_kept(key[0])])

    def is_kept(self, day: str) -> bool:
        """Say whether PostHog still gives all events of a day."""
        return day >= self.kept_from

    def keys_that_differ(self) -> list[Key]:
        """Return the days on which the sides differ; what PostHog has counts more than a run's summary."""
        sides = {READ, PLANNED, ARRIVED if ARRIVED in self.ledger.sides else ACKNOWLEDGED}
        return [
            key
            for key in self.ledger.keys(self._sides)
            if len({figure for side, figure in self.figures(key).items() if side in sides}) > 1
        ]

    @property
    def unexplained(self) -> list[Difference]:
        """The differences that nobody has explained."""
        return [difference for difference in self.differences if not difference.is_explained]


class Balancer:
    """Balances one preview, by the days of a time zone (an IANA name).

    Raises `RunError` if the preview's mapping has no books, or the zone isn't known.
    """

    def __init__(self, preview: PreviewFile, time_zone: str = UTC) -> None:
        self._zone = _zone(time_zone)
        self._preview = preview
        found = json.loads(preview.meta.get("books") or "{}")
        if not found:
            raise RunError(
                f"The mapping `{preview.meta.get('mapping')}` has no `books`, which name the money of its records; "
                "docs/mapping.md says how to add them"
            )
        self._books = {stream: Books(stream, spec, self._zone) for stream, spec in found.items()}
        self._kinds = {event: kind for books in self._books.values() for event, kind in books.kinds.items()}
        self._signs = {event: sign for books in self._books.values() for event, sign in books.signs.items()}
        self._properties = {
            event: Properties(books.amount, books.currency, books.name)
            for books in self._books.values()
            for event in books.kinds
        }
        self._planned: dict[str, tuple[str, Planned]] = {}
        self._names: dict[str, str] = {}
        self._is_recent = False
        self._by_utc_day = Ledger()  # planned and acknowledged alone
        self.balance = Balance(time_zone=time_zone)

    def read(self) -> None:
        """Enter the records as they were read, and the events that were planned for them."""
        ledger = self.balance.ledger
        for booked in self._booked():
            for entry in booked.account.entries:
                ledger.add(READ, (entry.day, entry.kind, booked.account.currency), entry.amount)
            for event in booked.events:
                ledger.add(PLANNED, self._key(event), event.amount)
                self._by_utc_day.add(PLANNED, self._utc_key(event), event.amount)
                self._planned[event.uuid] = booked.name, event
            self.balance.differences += of_record(booked)

    def acknowledge(self, days: Iterable[list[Any]], *, is_recent: bool) -> None:
        """Enter what a run's summary says that PostHog acknowledged, as `[day, event, currency, number, amount]`."""
        self._is_recent = is_recent
        for day, event, currency, number, amount in days:
            if event in self._kinds:
                exact = self._signed(event, as_decimal(amount or 0))
                for ledger in (self.balance.ledger, self._by_utc_day):
                    ledger.add(ACKNOWLEDGED, (day, self._kinds[event], currency), exact, number)

    def compare_acknowledged(self, dead_letters: Mapping[str, str]) -> None:
        """Name the days on which PostHog has acknowledged something else than what was planned, if that is known."""
        sides = self._by_utc_day.sides
        if ACKNOWLEDGED not in sides:
            return
        letters = {self._names.get(name, name) for name in dead_letters}
        for key in self._by_utc_day.keys_that_differ([PLANNED, ACKNOWLEDGED]):
            planned, acknowledged = (sides.get(side, {}).get(key, Figure()) for side in (PLANNED, ACKNOWLEDGED))
            refused = sum(name in letters for name, event in self._planned.values() if self._utc_key(event) == key)
            reason = f"{UNKNOWN}: the run of the summary didn't send what was planned"
            if planned.number - acknowledged.number == refused:
                reason = "dead letters"
            day, kind, currency = key
            self.balance.differences.append(
                Difference("", day, currency, kind, AS_ACKNOWLEDGED, planned.amount, acknowledged.amount, reason)
            )

    def ask(self, api: QueryApi, dead_letters: Mapping[str, str]) -> None:
        """Enter what PostHog has, and look at each event of the days on which that isn't what was planned.

        `dead_letters` are reasons by the name of a record. Raises `RunError`.
        """
        balance = self.balance
        if balance.ledger.keys([READ, PLANNED]):
            self._look_at(api.project())
        days = sorted({day for day, _, _ in balance.ledger.keys([READ, PLANNED]) if balance.is_kept(day)})
        if not days:
            return
        for (day, event, currency), found in sums(api, self._properties, days[0], days[-1], self._zone).items():
            number, amount = found.figure
            kind = self._kinds[event]
            balance.ledger.add(ARRIVED, (day, kind, currency), self._signed(event, amount), number)
            balance.copies[kind] = balance.copies.get(kind, 0) + found.copies
        differing = {key[0] for key in balance.ledger.keys_that_differ([PLANNED, ARRIVED]) if balance.is_kept(key[0])}
        balance.differences += of_arrivals(
            {uuid: item for uuid, item in self._planned.items() if item[1].day in differing},
            [
                event._replace(amount=self._signed(event.event, event.amount))
                for event in events_of(api, self._properties, differing, self._zone)
            ],
            self._kinds,
            Evidence(
                previewed_on=day_of(self._preview.meta["made_at"], self._zone),
                dead_letters={self._names.get(name, name): reason for name, reason in dead_letters.items()},
                missing=self._missing(),
            ),
        )

    def _look_at(self, project: Project | None) -> None:
        """Note what of the project's settings bears on the comparison."""
        balance = self.balance
        if project is None:
            balance.notes.append(
                "The personal API key may not read the project's settings (scope project:read): if PostHog gives no "
                "events older than some months, they look as if they were missing"
            )
            return
        balance.kept_from = project.kept_from(datetime.now(self._zone))
        days = {day for day, _, _ in balance.ledger.keys([READ, PLANNED]) if not balance.is_kept(day)}
        if days:
            balance.notes.append(
                f"PostHog gives no events older than {project.kept_months} months: what is from before "
                f"{balance.kept_from} ({len(days):,} days) isn't compared with it"
            )
        if project.time_zone != balance.time_zone:
            balance.notes.append(
                f"Days are those of {balance.time_zone}; PostHog's project shows those of {project.time_zone}"
            )

    def _missing(self) -> dict[Key, str]:
        """Return why PostHog may lack an event, by day in UTC, kind and currency, if a run's summary is known."""
        planned, acknowledged = (self._by_utc_day.sides.get(side, {}) for side in (PLANNED, ACKNOWLEDGED))
        waiting = IN_FLIGHT if self._is_recent else LOST
        return {
            key: waiting if acknowledged.get(key) == figure else NOT_SENT
            for key, figure in planned.items()
            if ACKNOWLEDGED in self._by_utc_day.sides
        }

    def _key(self, event: Planned) -> Key:
        return event.day, self._kinds[event.event], event.currency

    def _utc_key(self, event: Planned) -> Key:
        return event.utc_day, self._kinds[event.event], event.currency

    def _signed(self, event: str, amount: Decimal) -> Decimal:
        return self._signs[event] * amount + 0  # no -0

    def _booked(self) -> Iterator[BookedRecord]:
        """Yield each record once, as it was read last, with the events of all its readings that count."""
        readings: dict[tuple[str, str], list[KnownRecord]] = {}
        for record in self._preview.records():
            if record.stream in self._books:
                readings.setdefault((record.stream, record.key_name), []).append(record)
        for (stream, _), known in readings.items():
            body, explanation, _ = self._preview.content(known[-1].id)
            books = self._books[stream]
            events = [
                _planned(event, books, self._zone)
                for reading in known
                for event in self._preview.events(reading.id)
                if not event.repeated and event.event["event"] in books.kinds
            ]
            self._names[known[-1].key_name] = known[-1].name
            try:
                account = books.account(body)
            except ValueError as error:
                raise RunError(f"`books` of stream `{stream}`, record {known[-1].name}: {error}") from None
            yield BookedRecord(known[-1].name, account, events, _reasons(known[-1], explanation or []))


def _planned(planned: PlannedEvent, books: Books, zone: ZoneInfo) -> Planned:
    event = planned.event
    properties = event["properties"]
    amount = properties.get(books.amount)
    return Planned(
        event["uuid"],
        event["event"],
        day_of(event["timestamp"], zone),
        str(properties.get(books.currency) or ""),
        books.signs[event["event"]] * as_decimal(0 if amount is None else amount) + 0,
        event["timestamp"][:10],
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RunError(
            "`time_zone` needs the name of a zone that this machine knows, such as Europe/Berlin or UTC"
        ) from None


def _reasons(record: KnownRecord, explanation: list[dict[str, Any]]) -> dict[str, str]:
    """Return why a record has no event, by the rule's name; "" stands for all."""
    if record.left_out:
        return {"": f"left out: {record.left_out}"}
    if record.undeliverable:
        return {"": f"undeliverable: {record.undeliverable}"}
    return {rule["rule"]: f"filtered: {rule['why_not']}" for rule in explanation if not rule["fired"]}


def _row(names: tuple[str, ...], key: Key | tuple[str, str], sides: Mapping[str, Figure]) -> dict[str, JSON]:
    figures = {side: {"number": figure.number, "amount": str(figure.amount)} for side, figure in sides.items()}
    return {**dict(zip(names, key, strict=True)), **figures}


def _text(value: Any) -> JSON:  # noqa: ANN401  # a text, an amount or nothing
    return value if value is None else str(value)
