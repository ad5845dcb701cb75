"""PostHog's table of events in ClickHouse, filled as a test wants it, and asked as the product asks.

An arrival is one row; ClickHouse shows the copies of an event until it merges them, which happens here on demand alone.
"""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from tests.outside.hogql.engines import HERE
from tests.outside.hogql.printed import printed, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from tests.outside.hogql.engines import ClickHouse, Grammar

NUMBERS = itertools.count(1)
FIRST_ARRIVAL = datetime(2026, 11, 20, tzinfo=timezone.utc)


def arrived_at(number: int) -> datetime:
    """Return when PostHog takes a batch, the first, the second ..."""
    return FIRST_ARRIVAL + timedelta(minutes=number)


class Event(NamedTuple):
    """An event as it is sent."""

    uuid: UUID
    event: str
    distinct_id: str
    timestamp: datetime
    properties: dict[str, Any]

    @property
    def key(self) -> tuple[Any, ...]:
        """What ClickHouse merges by: the sort key of the table."""
        return self.timestamp.astimezone(timezone.utc).date(), self.event, self.distinct_id, self.uuid


class Table:
    """The table of one project: `zone` is the project's, `analyzer` which of ClickHouse's two reads a question.

    Has the method that the product asks with, so that it can stand in the place of a `QueryApi`.
    """

    def __init__(self, grammar: Grammar, clickhouse: ClickHouse, *, zone: str = "UTC", analyzer: int = 1) -> None:
        self._grammar, self._clickhouse, self.zone, self._analyzer = grammar, clickhouse, zone, analyzer
        self.asked: list[tuple[str, str]] = []
        database = f"project_{next(NUMBERS)}"  # to drop a table waits for merges
        clickhouse.rows(f"CREATE DATABASE {database}")
        clickhouse.rows(f"USE {database}")
        clickhouse.rows((HERE / "events.sql").read_text())
        clickhouse.rows("SYSTEM STOP MERGES events")
        self._arrivals = 0

    def take(self, *batches: Sequence[Event]) -> None:
        """Insert batches, each later than the one before; a copy within a batch would be merged at once."""
        for batch in batches:
            self._arrivals += 1
            rows = ", ".join(_values(event, arrived_at(self._arrivals)) for event in batch)
            columns = "uuid, event, properties, timestamp, team_id, distinct_id, created_at, _timestamp, person_id"
            self._clickhouse.rows(f"INSERT INTO events ({columns}) VALUES {rows}")

    def merge(self) -> None:
        """Merge all parts of each month."""
        self._clickhouse.rows("SYSTEM START MERGES events")
        self._clickhouse.rows("OPTIMIZE TABLE events FINAL")

    def rows(self, query: str, name: str = "") -> list[list[Any]]:
        """Answer a question, in HogQL, by PostHog's grammar and ClickHouse."""
        self.asked.append((name, query))
        tree = self._grammar.tree(query)
        return self._clickhouse.rows(printed(tree, zone=self.zone, analyzer=self._analyzer))


def _values(event: Event, at: datetime) -> str:
    moments = (f"{one.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S.%f}" for one in (event.timestamp, at))
    timestamp, created_at = map(text, moments)
    properties = text(json.dumps(event.properties, ensure_ascii=False))
    return (
        f"({text(str(event.uuid))}, {text(event.event)}, {properties}, {timestamp}, 1, {text(event.distinct_id)}, "
        f"{created_at}, {text(f'{at:%Y-%m-%d %H:%M:%S}')}, "
        f"{text(str(uuid5(NAMESPACE_URL, event.distinct_id)))})"
    )
