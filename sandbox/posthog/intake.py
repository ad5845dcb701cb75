"""Events that PostHog accepted change what it keeps, in: events in their order, and the database; out: nothing.

Knows neither requests nor pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.posthog.groups import Groups
from sandbox.posthog.persons import Persons, ids_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandbox.posthog.capture import Event, Notice
    from sandbox.posthog.database import Database


def take(database: Database, events: Sequence[Event], notices: Iterable[Notice] = ()) -> None:
    """Let the events change persons and groups in their order, and keep them: one batch after the other."""
    ids = ids_of(events)
    with database.lock:
        persons = Persons(database.persons_behind(ids), database.personless_among(ids))
        known_groups = database.groups() if any(one.event == "$groupidentify" for one in events) else []
        groups = Groups({(one.type, one.key): one for one in known_groups})
        kept = [one for one in events if persons.apply(one) and groups.apply(one)]
        database.keep(kept, persons, groups, [*notices, *groups.notices, *persons.notices])
