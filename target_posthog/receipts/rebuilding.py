"""Rebuilding of receipts: asks PostHog which events of ours it has, and writes receipts for them.

Takes PostHog's query API and a store; returns how many receipts are new. PostHog doesn't say which record an event came
from, so such a receipt has none; the first run that meets the record again finds it by the event's uuid.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

from target_posthog.mapping.event import PERSON_EVENTS
from target_posthog.posthog.query_api import FIRST_DAY, day_after
from target_posthog.receipts.sifter import sent_as
from target_posthog.receipts.store import MOST_IN_A_STATEMENT, Fact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.posthog.query_api import QueryApi
    from target_posthog.receipts.store import Store

UNKNOWN_RULE = ""
REBUILT = "distinct id: "  # in place of the entity that PostHog doesn't name
VERSION_OF_OURS = 5  # of the uuids of this target's events
EVENTS = """
select toUnixTimestamp(timestamp) as at, toString(uuid) as id, event, distinct_id
from events
where properties.`$lib` = 'target-posthog'
  and timestamp >= toDateTime('{first}') and timestamp < toDateTime('{end}T00:00:00Z'){after}
order by at, id"""
OLDEST = """
select min(toUnixTimestamp(timestamp)) as oldest
from events
where timestamp >= toDateTime('{first}T00:00:00Z') and timestamp < toDateTime('{end}T00:00:00Z')"""
AFTER = """
  and (toUnixTimestamp(timestamp) > {at} or (toUnixTimestamp(timestamp) = {at} and toString(uuid) > '{id}'))"""


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
    ((oldest,),) = api.rows(OLDEST.format(first=FIRST_DAY, end=day_after("")))
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
    days = [_iso(fact.at)[:10] for fact in facts]
    known = api.events_known((str(UUID(bytes=fact.uuid)) for fact in facts), min(days), max(days))
    yield from (fact for fact in facts if str(UUID(bytes=fact.uuid)) not in known)


def _facts(api: QueryApi) -> Iterator[Fact]:
    end = day_after("")

    def query(last: list[Any] | None) -> str:
        if last is None:
            return EVENTS.format(first=f"{FIRST_DAY}T00:00:00Z", end=end, after="")
        return EVENTS.format(first=_iso(last[0]), end=end, after=AFTER.format(at=int(last[0]), id=last[1]))

    for at, id_, event, distinct_id in api.pages(query, 2):
        uuid = UUID(id_)
        if event in PERSON_EVENTS or uuid.version != VERSION_OF_OURS:
            continue
        whose = sent_as(event, distinct_id, _iso(at)[:10])
        yield Fact(uuid.bytes, UNKNOWN_RULE, event, f"{REBUILT}{distinct_id}", distinct_id, whose, int(at), None)


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(int(seconds), timezone.utc).isoformat().replace("+00:00", "Z")
