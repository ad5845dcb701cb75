"""Events that PostHog accepted change what it keeps, in: events in their order, and the database; out: nothing.

Knows neither requests nor pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.posthog.capture import Notice
from sandbox.posthog.groups import Groups
from sandbox.posthog.normalization import normalize
from sandbox.posthog.persons import Persons, ids_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sandbox.posthog.capture import Event
    from sandbox.posthog.database import Database


def take(
    database: Database, events: Sequence[Event], notices: Iterable[Notice] = (), *, oldest: datetime | None = None
) -> None:
    """Let the events change persons and groups in their order, and keep them: one batch after the other.

    Those from before `oldest` are dropped, back-fills too, as a project's `drop_events_older_than` asks (PostHog
    drop-old-events-step.ts [056e5aaa]); their sender was told 200 or `ok` long before.
    """
    too_old = [one for one in events if oldest and one.timestamp < oldest]
    if oldest:
        events = [one for one in events if one.timestamp >= oldest]
    for one in events:
        normalize(one)
    ids = ids_of(events)
    with database.lock:
        persons = Persons(database.persons_behind(ids), database.personless_among(ids))
        known_groups = database.groups() if any(one.event == "$groupidentify" for one in events) else []
        groups = Groups({(one.type, one.key): one for one in known_groups})
        kept = [one for one in events if persons.apply(one) and groups.apply(one)]
        dropped = [Notice("event_dropped_too_old", {"event": one.event, "eventUuid": one.uuid}) for one in too_old]
        database.keep(kept, persons, groups, [*notices, *dropped, *groups.notices, *persons.notices])
