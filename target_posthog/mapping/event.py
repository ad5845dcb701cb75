"""Event as PostHog's libraries write it: its identity, its time, the places of its properties, and its money.

Pure: takes events, returns what stands where in them; it knows no rule, and of a mapping's properties only those to
which PostHog itself gives a meaning.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha1
from typing import TYPE_CHECKING, NamedTuple, TypedDict
from uuid import UUID

from target_posthog.mapping.language.functions import JSON, as_decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

NAMESPACE = UUID("5f0c8a3e-6f0b-5d0f-9c4e-2f6f1f6a7c11")  # of this project's events; never to change
VERSION = 5  # of their uuids
ALWAYS: dict[str, JSON] = {
    "$lib": "target-posthog",
    "$ignore_sent_at": True,  # else it shifts the time by the clocks' difference: rust/common/types/src/timestamp.rs
    "$geoip_disable": True,  # else every customer is placed where the target runs
}
IDENTIFY, GROUP_IDENTIFY = "$identify", "$groupidentify"
# Events that say what a person or group is now; all others are facts: https://posthog.com/docs/data/events
PERSON_EVENTS = frozenset((IDENTIFY, GROUP_IDENTIFY, "$set", "$create_alias", "$merge_dangerously"))
LINK_KEYS = ("$anon_distinct_id", "alias")
LINKS_AND_SETS = (*LINK_KEYS, "$set", "$set_once", "$unset")
# What PostHog applies to a person (or group) in the order of arrival.
PERSON_CHANGES = frozenset((*LINKS_AND_SETS, "$group_set"))
# What PostHog copies from any event with a person onto that person, as `$set` and, after `$initial_`, as `$set_once`,
# in the order of arrival, whatever the event's time: PostHog's person-property-utils.ts, eventToPersonProperties.ts.
COPIED_TO_PERSON = frozenset(
    (
        *("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_name", "utm_term", "gclid", "gad_source"),
        *("gclsrc", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "twclid", "li_fat_id", "mc_cid", "igshid"),
        *("ttclid", "rdt_cid", "epik", "qclid", "sccid", "irclid", "_kx"),
        *("$app_build", "$app_name", "$app_namespace", "$app_version", "$browser", "$browser_version"),
        *("$device_type", "$current_url", "$pathname", "$os", "$os_version", "$referring_domain", "$referrer"),
        *("$screen_height", "$screen_width", "$viewport_height", "$viewport_width", "$raw_user_agent"),
    )
)
# In an event's properties: https://posthog.com/docs/product-analytics/person-properties and .../group-analytics.
SETS = {"set": "$set", "set_once": "$set_once", "group_set": "$group_set"}
PLACES = ("properties", *SETS, "unset")
REVENUE = {"revenue": "currency"}  # https://posthog.com/docs/data/event-spec/ecommerce-events
HISTORICAL_AFTER = timedelta(hours=48)  # https://posthog.com/docs/migrate
FUTURE_AFTER = timedelta(hours=23)  # rust/common/types/src/timestamp.rs moves later times to the arrival; V1 doesn't


class Event(TypedDict):
    """One event as PostHog's libraries write it; `timestamp` is RFC 3339 in UTC."""

    event: str
    distinct_id: str
    uuid: str
    timestamp: str
    properties: dict[str, JSON]


class Proviso(NamedTuple):
    """What of an event depends on what was sent before.

    `lacks` has the reasons why it isn't final yet; once one that is `sent_again` holds no more, the event is sent a
    second time. `completes` is the uuid of another event and what that one must have lacked. `takes_back` is the uuid
    of the event of the same rule that it undoes; such an event gets the running money of its record, negated.
    """

    lacks: tuple[str, ...] = ()
    sent_again: frozenset[str] = frozenset()
    completes: tuple[str, str] | None = None
    takes_back: str = ""


FINAL = Proviso()


class Made(NamedTuple):
    """An event that was made of a record, with the name of its rule.

    With `is_of_item` it is one of those that the rule makes for each item of the record.
    """

    event: Event
    rule: str
    proviso: Proviso = FINAL
    is_of_item: bool = False


