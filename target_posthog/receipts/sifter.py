"""Sifter of events: lets through what PostHog doesn't have yet, by the receipts.

Takes events as the rules make them; returns those to send, each with the receipts that it earns. A fact is sent when it
has no receipt, whatever has changed since. A person or group is described when the description differs from the last
that was acknowledged. Two ids are linked once. All facts of an order stay with the distinct id of its first, to which
its present buyer is linked unless that is somebody else.
"""

from __future__ import annotations

from datetime import date, datetime, timezone
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from zlib import crc32

import msgspec

from target_posthog.mapping.event import (
    ALWAYS,
    FINAL,
    GROUP_IDENTIFY,
    IDENTIFY,
    LINK_KEYS,
    LINKS_AND_SETS,
    PERSON_CHANGES,
    PERSON_EVENTS,
    Entity,
    Event,
    Maker,
    Proviso,
    is_identified,
    uuid_of,
)
from target_posthog.mapping.language.functions import as_timestamp, canonical
from target_posthog.receipts.erasing import NOT_SENT_AS, is_of_nobody, without_person
from target_posthog.receipts.running_money import money_of, taken_back
from target_posthog.receipts.store import RESEND_ANYHOW, Fact, Found, KnownFact, Said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence

    from target_posthog.mapping.language.functions import JSON

LINK_RULE = "link of a changed buyer"
NOT_CONTENT = frozenset((*ALWAYS, *LINK_KEYS, "$process_person_profile", "$groups"))
NO_SETS = frozenset(LINKS_AND_SETS)
FIRST_DAY = date(1970, 1, 1).toordinal()
HASH_BYTES, KEY_BYTES = 8, 16


class Candidate(NamedTuple):
    """An event that a rule made of a record; `source` is what its destination knows the record by.

    `maker` and `record`, a hash of the record's key, are there to find two records that make different events under
    one key; of an `is_keyless` record the hash is of all of it. `digest` is that of the event, where it is known
    already. `is_of_item` is as the rule says it. An `is_letter` comes from a dead letter.
    """

    event: Event
    rule: str
    entity: Entity | None
    source: object = None
    maker: Maker | None = None
    record: int = 0
    is_keyless: bool = False
    proviso: Proviso = FINAL
    digest: int | None = None
    is_of_item: bool = False
    is_letter: bool = False


class Sifted(msgspec.Struct, frozen=True, gc=False):
    """An event to send, and the receipts that it earns: of a fact, or of what it says of persons."""

    event: Event
    rule: str
    source: object
    fact: Fact | None = None
    persons: tuple[Said, ...] = ()
    keeps_person: bool = False
    is_letter: bool = False

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

    def look_up(self, wanted: Mapping[bytes, str | None]) -> Found:
        """Return what is known of facts, each given with the key of its entity."""

    def persons(self, keys: Sequence[bytes]) -> dict[bytes, Said]:
        """Return what was said of persons last, by key."""

    def adopted(self, uuids: Sequence[bytes]) -> dict[bytes, str]:
        """Return the distinct ids under which facts were sent, by uuid."""

    def running_money(self, entities: Sequence[str]) -> dict[str, list[tuple[bytes, str]]]:
        """Return the uuid and the money of each fact of some entities, oldest first, by the entity's key."""


class NothingKnown:
    """What a store of receipts knows before the first run: nothing."""

    floor = 0

    def look_up(self, wanted: Mapping[bytes, str | None]) -> Found:  # noqa: ARG002  # of the protocol `Known`
        """Return nothing."""
        return Found({}, {})

    def persons(self, keys: Sequence[bytes]) -> dict[bytes, Said]:  # noqa: ARG002  # of the protocol `Known`
        """Return none."""
        return {}

    def adopted(self, uuids: Sequence[bytes]) -> dict[bytes, str]:  # noqa: ARG002  # of the protocol `Known`
        """Return none."""
        return {}

    def running_money(self, entities: Sequence[str]) -> dict[str, list[tuple[bytes, str]]]:  # noqa: ARG002  # of the protocol `Known`
        """Return none."""
        return {}


