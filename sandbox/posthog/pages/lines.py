"""Questions about events, in: filters and the database; out: events as lines of a list, a page at a time.

Knows SQL, not how a line looks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from sandbox.posthog.database import EPOCH
from sandbox.posthog.totals import amount_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from sandbox.posthog.database import Database

LINES_A_PAGE = 50
LARGEST_INTEGER = 2**63 - 1  # of SQLite
ONE_MICROSECOND = timedelta(microseconds=1)
FIRST_DAY, LAST_DAY = date(2, 1, 1), date(9998, 12, 30)
NET = ("net_sales", "revenue")  # the first of these that an event has is its net sales
# The first of these is, where it has no net sales, the money that it moved, or that another mapping says it did.
MOVED = ("cash", "total", "transaction_amount", "total_sales")
NAMES = ("name", "email", "username", "first_name", "last_name")  # of a person

SELECT = (
    "select e.number, e.uuid, e.event, e.distinct_id, d.person, e.at_microseconds, e.properties, e.historical, "
    "(select count(*) - 1 from events c "
    "where c.uuid = e.uuid and c.event = e.event and c.distinct_id = e.distinct_id and c.day = e.day), "
    "(select properties from persons where uuid = d.person) "
    "from events e left join distinct_ids d on d.distinct_id = e.distinct_id where {} "
    "order by e.at_microseconds {order}, e.number {order} limit ?"
)
IS_ORDER = (
    "(json_extract(e.properties, '$.order_id') in (select value from json_each(?)) "
    "or json_extract(e.properties, '$.order_name') in (select value from json_each(?)) "
    "or json_extract(e.properties, '$.order_number') in (select value from json_each(?)))"
)
IDS_OF = (
    "select distinct_id from distinct_ids where person in ("
    "select person from distinct_ids where distinct_id in (?, lower(?)) "
    "union select uuid from persons where lower(json_extract(properties, '$.email')) = lower(?))"
)

_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


@dataclass(frozen=True)
class Line:
    """One event, or one copy of it; numbers are exact.

    `copies` counts the other copies, `person` is None where PostHog made no person of the distinct id.
    """

    number: int
    uuid: str
    event: str
    distinct_id: str
    person: str | None
    at_microseconds: int
    properties: dict[str, Any]
    historical: bool
    copies: int
    name: str  # of its person, empty if none is known

    @property
    def at(self) -> datetime:
        """The moment in UTC."""
        return EPOCH + self.at_microseconds * ONE_MICROSECOND

    @property
    def cursor(self) -> str:
        """The line's place in the order of time, for the next page."""
        return f"{self.at_microseconds}.{self.number}"

    @property
    def currency(self) -> str:
        """The currency of its money, empty if none was sent."""
        return str(self.properties.get("currency") or "")

    @property
    def net(self) -> Decimal | None:
        """What it did to net sales."""
        return self._first(NET)

    @property
    def moved(self) -> Decimal | None:
        """The money that it moved: what was paid, below zero what was paid back."""
        return self._first(MOVED) if self.net is None else None

    @property
    def order(self) -> str:
        """What its order is called in a URL: the id, else name or number; empty without an order."""
        named = (self.properties.get(name) for name in ("order_id", "order_name", "order_number"))
        return str(next((one for one in named if one not in (None, "")), ""))

    @property
    def order_name(self) -> str:
        """What a person calls its order."""
        return str(self.properties.get("order_name") or self.order)

    def _first(self, names: Sequence[str]) -> Decimal | None:
        return next((found for name in names if (found := amount_in(self.properties.get(name))) is not None), None)


@dataclass(frozen=True)
class Filters:
    """Which events to list; each that is empty lets all pass."""

    name: str = ""
    who: str = ""
    since: date | None = None
    until: date | None = None
    text: str = ""
    zone: tzinfo = timezone.utc

    @classmethod
    def of(cls, asked: Mapping[str, str], zone: tzinfo = timezone.utc) -> Filters:
        """Read a URL's parameters, days as those of a time zone; raises ValueError for a date that is none."""
        return cls(
            name=asked.get("name", ""),
            who=asked.get("who", "").strip(),
            since=day_in(asked.get("from", "")),
            until=day_in(asked.get("to", "")),
            text=asked.get("text", "").strip(),
            zone=zone,
        )

    @property
    def asked(self) -> dict[str, str]:
        """The URL's parameters again."""
        days = {"from": self.since and self.since.isoformat(), "to": self.until and self.until.isoformat()}
        wanted = {"name": self.name, "who": self.who, **days, "text": self.text}
        return {name: value for name, value in wanted.items() if value}

    def sql(self, database: Database) -> tuple[str, list[Any]]:
        """Return the condition over `e`, the table of events, and its values."""
        conditions: list[tuple[str, list[Any]]] = [("true", [])]
        if self.name:
            conditions.append(("e.event = ?", [self.name]))
        if self.who:
            ids = {self.who, *(one for (one,) in database.ask(IDS_OF, [self.who] * 3))}
            conditions.append(("e.distinct_id in (select value from json_each(?))", [json.dumps(sorted(ids))]))
        if self.since:
            conditions.append(("e.at_microseconds >= ?", [_start_of(self.since, self.zone)]))
        if self.until:
            end = _start_of(min(self.until, LAST_DAY) + timedelta(days=1), self.zone)
            conditions.append(("e.at_microseconds < ?", [end]))
        if self.text:
            conditions.append(containing("e.properties", self.text))
        return " and ".join(sql for sql, _ in conditions), [value for _, values in conditions for value in values]


