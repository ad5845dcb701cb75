"""Events become persons, in: persons as they are and events in arrival order; out: persons as PostHog would have them.

Pure: knows neither requests nor storage. Rules: PostHog nodejs/src/worker/ingestion/persons (person-merge-service.ts,
person-update.ts, person-property-service.ts) and the step that normalises `$process_person_profile`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

import msgspec

from sandbox.posthog.capture import Event, Notice, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

TEAM_ID = 1
PERSON_NAMESPACE = UUID("932979b4-65c3-4424-8467-0b66ec27bc22")  # PostHog posthog/models/person/util.py
LARGEST_PERSON_BYTES = 524_288  # https://posthog.com/docs/data/ingestion-warnings, person_properties_size_violation
NEEDS_A_PERSON = frozenset(("$identify", "$create_alias", "$merge_dangerously", "$groupidentify"))
NEVER_UPDATES = frozenset(("$exception", "$$heatmap"))
PERSON_PROPERTIES = ("$set", "$set_once", "$unset")
# What person-merge-service.ts takes for a sender's mistake, also in quotes; the first row whatever its case.
ILLEGAL_IN_ANY_CASE = ("anonymous", "guest", "distinctid", "distinct_id", "id", "not_authenticated", "email")
ILLEGAL_WORDS = ("undefined", "true", "false")  # in any case too
ILLEGAL_AS_WRITTEN = ("[object Object]", "NaN", "None", "none", "null", "0")

_FALSE = to_json(value=False)
_TRUE = to_json(value=True)


def _quoted(ids: Iterable[str]) -> frozenset[str]:
    return frozenset(form.format(one) for one in ids for form in ("{}", "'{}'", '"{}"'))


_ILLEGAL_IN_ANY_CASE = _quoted((*ILLEGAL_IN_ANY_CASE, *ILLEGAL_WORDS))
_ILLEGAL_AS_WRITTEN = _quoted(ILLEGAL_AS_WRITTEN)


@dataclass
class Person:
    """One person; `properties` holds each value as the JSON text that was sent."""

    uuid: str
    distinct_ids: list[str]
    properties: dict[str, msgspec.Raw]
    created_at: datetime
    is_identified: bool = False


@dataclass
class Persons:
    """The persons behind a batch's distinct ids (`ids_of`), changed event by event.

    `known` are the persons that already exist, `personless` the ids that were used without one. After `apply`,
    `changed` and `removed` (by uuid) say what to store, `newly_personless` which ids to remember, `notices` what
    PostHog warns of.
    """

    known: Iterable[Person] = ()
    personless: set[str] = field(default_factory=set)
    changed: dict[str, Person] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    newly_personless: set[str] = field(default_factory=set)
    notices: list[Notice] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Find each known person by its ids."""
        self._by_id = {distinct_id: person for person in self.known for distinct_id in person.distinct_ids}

    def apply(self, event: Event) -> bool:
        """Change the persons as this event asks; False means that PostHog drops the event itself.

        An event without person processing loses what it says of persons (its properties are changed).
        """
        wish = event.properties.get("$process_person_profile")
        if wish == _FALSE:
            if event.event in NEEDS_A_PERSON:
                self._note("invalid_event_when_process_person_profile_is_false", event)
                return False
            event.person_processing = False
        elif wish is not None and wish != _TRUE:
            self._note("invalid_process_person_profile", event)
        if not event.person_processing or event.event == "$groupidentify":  # `normalizeProcessPerson`
            for name in PERSON_PROPERTIES:
                event.properties.pop(name, None)
        if not event.person_processing:
            if event.distinct_id not in self._by_id:
                self.newly_personless.add(event.distinct_id)
                self.personless.add(event.distinct_id)
            return True
        other_id = other_id_of(event)
        linked = None if other_id is None else self._link(event, other_id)
        self._update(linked or self._person_of(event, event.distinct_id), event, identified=linked is not None)
        return True

    def _link(self, event: Event, other_id: str) -> Person | None:
        """Make the other id and the event's own one person, identified from now on; None if PostHog won't try."""
        if other_id == event.distinct_id:
            return None
        for illegal in (one for one in (event.distinct_id, other_id) if is_illegal(one)):
            self._note("cannot_merge_with_illegal_distinct_id", event, illegalDistinctId=illegal)
            return None
        into, other = self._by_id.get(event.distinct_id), self._by_id.get(other_id)
        if into and other:
            if into is not other:
                self._merge(into, other, event, other_id)
            return into
        if into:
            return self._add(into, other_id)
        if other:
            return self._add(other, event.distinct_id)
        # The uuid under which events of the other id stand already, if it was used without a person, is kept.
        swap = other_id in self.personless and event.distinct_id not in self.personless
        first, second = (other_id, event.distinct_id) if swap else (event.distinct_id, other_id)
        return self._add(self._person_of(event, first), second)

    def _merge(self, into: Person, other: Person, event: Event, other_id: str) -> None:
        """Move everything of the other person to this one, unless the other is already identified."""
        if other.is_identified and event.event != "$merge_dangerously":
            both = {"sourcePersonDistinctId": other_id, "targetPersonDistinctId": event.distinct_id}
            self._note("cannot_merge_already_identified", event, **both)
            return
        into.properties = {**other.properties, **into.properties}
        into.created_at = min(into.created_at, other.created_at)  # person-merge-service.ts `mergePeople` [039125e1]
        for distinct_id in other.distinct_ids:
            self._add(into, distinct_id)
        self.changed.pop(other.uuid, None)
        self.removed.add(other.uuid)

    def _person_of(self, event: Event, distinct_id: str) -> Person:
        """Return the person of an id, made from this event if there is none: `created_at` is its time from then on.

        PostHog person-property-service.ts, `createOrGetPerson` [039125e1].
        """
        known = self._by_id.get(distinct_id)
        return known or self._add(Person(person_uuid(distinct_id), [], {}, event.timestamp), distinct_id)

    def _add(self, person: Person, distinct_id: str) -> Person:
        person.distinct_ids.append(distinct_id)
        self._by_id[distinct_id] = person
        self.changed[person.uuid] = person
        return person

    def _update(self, person: Person, event: Event, *, identified: bool) -> None:
        """Write what the event says of the person; the order of arrival decides, not the event's time."""
        if identified and not person.is_identified:
            person.is_identified = True
            self.changed[person.uuid] = person
        if event.event in NEVER_UPDATES or not any(name in event.properties for name in PERSON_PROPERTIES):
            return
        properties = {**_object(event, "$set_once"), **person.properties, **_object(event, "$set")}
        for name in _names(event, "$unset"):
            properties.pop(name, None)
        if properties == person.properties:
            return
        if len(msgspec.json.encode(properties)) > LARGEST_PERSON_BYTES:
            self._note("person_properties_size_violation", event, personId=person.uuid)
            return
        person.properties = properties
        self.changed[person.uuid] = person

    def _note(self, kind: str, event: Event, **details: str) -> None:
        self.notices.append(
            Notice(kind, {"event": event.event, "eventUuid": event.uuid, "distinctId": event.distinct_id, **details})
        )


