"""What PostHog keeps, in: events, persons, groups and warnings of a batch; out: the same, to be read again.

An event that arrives again is there twice until its copies are merged. An SQLite file that other processes may read
meanwhile. Knows the shape of a row, not how persons come about.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import msgspec

from sandbox.posthog.capture import Event, Notice
from sandbox.posthog.groups import Group
from sandbox.posthog.persons import Person, person_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sandbox.posthog.groups import Groups
    from sandbox.posthog.persons import Persons

# `events_by_key` is ClickHouse's sorting key: when it merges parts, ReplacingMergeTree keeps the row that arrived last
# for (team, day of the timestamp, event, distinct id, uuid), PostHog posthog/models/event/sql.py. It merges within a
# month (`PARTITION BY toYYYYMM(timestamp)`), when it likes, perhaps never; until then each row counts in every insight,
# as PostHog's queries use no FINAL. `fired` is what destinations, workflows and webhooks were started for: every
# arrival ("Run every time: ... no deduplication", posthog.com #16486).
SCHEMA = """
create table if not exists events (
    number integer primary key, day text not null, event text not null, distinct_id text not null, uuid text not null,
    at_microseconds integer not null, properties text not null, historical integer not null,
    created_at_microseconds integer not null
);
create index if not exists events_by_key on events (uuid, event, distinct_id, day);
create table if not exists merged_away (
    number integer primary key, event text not null, distinct_id text not null, uuid text not null,
    at_microseconds integer not null
);
create view if not exists fired as
    select number, event, distinct_id, uuid, at_microseconds from events
    union all select number, event, distinct_id, uuid, at_microseconds from merged_away;
