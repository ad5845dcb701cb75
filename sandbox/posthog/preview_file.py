"""A preview file becomes what a page shows, in: the file that a preview run left; out: its plan, records and events.

The file is the contract between the two (its tables stand in target_posthog/preview/file.py): SQLite, with compressed
JSON in it. Knows no rule and no shop.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import zlib
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORMAT = "3"
RECORDS_A_PAGE = 50
HEADS = (
    "select id, stream, name, key_name, left_out, undeliverable, (select count(*) from event where record = record.id) "
    "from record where {} order by id limit ?"
)
EVENTS = "select rule, repeated, there, body from event where record = ? order by id"
EVENTS_TO_SEND = "select id, body, historical from event where id > ? and not there order by id limit 1000"
WITHOUT_EVENTS = "left_out is null and undeliverable is null and id not in (select record from event)"


class NotAPreviewError(Exception):
    """A file that is no preview; the text is one sentence."""


@dataclass(frozen=True)
class Head:
    """A record in a list: what people call it, its keys, and why it becomes no events, if so."""

    number: int
    stream: str
    name: str
    key_name: str
    left_out: str | None
    undeliverable: str | None
    events: int


@dataclass(frozen=True)
class PlannedEvent:
    """An event that a record becomes; a later one replaces one that is `repeated`, PostHog has one that is `there`."""

    rule: str
    repeated: bool
    there: bool
    body: dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A record as it was read, with its explanation and events; numbers are exact."""

    head: Head
    body: dict[str, Any]
    explanation: list[dict[str, Any]]
    events: list[PlannedEvent]
    personal: dict[str, str] = field(default_factory=dict)

    def masked(self) -> Record:
        """Return the record with stand-ins for what is personal."""
        if not self.personal:
            return self
        found = sorted(self.personal, key=len, reverse=True)
        pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, found))})(?!\w)", re.IGNORECASE)
        stand_ins = {value.casefold(): stand_in for value, stand_in in self.personal.items()}

        def hidden(value: Any) -> Any:  # noqa: ANN401  # any JSON
            if isinstance(value, (int, Decimal)):
                return stand_ins.get(str(value), value)
            if isinstance(value, str):
                return pattern.sub(lambda one: stand_ins.get(one[0].casefold(), "hidden"), value)
            if isinstance(value, dict):
                return {key: hidden(one) for key, one in value.items()}
            return [hidden(one) for one in value] if isinstance(value, list) else value

        events = [PlannedEvent(one.rule, one.repeated, one.there, hidden(one.body)) for one in self.events]
        return Record(self.head, hidden(self.body), hidden(self.explanation), events)


@dataclass(frozen=True)
class Booked:
    """What one side of the books has on a day of a shop: report, ledger or planned."""

    shop: str
    currency: str
    time_zone: str
    day: date
    side: str
    figures: dict[str, Decimal]


@dataclass(frozen=True)
class Difference:
    """A line about where two sides differ; one about all days has none."""

    shop: str
    currency: str
    day: str
    line: str
    explained: bool


class PreviewFile:
    """Reads a preview; safe for several threads. Raises `NotAPreviewError` for another file."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise NotAPreviewError(f"there is no preview at {path}; `meltano --environment=preview run sync` makes one")
        self.path = path
        self._stamp = _stamp_of(path)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        try:
            self.meta = dict(self._ask("select key, value from meta"))
            ((plan,),) = self._ask("select body from plan")
        except (sqlite3.DatabaseError, ValueError):
            raise NotAPreviewError(f"{path} is no preview") from None
        if self.meta.get("format") != FORMAT:
            raise NotAPreviewError(
                f"{path} is a preview of format {self.meta.get('format')}, this reads {FORMAT}; preview again"
            )
        self.plan: dict[str, Any] = json.loads(plan, parse_float=Decimal)

    def is_current(self) -> bool:
        """Say whether the file in its place is still the one that was opened, or is gone."""
        return _stamp_of(self.path) in (self._stamp, None)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def events(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the JSON of each event to be sent, in the order of the records, and whether it is historical."""
        last = 0
        while found := self._ask(EVENTS_TO_SEND, [last]):
            for last, body, historical in found:  # noqa: B007  # the last id begins the next question
                yield zlib.decompress(body), bool(historical)

    def record(self, number: int) -> Record | None:
        """Return one record, None if there is none of this number."""
        found = self._ask("select body, explanation, personal from record where id = ?", [number])
        if not found:
            return None
        ((body, explanation, personal),) = found
        return Record(
            self._heads("id = ?", [number])[0],
            _unpacked(body),
            _unpacked(explanation) if explanation else [],
            [
                PlannedEvent(rule, bool(repeated), bool(there), _unpacked(event))
                for rule, repeated, there, event in self._ask(EVENTS, [number])
            ],
            _unpacked(personal) if personal else {},
        )

    def records(self, stream: str, left_out: str, *, undeliverable: bool, eventless: bool, after: int) -> list[Head]:
        """Return a page of records and one more if there are more, in the order of reading; empty filters let pass."""
        conditions: list[tuple[str, Sequence[Any]]] = [("id > ?", [after])]
        if stream:
            conditions.append(("stream = ?", [stream]))
        if left_out:
            conditions.append(("left_out = ?", [left_out]))
        if undeliverable:
            conditions.append(("undeliverable is not null", []))
        if eventless:
            conditions.append((WITHOUT_EVENTS, []))
        values = [value for _, values in conditions for value in values]
        return self._heads(" and ".join(sql for sql, _ in conditions), values, RECORDS_A_PAGE + 1)

    def named(self, wanted: str) -> list[Head]:
        """Find records by what a person calls them: name, number, id or e-mail."""
        where = "id in (select record from lookup where value = ?) or name = ?"
        return self._heads(where, [wanted.strip().casefold(), wanted], RECORDS_A_PAGE)

    def record_of_event(self, uuid: str) -> Head | None:
        """Return the record that an event came from."""
        where = "id = (select record from event where uuid = ? order by id desc limit 1)"
        return next(iter(self._heads(where, [uuid])), None)

    def booked(self) -> list[Booked]:
        """Return the books that the preview kept, day by day; none for a mapping without books."""
        rows = self._ask("select shop, currency, time_zone, day, side, figures from book order by shop, currency, day")
        return [
            Booked(shop, currency, zone, date.fromisoformat(day), side, _amounts(figures))
            for shop, currency, zone, day, side, figures in rows
        ]

    def differences(self) -> list[Difference]:
        """Return where the sides of the books differ, what nobody has explained first."""
        rows = self._ask("select shop, currency, day, line, explained from difference order by explained, day, rowid")
        return [Difference(shop, currency, day, line, bool(known)) for shop, currency, day, line, known in rows]

    def _heads(self, where: str, values: Sequence[Any], limit: int = 1) -> list[Head]:
        return [Head(*row) for row in self._ask(HEADS.format(where), [*values, limit])]

    def _ask(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _amounts(figures: str) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in json.loads(figures).items()}


def _unpacked(blob: bytes) -> Any:  # noqa: ANN401  # any JSON
    return json.loads(zlib.decompress(blob), parse_float=Decimal)
