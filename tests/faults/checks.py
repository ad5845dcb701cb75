"""What must hold, in: what PostHog has and should have, a state, logs; out: a sentence for each way it doesn't.

Knows no faults and no processes. Sentences name events by uuid, and hold no personal data.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sandbox.posthog import PostHog
    from sandbox.shop.store import Store

Identity = tuple[str, ...]
LINKS, SETS = ("$anon_distinct_id", "alias"), ("$set", "$set_once", "$unset", "$group_type", "$group_key", "$group_set")
PERSON_EVENTS = ("$identify", "$create_alias", "$groupidentify", "$set")
# Who sent it: of capture V1 it is the library's header that counts, of /batch/ what the event itself says.
SENDER = ("$lib", "$lib_version")
SECRETS = r"shp(?:at|ss)_(?:sandbox|[0-9a-f]{8,})|phc_sandbox|Signature=[\w-]+"
# While Python itself still starts, up to the entry's import of `signal`, Ctrl-C is its own to answer. The entry of the
# frequent commands (`start`) has nothing else.
PYTHONS_GOODBYE = re.compile(
    r"traceback \(most recent call last\)"
    r"(?:(?!/(?:tap_shopify_orders|target_posthog)/(?!__main__\.py\", line \d+, in <module>\n[^\n]*\bimport signal\n)"
    r"|/faults/(?!start\.py\")|keyboardinterrupt).)*"
    r"keyboardinterrupt",
    re.DOTALL,
)
# If it is cut short before it can run anything, it calls that fatal, with whatever error its own modules raised.
PYTHONS_FALSE_START = re.compile(r"^fatal python error: (?:init_\w+|error evaluating path).*", re.DOTALL | re.MULTILINE)
KIND_OF_ERROR = r"^(?:\w+\.)*(\w+(?:Error|Exception|Exit|Interrupt))\b"
PARTS_OF_AN_ADDRESS = ("name", "company", "address1", "address2", "zip", "city", "phone")
# Of a person who is in several stores: of the one that was read first, or last.
OF_ONE_STORE = (
    "first_shop",
    "customer_id",
    "first_order_at",
    "first_channel",
    "first_source",
    "first_medium",
    "first_campaign",
)
SHORTEST_NAME = 6  # a shorter text stands in ordinary words too


def identity_of(event: Mapping[str, Any]) -> Identity:
    """Return what PostHog counts an event by."""
    return event["uuid"], event["event"], event["distinct_id"], event["timestamp"]


@dataclass(frozen=True)
class Facts:
    """Events by what PostHog counts them by, with their properties; persons by their distinct ids.

    Of an event with copies it is the last arrival, which a merge keeps.
    """

    events: Mapping[Identity, Mapping[str, Any]]
    persons: Mapping[tuple[str, ...], Mapping[str, Any]]

    @classmethod
    def of(cls, posthog: PostHog, *, stores: int = 1) -> Facts:
        """Read them, without the moments and numbers that PostHog makes up itself.

        Events come without `SENDER`. Of several `stores` the same people are compared, without `OF_ONE_STORE`.
        """
        left_out = OF_ONE_STORE if stores > 1 else ()
        return cls(
            {
                identity_of(one): {name: value for name, value in one["properties"].items() if name not in SENDER}
                for one in posthog.events()
            },
            {
                tuple(sorted(one["distinct_ids"])): {
                    name: value for name, value in one["properties"].items() if name not in left_out
                }
                | {"is identified": one["is_identified"]}
                for one in posthog.persons()
            },
        )


@dataclass(frozen=True)
class Written:
    """A record that the tap wrote: whose, its key as the state names it, when it changed, and the events it becomes."""

    shop_id: int
    stream: str
    key: str
    updated_at: str
    events: frozenset[Identity]


@dataclass(frozen=True)
class Gone:
    """What the shop had and has no more: the numbers of deleted orders, and the e-mails that customers had before.

    `customers` are the distinct ids of those: their own record links the new e-mail, as no order is read again.
    """

    orders: Collection[str] = ()
    emails: Collection[str] = ()
    customers: Collection[str] = ()

    def may_stay(self, identity: Identity, properties: Mapping[str, Any], before: Mapping[Identity, Any]) -> bool:
        """Say whether an event may be there that a first run over the final shop doesn't send.

        It tells that an order is deleted, or it tells, unchanged, of such an order or of a person by an e-mail of
        before.
        """
        of_order = properties.get("order_id") in self.orders
        if before.get(identity) == properties:
            return of_order or self._is_by_left_email(identity)
        return of_order and identity[1] == "Order Deleted"

    def needless(self, expected: Mapping[Identity, Mapping[str, Any]], told: Iterable[Identity]) -> set[Identity]:
        """Return the expected events that needn't come.

        They link an e-mail of before or a customer who has left one, which is done; or what they say of a person was
        told by such an e-mail, and an order isn't read again for the new one.
        """
        linked = {*self.emails, *self.customers}
        uuids = {identity[0] for identity in told if self._is_by_left_email(identity)}
        return {
            identity
            for identity, properties in expected.items()
            if identity[0] in uuids or properties.get("$anon_distinct_id") in linked
        }

    def less_kept(
        self, ids: tuple[str, ...], person: Mapping[str, Any], expected: Mapping[str, Any], before: Facts | None
    ) -> Mapping[str, Any]:
        """Return a person without what only the e-mail of before has brought, such as its consent to marketing."""
        if before is None or not {*ids} & {*self.emails}:
            return person
        known = [one for other, one in before.persons.items() if {*ids} & {*other}]
        return {
            name: value
            for name, value in person.items()
            if name in expected or not any(one.get(name) == value for one in known)
        }

    def _is_by_left_email(self, identity: Identity) -> bool:
        _, event, distinct_id, _ = identity
        return event in PERSON_EVENTS and distinct_id in self.emails


def differences(
    found: Facts, expected: Facts, earlier: Facts | None = None, gone: Gone = Gone(), *, facts_stay: bool = False
) -> list[str]:
    """Say how what PostHog has differs from what it should have, to the property.

    If the shop changed while it was read, `earlier` are the facts of the store as it was before. Each customer changes
    once, so a disturbed run may have met exactly two states of one: an `$identify` of the first (its uuid holds the
    time of the state) may be there too, if it is, to the property, the one of the store before. Nothing else may: the
    other events have uuids without a time, and the last arrival counts. So they must be those of the final store, but
    for what is `gone` from it.

    With receipts `facts_stay`: an event of the store before may stay as it was sent, and what was said of a person
    isn't said again.
    """
    before = earlier.events if earlier else {}
    staying = {
        identity
        for identity, properties in before.items()
        if facts_stay and identity[1] not in PERSON_EVENTS and found.events.get(identity) == properties
    }
    settled = {identity[0] for identity in staying}
    allowed = {identity: properties for identity, properties in before.items() if identity[1] == "$identify"}
    additional = {
        identity: properties
        for identity, properties in found.events.items()
        if identity not in expected.events
        and allowed.get(identity) != properties
        and identity not in staying
        and not gone.may_stay(identity, properties, before)
    }
    lacking = {one for one in expected.events.keys() - found.events.keys() if one[0] not in settled}
    told = (one for one, properties in before.items() if found.events.get(one) == properties)
    lacking -= gone.needless(expected.events, told)
    if facts_stay:
        lacking -= said_already(expected.events, found)
    others = [one for one in _unequal(found.events, expected.events) if one not in staying]
    persons = {
        ids: gone.less_kept(ids, person, expected.persons.get(ids, {}), earlier)
        for ids, person in found.persons.items()
    }
    unequal = _unequal(persons, expected.persons)
    return [
        *_summed("missing", lacking),
        *_summed("too many", additional.keys()),
        *_summed("other than it should be", others, found.events, expected.events),
        *_persons("missing", len(expected.persons.keys() - found.persons.keys())),
        *_persons("too many", len(found.persons.keys() - expected.persons.keys())),
        *_persons("other than they should be", len(unequal), ", in " + _differing(unequal, persons, expected.persons)),
    ]


def said_already(events: Mapping[Identity, Mapping[str, Any]], arrived: Facts) -> set[Identity]:
    """Return the events of persons of which each word, a link of two ids or a description, has arrived with others.

    Each order of a buyer links the same two ids, for example; with receipts the first one that is read does it for all.
    So do links by way of a third id: a visitor's with the e-mail of before, and that e-mail's with the one of now.
    """
    heard, joined = set[tuple[str, ...]](), dict[str, str]()
    for identity, properties in arrived.events.items():
        heard |= _descriptions(identity, properties)
        for one, other in _links(identity, properties):
            joined[_person(joined, one)] = _person(joined, other)
    return {
        identity
        for identity, properties in events.items()
        if identity[1] in PERSON_EVENTS
        and identity not in arrived.events
        and _descriptions(identity, properties) <= heard
        and all(_person(joined, one) == _person(joined, other) for one, other in _links(identity, properties))
    }


def _person(joined: Mapping[str, str], one: str) -> str:
    """Return the id that stands for all those that are joined with one."""
    while one in joined and joined[one] != one:
        one = joined[one]
    return one


def _links(identity: Identity, properties: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the pairs of ids of which an event says that they are one person's."""
    _, event, distinct_id, _ = identity
    return [(distinct_id, properties[key]) for key in LINKS if key in properties and event in PERSON_EVENTS]