@dataclass(frozen=True)
class Page:
    """Some lines, newest first, and the cursors of the pages beside it."""

    lines: list[Line]
    count: int
    newer: str | None
    older: str | None


def page_of(database: Database, filters: Filters, before: str = "", after: str = "") -> Page:
    """Read the page of lines before or after a cursor, or the newest; raises ValueError for a cursor that is none."""
    where, values = filters.sql(database)
    ((count,),) = database.ask(f"select count(*) from events e where {where}", values)  # noqa: S608  # conditions of our own
    order, place = ("asc", _place(after)) if after else ("desc", _place(before))
    if place:
        where += f" and (e.at_microseconds, e.number) {'>' if after else '<'} (?, ?)"
    found = lines_of(database, where, [*values, *place], limit=LINES_A_PAGE + 1, order=order)
    more, shown = len(found) > LINES_A_PAGE, found[:LINES_A_PAGE]
    if after:
        shown.reverse()
    newer, older = (more, True) if after else (bool(before), more)
    return Page(
        shown,
        count,
        newer=shown[0].cursor if shown and newer else None,
        older=shown[-1].cursor if shown and older else None,
    )


def lines_of(
    database: Database, where: str, values: Sequence[Any], *, limit: int = -1, order: str = "asc"
) -> list[Line]:
    """Read lines in the order of time; those of one moment in the order of arrival."""
    return [
        Line(
            *(number, uuid, event, distinct_id, person, at),
            *(_DECODER.decode(text), bool(historical), copies, name_in(_DECODER.decode(about)) if about else ""),
        )
        for number, uuid, event, distinct_id, person, at, text, historical, copies, about in database.ask(
            SELECT.format(where, order=order), [*values, limit]
        )
    ]


def name_in(properties: Mapping[str, Any]) -> str:
    """Return what a person's properties call them: by name or e-mail, empty if by neither."""
    known = {name: str(properties.get(name) or "") for name in NAMES}
    full = f"{known['first_name']} {known['last_name']}".strip()
    return known["name"] or full or known["email"] or known["username"]


def orders_named(database: Database, wanted: str) -> dict[str, list[Line]]:
    """Find the events of an order by its id, name (`#1001` or `1001`) or number, oldest first.

    Names may be those of several stores, so several orders may be found, by what they are called in a URL.
    """
    number = [int(wanted)] if wanted.isdecimal() and wanted.isascii() and int(wanted) <= LARGEST_INTEGER else []
    found: dict[str, list[Line]] = {}
    values = [json.dumps(one) for one in ([wanted, *number], [wanted, f"#{wanted}"], [wanted, *number])]
    for line in lines_of(database, IS_ORDER, values):
        found.setdefault(line.order, []).append(line)
    return {wanted: found[wanted]} if wanted in found else found


def containing(column: str, text: str) -> tuple[str, list[str]]:
    """Return the condition that a column of JSON holds a text, whether it was sent as it is or in escapes."""
    forms = sorted({text, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]})
    return f"({' or '.join([like(column)] * len(forms))})", [like_value(one) for one in forms]


def like(column: str) -> str:
    """Return the condition that a column holds what `like_value` gives."""
    return f"{column} like ? escape '!'"


def like_value(text: str) -> str:
    """Return the pattern of a text anywhere."""
    return "%" + text.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"


def day_in(text: str) -> date | None:
    """Read a day such as `2026-11-01`, None if there is none; raises ValueError for what is no day."""
    return date.fromisoformat(text) if text else None


def _start_of(day: date, zone: tzinfo) -> int:
    within = min(max(day, FIRST_DAY), LAST_DAY)  # what lies beyond has no moment in all zones
    return (datetime(within.year, within.month, within.day, tzinfo=zone) - EPOCH) // ONE_MICROSECOND


def _place(cursor: str) -> list[int]:
    if not cursor:
        return []
    at, number = cursor.split(".")
    return [int(at), int(number)]