create index if not exists events_by_name on events (event);
create index if not exists events_by_distinct_id on events (distinct_id);
create table if not exists persons (
    uuid text primary key, properties text not null, is_identified integer not null,
    created_at_microseconds integer not null
) without rowid;
create table if not exists distinct_ids (
    distinct_id text primary key, person text not null, number integer not null
) without rowid;
create index if not exists distinct_ids_by_person on distinct_ids (person, number);
create table if not exists personless (distinct_id text primary key) without rowid;
create table if not exists groups (
    type text not null, key text not null, properties text not null, created_at_microseconds integer not null,
    primary key (type, key)
) without rowid;
create table if not exists warnings (number integer primary key, type text not null, details text not null);
"""
# What a reader needs and a sender needn't pay for: made at the first look. An order is found by its id, name or number.
READING_INDEXES = """
create index if not exists events_by_time on events (at_microseconds);
create index if not exists events_by_name_and_time on events (event, at_microseconds);
create index if not exists events_by_order_id on events (json_extract(properties, '$.order_id'));
create index if not exists events_by_order_name on events (json_extract(properties, '$.order_name'));
create index if not exists events_by_order_number on events (json_extract(properties, '$.order_number'));
create index if not exists persons_by_time on persons (created_at_microseconds);
"""
TABLES = ("events", "merged_away", "persons", "distinct_ids", "personless", "groups", "warnings")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

LONGEST_READ_SECONDS = 10.0  # PostHog ends a query too, later: https://posthog.com/docs/api/queries
STEPS_BETWEEN_LOOKS = 10_000  # of SQLite's machine, about a millisecond

SELECT_EVENTS = (
    "select e.uuid, e.event, e.distinct_id, e.at_microseconds, e.properties, d.person, e.historical, "
    "e.created_at_microseconds, (select count(*) - 1 from events c "
    "where c.uuid = e.uuid and c.event = e.event and c.distinct_id = e.distinct_id and c.day = e.day) "
    "from events e left join distinct_ids d using (distinct_id) where {} order by e.number limit ? offset ?"
)
KEEP_IN_MIND = (
    "insert into merged_away select number, event, distinct_id, uuid, at_microseconds from events where day like ? "
    "and number not in (select max(number) from events group by uuid, event, distinct_id, day)"
)
MERGE = (
    "delete from events where day like ? "
    "and number not in (select max(number) from events group by uuid, event, distinct_id, day)"
)
SELECT_PERSONS = (
    "select uuid, properties, is_identified, created_at_microseconds, "
    "(select json_group_array(distinct_id) from "
    "(select distinct_id from distinct_ids where person = p.uuid order by number)) "
    "from persons p where {} order by created_at_microseconds, uuid limit ? offset ?"
)


class TooSlowError(Exception):
    """A question that takes longer than PostHog gives it."""


class Row(msgspec.Struct):
    """An event as it is read again; `properties` is JSON, `copies` counts those that are there beside it.

    `created_at` is when PostHog took it.
    """

    uuid: str
    event: str
    distinct_id: str
    timestamp: str
    properties: msgspec.Raw
    person_id: str
    historical: bool
    created_at: str
    copies: int


class Fired(msgspec.Struct):
    """One arrival, for which PostHog would start each matching destination, workflow and webhook."""

    uuid: str
    event: str
    distinct_id: str
    timestamp: str


class PersonRow(msgspec.Struct):
    """A person as it is read again."""

    uuid: str
    distinct_ids: list[str]
    properties: msgspec.Raw
    is_identified: bool
    created_at: str


class Database:
    """One file (made readable by its owner only) or `:memory:`; safe for several threads."""

    longest_read_seconds = LONGEST_READ_SECONDS

    def __init__(self, path: str) -> None:
        if path != ":memory:":
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        weakref.finalize(self, self._connection.close)
        self.lock = threading.RLock()
        self._connection.execute("pragma journal_mode = wal")
        # A machine that crashes may cost the file, a process that is killed doesn't: enough for a sandbox, and fast.
        self._connection.execute("pragma synchronous = off")
        self._connection.executescript(SCHEMA)

    def keep(self, events: Sequence[Event], persons: Persons, groups: Groups, notices: Iterable[Notice]) -> None:
        """Store a batch in one transaction; an event that is there already is then there twice."""
        with self.lock, self._connection:
            self._connection.execute("begin")
            self._many(
                "insert into events (day, event, distinct_id, uuid, at_microseconds, properties, historical, "
                "created_at_microseconds) values (?, ?, ?, ?, ?, ?, ?, ?)",
                map(_event_values, events),
            )
            self._many("delete from persons where uuid = ?", ((uuid,) for uuid in persons.removed))
            self._many(
                "insert or replace into persons values (?, ?, ?, ?)", map(_person_values, persons.changed.values())
            )
            self._many(
                "insert or replace into distinct_ids values (?, ?, ?)",
                (
                    (distinct_id, person.uuid, number)
                    for person in persons.changed.values()
                    for number, distinct_id in enumerate(person.distinct_ids)
                ),
            )
            self._many("insert or ignore into personless values (?)", ((one,) for one in persons.newly_personless))
            self._many("insert or replace into groups values (?, ?, ?, ?)", map(_group_values, groups.changed.values()))
            self._many(
                "insert into warnings (type, details) values (?, ?)",
                ((one.type, _text(one.details)) for one in notices),
            )

    @property
    def changes(self) -> int:
        """A number that is another one after each change."""
        return self._connection.total_changes

    def index_for_reading(self) -> None:
        """Make the indexes that only a reader needs."""
        with self.lock:
            self._connection.executescript(READING_INDEXES)

    def merge(self, month: str = "") -> int:
        """Let ClickHouse merge its parts, all or those of a month (`2026-11`); return how many copies went."""
        with self.lock, self._connection:
            self._connection.execute("begin")
            self._connection.execute(KEEP_IN_MIND, [f"{month}%"])
            return self._connection.execute(MERGE, [f"{month}%"]).rowcount

    def fired(self) -> list[Fired]:
        """Read what destinations were started for: each arrival, oldest first, whatever has been merged since."""
        return [
            Fired(uuid, event, distinct_id, iso(_time(microseconds)))
            for uuid, event, distinct_id, microseconds in self.ask(
                "select uuid, event, distinct_id, at_microseconds from fired order by number"
            )
        ]

    def wipe(self) -> None:
        """Forget everything."""
        with self.lock, self._connection:
            self._connection.execute("begin")
            for table in TABLES:
                self._connection.execute(f"delete from {table}")  # noqa: S608  # names of our own

    def persons_behind(self, distinct_ids: Iterable[str]) -> list[Person]:
        """Load the persons that have one of these ids."""
        having = "uuid in (select person from distinct_ids where distinct_id in (select value from json_each(?)))"
        return [_person(row) for row in self.persons(having, [_text(list(distinct_ids))])]

    def personless_among(self, distinct_ids: Iterable[str]) -> set[str]:
        """Say which of these ids were used without a person."""
        sql = "select distinct_id from personless where distinct_id in (select value from json_each(?))"
        return {distinct_id for (distinct_id,) in self.ask(sql, [_text(list(distinct_ids))])}

    def groups(self) -> list[Group]:
        """Load all groups."""
        return [
            Group(kind, key, _properties(text), _time(created_at))
            for kind, key, text, created_at in self.ask("select * from groups order by type, key")
        ]

    def events(self, where: str = "true", values: Sequence[Any] = (), limit: int = -1, offset: int = 0) -> list[Row]:
        """Read events, each copy, in the order of arrival; `where` is SQL over `e`, the table of events."""
        return [_row(one) for one in self.ask(SELECT_EVENTS.format(where), (*values, limit, offset))]

    def persons(
        self, where: str = "true", values: Sequence[Any] = (), limit: int = -1, offset: int = 0
    ) -> list[PersonRow]:
        """Read persons, oldest first; `where` is SQL over `p`, the table of persons."""
        return [_person_row(one) for one in self.ask(SELECT_PERSONS.format(where), (*values, limit, offset))]

    def warnings(self) -> list[Notice]:
        """Read the ingestion warnings, oldest first; the real ones are sampled, these are not."""
        return [
            Notice(kind, msgspec.json.decode(details))
            for kind, details in self.ask("select type, details from warnings order by number")
        ]

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Answer a question in SQL."""
        with self.lock:
            return self._connection.execute(sql, values).fetchall()

    def read(
        self, sql: str, values: Sequence[Any], functions: Mapping[str, tuple[int, Callable[..., Any]]]
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Answer a question with the names of its columns; it may call functions that SQLite lacks.

        Raises TooSlowError for one that takes longer than `longest_read_seconds`.
        """
        ends = time.monotonic() + self.longest_read_seconds
        with self.lock:
            self._connection.set_progress_handler(lambda: time.monotonic() > ends, STEPS_BETWEEN_LOOKS)
            for name, (arguments, function) in functions.items():
                if isinstance(function, type):
                    self._connection.create_aggregate(name, arguments, function)
                else:
                    self._connection.create_function(name, arguments, function, deterministic=True)
            try:
                found = self._connection.execute(sql, values)
                return [column[0] for column in found.description], found.fetchall()
            except sqlite3.OperationalError as error:
                if str(error) == "interrupted":
                    raise TooSlowError from None
                raise
            finally:
                self._connection.set_progress_handler(None, 0)

    def _many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._connection.executemany(sql, rows)


def iso(time: datetime) -> str:
    """Write a time as `2026-11-01T12:00:00Z`, with a fraction only if it has one."""
    return time.isoformat().replace("+00:00", "Z")


def _microseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def _time(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _properties(text: str) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(text, type=dict[str, msgspec.Raw])


def _event_values(event: Event) -> tuple[Any, ...]:
    microseconds = _microseconds(event.timestamp)
    day = event.timestamp.date().isoformat()  # all times are UTC here, as in ClickHouse
    created_at = _microseconds(event.created_at or event.timestamp)
    properties = _text(event.properties)
    return (day, event.event, event.distinct_id, event.uuid, microseconds, properties, event.historical, created_at)


def _person_values(person: Person) -> tuple[Any, ...]:
    return (person.uuid, _text(person.properties), person.is_identified, _microseconds(person.created_at))


def _group_values(group: Group) -> tuple[Any, ...]:
    return (group.type, group.key, _text(group.properties), _microseconds(group.created_at))


def _person_row(values: tuple[Any, ...]) -> PersonRow:
    uuid, text, is_identified, created_at, distinct_ids = values
    properties = msgspec.Raw(text.encode())
    return PersonRow(uuid, msgspec.json.decode(distinct_ids), properties, bool(is_identified), iso(_time(created_at)))


def _person(row: PersonRow) -> Person:
    created_at = datetime.fromisoformat(row.created_at.replace("Z", "+00:00"))
    properties = msgspec.json.decode(row.properties, type=dict[str, msgspec.Raw])
    return Person(row.uuid, row.distinct_ids, properties, created_at, row.is_identified)


def _row(values: tuple[Any, ...]) -> Row:
    uuid, event, distinct_id, microseconds, text, person, historical, created_at, copies = values
    properties = msgspec.Raw(text.encode())
    person_id = person or person_uuid(distinct_id)  # also one without person processing stands under such a uuid
    times = iso(_time(microseconds)), iso(_time(created_at))
    return Row(uuid, event, distinct_id, times[0], properties, person_id, bool(historical), times[1], copies)
