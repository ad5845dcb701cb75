"""Personal data is found and masked, in: records, events and the names of fields; out: stand-ins for the values.

Pure, and knows no stream: a field is personal by its name, or because the mapping's glossary says so.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from target_posthog.preview.places import places_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from target_posthog.mapping.language.functions import JSON
    from target_posthog.mapping.stream_rules import Event

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


def personal_values(said: JSON, path: str) -> list[tuple[str, str]]:
    """Return the values in a JSON value whose fields sound personal, each with its field's name."""
    found: list[tuple[str, str]] = []
    waiting = [(path, said)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, dict):
            waiting += [(f"{path}.{name}", value) for name, value in one.items() if value]
        elif isinstance(one, list):
            waiting += [(path, value) for value in one]
        elif one and one is not True and is_personal(path):
            found.append((path.rpartition(".")[2], str(one)))
    return found


def personal_values_of(event: Event, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the personal values of an event; properties called one of `names` are personal as a whole."""
    for place, properties in places_of(event).items():
        for name, value in properties.items():
            if name in names:
                yield from ((name, one) for one in _texts(value))
            else:
                yield from personal_values(value, f"{place}.{name}")
    if "@" in event["distinct_id"]:
        yield "email", event["distinct_id"]


def personal_names_of(event: Event, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield where in an event personal data stands: the place and the property's name, or `distinct_id` twice."""
    for place, properties in places_of(event).items():
        for name, value in properties.items():
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


def masked(said: JSON, instead: Mapping[str, str]) -> JSON:
    """Return a JSON value with the personal values in its texts replaced, where they are whole words in any case."""
    known = {value.casefold(): one for value, one in instead.items() if value}
    if not known:
        return said
    longest_first = sorted(known, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)

    def mask(one: JSON) -> JSON:
        if isinstance(one, dict):
            return {name: mask(value) for name, value in one.items()}
        if isinstance(one, list):
            return [mask(value) for value in one]
        if one is None or isinstance(one, bool):
            return one
        text = pattern.sub(lambda found: known.get(found[0].casefold(), "masked"), str(one))
        return one if text == str(one) else text

    return mask(said)


def _texts(said: JSON) -> Iterator[str]:
    if isinstance(said, (dict, list)):
        for one in said.values() if isinstance(said, dict) else said:
            yield from _texts(one)
    elif said and not isinstance(said, bool):
        yield str(said)
