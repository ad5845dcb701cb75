"""Balance of a preview's books: records as read, events as planned, acknowledged and arrived, side by side.

Takes the preview's file, a run's summary and PostHog's answers; returns sums and differences. What differs, and why, is
decided in `differences.py`.

"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from target_posthog.books.arrived import Figure, Properties, events_of, sums
from target_posthog.books.differences import (
    ACKNOWLEDGED,
    ARRIVED,
    AS_ACKNOWLEDGED,
    IN_FLIGHT,
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
from target_posthog.books.entries import Books
from target_posthog.errors import RunError
from target_posthog.mapping.language.functions import as_decimal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal

    from target_posthog.books.differences import Key
    from target_posthog.mapping.language.functions import JSON
    from target_posthog.posthog.query_api import QueryApi
    from target_posthog.preview.file import KnownRecord, PlannedEvent, PreviewFile


@dataclass
class Balance:
    """The books of all streams that have some, side by side."""

    ledger: Ledger = field(default_factory=Ledger)
    differences: list[Difference] = field(default_factory=list)

    def as_json(self) -> dict[str, JSON]:
        """Return everything as JSON values, money as decimal texts."""
        return {
            "totals": [_row(("kind", "currency"), key, sides) for key, sides in self.ledger.totals().items()],
            "days": [_row(("day", "kind", "currency"), key, self.ledger.figures(key)) for key in self.ledger.keys()],  # noqa: SIM118  # no dict
            "differences": [
                {name: _text(value) for name, value in difference._asdict().items()} for difference in self.differences
            ],
        }

    def keys_that_differ(self) -> list[Key]:
        """Return the days on which the sides differ; what PostHog has counts more than a run's summary."""
        sides = [READ, PLANNED, ARRIVED if ARRIVED in self.ledger.sides else ACKNOWLEDGED]
        return self.ledger.keys_that_differ(sides)

    @property
    def unexplained(self) -> list[Difference]:
        """The differences that nobody has explained."""
        return [difference for difference in self.differences if not difference.is_explained]


class Balancer:
    """Balances one preview; raises `RunError` if its mapping has no books."""

    def __init__(self, preview: PreviewFile) -> None:
        self._preview = preview
        found = json.loads(preview.meta.get("books") or "{}")
        if not found:
            raise RunError(
                f"The mapping `{preview.meta.get('mapping')}` has no `books`, which name the money of its records; "
                "docs/mapping.md says how to add them"
            )
        self._books = {stream: Books(stream, spec) for stream, spec in found.items()}
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
        self.balance = Balance()

    def read(self) -> None:
        """Enter the records as they were read, and the events that were planned for them."""
        ledger = self.balance.ledger
        for booked in self._booked():
            for entry in booked.account.entries:
                ledger.add(READ, (entry.day, entry.kind, booked.account.currency), entry.amount)
            for event in booked.events:
                ledger.add(PLANNED, self._key(event), event.amount)
                self._planned[event.uuid] = booked.name, event
            self.balance.differences += of_record(booked)

    def acknowledge(self, days: Iterable[list[Any]], *, is_recent: bool) -> None:
        """Enter what a run's summary says that PostHog acknowledged, as `[day, event, currency, number, amount]`."""
        self._is_recent = is_recent
        for day, event, currency, number, amount in days:
            if event in self._kinds:
                exact = self._signed(event, as_decimal(amount or 0))
                self.balance.ledger.add(ACKNOWLEDGED, (day, self._kinds[event], currency), exact, number)

    def compare_acknowledged(self, dead_letters: Mapping[str, str]) -> None:
        """Name the days on which PostHog has acknowledged something else than what was planned, if that is known."""
        sides = self.balance.ledger.sides
        if ACKNOWLEDGED not in sides:
            return
        letters = {self._names.get(name, name) for name in dead_letters}
        for key in self.balance.ledger.keys_that_differ([PLANNED, ACKNOWLEDGED]):
            planned, acknowledged = (sides.get(side, {}).get(key, Figure()) for side in (PLANNED, ACKNOWLEDGED))
            refused = sum(name in letters for name, event in self._planned.values() if self._key(event) == key)
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
        ledger = self.balance.ledger
        days = sorted({day for day, _, _ in ledger.keys()})  # noqa: SIM118  # no dict
        if not days:
            return
        found = sums(api, self._properties, days[0], days[-1])
        for (day, event, currency), (number, amount) in found.items():
            ledger.add(ARRIVED, (day, self._kinds[event], currency), self._signed(event, amount), number)
        sides = {side: ledger.sides.get(side, {}) for side in (PLANNED, ARRIVED, ACKNOWLEDGED)}
        keys = set(sides[PLANNED]) | set(sides[ARRIVED])
        differing = {key[0] for key in keys if sides[PLANNED].get(key, Figure()) != sides[ARRIVED].get(key, Figure())}
        waiting = IN_FLIGHT if self._is_recent else LOST
        missing = {
            key: waiting if sides[ACKNOWLEDGED].get(key) == figure else NOT_SENT
            for key, figure in sides[PLANNED].items()
            if ACKNOWLEDGED in ledger.sides
        }
        self.balance.differences += of_arrivals(
            {uuid: item for uuid, item in self._planned.items() if item[1].day in differing},
            [
                event._replace(amount=self._signed(event.event, event.amount))
                for event in events_of(api, self._properties, differing)
            ],
            self._kinds,
            Evidence(
                previewed_on=self._preview.meta["made_at"][:10],
                dead_letters={self._names.get(name, name): reason for name, reason in dead_letters.items()},
                missing=missing,
            ),
        )

    def _key(self, event: Planned) -> Key:
        return event.day, self._kinds[event.event], event.currency

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
                _planned(event, books)
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


def _planned(planned: PlannedEvent, books: Books) -> Planned:
    event = planned.event
    properties = event["properties"]
    amount = properties.get(books.amount)
    return Planned(
        event["uuid"],
        event["event"],
        event["timestamp"][:10],
        str(properties.get(books.currency) or ""),
        books.signs[event["event"]] * as_decimal(0 if amount is None else amount) + 0,
    )


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
