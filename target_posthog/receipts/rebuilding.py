"""Rebuilding of receipts: asks PostHog which events of ours it has, and writes receipts for them.

Takes PostHog's query API and a store; returns how many receipts are new. PostHog doesn't say which record an event came
from, so such a receipt has none; the first run that meets the record again finds it by the event's uuid.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from uuid import UUID

from target_posthog.mapping.event import ALWAYS, PERSON_EVENTS
from target_posthog.posthog.hogql import moment, raw, text
from target_posthog.posthog.stored_events import rows_by_uuid, stored_events
from target_posthog.receipts.sifter import seconds_of, sent_as
from target_posthog.receipts.store import MOST_IN_A_STATEMENT, Fact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.posthog.query_api import QueryApi
    from target_posthog.receipts.store import Store

UNKNOWN_RULE = ""
REBUILT = "distinct id: "  # in place of the entity that PostHog doesn't name
LIB = ALWAYS["$lib"]
FIRST_DAY = datetime(2006, 1, 1, tzinfo=timezone.utc)  # before the first Shopify store
VERSION_OF_OURS = 5  # of the uuids of this target's events
QUESTION = "target-posthog: receipts"
MOST_NAMES = 10_000
NAMES = """
select event, count() as number
from events
where {lib} = {ours} and timestamp >= {first} and timestamp < {end}
group by event
limit {limit}"""
OLDEST = """
select min(toUnixTimestamp(timestamp)) as oldest
from events
where timestamp >= {first} and timestamp < {end}
limit 1"""


def rebuild(api: QueryApi, store: Store) -> tuple[int, int]:
    """Write receipts for the facts of ours that PostHog has; return how many it has, and how many receipts are new."""
    seen = new = 0
    part: list[Fact] = []
    for fact in _facts(api):
        part.append(fact)
        if len(part) == MOST_IN_A_STATEMENT:
            seen, new, part = seen + len(part), new + _added(store, part), []
    return seen + len(part), new + _added(store, part)


def _added(store: Store, facts: Sequence[Fact]) -> int:
    return store.add(list({fact.uuid: fact for fact in facts}.values()))


def missing(api: QueryApi, store: Store, before: int) -> Iterator[Fact]:
    """Yield the facts that have a receipt and aren't in PostHog, of those older than `before` (seconds since 1970).

    What lies before the time of the oldest event that PostHog shows isn't missing: it may be beyond its retention.
    """
    first, end = _all_time()
    ((oldest,),) = api.rows(OLDEST.format(first=moment(first), end=moment(end)), QUESTION)
    part: list[Fact] = []
    for fact in store.export():
        if oldest is None or not int(oldest) <= fact.at < before:
            continue
        part.append(fact)
        if len(part) == MOST_IN_A_STATEMENT:
            yield from _not_in(api, part)
            part = []
    yield from _not_in(api, part)


def _not_in(api: QueryApi, facts: Sequence[Fact]) -> Iterator[Fact]:
    if not facts:
        return
    events = [{"event": fact.event, "uuid": str(UUID(bytes=fact.uuid)), "timestamp": _iso(fact.at)} for fact in facts]
    known = rows_by_uuid(api, events)
    yield from (fact for fact in facts if str(UUID(bytes=fact.uuid)) not in known)


def _facts(api: QueryApi) -> Iterator[Fact]:
    first, end = _all_time()
    query = NAMES.format(lib=raw("$lib"), ours=text(f'"{LIB}"'), first=moment(first), end=moment(end), limit=MOST_NAMES)
    names = {name for name, _ in api.rows(query, QUESTION)} - PERSON_EVENTS
    for stored in stored_events(api, names, first, end, properties=["$lib"]):
        uuid = UUID(stored.uuid)
        if stored.properties["$lib"] != LIB or uuid.version != VERSION_OF_OURS:
            continue
        day = stored.timestamp[:10]
        whose = sent_as(stored.event, stored.distinct_id, day)
        at = seconds_of(stored.timestamp)
        owner = f"{REBUILT}{stored.distinct_id}"
        yield Fact(uuid.bytes, UNKNOWN_RULE, stored.event, owner, stored.distinct_id, whose, at, None)


def _all_time() -> tuple[datetime, datetime]:
    return FIRST_DAY, datetime.now(timezone.utc) + timedelta(days=1)


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(int(seconds), timezone.utc).isoformat().replace("+00:00", "Z")