class Maker(NamedTuple):
    """A rule, by its stream, its name and the event's."""

    stream: str
    rule: str
    event: str


class RunningMoney(NamedTuple):
    """Which properties of a record's events add up, and which stand beside them as the first such event had them."""

    adds_up: tuple[str, ...] = ()
    carries: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of these properties."""
        return (*self.adds_up, *self.carries)


NO_MONEY = RunningMoney()


class Entity(NamedTuple):
    """What a record is about, by an id of its own; with `keeps_person` its facts stay with the first one's id.

    `same_person` says of that id whether it is still the one's whom the record has now.
    """

    key: str
    keeps_person: bool
    money: RunningMoney = NO_MONEY
    same_person: Callable[[str], bool] = lambda _: True


class Money(NamedTuple):
    """An exact amount in a currency, and the property that has it."""

    amount: Decimal
    currency: str
    name: str


def uuid_of(key: bytes) -> str:
    """Return `str(uuid.uuid5(NAMESPACE, key))` at a third of its cost: https://www.rfc-editor.org/rfc/rfc9562#section-5.5."""
    digest = bytearray(sha1(NAMESPACE.bytes + key, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | VERSION << 4
    digest[8] = digest[8] & 0x3F | 0x80  # the variant of RFC 9562
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def may_be_ours(uuid: str) -> bool:
    """Say whether a uuid is of the version that `uuid_of` makes; other sources' are of others."""
    return UUID(uuid).version == VERSION


def places_of(event: Event) -> dict[str, dict[str, JSON]]:
    """Return the mapping's own properties by place, one of `PLACES`; PostHog's own (`$...`) aren't among them."""
    properties = event["properties"]
    unset: list[str] = properties.get("$unset", [])
    return {
        "properties": {name: value for name, value in properties.items() if not name.startswith("$")},
        **{place: properties.get(key, {}) for place, key in SETS.items()},
        "unset": dict.fromkeys(unset),
    }


def is_identified(event: Event) -> bool:
    """Say whether PostHog makes or uses a person for the event; otherwise it is an anonymous one in its bill."""
    return event["properties"].get("$process_person_profile") is not False


def changes_person(event: Event) -> bool:
    """Say whether the event changes a person or a group, so that the order in which such events arrive matters."""
    return not PERSON_CHANGES.isdisjoint(event["properties"])


def only_sets_once(event: Event) -> bool:
    """Say whether a fact changes its person only by what isn't there yet, so that a second time it changes nothing."""
    return event["event"] not in PERSON_EVENTS and PERSON_CHANGES.intersection(event["properties"]) == {"$set_once"}


def person_change(event: Event) -> Event:
    """Return what an event says of its person, as an event that is no fact; itself, if it is none.

    It has the same time, with which PostHog makes a person who isn't there.
    """
    if event["event"] in PERSON_EVENTS:
        return event
    kept = (*SETS.values(), "$unset", *ALWAYS)
    return {
        **event,
        "event": "$set",
        "uuid": uuid_of(f"person of {event['uuid']}".encode()),
        "properties": {name: value for name, value in event["properties"].items() if name in kept},
    }


def touched_ids(event: Event) -> list[str]:
    """Return the distinct ids whose persons the event may change: its own, then the one that it links to it."""
    properties = event["properties"]
    return [event["distinct_id"], *(properties[key] for key in LINK_KEYS if isinstance(properties.get(key), str))]


def money_in(properties: Mapping[str, JSON], names: Mapping[str, str] = REVENUE) -> Money | None:
    """Return the money of the first property of `names` that has an amount and whose currency is there.

    `names` has, for each property with an amount, the property with its currency.
    """
    for name, currency_name in names.items():
        amount, currency = properties.get(name), properties.get(currency_name)
        if amount is None or not isinstance(currency, str):
            continue
        try:
            return Money(as_decimal(amount), currency, name)
        except ValueError:
            continue
    return None
