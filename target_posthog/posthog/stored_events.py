"""Reader of the events that PostHog holds.

Takes names and a time span; yields each event, page by page. Knows PostHog's SQL, not what the events are for. A page
begins after the last one's timestamp and uuid, as a personal API key may not use OFFSET; a time that is too much for
one question is halved.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.errors import RunError
from target_posthog.posthog.hogql import moment, newest, raw, text, texts
from target_posthog.posthog.query_api import MOST_ROWS, TooMuchError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from target_posthog.posthog.query_api import QueryApi

PAGE_ROWS = 10_000
MOST_UUIDS = 1_000  # in one question, as ClickHouse reads a quarter of a megabyte of SQL
SHORTEST_SPAN = timedelta(seconds=1)  # of a question that PostHog finds too large: if this is too much, all is
# Copies that ClickHouse has not merged yet are one row; a copy with another time, name or distinct id is an event of
# its own. Nothing is named as a column of which it is made: ClickHouse would put the one in place of the other.
EVENTS = """
select toString(uuid) as id, event, distinct_id, toString(toTimeZone(timestamp, 'UTC')) as at,
  count() as copies, toString(toTimeZone(max(created_at), 'UTC')) as taken_at{columns}
from events
where event in ({names}) and timestamp >= {first} and timestamp < {end}{condition}
group by id, event, distinct_id, at
order by at, id
limit {limit}"""


class StoredEvent(NamedTuple):
    """An event as PostHog holds it; `copies` are its rows, more than one until ClickHouse merges them.

    `timestamp` is UTC as `2026-11-01T10:00:00.000000Z`, and so is `created_at`, when PostHog took the last copy.
    `properties` has those that were asked for as they are in that copy, null for what it lacks, fractions as `Decimal`.
    """

    uuid: str
    event: str
    distinct_id: str
    timestamp: str
    copies: int
    created_at: str
    properties: dict[str, Any]


class Span:
    """A time span that is asked for in windows: the whole of it at first, half of it after each `narrow`.

    After a window in which there was nothing the next one is twice as long, so that years without events need few.
    """

    def __init__(self, first: datetime, end: datetime) -> None:
        self.start, self._end = first, end
        self._longest = self._whole = end - first

    def __bool__(self) -> bool:
        """Whether something is left to ask for."""
        return self.start < self._end

    @property
    def end(self) -> datetime:
        """The end of the window, which isn't part of it."""
        return min(self.start + self._longest, self._end)

    def advance(self, *, is_empty: bool) -> None:
        """Go on to the next window."""
        self.start = self.end
        if is_empty:
            self._longest = min(self._longest * 2, self._whole)

    def narrow(self, reason: str) -> None:
        """Halve the window and all after it; raises `RunError` if it can't be any shorter."""
        if self._longest <= SHORTEST_SPAN:
            raise RunError(f"PostHog can't answer even for the one second at {self.start:%Y-%m-%d %H:%M:%S} ({reason})")
        self._longest = (self.end - self.start) / 2


def rows_by_window(
    api: QueryApi, query: Callable[[datetime, datetime], str], span: Span, name: str, *, if_full: str = ""
) -> Iterator[list[list[Any]]]:
    """Yield the rows of a query for one window of a span after another; `query` makes it from a window's start and end.

    A window without events has no rows. `if_full` says what is wrong with an answer that has as many rows as any may
    have, where that isn't all; then it is asked for shorter times. Raises `RunError`.
    """
    while span:
        try:
            rows = api.rows(query(span.start, span.end), name)
        except TooMuchError as error:
            span.narrow(error.reason)
            continue
        if if_full and len(rows) >= MOST_ROWS:
            span.narrow(if_full)
            continue
        yield rows
        span.advance(is_empty=not rows)


def stored_events(  # noqa: PLR0913  # a question has these parts
    api: QueryApi,
    names: Collection[str],
    first: datetime,
    end: datetime,
    *,
    properties: Sequence[str] = (),
    uuids: Collection[str] | None = None,
    page_rows: int = PAGE_ROWS,
) -> Iterator[StoredEvent]:
    """Yield the events of some names from `first` until before `end`, in the order of their times and uuids.

    With `uuids`, 1,000 at most, only those. Asks for one page at a time; raises `RunError`.
    """
    span, after = Span(first, end), ""
    while span and names:
        condition = f" and (timestamp > {moment(span.start)} or toString(uuid) >= {text(after)})" if after else ""
        if uuids is not None:
            condition += f" and toString(uuid) in ({texts(sorted(uuids))})"
        query = EVENTS.format(
            columns="".join(f",\n  {newest(raw(name))} as property_{at}" for at, name in enumerate(properties)),
            names=texts(sorted(names)),
            first=moment(span.start),
            end=moment(span.end),
            condition=condition,
            limit=page_rows,
        )
        try:
            rows = [_stored(row, properties) for row in api.rows(query, "target-posthog: events")]
        except TooMuchError as error:
            span.narrow(error.reason)
            continue
        if len(rows) < page_rows:
            yield from rows
            span.advance(is_empty=not rows and not after)
            after = ""
        else:  # what has the last row's time and uuid may go on on the next page, which begins with it
            last = rows[-1]
            whole = [row for row in rows if (row.timestamp, row.uuid) != (last.timestamp, last.uuid)]
            if not whole:
                raise RunError(f"PostHog holds {page_rows:,} events of one uuid at one time: {last.uuid}")
            yield from whole
            span.start, after = _time(last.timestamp), last.uuid


def _stored(row: Sequence[Any], properties: Sequence[str]) -> StoredEvent:
    uuid, event, distinct_id, at, copies, created_at, *values = row
    found = {name: read_value(value) for name, value in zip(properties, values, strict=True)}
    return StoredEvent(uuid.lower(), event, distinct_id, _iso(at), copies, _iso(created_at), found)


def read_value(raw_json: str) -> Any:  # noqa: ANN401  # any JSON
    """Return a property's value from its JSON, fractions as `Decimal`; None for a property that isn't there."""
    return json.loads(raw_json, parse_float=Decimal) if raw_json else None


def _iso(at: str) -> str:
    return f"{at.replace(' ', 'T')}Z"


def _time(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp[:-1]).replace(tzinfo=timezone.utc)


def rows_by_uuid(api: QueryApi, events: Collection[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many rows PostHog holds of each of these events, by uuid; what it doesn't hold isn't there.

    A day is looked at as a whole, as a copy of an event may have another time of it. Raises `RunError`.
    """
    days = [str(event["timestamp"])[:10] for event in events]
    if not days:
        return {}
    first, last = (datetime.fromisoformat(day).replace(tzinfo=timezone.utc) for day in (min(days), max(days)))
    found: dict[str, int] = {}
    names, uuids = {str(event["event"]) for event in events}, sorted({str(event["uuid"]).lower() for event in events})
    for at in range(0, len(uuids), MOST_UUIDS):
        some = uuids[at : at + MOST_UUIDS]
        for stored in stored_events(api, names, first, last + timedelta(days=1), uuids=some):
            found[stored.uuid] = found.get(stored.uuid, 0) + stored.copies
    return found
