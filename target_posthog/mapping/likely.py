"""Likely meaning of a stream's fields.

Pure: takes the stream's name, schema and keys; returns its time, its person, a rule. It goes by names and schema
alone, so that the order of columns and what a record holds change nothing.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_posthog.mapping.language.functions import JSON
    from target_posthog.mapping.rule import Spec

TIMES = ("date-time", "date")
# Words of a field's name that say when something came to be, likeliest first.
FIRST = (
    *("created", "creation", "inserted", "registered", "registration", "signed", "signup", "joined", "added", "opened"),
    *("occurred", "happened", "occurrence", "placed", "ordered", "purchased", "submitted", "received", "processed"),
    *("sent", "posted", "published", "issued", "booked", "logged", "recorded", "begun", "began", "started"),
    *("timestamp", "datetime", "at", "on", "date", "time", "ts"),
)
# Words of a field's name that say that it changes, or that it isn't when something came to be.
CHANGING = frozenset(
    (
        *("updated", "update", "modified", "modification", "changed", "change", "edited", "touched", "refreshed"),
        *("synced", "extracted", "loaded", "batched", "ingested", "imported", "exported", "sdc", "fivetran", "airbyte"),
        *("due", "deadline", "expires", "expiry", "expiration", "expire", "until", "valid", "ends", "ended", "end"),
        *("next", "last", "latest", "recent", "renewal", "renews", "scheduled", "planned", "expected", "estimated"),
        *("birth", "birthday", "birthdate", "dob", "born", "anniversary", "deleted", "archived", "closed", "seen"),
        *("cancelled", "canceled", "cancel", "trial", "effective", "eta", "delivery", "current", "activity", "login"),
    )
)
CHANGED = ("mod", "mtime", "upd", "lastmod", "expir")  # how other such words begin: modstamp, updatedat
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
PERSONS = (
    *("email", "email_address", "user_email", "customer_email"),
    *("user_id", "customer_id", "contact_id", "person_id"),
)
WHOLE = "sha256(@)"  # what tells records without a key apart


class Time(NamedTuple):
    """A field that holds a stream's time, and the expression that reads it."""

    field: str
    expression: str


def time_of(schema: Mapping[str, JSON]) -> Time | None:
    """Return the field that is likeliest to say when a record came to be and not to change later; None if none is.

    Only a field that the schema calls a time counts, or else one whose name leaves no doubt, such as `created_at`.
    """
    fields = {name: field for name, field in schema.get("properties", {}).items() if isinstance(field, dict)}
    ranked = sorted((rank, name) for name in fields if (rank := _rank(name, fields[name])) is not None)
    if not ranked:
        return None
    name = ranked[0][1]
    is_number = not _kinds(fields[name]).isdisjoint(("integer", "number")) and not _is_time(fields[name])
    return Time(name, f"from_unix({quoted(name)})" if is_number else quoted(name))


def times_in(schema: Mapping[str, JSON]) -> list[str]:
    """Return the names of all fields that the schema calls times."""
    fields = schema.get("properties", {})
    return [name for name, field in fields.items() if isinstance(field, dict) and _is_time(field)]


def changing_time_of(schema: Mapping[str, JSON]) -> str | None:
    """Return the field that says when a record was changed last, such as `updated_at`; None if there is none."""
    for name in times_in(schema):
        words = [part.lower() for part in CAMEL.split(name) if part]
        if any(word.startswith(CHANGED) for word in words) and not any(word.startswith("expir") for word in words):
            return name
    return None


def person_of(schema: Mapping[str, JSON]) -> list[str]:
    """Return expressions for who a record is likely to be about, likeliest first."""
    fields = schema.get("properties", {})
    found = [name for name in PERSONS if name in fields]
    return [f"lower(trim({quoted(name)}))" if "email" in name else quoted(name) for name in found]


def rule_for_unmapped(stream: str, schema: Mapping[str, JSON], keys: Sequence[str]) -> Spec:
    """Return the rule of a stream that no mapping knows: one event per record, named after the stream, of no person.

    A stream without a field that holds its time has no such event: each of its records is invalid.
    """
    fields = [quoted(key) for key in keys]
    time = time_of(schema)
    return {
        "event": stream,
        "delete": f"{stream} deleted",
        "distinct_id": [own_id(stream, parts) for parts in (fields, [WHOLE]) if parts],
        "timestamp": time.expression if time else "`null`",
        "key": fields or [WHOLE],
        "properties": "@",
        "person_profile": False,
        "origin": {"mapping": "", "tap": "", "fields": [], "is_changed": False},
    }


def own_id(stream: str, parts: Sequence[str]) -> str:
    """Return the expression of an id that is a record's own, made of what tells the stream's records apart."""
    joined = ", ':', ".join(parts)
    return f"concat({text(f'{stream}:')}, {joined})"


def quoted(field: str) -> str:
    """Return a field's name as an expression has it: in double quotes where it has blanks, dashes or the like."""
    return field if re.fullmatch(r"[A-Za-z_]\w*", field, re.ASCII) else json.dumps(field)


def text(value: str) -> str:
    """Return a text as an expression has it."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _rank(name: str, schema: Mapping[str, JSON]) -> tuple[int, int, int] | None:
    """Return how likely a field is a stream's time, the likeliest first; None if it can't be."""
    words = [part.lower() for part in CAMEL.split(name) if part]
    if any(word in CHANGING or word.startswith(CHANGED) for word in words):
        return None
    place = next((at for at, word in enumerate(FIRST) if word in words), None)
    if _is_time(schema):
        return (0, len(FIRST) if place is None else place, len(words))
    surely = place is not None and FIRST[place] not in {"at", "on", "date", "time", "ts"}
    if surely and not _kinds(schema).isdisjoint(("string", "integer", "number", "any")) and _says_time(words):
        return (1, place or 0, len(words))
    return None


def _says_time(words: Sequence[str]) -> bool:
    """Say whether a name is one of a time alone: `created`, `created_at` or `timestamp`, but not `created_by`."""
    return all(word in FIRST or word in {"utc", "ms", "event"} for word in words)


def _branches(schema: Mapping[str, JSON]) -> list[Mapping[str, JSON]]:
    found = [schema]
    for keyword in ("anyOf", "oneOf", "allOf"):
        found += [branch for branch in schema.get(keyword) or () if isinstance(branch, dict)]
    return found


def _is_time(schema: Mapping[str, JSON]) -> bool:
    return any(branch.get("format") in TIMES for branch in _branches(schema))


def _kinds(schema: Mapping[str, JSON]) -> set[str]:
    kinds: set[str] = set()
    for branch in _branches(schema):
        named = branch.get("type", ())
        kinds |= {named} if isinstance(named, str) else {kind for kind in named if isinstance(kind, str)}
    return kinds or {"any"}