class Tally(Protocol):
    """What is told of events that aren't sent."""

    def note_already_there(self, candidate: Candidate, *, changed: bool) -> None:
        """Count an event that PostHog has already; `changed` if its content isn't what was sent."""

    def note_repeated(self, candidate: Candidate) -> None:
        """Count an event that this run has sent already, or has tried to."""

    def note_not_resent(self, candidate: Candidate) -> None:
        """Count an event that was to be sent again, but would come under another name, distinct id or day."""

    def note_not_due(self, candidate: Candidate) -> None:
        """Take note of an event that would complete another one, which lacks nothing."""

    def note_provisional(self, candidate: Candidate) -> None:
        """Count an event that is sent, and isn't final."""

    def note_never_sent(self, candidate: Candidate) -> None:
        """Count an event that was to take back what was sent of its record, and isn't sent, as nothing was."""

    def note_without_amounts(self, candidate: Candidate) -> None:
        """Count an event that was to take back what was sent of its record, of which no amounts are known."""

    def note_erased(self, candidate: Candidate) -> None:
        """Count an event that says something of a person who was erased."""


def without_receipts(candidates: Iterable[Candidate], tally: Tally) -> list[Sifted]:
    """Return what is to be sent where nothing remembers what was."""
    sifted = []
    for candidate in candidates:
        if candidate.proviso.completes:
            tally.note_not_due(candidate)
            continue
        if candidate.proviso.takes_back and candidate.entity and candidate.entity.money.adds_up:
            tally.note_without_amounts(candidate)
        if candidate.proviso.lacks:
            tally.note_provisional(candidate)
        sifted.append(Sifted(candidate.event, candidate.rule, candidate.source))
    return sifted


