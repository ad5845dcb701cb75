"""Sifter of events: lets through what PostHog doesn't have yet, by the receipts.

Takes events as the rules make them; returns those to send, each with the receipts that it earns. A fact is sent when it
has no receipt, whatever has changed since. A person or group is described when the description differs from the last
that was acknowledged. Two ids are linked once. All facts of an order stay with the distinct id of its first.
"""

from __future__ import annotations

from datetime import datetime, timezone
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple, Protocol
from zlib import crc32

import msgspec

from target_posthog.mapping.event import (
    ALWAYS,
    GROUP_IDENTIFY,
    IDENTIFY,
    LINK_KEYS,
    LINKS_AND_SETS,
    PERSON_EVENTS,
    Entity,
    Event,
    Maker,
    is_identified,
    uuid_of,
)
from target_posthog.mapping.language.functions import as_timestamp, canonical
from target_posthog.receipts.store import RESEND_ANYHOW, Fact, Person

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from target_posthog.mapping.language.functions import JSON
    from target_posthog.receipts.store import KnownFact

LINK_RULE = "link of a changed buyer"
NOT_CONTENT = frozenset((*ALWAYS, *LINK_KEYS, "$process_person_profile", "$groups"))
NO_SETS = frozenset(LINKS_AND_SETS)
HASH_BYTES, KEY_BYTES = 8, 16


class Candidate(NamedTuple):
    """An event that a rule made of a record; `source` is what its destination knows the record by.

    `maker` and `record`, a hash of the record's key, are there to find two records that make different events under
    one key.
    """

    event: Event
    rule: str
    entity: Entity | None
    source: object = None
    maker: Maker | None = None
    record: int = 0


class Sifted(NamedTuple):
    """An event to send, and the receipts that it earns: of a fact, or of what it says of persons."""

    event: Event
    rule: str
    source: object
    fact: Fact | None = None
    persons: tuple[Person, ...] = ()
    keeps_person: bool = False

    @property
    def receipts(self) -> Iterator[bytes]:
        """The keys of the receipts."""
        if self.fact:
            yield self.fact.uuid
        for person in self.persons:
            yield person.key


