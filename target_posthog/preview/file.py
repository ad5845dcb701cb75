"""File of a preview, to read from: its tables, records, events and plan.

Takes the file's path. The file is SQLite, has personal data in it and is its owner's alone. Other programs read it too:
a change of its tables needs a new `FORMAT`. What is packed is JSON, compressed by zlib.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from target_posthog.delivery.destination import KEYLESS
from target_posthog.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.mapping.event import Event
    from target_posthog.mapping.language.functions import JSON

FORMAT = "3"
DEFAULT_PATH = ".preview/preview.sqlite"
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE record (
  id INTEGER PRIMARY KEY,  -- in the order of reading
  stream TEXT NOT NULL,
  name TEXT NOT NULL,      -- what people call it, such as #1001, or else its key_name: never personal
  key_name TEXT NOT NULL,  -- such as id=5001: never personal
  key TEXT NOT NULL,       -- a JSON list: the values of the key properties
  body BLOB NOT NULL,      -- packed: the record as read
  left_out TEXT,           -- the name of the rule that leaves it out
  undeliverable TEXT,      -- why it, or one of its events, couldn't be delivered
  explanation BLOB,        -- packed: what each rule did, explanation.py
  personal BLOB NOT NULL   -- packed: personal values in it and its events, each with its stand-in
);
CREATE TABLE lookup (      -- what people may call a record, in lower case
  value TEXT, record INTEGER, PRIMARY KEY (value, record)
) WITHOUT ROWID;
CREATE TABLE event (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL,
  record INTEGER NOT NULL,
  rule TEXT NOT NULL,
  event TEXT NOT NULL,
  distinct_id TEXT NOT NULL,
  timestamp TEXT NOT NULL,
  day TEXT NOT NULL,
  historical INTEGER NOT NULL,
  identified INTEGER NOT NULL,
  repeated INTEGER NOT NULL DEFAULT 0,  -- another one here is the same to PostHog, and counts instead
  there INTEGER NOT NULL DEFAULT 0,     -- PostHog has it already, so it wouldn't be sent
  amount TEXT,
  currency TEXT,
  body BLOB NOT NULL       -- packed: the event as it would be sent
);
CREATE INDEX event_of_uuid ON event (uuid);
CREATE TABLE plan (body TEXT);
CREATE TABLE book (          -- the books that `reconcile` keeps, as far as the shop alone can tell
  shop TEXT NOT NULL,        -- the shop's domain
  currency TEXT NOT NULL,
  time_zone TEXT NOT NULL,   -- the shop's, whose days these are
  day TEXT NOT NULL,
  side TEXT NOT NULL,        -- report, ledger or planned
  figures TEXT NOT NULL      -- a JSON object: amounts as decimal texts
);
CREATE TABLE difference (    -- between these
  shop TEXT NOT NULL,
  currency TEXT NOT NULL,
  day TEXT NOT NULL,         -- empty for what bears on all days
  line TEXT NOT NULL,        -- for people; orders by name, nothing personal
  explained INTEGER NOT NULL
);
"""
INDEXES = """
CREATE INDEX record_of_stream ON record (stream, id);
CREATE INDEX record_left_out ON record (left_out, id) WHERE left_out IS NOT NULL;
CREATE INDEX record_undeliverable ON record (id) WHERE undeliverable IS NOT NULL;
CREATE INDEX event_of_record ON event (record);
CREATE INDEX event_of_day ON event (event, timestamp);
CREATE INDEX event_of_time ON event (timestamp);
CREATE INDEX event_of_person ON event (distinct_id, timestamp);
"""
RECORD = "record.id, stream, name, key_name, left_out, undeliverable"


class KnownRecord(NamedTuple):
    """A record of the preview, without its content; `name` is what people call it, `key_name` its keys."""

    id: int
    stream: str
    name: str
    key_name: str
    left_out: str | None
    undeliverable: str | None


class PlannedEvent(NamedTuple):
    """An event of the preview."""

    record: int
    rule: str
    event: Event
    historical: bool
    repeated: bool
    amount: str | None
    currency: str | None
    there: bool = False


def is_preview(path: Path) -> bool:
    """Say whether a file is a preview, of whatever format."""
    try:
        with closing(_opened(path)) as database:
            return "format" in _meta_of(database)
    except sqlite3.Error:  # it can't be opened
        return False


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _meta_of(database: sqlite3.Connection) -> dict[str, str]:
    """Return what a preview says of itself; nothing of any other file."""
    try:
        return dict(database.execute("SELECT key, value FROM meta"))
    except (sqlite3.Error, TypeError, ValueError):  # another table of that name may have other columns in it
        return {}