class Sifter:
    """Sifts the events of one run; what it lets through is pending until it is acknowledged or refused.

    `mapping` makes the mappings of what is pending, for values of a type; where nothing is ever acknowledged, they
    grow with the run.
    """

    def __init__(
        self,
        store: Known,
        tally: Tally,
        mapping: Callable[[Any], MutableMapping[Any, Any]] = lambda _kind: {},
    ) -> None:
        self._store = store
        self._tally = tally
        self._floor = store.floor
        self._pending: MutableMapping[bytes, tuple[str, ...]] = mapping(tuple[str, ...])  # what each fact lacks
        self._pending_persons: MutableMapping[bytes, Said] = mapping(Said)  # the last that was let through
        self._pending_ids: MutableMapping[str, str] = mapping(str)
        self._refused: set[bytes] = set()

    def sift(self, candidates: Sequence[Candidate]) -> list[Sifted]:
        """Return what is to be sent, in the order of the candidates; tells the rest to the tally.

        What takes money back must come apart, when nothing of its record is pending: it takes back what was sent.
        """
        uuids = [
            b"" if candidate.event["event"] in PERSON_EVENTS else uuid_bytes(candidate.event["uuid"])
            for candidate in candidates
        ]
        found = self._store.look_up(_wanted(candidates, uuids))
        kept_ids = self._kept_ids(candidates, uuids, found)
        money = self._money_to_take_back(candidates)
        sifted: list[Sifted] = []
        for candidate, uuid in self._effective(candidates, uuids, found, kept_ids):
            if not uuid:
                sifted.append(_with_persons(candidate))
                continue
            fact, entity, buyer = candidate, candidate.entity, candidate.event["distinct_id"]
            kept = kept_ids[entity.key] if entity and entity.keeps_person else buyer
            if entity and kept != buyer:
                fact = candidate._replace(event={**candidate.event, "distinct_id": kept})
                if is_identified(candidate.event) and entity.same_person(kept):
                    sifted.append(_with_persons(_link(candidate, kept)))
            was_sent = money.pop(entity.key, None) if entity and candidate.proviso.takes_back else None
            amounts = None if was_sent is None else [amount for of, amount in was_sent if of != uuid]
            undone = candidate.proviso.takes_back
            if undone and not amounts and _is_erased(found.facts.get(uuid_bytes(undone))):
                self._tally.note_erased(candidate)
                continue
            if amounts:
                fact = fact._replace(event=taken_back(fact.event, amounts), digest=_digest(candidate))
            if item := self._sifted_fact(fact, uuid, found.facts):
                sifted.append(item)
                if amounts == [] and entity and entity.money.adds_up:
                    self._tally.note_without_amounts(fact)
        last = self._last_of_persons(sifted)
        newest = (_without_older(item, last) if item.is_letter else item for item in sifted)
        return [item for item in newest if item.fact or self._is_news(item, last)]

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
            self._pending.pop(item.fact.uuid, None)
            if item.fact.entity:
                self._pending_ids.pop(item.fact.entity, None)
        for person in item.persons:
            if self._pending_persons.get(person.key) is person:
                del self._pending_persons[person.key]

    def _effective(
        self, candidates: Sequence[Candidate], uuids: Sequence[bytes], found: Found, kept_ids: Mapping[str, str]
    ) -> Iterator[tuple[Candidate, bytes]]:
        """Yield the candidates, each with its uuid, but for those that would take back what no receipt has.

        Of a record whose person was erased, facts come without the person, and nothing that is said of that person.
        """
        for candidate, uuid in zip(candidates, uuids, strict=True):
            kept = kept_ids.get(candidate.entity.key, "") if candidate.entity else ""
            if self._takes_back_nothing(candidate, found):
                self._tally.note_never_sent(candidate)
            elif not is_of_nobody(kept) or candidate.event["event"] == GROUP_IDENTIFY:
                yield candidate, uuid
            elif uuid:
                yield candidate._replace(event=without_person(candidate.event, kept), digest=None), uuid
            else:
                self._tally.note_erased(candidate)

    def _takes_back_nothing(self, candidate: Candidate, found: Found) -> bool:
        """Say whether an event would take back what was sent of its record, and no receipt says that anything was."""
        entity, undone = candidate.entity, candidate.proviso.takes_back
        if not undone or not entity or not entity.money.adds_up or self._floor:
            return False
        uuid = uuid_bytes(undone)
        is_known = entity.key in found.distinct_ids or uuid in found.facts
        return not is_known and entity.key not in self._pending_ids and uuid not in self._pending

    def _kept_ids(self, candidates: Sequence[Candidate], uuids: Sequence[bytes], found: Found) -> dict[str, str]:
        """Return the distinct id of each entity that keeps its first: of the store, or of this run, or chosen now.

        One whose person was erased keeps the id that it has since.
        """
        kept = dict(found.distinct_ids)
        unknown = [
            (candidate, candidate.entity.key, uuid)
            for candidate, uuid in zip(candidates, uuids, strict=True)
            if uuid and candidate.entity and candidate.entity.key not in kept
            if candidate.entity.keeps_person or _is_erased(found.facts.get(uuid))
        ]
        # Facts whose receipts were rebuilt: PostHog doesn't always say what they are about.
        orphans = {uuid: key for _, key, uuid in unknown if uuid in found.facts}
        for uuid, distinct_id in self._store.adopted(list(orphans)).items() if orphans else ():
            kept.setdefault(orphans[uuid], distinct_id)
        for candidate, key, _ in unknown:
            if key not in kept:
                kept[key] = self._pending_ids.get(key, candidate.event["distinct_id"])
        return kept

    def _money_to_take_back(self, candidates: Iterable[Candidate]) -> dict[str, list[tuple[bytes, str]]]:
        """Return, by the keys of entities of which something is taken back, the uuid and the money of each fact."""
        keys = [candidate.entity.key for candidate in candidates if candidate.proviso.takes_back and candidate.entity]
        money = self._store.running_money(keys) if keys else {}
        return {key: money.get(key, []) for key in keys}

    def _sifted_fact(self, candidate: Candidate, uuid: bytes, facts: Mapping[bytes, KnownFact]) -> Sifted | None:
        if uuid in self._pending or uuid in self._refused:
            self._tally.note_repeated(candidate)
            return None
        known = facts.get(uuid)
        if known is None:
            return self._sifted_new(candidate, uuid, facts)
        _, digest, as_sent, resend, provisional = known
        if not resend and not (provisional and _is_final_now(candidate.proviso, provisional)):
            self._tally.note_already_there(candidate, changed=digest is not None and digest != _digest(candidate))
            return None
        again = _again(candidate, uuid)
        if resend != RESEND_ANYHOW and again.fact and again.fact.sent_as != as_sent:
            self._tally.note_not_resent(candidate)
            return None
        return self._let_through(again, candidate)

    def _sifted_new(self, candidate: Candidate, uuid: bytes, facts: Mapping[bytes, KnownFact]) -> Sifted | None:
        if self._floor and seconds_of(candidate.event["timestamp"]) < self._floor:
            self._tally.note_already_there(candidate, changed=False)
        elif self._is_due(candidate, facts):
            return self._let_through(_with_fact(candidate, uuid), candidate)
        else:
            self._tally.note_not_due(candidate)
        return None

    def _is_due(self, candidate: Candidate, facts: Mapping[bytes, KnownFact]) -> bool:
        """Say whether an event that completes another one has something to complete."""
        if candidate.proviso.completes is None:
            return True
        other, reason = candidate.proviso.completes
        uuid = uuid_bytes(other)
        known = facts.get(uuid)
        return reason in self._pending.get(uuid, ()) or reason in ((known and known[-1]) or "").split()

    def _let_through(self, item: Sifted, candidate: Candidate) -> Sifted:
        if item.fact:
            self._pending[item.fact.uuid] = candidate.proviso.lacks
            if item.fact.entity and item.keeps_person:
                self._pending_ids[item.fact.entity] = item.fact.distinct_id
        if candidate.proviso.lacks:
            self._tally.note_provisional(candidate)
        return item

    def _last_of_persons(self, sifted: Iterable[Sifted]) -> dict[bytes, Said]:
        """Return what was said last, in this run too, of the persons of whom something would be said."""
        keys = {person.key for item in sifted for person in item.persons}
        last = self._store.persons(list(keys)) if keys else {}
        return last | {key: pending for key in keys if (pending := self._pending_persons.get(key))}

    def _is_news(self, item: Sifted, last: dict[bytes, Said]) -> bool:
        """Say whether what an event says of persons is news, and note that PostHog hears it; else tell the tally."""
        if all(_is_said(person, last.get(person.key)) for person in item.persons):
            if item.rule != LINK_RULE:
                self._tell_of_persons(item)
            return False
        for person in item.persons:
            last[person.key] = person
            self._pending_persons[person.key] = person
        return True

    def _tell_of_persons(self, item: Sifted) -> None:
        """Tell the tally of what PostHog knows of persons already, or will know once it has what is pending."""
        candidate = Candidate(item.event, item.rule, None, item.source)
        pending = self._pending_persons
        if item.persons and all(_is_said(person, pending.get(person.key)) for person in item.persons):
            self._tally.note_repeated(candidate)
        else:
            self._tally.note_already_there(candidate, changed=False)


