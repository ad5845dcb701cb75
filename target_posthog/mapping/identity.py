"""Distinct ids, group keys and session ids that PostHog accepts.

Pure: takes any value, returns an id, or None; for a distinct id also the reason.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from target_posthog.mapping.language.functions import UNIX_EPOCH, as_datetime, uuid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

LONGEST_ID_BYTES = 200  # PostHog rust/capture, v1/analytics/types.rs; /batch/ would cut a longer one silently
LONGEST_GROUP_KEY = 400  # PostHog nodejs, ingestion-warning-types.ts: group_key_too_long
# A session's id is a UUIDv7, which has the moment in its first 48 bits, and its last event comes within a day of that:
# https://posthog.com/docs/data/sessions.
SESSION_VERSION = 7
LONGEST_SESSION = timedelta(hours=24)
MILLISECONDS_SHIFT = 80
# Ids that stand for nobody: PostHog's person-merge-service.ts refuses to merge them, rust/capture v1 makes no person of
# them. Both lists together, whatever the case.
NOBODY = frozenset(
    (
        *("", "0", "[object object]", "anonymous", "anonymous-user", "backend", "distinct_id", "distinctid", "email"),
        *("false", "guest", "id", "nan", "nil-uuid", "none", "not_authenticated", "null", "system", "true"),
        *("undefined", "user", "00000000-0000-0000-0000-000000000000"),
    )
)


def of_nobody(ids: Iterable[str]) -> frozenset[str]:
    """Return ids that stand for nobody in a shop as they may come: in lower case, and the SHA-256 of that."""
    plain = [id_.strip().lower() for id_ in ids]
    return frozenset((*plain, *(hashlib.sha256(id_.encode()).hexdigest() for id_ in plain)))


def usable(value: object, *, hash_long: bool = False, nobody: Collection[str] = ()) -> str | None:
    """Return a text or whole number as a distinct id, without blanks around it; None if PostHog would refuse it.

    A whole number counts as one also if it is written as a float. A longer id than PostHog keeps is not usable, or
    becomes its SHA-256 with `hash_long`. `nobody` are further ids that stand for nobody, as `of_nobody` has them.
    """
    text = plain_text(value)
    if text is None or (nobody and text.lower() in nobody):
        return None
    if text.strip("'\"").lower() in NOBODY or "\0" in text:
        return None
    if len(text.encode()) <= LONGEST_ID_BYTES:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if hash_long else None


def plain_text(value: object) -> str | None:
    """Return a text without blanks around it, or a whole number, also 5.0, as one; None for anything else."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def group_key(value: object) -> str | None:
    """Return a group's key as PostHog keeps it; None if there is none. Raises ValueError for what can't be one."""
    if value is None:
        return None
    text = plain_text(value)
    if text is None:
        raise ValueError("a group's key needs a text or a whole number")
    if len(text) > LONGEST_GROUP_KEY:
        raise ValueError(f"a group's key has at most {LONGEST_GROUP_KEY} characters, or PostHog drops the event")
    return text or None


def session_of(value: object, time: str) -> str | None:
    """Return a session's id if an event of this ISO 8601 time can be part of that session, else None.

    A cart that is resumed after days, a renewed subscription or a copied draft order has the id of a session long over:
    an event with it would prolong that session to its own time, and have the revenue of another visit.
    """
    text = uuid(value)
    if text is None:
        return None
    id_ = UUID(text)
    if id_.version != SESSION_VERSION:
        return None
    start = timedelta(milliseconds=id_.int >> MILLISECONDS_SHIFT)
    age = as_datetime(time) - UNIX_EPOCH - start
    return text if timedelta() <= age < LONGEST_SESSION else None


def why_not_usable(value: object, nobody: Collection[str] = ()) -> str:
    """Return why a value is no distinct id, as words after "it"; an empty text if it is one or could be hashed."""
    if value is None:
        return "is null"
    if plain_text(value) is None:
        return "is neither a text nor a whole number"
    if usable(value, hash_long=True) is None:
        return "is empty, or PostHog takes it for nobody's"
    if usable(value, nobody=nobody) is None and usable(value):
        return "is nobody's, by the setting `nobody`"
    return "" if usable(value) else f"is longer than the {LONGEST_ID_BYTES} bytes that PostHog keeps"
