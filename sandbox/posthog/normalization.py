"""What PostHog makes of an event before it looks at persons, in: an event as captured; out: the same, changed in place.

Pure: knows neither requests nor storage. Rules: PostHog nodejs/src/utils/event.ts (`sanitizeEvent`, `normalizeEvent`)
[28ddb4cc], nodejs/src/utils/db/utils.ts (`personInitialAndUTMProperties`), person-property-utils.ts [3106e4aa].
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from sandbox.posthog.capture import to_json

if TYPE_CHECKING:
    from sandbox.posthog.capture import Event

# Event properties that become person properties (person-property-utils.ts: EVENT_TO_PERSON_PROPERTIES and
# CAMPAIGN_PROPERTIES). `$os_name` stands for `$os` alone.
FROM_THE_DEVICE = (
    *("$app_build", "$app_name", "$app_namespace", "$app_version", "$browser", "$browser_version", "$device_type"),
    *("$current_url", "$pathname", "$os", "$os_version", "$referring_domain", "$referrer"),
    *("$screen_height", "$screen_width", "$viewport_height", "$viewport_width", "$raw_user_agent"),
)
FROM_A_CAMPAIGN = (
    *("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_name", "utm_term", "gclid", "gad_source"),
    *("gclsrc", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "twclid", "li_fat_id", "mc_cid", "igshid", "ttclid"),
    *("rdt_cid", "irclid", "_kx", "epik", "qclid", "sccid"),
)
INITIAL = {name: f"$initial_{name.replace('$', '')}" for name in (*FROM_THE_DEVICE, *FROM_A_CAMPAIGN)}
OF_THE_HOST = frozenset(("$os", "$os_version"))  # of a server that says `$is_server`, so nothing of the person
LARGEST_EXACT = 2**53  # JavaScript's Number.MAX_SAFE_INTEGER and one
JAVASCRIPT_WRITES_DIGITS_BELOW = 1e21  # ECMA-262, Number::toString
MAY_BE_INEXACT = re.compile(rb"\d{16}")  # fewer digits are below 2^53

_NULL = msgspec.Raw(b"null")
_TRUE = to_json(value=True)
_FALSY = frozenset((b"null", b'""', b"0", b"false"))


def normalize(event: Event) -> None:
    """Read the numbers as JavaScript does, note the sender's address, and let the person have the campaign."""
    properties = event.properties
    for name, value in properties.items():
        if MAY_BE_INEXACT.search(value):
            properties[name] = as_javascript_reads(value)
    if event.sender and bytes(properties.get("$ip", _NULL)) in _FALSY:
        properties["$ip"] = to_json(event.sender)
    _set_on_the_person(properties)


def as_javascript_reads(value: msgspec.Raw) -> msgspec.Raw:
    """Return a JSON value after `JSON.stringify(JSON.parse(...))`: a whole number beyond 2^53 loses digits."""
    read = json.loads(bytes(value), parse_int=_whole, parse_float=_fraction)
    return msgspec.Raw(json.dumps(read, separators=(",", ":")).encode())


def _whole(digits: str) -> int | float | None:
    number = int(digits)
    return number if abs(number) <= LARGEST_EXACT else _fraction(digits)


def _fraction(digits: str) -> int | float | None:
    number = float(digits)
    if not math.isfinite(number):
        return None
    if not number.is_integer() or abs(number) >= JAVASCRIPT_WRITES_DIGITS_BELOW:
        return number
    return int(Decimal(repr(number)))  # the shortest digits that name the float, then zeros


def _set_on_the_person(properties: dict[str, msgspec.Raw]) -> None:
    """Add `$set` and `$set_once` as every event with such a property does; a null clears, and is never the first."""
    found = [name for name in INITIAL if name in properties]
    if properties.get("$is_server") == _TRUE:
        found = [name for name in found if name not in OF_THE_HOST]
    if not found:
        return
    last, first = (_object(properties, name) for name in ("$set", "$set_once"))
    for name in found:
        last.setdefault(name, properties[name])
        if properties[name] != _NULL:
            first.setdefault(INITIAL[name], properties[name])
    properties["$set"], properties["$set_once"] = to_json(last), to_json(first)


def _object(properties: dict[str, msgspec.Raw], name: str) -> dict[str, msgspec.Raw]:
    value = properties.get(name, _NULL)
    return msgspec.json.decode(value, type=dict[str, msgspec.Raw]) if bytes(value)[:1] == b"{" else {}