def uuid_bytes(uuid: str) -> bytes:
    """Return a uuid's 16 bytes."""
    return bytes.fromhex(uuid.replace("-", ""))


def digest_of(event: Event) -> int:
    """Return a hash of what an event says: its name, time and properties, without what it says of persons."""
    properties = event["properties"]
    if not properties.keys().isdisjoint(NO_SETS):
        properties = {name: value for name, value in properties.items() if name not in NO_SETS}
    # The order of properties is that of the rule: to sort them would cost as much again.
    return _checked(msgspec.json.encode((event["event"], event["timestamp"], properties)))


def bytes_of(digest: int) -> int:
    """Return how long the JSON is of which a digest was made."""
    return digest >> 32


def content_of(event: Event, digest: int) -> int:
    """Return a hash of all of an event, given its digest."""
    properties = event["properties"]
    values = [properties[name] for name in LINKS_AND_SETS if name in properties]
    return hash((digest, event["distinct_id"], msgspec.json.encode(values) if values else b""))


def sent_as(event: str, distinct_id: str, day: str) -> int:
    """Return a hash of what PostHog tells events of one uuid apart by: posthog/models/event/sql.py, ORDER BY."""
    return _checked(f"{event}\0{distinct_id}\0{day}".encode())


@lru_cache(maxsize=10_000)  # most events of an order have its own time
def seconds_of(timestamp: str) -> int:
    """Return the whole seconds since 1970 of a time as events have it; raises ValueError for what is none."""
    days = date.fromisoformat(timestamp[:10]).toordinal() - FIRST_DAY
    hours, minutes, seconds = int(timestamp[11:13]), int(timestamp[14:16]), int(timestamp[17:19])
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _wanted(candidates: Sequence[Candidate], uuids: Sequence[bytes]) -> dict[bytes, str | None]:
    """Return the facts to look up, each with the key of its entity."""
    wanted: dict[bytes, str | None] = {}
    for candidate, uuid in zip(candidates, uuids, strict=True):
        if uuid:
            key = candidate.entity.key if candidate.entity else None
            wanted[uuid] = key
            others = (candidate.proviso.takes_back, *(candidate.proviso.completes or ())[:1])
            wanted |= {uuid_bytes(other): key for other in others if other}
    return wanted