def person_uuid(distinct_id: str) -> str:
    """Return the uuid of the person that this id would start, or under which it stands without a person."""
    return str(uuid5(PERSON_NAMESPACE, f"{TEAM_ID}:{distinct_id}"))


def other_id_of(event: Event) -> str | None:
    """Return the id that the event asks to link to its own: `$anon_distinct_id` of `$identify`, else `alias`."""
    if event.event == "$identify":
        value = event.properties.get("$anon_distinct_id")
    elif event.event in {"$create_alias", "$merge_dangerously"}:
        value = event.properties.get("alias")
    else:
        return None
    if value is None:
        return None
    read = msgspec.json.decode(value)
    if event.event != "$identify" and not read:
        return None
    return read if isinstance(read, str) else bytes(value).decode()


def is_illegal(distinct_id: str) -> bool:
    """Say whether PostHog refuses to merge with this id (person-merge-service.ts)."""
    lower = distinct_id.lower()
    return not distinct_id.strip() or lower in _ILLEGAL_IN_ANY_CASE or distinct_id in _ILLEGAL_AS_WRITTEN


def ids_of(events: Iterable[Event]) -> set[str]:
    """Return each id whose person these events may touch."""
    ids: set[str] = set()
    for event in events:
        ids.add(event.distinct_id)
        other_id = other_id_of(event)
        if other_id is not None:
            ids.add(other_id)
    return ids


def _object(event: Event, name: str) -> dict[str, msgspec.Raw]:
    value = event.properties.get(name)
    if value is None or bytes(value)[:1] != b"{":
        return {}
    return msgspec.json.decode(value, type=dict[str, msgspec.Raw])


def _names(event: Event, name: str) -> list[str]:
    value = event.properties.get(name)
    read = msgspec.json.decode(value) if value is not None else None
    return [one for one in read if isinstance(one, str)] if isinstance(read, (list, dict)) else []