class PreviewFile:
    """A preview to read from, open until `close`; raises `RunError` if there is none."""

    def __init__(self, path: str) -> None:
        if not Path(path).is_file():
            raise RunError(
                f"There is no preview at {path}: `meltano --environment=preview run sync` makes one, as does the "
                "target with the setting `preview_path`"
            )
        self._database = _opened(Path(path))
        self.meta = _meta_of(self._database)
        if self.meta.get("format") != FORMAT:
            self._database.close()
            raise RunError(f"{path} is no preview that this version can read; make a new one")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def plan(self) -> dict[str, Any]:
        """Return the plan, as plan.py makes it."""
        ((body,),) = self._database.execute("SELECT body FROM plan")
        plan: dict[str, Any] = msgspec.json.decode(body)
        return plan

    def records(self) -> Iterator[KnownRecord]:
        """Yield each record in the order of reading."""
        return map(KnownRecord._make, self._database.execute(f"SELECT {RECORD} FROM record ORDER BY id"))  # noqa: S608  # a constant

    def by_key(self, stream: str) -> Iterator[list[KnownRecord]]:
        """Yield the versions of each record of a stream, in the order of reading."""
        sql = f"SELECT {RECORD} FROM record WHERE stream = ? ORDER BY key_name, id"  # noqa: S608  # the same
        known = map(KnownRecord._make, self._database.execute(sql, [stream]))
        for name, versions in groupby(known, key=lambda version: version.key_name):
            if name == KEYLESS:  # nobody can tell whether two of them are one
                yield from ([version] for version in versions)
            else:
                yield list(versions)

    def event_names(self, stream: str) -> list[tuple[str, str]]:
        """Return the rules that made events of a stream's records, each with a name of its events."""
        sql = "SELECT DISTINCT rule, event FROM event JOIN record ON record.id = record WHERE stream = ?"
        return [(rule, event) for rule, event in self._database.execute(sql, [stream])]

    def find(self, words: str) -> list[KnownRecord]:
        """Return the records that have this name, or that people find by these words, in the order of reading."""
        sql = f"SELECT {RECORD} FROM lookup JOIN record ON record.id = record WHERE value = ? ORDER BY record.id"  # noqa: S608  # the same
        return [KnownRecord._make(row) for row in self._database.execute(sql, [plain(words)])]

    def with_keys(self, key_names: Sequence[str], streams: Sequence[str]) -> list[KnownRecord]:
        """Return those records of some streams whose keys have one of these names, in the order of reading."""
        sql = (
            f"SELECT {RECORD} FROM record WHERE key_name IN (SELECT value FROM json_each(?)) "  # noqa: S608  # the same
            "AND stream IN (SELECT value FROM json_each(?)) ORDER BY id"
        )
        rows = self._database.execute(sql, [json.dumps(key_names), json.dumps(streams)])
        return [KnownRecord._make(row) for row in rows]

    def content(self, record: int) -> tuple[JSON, JSON, dict[str, str]]:
        """Return a record as read, its explanation, and the stand-ins for its personal values."""
        sql = "SELECT body, explanation, personal FROM record WHERE id = ?"
        ((body, explanation, personal),) = self._database.execute(sql, [record])
        return unpacked(body), unpacked(explanation), unpacked(personal) or {}

    def body(self, record: int) -> Any:  # noqa: ANN401  # any record
        """Return a record as read."""
        ((body,),) = self._database.execute("SELECT body FROM record WHERE id = ?", [record])
        return unpacked(body)

    def events(self, record: int | None = None) -> Iterator[PlannedEvent]:
        """Yield the events of a record or of all, in the order of the records."""
        which = "" if record is None else "WHERE record = ?"
        sql = f"SELECT record, rule, body, historical, repeated, amount, currency, there FROM event {which} ORDER BY id"  # noqa: S608  # the same
        for of, rule, body, historical, repeated, amount, currency, there in self._database.execute(
            sql, [] if record is None else [record]
        ):
            event = unpacked(body)
            yield PlannedEvent(of, rule, event, bool(historical), bool(repeated), amount, currency, bool(there))


def plain(words: str) -> str:
    """Return what is the same however people write it."""
    return words.strip().casefold()


def packed(value: JSON) -> bytes:
    """Return a value as JSON, compressed."""
    return zlib.compress(msgspec.json.encode(value), 1)


def unpacked(body: bytes | None) -> JSON:
    """Return the JSON value again; null for none."""
    return None if body is None else msgspec.json.decode(zlib.decompress(body))