def _is_erased(known: KnownFact | None) -> bool:
    """Say whether a fact was erased with its person."""
    return known is not None and known[2] == NOT_SENT_AS


def _is_final_now(proviso: Proviso, provisional: str) -> bool:
    """Say whether what a fact lacked when it was sent is there now, and the fact is to be sent again for it."""
    return not proviso.sent_again.isdisjoint(set(provisional.split()) - {*proviso.lacks})


def _with_fact(candidate: Candidate, uuid: bytes, *, is_again: bool = False) -> Sifted:
    event, rule, entity = candidate.event, candidate.rule, candidate.entity
    fact = Fact(
        uuid,
        rule,
        event["event"],
        entity.key if entity else None,
        event["distinct_id"],
        sent_as(event["event"], event["distinct_id"], event["timestamp"][:10]),
        seconds_of(event["timestamp"]),
        _digest(candidate),
        " ".join(candidate.proviso.lacks) if candidate.proviso.lacks else None,
        money_of(event["properties"], entity.money) if entity and entity.money.adds_up else None,
        is_again,
    )
    return Sifted(event, rule, candidate.source, fact, keeps_person=bool(entity and entity.keeps_person))


def _digest(candidate: Candidate) -> int:
    return digest_of(candidate.event) if candidate.digest is None else candidate.digest


def _again(candidate: Candidate, uuid: bytes) -> Sifted:
    """Return a fact to be sent a second time, without what it says of its person: that may be another by now."""
    bare = candidate._replace(event=_without_sets(candidate.event), digest=_digest(candidate))
    return _with_fact(bare, uuid, is_again=True)


def _with_persons(candidate: Candidate) -> Sifted:
    """Return what an event says of persons: a description and links, each as a receipt.

    A record's description has one receipt whatever distinct ids the record has had, as they may be one person by now:
    so that it is of what PostHog was told last. It is of the record's own key, as several may share an `id`. Where a
    rule describes several persons of a record each has one, by the id that is linked, which stays, or else by the
    distinct id.
    """
    event, rule, entity, source, _, record, is_keyless = candidate[:7]
    properties, distinct_id = event["properties"], event["distinct_id"]
    content = {name: value for name, value in properties.items() if name not in NOT_CONTENT}
    linked = [str(properties[key]) for key in LINK_KEYS if key in properties]
    persons = []
    if event["event"] == GROUP_IDENTIFY:
        group: JSON = ["group", content.pop("$group_type", None), content.pop("$group_key", None)]
        persons.append(Said(_key(group), _hash(canonical(content)), seconds_of(event["timestamp"])))
    elif content:
        of_many = [next(iter(linked), distinct_id)] if candidate.is_of_item or not entity else []
        has_own = bool(entity) and not of_many and not is_keyless  # several records may be about one thing
        who: JSON = ["person", rule, record if has_own else entity.key if entity else None, *of_many]
        persons.append(Said(_key(who), _hash(canonical([distinct_id, content])), seconds_of(event["timestamp"])))
    persons += [Said(_key(["link", *sorted((distinct_id, other))]), 0) for other in linked]
    return Sifted(event, rule, source, None, tuple(persons), is_letter=candidate.is_letter)


def _is_said(person: Said, known: Said | None) -> bool:
    return known is not None and known.digest == person.digest


def _without_older(item: Sifted, last: Mapping[bytes, Said]) -> Sifted:
    """Return what an event says of persons without a description that is older than the last one."""
    persons = tuple(person for person in item.persons if person.at >= last.get(person.key, person).at)
    if len(persons) == len(item.persons):
        return item
    said = item.event["properties"]
    properties = {name: value for name, value in said.items() if name in LINK_KEYS or name not in PERSON_CHANGES}
    return msgspec.structs.replace(item, event={**item.event, "properties": properties}, persons=persons)


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


def _checked(data: bytes) -> int:
    """Return length and CRC: a tenth of a cryptographic hash's cost, and a miss would only go unsaid."""
    return len(data) << 32 | crc32(data)


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=HASH_BYTES).digest(), "big", signed=True)


def _key(who: JSON) -> bytes:
    return blake2b(canonical(who), digest_size=KEY_BYTES).digest()
