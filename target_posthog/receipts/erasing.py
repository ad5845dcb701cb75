"""Erasure of a person from receipts: what was sent of them is never sent again, and what comes later is of nobody.

Takes ids as PostHog lists them and an event, returns the forms in which receipts may have the ids, and the event
without its person.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import uuid4

from target_posthog.mapping.event import LINKS_AND_SETS
from target_posthog.receipts.running_money import PERSON_PROFILE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_posthog.mapping.event import Event

OF_NOBODY = "target-posthog:erased:"  # begins the distinct id of a record whose person was erased
NOT_SENT_AS = 0  # what an erased event was sent as: a hash of its distinct id, which could be guessed from it, is gone
OF_A_PERSON = frozenset((*LINKS_AND_SETS, "$session_id"))


def forms_of(ids: Iterable[str]) -> list[str]:
    """Return ids as they are and in lower case, and the SHA-256 that `identity: email_sha256` makes of an address."""
    plain = [id_.strip() for id_ in ids if id_.strip()]
    lower = [id_.lower() for id_ in plain]
    return list(dict.fromkeys([*plain, *lower, *(hashlib.sha256(id_.encode()).hexdigest() for id_ in lower)]))


def id_of_nobody() -> str:
    """Return a distinct id that says nothing, for all later events of one record."""
    return f"{OF_NOBODY}{uuid4()}"


def is_of_nobody(distinct_id: str) -> bool:
    """Say whether a record has this id because its person was erased."""
    return distinct_id.startswith(OF_NOBODY)


def without_person(event: Event, distinct_id: str) -> Event:
    """Return a fact under another distinct id, of which PostHog makes and changes no person."""
    properties = {name: value for name, value in event["properties"].items() if name not in OF_A_PERSON}
    return {**event, "distinct_id": distinct_id, "properties": {**properties, PERSON_PROFILE: False}}