class Known(Protocol):
    """What the sifter asks a store of receipts."""

    @property
    def floor(self) -> int:
        """The time, in seconds since 1970, before which facts are taken for sent; 0 for none."""

    def facts(self, uuids: Sequence[bytes]) -> dict[bytes, KnownFact]:
        """Return those of the facts that have a receipt."""

    def persons(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Return the digests of what was said of persons, by key."""

    def distinct_ids(self, entities: Sequence[str]) -> dict[str, str]:
        """Return the distinct ids of entities that have one, by the entity's key."""

    def adopted(self, uuids: Sequence[bytes]) -> dict[bytes, str]:
        """Return the distinct ids under which facts were sent, by uuid."""


class NothingKnown:
    """What a store of receipts knows before the first run: nothing."""

    floor = 0

    def facts(self, uuids: Sequence[bytes]) -> dict[bytes, KnownFact]:  # noqa: ARG002  # of the protocol `Known`
        """Return none."""
        return {}

    def persons(self, keys: Sequence[bytes]) -> dict[bytes, int]:  # noqa: ARG002  # of the protocol `Known`
        """Return none."""
        return {}

    def distinct_ids(self, entities: Sequence[str]) -> dict[str, str]:  # noqa: ARG002  # of the protocol `Known`
        """Return none."""
        return {}

    def adopted(self, uuids: Sequence[bytes]) -> dict[bytes, str]:  # noqa: ARG002  # of the protocol `Known`
        """Return none."""
        return {}


class Tally(Protocol):
    """What is told of events that aren't sent."""

    def there(self, candidate: Candidate, *, changed: bool) -> None:
        """Count an event that PostHog has already; `changed` if its content isn't what was sent."""

    def repeated_again(self, candidate: Candidate) -> None:
        """Count an event that this run has sent already, or has tried to."""

    def not_resent(self, candidate: Candidate) -> None:
        """Count an event that was to be sent again, but would come under another name, distinct id or day."""


class Sifter:
    """Sifts the events of one run; what it lets through is pending until it is acknowledged or refused."""

    def __init__(self, store: Known, tally: Tally) -> None:
        self._store = store
        self._tally = tally
        self._floor = store.floor
        self._pending: set[bytes] = set()
        self._pending_persons: dict[bytes, int] = {}
        self._pending_ids: dict[str, str] = {}
        self._refused: set[bytes] = set()

    def sift(self, candidates: Sequence[Candidate]) -> list[Sifted]:
        """Return what is to be sent, in the order of the candidates; tells the rest to the tally."""
        uuids = [
            b"" if candidate.event["event"] in PERSON_EVENTS else uuid_bytes(candidate.event["uuid"])
            for candidate in candidates
        ]
        known = self._store.facts([uuid for uuid in uuids if uuid])
        kept_ids = self._kept_ids(candidates, uuids, known)
        sifted: list[Sifted] = []
        of_persons: list[tuple[int, Sifted]] = []  # where it stands, what would be sent
        links: set[tuple[str, str]] = set()
        for candidate, uuid in zip(candidates, uuids, strict=True):
            if not uuid:
                of_persons.append((len(sifted), _with_persons(candidate)))
                continue
            fact = candidate
            if candidate.entity and candidate.entity.keeps_person:
                kept = kept_ids[candidate.entity.key]
                buyer = candidate.event["distinct_id"]
                if kept != buyer:
                    fact = candidate._replace(event={**candidate.event, "distinct_id": kept})
                    if is_identified(candidate.event) and (kept, buyer) not in links:
                        links.add((kept, buyer))
                        of_persons.append((len(sifted), _with_persons(_link(candidate, kept))))
            self._sift_fact(fact, uuid, known.get(uuid), sifted)
        return self._with_news_of_persons(sifted, of_persons)

    def acknowledge(self, sifted: Iterable[Sifted]) -> None:
        """Note that these have their receipts now."""
        for item in sifted:
            self._settle(item)

    def refuse(self, item: Sifted) -> None:
        """Note that an event can't be delivered: it isn't tried a second time in this run."""
        self._settle(item)
        if item.fact:
            self._refused.add(item.fact.uuid)

    def _settle(self, item: Sifted) -> None:
        if item.fact:
            self._pending.discard(item.fact.uuid)
            if item.fact.entity:
                self._pending_ids.pop(item.fact.entity, None)
        for person in item.persons:
            if self._pending_persons.get(person.key) == person.digest:
                del self._pending_persons[person.key]

    def _kept_ids(
        self, candidates: Sequence[Candidate], uuids: Sequence[bytes], known: dict[bytes, KnownFact]
    ) -> dict[str, str]:
        """Return the distinct id of each entity that keeps its first: of the store, or of this run, or chosen now."""
        wanted = {
            candidate.entity.key
            for candidate, uuid in zip(candidates, uuids, strict=True)
            if uuid and candidate.entity and candidate.entity.keeps_person
        }
        if not wanted:
            return {}
        kept = {key: self._pending_ids[key] for key in wanted & self._pending_ids.keys()}
        kept |= self._store.distinct_ids(list(wanted))
        if len(kept) == len(wanted):
            return kept
        orphans: dict[bytes, str] = {}  # facts whose receipts were rebuilt: PostHog doesn't say what they are about
        for candidate, uuid in zip(candidates, uuids, strict=True):
            if (
                uuid in known
                and candidate.entity
                and candidate.entity.keeps_person
                and candidate.entity.key not in kept
            ):
                orphans[uuid] = candidate.entity.key
        if orphans:
            for uuid, distinct_id in self._store.adopted(list(orphans)).items():
                kept.setdefault(orphans[uuid], distinct_id)
        for candidate, uuid in zip(candidates, uuids, strict=True):
            if uuid and candidate.entity and candidate.entity.keeps_person and candidate.entity.key not in kept:
                kept[candidate.entity.key] = candidate.event["distinct_id"]
                self._pending_ids[candidate.entity.key] = candidate.event["distinct_id"]
        return kept

    def _sift_fact(self, candidate: Candidate, uuid: bytes, known: KnownFact | None, sifted: list[Sifted]) -> None:
        if uuid in self._pending or uuid in self._refused:
            self._tally.repeated_again(candidate)
            return
        if known is None and self._floor and seconds_of(candidate.event["timestamp"]) < self._floor:
            self._tally.there(candidate, changed=False)
            return
        if known is None:
            self._pending.add(uuid)
            sifted.append(_with_fact(candidate, uuid))
            return
        digest, as_sent, resend = known
        if not resend:
            changed = digest is not None and digest != digest_of(candidate.event)
            self._tally.there(candidate, changed=changed)
            return
        bare = candidate._replace(event=_without_sets(candidate.event))
        again = _with_fact(bare, uuid)
        if resend != RESEND_ANYHOW and again.fact and again.fact.sent_as != as_sent:
            self._tally.not_resent(candidate)
            return
        self._pending.add(uuid)
        sifted.append(again)

    def _with_news_of_persons(self, sifted: list[Sifted], of_persons: list[tuple[int, Sifted]]) -> list[Sifted]:
        if not of_persons:
            return sifted
        keys = {person.key for _, item in of_persons for person in item.persons}
        last = self._store.persons(list(keys)) | self._pending_persons
        whole: list[Sifted] = []
        begin = 0
        for place, item in of_persons:
            whole += sifted[begin:place]
            begin = place
            if all(last.get(person.key) == person.digest for person in item.persons):
                if item.rule != LINK_RULE:
                    self._tally.there(Candidate(item.event, item.rule, None, item.source), changed=False)
                continue
            for person in item.persons:
                last[person.key] = self._pending_persons[person.key] = person.digest
            whole.append(item)
        return whole + sifted[begin:]


def uuid_bytes(uuid: str) -> bytes:
    """Return a uuid's 16 bytes."""
    return bytes.fromhex(uuid.replace("-", ""))


def digest_of(event: Event) -> int:
    """Return a hash of what an event says: its name, time and properties, without what it says of persons."""
    properties = event["properties"]
    if not NO_SETS.isdisjoint(properties):
        properties = {name: value for name, value in properties.items() if name not in NO_SETS}
    data = msgspec.json.encode((event["event"], event["timestamp"], properties), order="deterministic")
    return len(data) << 32 | crc32(data)  # a tenth of a cryptographic hash's cost; a miss would only go uncounted


def sent_as(event: str, distinct_id: str, day: str) -> int:
    """Return a hash of what PostHog tells events of one uuid apart by: posthog/models/event/sql.py, ORDER BY."""
    return _hash(msgspec.json.encode((event, distinct_id, day)))


def seconds_of(timestamp: str) -> int:
    """Return the whole seconds since 1970 of a time as events have it."""
    return int(datetime.fromisoformat(f"{timestamp[:19]}+00:00").timestamp())


def _with_fact(candidate: Candidate, uuid: bytes) -> Sifted:
    event, rule, entity, source = candidate[:4]
    fact = Fact(
        uuid,
        rule,
        event["event"],
        entity.key if entity else None,
        event["distinct_id"],
        sent_as(event["event"], event["distinct_id"], event["timestamp"][:10]),
        seconds_of(event["timestamp"]),
        digest_of(event),
    )
    return Sifted(event, rule, source, fact, keeps_person=bool(entity and entity.keeps_person))


def _with_persons(candidate: Candidate) -> Sifted:
    """Return what an event says of persons: a description and links, each as a receipt."""
    event, rule, entity, source = candidate[:4]
    properties, distinct_id = event["properties"], event["distinct_id"]
    content = {name: value for name, value in properties.items() if name not in NOT_CONTENT}
    who: JSON = (
        ["group", content.pop("$group_type", None), content.pop("$group_key", None)]
        if event["event"] == GROUP_IDENTIFY
        else ["person", rule, entity.key if entity else None, distinct_id]
    )
    persons = [Person(_key(who), _hash(canonical(content)))] if content or event["event"] == GROUP_IDENTIFY else []
    persons += [
        Person(_key(["link", *sorted((distinct_id, str(properties[key])))]), 0)
        for key in LINK_KEYS
        if key in properties
    ]
    return Sifted(event, rule, source, None, tuple(persons))


def _link(candidate: Candidate, kept: str) -> Candidate:
    """Return the event by which PostHog joins the person that an order has now with that of its first fact."""
    buyer = candidate.event["distinct_id"]
    event: Event = {
        "event": IDENTIFY,
        "distinct_id": buyer,
        "uuid": uuid_of(canonical([LINK_RULE, kept, buyer])),
        "timestamp": as_timestamp(datetime.now(timezone.utc).replace(microsecond=0)),
        "properties": {"$anon_distinct_id": kept, **ALWAYS},
    }
    return Candidate(event, LINK_RULE, None, candidate.source)


def _without_sets(event: Event) -> Event:
    properties = {name: value for name, value in event["properties"].items() if name not in NO_SETS}
    return {**event, "properties": properties}


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=HASH_BYTES).digest(), "big", signed=True)


def _key(who: JSON) -> bytes:
    return blake2b(canonical(who), digest_size=KEY_BYTES).digest()
