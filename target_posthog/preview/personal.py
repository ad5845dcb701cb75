"""Personal data in records and events, and stand-ins for it.

Pure: takes values with the names of their fields, returns those that are personal, and stand-ins for them. A field is
personal by its name, or because the mapping's glossary says so.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from target_posthog.mapping.event import places_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from target_posthog.mapping.event import Event
    from target_posthog.mapping.language.functions import JSON

# The path of a field from the stream's name on, such as `orders.customer.email`.
PERSONAL_PATH = re.compile(
    r"""(.*[._])?(
        (\w*e_?)?mail(_address)? | (tele)?phone(_?number)? | mobile | fax
        | (first|last|middle|full|given|family|nick|user|display)_?name | surname | login
        | (customer|user|contact|person|member|subscriber|lead|account|patient|owner|author)s?\.([^.]*\.)?name
        | (?<!_)company | birth_?(day|date) | street | city | zip(_?code)? | post(al)?_?code | latitude | longitude
        | address_?\d? | \w*address(es)?\.(?!([^.]*\.)*(.*_)?(id|code|type|country|province|state|default))[^.]+
        | ip(_address)? | tracking_(number|url)s? | user_agent | (.*_)?token | order_status_url | note
        | \w*attributes\.value
    )""",
    re.IGNORECASE | re.VERBOSE,
)
STAND_IN_BYTES = 3


@lru_cache(maxsize=10_000)
def is_personal(path: str) -> bool:
    """Say whether a field's name, with those of the fields around it before it and points between, sounds personal."""
    return PERSONAL_PATH.fullmatch(path) is not None


def personal_values(content: JSON, path: str) -> list[tuple[str, str]]:
    """Return the values in a JSON value whose fields sound personal, each with its field's name."""
    found: list[tuple[str, str]] = []
    waiting = [(path, content)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{path}.{name}", entry) for name, entry in value.items() if entry]
        elif isinstance(value, list):
            waiting += [(path, item) for item in value]
        elif value and value is not True and is_personal(path):
            found.append((path.rpartition(".")[2], str(value)))
    return found


def personal_values_of(event: Event, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the personal values of an event; properties whose names are among `names` are personal as a whole."""
    for place, name, value in _values_of(event):
        if name in names:
            yield from ((name, text) for text in _texts(value))
        else:
            yield from personal_values(value, f"{place}.{name}")
    if "@" in event["distinct_id"]:
        yield "email", event["distinct_id"]


def personal_names_of(event: Event, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield where in an event personal data stands: the place and the property's name, or `distinct_id` twice."""
    for place, name, value in _values_of(event):
        if name in names or personal_values(value, f"{place}.{name}"):
            yield place, name
    if "@" in event["distinct_id"]:
        yield "distinct_id", "distinct_id"


def stand_ins(values: Iterable[tuple[str, str]], secret: bytes) -> dict[str, str]:
    """Return a stand-in such as `email-9d3f01` for each value; the same for the same value and secret."""
    found: dict[str, str] = {}
    for name, value in values:
        plain = value.strip().casefold()
        digest = hashlib.blake2b(plain.encode(), key=secret, digest_size=STAND_IN_BYTES).hexdigest()
        found.setdefault(value.strip(), f"{name}-{digest}")
        if "@" in plain:  # its hash is as good as the address to whoever has a list of addresses
            found.setdefault(hashlib.sha256(plain.encode()).hexdigest(), f"{name}-sha256-{digest}")
    return found


def masked(content: JSON, instead: Mapping[str, str]) -> JSON:
    """Return a JSON value with the personal values in its texts replaced, where they are whole words in any case."""
    known = {value.casefold(): stand_in for value, stand_in in instead.items() if value}
    if not known:
        return content
    # Each as it is, too: `ß` is "ss" when case is folded, and a pattern that ignores case doesn't know that.
    forms = {form for value in instead if value for form in (value, value.casefold(), value.lower(), value.upper())}
    longest_first = sorted(forms, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)

    def mask(value: JSON) -> JSON:
        if isinstance(value, dict):
            return {name: mask(entry) for name, entry in value.items()}
        if isinstance(value, list):
            return [mask(item) for item in value]
        if value is None or isinstance(value, bool):
            return value
        text = pattern.sub(lambda found: known.get(found[0].casefold(), "masked"), str(value))
        return value if text == str(value) else text

    return mask(content)


def _values_of(event: Event) -> Iterator[tuple[str, str, JSON]]:
    """Yield each value of an event with its place and name; what is unset has a name and no value."""
    for place, properties in places_of(event).items():
        if place != "unset":
            yield from ((place, name, value) for name, value in properties.items())


def _texts(value: JSON) -> Iterator[str]:
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif value and not isinstance(value, bool):
        yield str(value)