def _descriptions(identity: Identity, properties: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """Return how an event describes a person, if it does."""
    _, event, distinct_id, _ = identity
    description = {key: properties[key] for key in SETS if key in properties and event in PERSON_EVENTS}
    return {(event, distinct_id, json.dumps(description, sort_keys=True))} if description else set()


def doubles(posthog: PostHog) -> list[str]:
    """Say how many events PostHog counts twice."""
    number = posthog.totals()["doubles"]
    return [f"{number} events have the uuid of another one"] if number else []


def copies(before: Iterable[Identity], arrivals: Iterable[Identity]) -> list[Identity]:
    """Return the arrivals of a run that are of an event which had arrived already, in an earlier run or in this one."""
    seen, found = {*before}, []
    for one in arrivals:
        if one in seen:
            found.append(one)
        seen.add(one)
    return found


def sent_again(copied: Iterable[Identity], receipts: Collection[str], *, may_be_open: bool) -> list[str]:
    """Say which copies a run with receipts may not send: what had its receipt (`receipts` are uuids) when it began.

    The others were under way when something struck, so their acknowledgement is open. Where nothing has struck that
    leaves one open (`may_be_open`), there may be none at all.
    """
    copied = [*copied]
    known = [one for one in copied if one[0] in receipts]
    return [
        *_summed("sent again in spite of a receipt", known),
        *_summed("sent again for no reason", [] if may_be_open else [one for one in copied if one not in known]),
    ]


def without_receipt(arrived: Iterable[Identity], receipts: Collection[str]) -> set[Identity]:
    """Return the events that PostHog has and the receipts don't know; persons have receipts of another form."""
    return {one for one in arrived if one[1] not in PERSON_EVENTS and one[0] not in receipts}


def ahead(bookmarks: Mapping[tuple[int, str], Any], written: Iterable[Written], arrived: set[Identity]) -> list[str]:
    """Say which events a state, by shop and stream, vouches for that PostHog doesn't have.

    A state vouches for a record that changed before its stream's bookmark, or in the bookmark's second if the state
    knows the record: the others of that second are read again. It doesn't vouch for an order that it says is held,
    because its ledger seems to be cut short: the next run reads it again.
    """
    missing: set[Identity] = set()
    for one in written:
        bookmark = bookmarks.get((one.shop_id, one.stream), {})
        until, number = bookmark.get("replication_key_value", ""), one.key.rpartition("/")[2]
        if number in bookmark.get("held", {}):
            continue
        if one.updated_at < until or (one.updated_at == until and one.key in bookmark.get("known", {})):
            missing |= one.events - arrived
    return [f"the state is ahead of PostHog: {text}" for text in _summed("missing", missing)]


def same_events(events: Iterable[Identity], others: Iterable[Identity]) -> set[Identity]:
    """Return the events that are also among others, if under another distinct id.

    An order isn't changed by its customer's new e-mail. What a run has read of it before, its state may vouch for.
    """
    known = {(uuid, event) for uuid, event, *_ in others}
    return {one for one in events if one[:2] in known}


def said(logs: Mapping[str, str], personal: Iterable[str]) -> list[str]:
    """Say which logs hold a traceback, a credential, or something personal; and who failed without a word."""
    found = []
    for name, log in logs.items():
        lower = log.lower()
        if "traceback (most recent call last)" in PYTHONS_GOODBYE.sub("", PYTHONS_FALSE_START.sub("", lower)):
            kinds = ", ".join(sorted(set(re.findall(KIND_OF_ERROR, log, re.MULTILINE))))
            found.append(f"{name} logs a traceback ({kinds}){_place(log)}")
        found += [f"{name} logs a credential ({len(one)} characters)" for one in set(re.findall(SECRETS, log))]
        found += [f"{name} logs something personal ({len(one)} characters)" for one in personal if one.lower() in lower]
    return found


def _place(log: str) -> str:
    """Return which line the last traceback of a log ends in, and which one it entered by."""
    frames = re.findall(r'File "[^"]*?([^"/]+/[^"/]+)", line (\d+)', log.rpartition("Traceback (most recent")[2])
    return f" from {':'.join(frames[0])} to {':'.join(frames[-1])}" if frames else ""


def silent(codes: Mapping[str, int], logs: Mapping[str, str]) -> list[str]:
    """Say which processes failed without an error in their log; one that a signal ended needs none."""
    return [
        f"{name} ends with 1 and no word" for name, code in codes.items() if code == 1 and not _failed_aloud(logs[name])
    ]


def personal(store: Store) -> set[str]:
    """Return the e-mails, phone numbers, names and addresses of a store's customers, as they stand in it."""
    texts: set[str | None] = set()
    for one in [*store.customers, *store.orders]:
        addresses = [one.get(name) or {} for name in ("defaultAddress", "billingAddress", "shippingAddress")]
        texts |= {one.get(name) for name in ("email", "phone", "displayName", "clientIp")}
        texts |= {address.get(name) for address in addresses for name in PARTS_OF_AN_ADDRESS}
    return {one for one in texts if one and len(one) >= SHORTEST_NAME}


def _failed_aloud(log: str) -> bool:
    python_s_own = "Could not import runpy module" in log and "KeyboardInterrupt" in log  # it answers Ctrl-C so, with 1
    return python_s_own or "ERROR" in log or "error" in log or "Aborted!" in log


def _unequal(found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> list[Any]:
    return [one for one in found.keys() & expected.keys() if found[one] != expected[one]]


def _summed(
    what: str,
    identities: Iterable[Identity],
    found: Mapping[Identity, Mapping[str, Any]] | None = None,
    expected: Mapping[Identity, Mapping[str, Any]] | None = None,
) -> list[str]:
    """Return a sentence per event name, with one uuid of it, and in which properties it differs."""
    by_name = {identity[1]: identity for identity in sorted(identities)}
    counts = Counter(identity[1] for identity in identities)
    sentences = []
    for name, example in by_name.items():
        which = ""
        if found and expected:
            which = f", in {_differing([example], found, expected)}"
        sentences.append(f"{counts[name]} {name} {what}, such as {example[0]}{which}")
    return sentences


def _persons(what: str, number: int, which: str = "") -> list[str]:
    return [f"{number} persons {what}{which}"] if number else []


def _differing(names: Iterable[Any], found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> str:
    """Return the names of the properties in which events or persons differ."""
    pairs = [(found[name], expected[name]) for name in names]
    return ", ".join(sorted({key for one, other in pairs for key in {*one, *other} if one.get(key) != other.get(key)}))
