"""Running money of a record: which amounts each of its facts carried, and the event that takes them all back.

Takes events and what was kept of them, returns JSON to keep or an event. The amounts are exact. Pure.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from target_posthog.mapping.language.functions import as_decimal, as_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_posthog.mapping.event import Event, RunningMoney
    from target_posthog.mapping.language.functions import JSON

PERSON_PROFILE = "$process_person_profile"
NUMBERS = (int, float)  # a truth value is neither
PLAIN_FROM, PLAIN_BELOW = 1e-4, 1e16  # Python writes these without an exponent

_kept = msgspec.json.Decoder(tuple[dict[str, str], dict[str, msgspec.Raw]])


def money_of(properties: Mapping[str, JSON], money: RunningMoney) -> str | None:
    """Return what is to be kept of an event's properties: its amounts as texts, and what stands beside them.

    None without amounts; an amount of nothing isn't kept. Whether the event has a person is kept with them, as the
    amounts' sum by person should stay right when they are taken back.
    """
    if properties.keys().isdisjoint(money.adds_up):
        return None
    amounts = {}
    for name in money.adds_up:
        value = properties.get(name)
        if value:
            is_plain = type(value) in NUMBERS and PLAIN_FROM <= abs(value) < PLAIN_BELOW
            text = repr(value) if is_plain else _text_of(value)
            if text:
                amounts[name] = text
    if not amounts:
        return None
    beside = {name: properties[name] for name in (*money.carries, PERSON_PROFILE) if name in properties}
    return msgspec.json.encode((amounts, beside)).decode()


def _text_of(value: JSON) -> str:
    """Return what isn't a number yet as one; empty for what can't be, which adds up to nothing."""
    try:
        return f"{as_decimal(value):f}"
    except ValueError:
        return ""


def taken_back(event: Event, kept: Iterable[str]) -> Event:
    """Return an event with the sums of all amounts that were kept, negated; what stands beside them is the first's."""
    sums: dict[str, Decimal] = {}
    beside: dict[str, JSON] = {}
    has_person = False
    for amounts, others in map(_kept.decode, kept):
        for name, amount in amounts.items():
            sums[name] = sums.get(name, Decimal()) - Decimal(amount)
        has_person |= PERSON_PROFILE not in others
        beside = {**{name: msgspec.json.decode(value) for name, value in others.items()}, **beside}
    properties = {**event["properties"], **{name: as_number(amount) for name, amount in sums.items()}}
    beside.pop(PERSON_PROFILE, None)
    if has_person:
        properties.pop(PERSON_PROFILE, None)
    return {**event, "properties": {**properties, **beside}}
