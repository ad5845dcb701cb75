"""Rebuilding of receipts: asks PostHog which events of ours it has, and writes receipts for them.

Takes PostHog's query API, a store, and what the mapping remembers of events; returns how many receipts are new. Where
an event doesn't say which record it came from, its receipt has none; the first run that meets the record again finds it
by the event's uuid.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

from target_posthog.mapping.event import ALWAYS, PERSON_EVENTS, may_be_ours
from target_posthog.posthog.hogql import moment, raw, text, texts
from target_posthog.posthog.query_api import MOST_ROWS
from target_posthog.posthog.stored_events import Span, rows_by_window, stored_events
from target_posthog.receipts.erasing import NOT_SENT_AS
from target_posthog.receipts.running_money import PERSON_PROFILE, money_of
from target_posthog.receipts.sifter import seconds_of, sent_as, uuid_bytes
from target_posthog.receipts.store import REBUILT, Fact, parts, time_of
from target_posthog.receipts.temporary import TemporaryMapping

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from target_posthog.mapping.event import Entity
    from target_posthog.mapping.language.functions import JSON
    from target_posthog.mapping.meanings import Remembered
    from target_posthog.posthog.query_api import QueryApi
    from target_posthog.posthog.stored_events import StoredEvent
    from target_posthog.receipts.store import Store

UNKNOWN_RULE = ""
LONGEST_FLIGHT_SECONDS = 24 * 3600  # PostHog names no time in which events show; a day is generous
ONE_DAY = timedelta(days=1)
LIB = ALWAYS["$lib"]
# Other taps' records can be older than the first Shopify store, and an event's time can lie ahead.
FIRST_DAY, LAST_DAY = datetime(1970, 1, 1, tzinfo=timezone.utc), datetime(2100, 1, 1, tzinfo=timezone.utc)
QUESTION = "target-posthog: receipts"
NOTHING_SHOWN = (
    "PostHog shows no event at all; is `project_id` the project of the API key? If that project was emptied, "
    "`target-posthog receipts forget` lets the next full refresh send everything again"
)
SINCE_THE_OLDEST = (
    "The key may not read the project's settings (scope project:read), so it isn't known how long PostHog shows "
    "events: nothing is missed that is older than the oldest one, of {}"
)
MOST_NAMES = 10_000
NAMES = """
select event, count() as number
from events
where event not in ({known}) and {lib} = {ours} and timestamp >= {first} and timestamp < {end}
group by event
limit {limit}"""
OLDEST = """
select event, min(toUnixTimestamp(timestamp)) as oldest
from events
where timestamp >= {first} and timestamp < {end}
group by event
order by oldest
limit 1"""


def rebuild(api: QueryApi, store: Store, remembered: Mapping[str, Remembered]) -> tuple[int, int]:
    """Write receipts for the facts of ours that PostHog has; return how many it has, and how many receipts are new."""
    seen = new = 0
    for part in parts(_facts(api, remembered)):
        seen += len(part)
        new += store.add(part)
    return seen, new


def kept_since(api: QueryApi) -> int | None:
    """Return from which moment on, in seconds since 1970, PostHog shows all events; 0 for ever, None if it won't say.

    For that the key needs the scope project:read.
    """
    project = api.project()
    if project is None:
        return None
    first = project.kept_from(datetime.now(timezone.utc))
    return seconds_of(f"{first}T00:00:00Z") if first else 0


def shown_since(api: QueryApi) -> tuple[int | None, str]:
    """Return from which moment on PostHog shows all that it has, in seconds since 1970, and what a user has to know.

    That is by the project's settings; if the key may not read them, since the oldest event that PostHog shows. None if
    it shows none at all.
    """
    kept = kept_since(api)
    windows = rows_by_window(
        api,
        lambda start, end: OLDEST.format(first=moment(start), end=moment(end)),
        Span(FIRST_DAY, LAST_DAY),
        QUESTION,
    )
    oldest = next((int(at) for rows in windows for _, at in rows), None)
    if oldest is None:
        return None, NOTHING_SHOWN
    return (oldest, SINCE_THE_OLDEST.format(time_of(oldest)[:10])) if kept is None else (kept, "")


def missing(api: QueryApi, store: Store, since: int, before: int) -> Iterator[Fact]:
    """Yield the facts that have a receipt and aren't in PostHog, from `since` until before `before`.

    Both are in seconds since 1970; what is older than `since` is beyond what PostHog shows, and isn't missing. Neither
    is what was erased.
    """
    there: TemporaryMapping[bool] = TemporaryMapping(bool)
    # All are asked for by time, each once. To ask for those with a receipt by their uuids takes 50 times as many
    # questions, of which each looks at all events, and PostHog answers 2,400 an hour.
    for stored in stored_events(
        api, [name for name, *_ in store.counts()], _midnight(since), _midnight(before) + ONE_DAY, page_rows=MOST_ROWS
    ):
        there[uuid_bytes(stored.uuid)] = True
    for fact in store.export():
        if since <= fact.at < before and fact.uuid not in there and fact.sent_as != NOT_SENT_AS:
            yield fact


def _midnight(at: int) -> datetime:
    """Return when a moment's day begins: a copy of an event may have another time of the same day."""
    return datetime.fromtimestamp(at - at % ONE_DAY.total_seconds(), timezone.utc)


def _facts(api: QueryApi, remembered: Mapping[str, Remembered]) -> Iterator[Fact]:
    names = {*remembered, *_other_names(api, {*remembered, *PERSON_EVENTS})}
    wanted = {name for known in remembered.values() for name in (*known.fields.values(), *known.entities.money.names)}
    properties = ["$lib", PERSON_PROFILE, *sorted(wanted)] if wanted else ["$lib"]
    for stored in stored_events(api, names, FIRST_DAY, LAST_DAY, properties=properties):
        if stored.properties["$lib"] != LIB or not may_be_ours(stored.uuid):
            continue
        uuid = uuid_bytes(stored.uuid)
        day = stored.timestamp[:10]
        whose = sent_as(stored.event, stored.distinct_id, day)
        at = seconds_of(stored.timestamp)
        entity = _entity_of(stored, remembered)
        owner = entity.key if entity else f"{REBUILT}{stored.distinct_id}"
        money = money_of(_known_properties(stored), entity.money) if entity else None
        yield Fact(uuid, UNKNOWN_RULE, stored.event, owner, stored.distinct_id, whose, at, None, money=money)


def _other_names(api: QueryApi, known: Collection[str]) -> set[str]:
    """Return the names of our events beside the known ones; whose an event is stands in its properties alone."""

    def query(start: datetime, end: datetime) -> str:
        ours, names = text(f'"{LIB}"'), texts(sorted(known))
        times = {"first": moment(start), "end": moment(end)}
        return NAMES.format(known=names, lib=raw("$lib"), ours=ours, limit=MOST_NAMES, **times)

    windows = rows_by_window(api, query, Span(FIRST_DAY, LAST_DAY), QUESTION)
    return {name for rows in windows for name, _ in rows}


def _entity_of(stored: StoredEvent, remembered: Mapping[str, Remembered]) -> Entity | None:
    known = remembered.get(stored.event)
    return known.entity(stored.properties) if known else None


def _known_properties(stored: StoredEvent) -> dict[str, JSON]:
    """Return an event's properties as it was sent with them; those that it hasn't come as null."""
    return {
        name: str(value) if isinstance(value, Decimal) else value
        for name, value in stored.properties.items()
        if value is not None
    }
