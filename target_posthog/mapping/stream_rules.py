"""A rule and a record become events, in: rules as data, a stream's schema, then its records; out: events for PostHog.

Pure, and knows neither Singer nor HTTP nor any tap: the same record gives the same events, byte for byte. The language
of the rules is described in docs/mapping.md.
"""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha1
from typing import TYPE_CHECKING, NamedTuple, TypedDict
from uuid import UUID

from target_posthog.mapping.identity import group_key, usable
from target_posthog.mapping.language.compiler import DELETED_AT, Compiler, RuleError
from target_posthog.mapping.language.expressions import ANYTHING, Schema
from target_posthog.mapping.language.functions import JSON, canonical, normal_time, uuid
from target_posthog.mapping.language.interpreter import is_true

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from target_posthog.mapping.language.compiler import Record

Spec = dict[str, JSON]
NAMESPACE = UUID("5f0c8a3e-6f0b-5d0f-9c4e-2f6f1f6a7c11")  # of this project's events; never to change
ALWAYS = {
    "$lib": "target-posthog",
    "$ignore_sent_at": True,  # else it shifts the time by the clocks' difference: rust/common/types/src/timestamp.rs
    "$geoip_disable": True,  # else every customer is placed where the sync runs
}
WITHOUT_TIME = "`timestamp` is empty; name another field, or say with `when` for which records it is there"
WITHOUT_SURE_TIME = "it has no time that is surely its own"
ALWAYS_TRUE = "`true`"
# Why a rule makes nothing of a record.
DELETED = "the record was deleted, and the rule has no `delete` event"
EMPTY_LIST = "its list is empty"
NOT_WHEN = "its `when` isn't true"
NOTHING_TO_SAY = "it would link no ids and set nothing"
LINKS_AND_SETS = ("$anon_distinct_id", "alias", "$set", "$set_once", "$unset")


def uuid_of(key: bytes) -> str:
    """Return `str(uuid.uuid5(NAMESPACE, key))` at a third of its cost: https://www.rfc-editor.org/rfc/rfc9562#section-5.5."""
    digest = bytearray(sha1(NAMESPACE.bytes + key, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50  # version 5
    digest[8] = digest[8] & 0x3F | 0x80  # the variant of RFC 9562
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Event(TypedDict):
    """One event as PostHog's libraries write it; `timestamp` is RFC 3339 in UTC."""

    event: str
    distinct_id: str
    uuid: str
    timestamp: str
    properties: dict[str, JSON]


class RecordError(Exception):
    """A record that can't become events; the text says why in one sentence and names no value of it."""


class Made(NamedTuple):
    """An event, and the name of the rule that made it."""

    rule: str
    event: Event


class StreamMapping:
    """The rules of one stream: compiled, checked against its schema (any, by default) and ready for its records.

    `left_out` names the events and properties of shipped rules whose fields the stream lacks. Raises `RuleError`.
    """

    def __init__(self, stream: str, specs: Sequence[Spec], *, identity: str, schema: Schema = ANYTHING) -> None:
        self._stream = stream
        rules = [Rule(stream, spec, identity=identity, schema=schema) for spec in specs]
        self._filters = [rule for rule in rules if rule.is_filter and rule.is_usable]
        self._rules = [rule for rule in rules if not rule.is_filter and rule.is_usable]
        # A filter that holds for all is meant to leave nothing.
        self.is_left_out = any(
            rule.is_filter and spec.get("when") == ALWAYS_TRUE for rule, spec in zip(rules, specs, strict=True)
        )
        self.blind = [rule.name for rule in rules if rule.is_filter and not rule.is_usable]
        self._unusable = [rule for rule in rules if not rule.is_usable]
        self.left_out = sorted({name for rule in rules for name in rule.left_out})

    def reason_to_leave_out(self, record: Record) -> str | None:
        """Return the name of the first `leave_out` rule that holds for the record, else None; raises `RecordError`."""
        return next((rule.name for rule in self._filters if rule.holds(record)), None)

    def events(self, record: Record) -> list[Event]:
        """Return the record's events, rule by rule; raises `RecordError`."""
        return [one.event for one in self.made(record)]

    def made(self, record: Record) -> list[Made]:
        """Return the record's events, each with its rule; raises `RecordError`, also for two that share a key."""
        made = [Made(rule.name, event) for rule in self._rules for event in rule.events(record)]
        if len(made) > 1:
            self._check_keys(made)
        return made

    def _check_keys(self, made: Sequence[Made]) -> None:
        known: dict[str, Made] = {}
        for one in made:
            first = known.setdefault(one.event["uuid"], one)
            if first is not one and first.event != one.event:
                rules = f"rule `{one.rule}`" if first.rule == one.rule else f"rules `{first.rule}` and `{one.rule}`"
                raise RecordError(
                    f"{rules} of stream `{self._stream}` made different events `{one.event['event']}` of it under one "
                    "key, of which PostHog would keep one; give `key` what tells them apart, or the events different "
                    "names"
                )

    def silences(self) -> Iterator[tuple[str, str, int]]:
        """Yield each rule's name with a reason why it made nothing of a record, and of how many so far."""
        for rule in self._rules:
            for reason, count in rule.silences.items():
                yield rule.name, reason, count
        for rule in self._unusable:
            yield rule.name, "the stream lacks its fields", 0


class Rule:
    """One compiled rule; not usable if it is a shipped one and the stream lacks what it is about.

    `left_out` says what of it the stream has no field for, each with the reason.
    """

    def __init__(self, stream: str, spec: Spec, *, identity: str, schema: Schema) -> None:
        self.is_filter = "leave_out" in spec
        self.name = str(spec.get("name") or spec.get("leave_out") or spec.get("event"))
        self._place = f"{_whose(spec)}rule `{self.name}` of stream `{stream}`"
        self.silences: Counter[str] = Counter()
        self._remedy = _remedy(stream, self.name, spec)
        self._without_time = WITHOUT_TIME if _whose(spec) else WITHOUT_SURE_TIME
        compiler = Compiler(self._place, schema, self._remedy)
        self.left_out = compiler.left_out
        self._for_each = compiler.droppable("for_each", spec.get("for_each"), self.name)
        self.is_usable = not self.left_out
        if self._for_each:
            compiler.go_into(compiler.expression("for_each", spec["for_each"]))
        if self.is_usable:
            self._when = compiler.droppable("when", spec.get("when", True), self.name)
            self.is_usable = not self.left_out
        if self.is_usable and not self.is_filter:
            self._compile(compiler, spec, identity)

    def _compile(self, compiler: Compiler, spec: Spec, identity: str) -> None:
        event, unset = spec["event"], spec.get("unset", {})
        is_fixed = isinstance(event, str)
        self._name = compiler.value("event", f"`{json.dumps(event)}`" if is_fixed else event["expression"])
        self._delete = str(spec["delete"]) if spec.get("delete") else None
        self._distinct_id = compiler.candidates("distinct_id", spec["distinct_id"], identity)
        if not self._distinct_id and event != "$groupidentify":
            raise RuleError(f"{self._place}, `distinct_id`: there is no candidate for `identity: {identity}`")
        self._other_id = compiler.candidates("anon_distinct_id", spec.get("anon_distinct_id"), identity)
        self._timestamp = compiler.value("timestamp", spec["timestamp"])
        self._key = compiler.value("key", list(spec["key"]))
        self._properties = compiler.entries("properties", spec.get("properties", {}))
        self._set = compiler.value("set", spec.get("set", {}))
        self._set_once = compiler.value("set_once", spec.get("set_once", {}))
        self._unset = compiler.value("unset", unset if isinstance(unset, dict) else dict.fromkeys(unset, True))
        self._groups = compiler.value("groups", spec.get("groups", {}))
        self._has_groups = bool(spec.get("groups"))
        self._sets = any(spec.get(key) for key in ("set", "set_once", "unset"))
        self._only_links = event == "$identify" and not self._sets
        self._group_set = compiler.value("group_set", spec.get("group_set", {}))
        self._session_id = compiler.droppable("session_id", spec.get("session_id")) or (lambda _: None)
        self._person_profile = compiler.value("person_profile", spec.get("person_profile", True))

    def holds(self, record: Record) -> bool:
        """Say whether the rule's `when` holds for a record; raises `RecordError`."""
        try:
            return self._when is None or is_true(self._when(record))
        except ValueError as error:
            raise RecordError(f"{self._place}: {error}{self._remedy}") from None

    def events(self, record: Record) -> Iterator[Event]:
        """Yield the events that this rule makes of a record, or of each item of its `for_each`."""
        if record.get(DELETED_AT) and not self._delete:
            self.silences[DELETED] += 1
            return
        is_empty = True
        for scope in self.scopes(record):
            is_empty = False
            event = self.event(scope)
            if event is not None:
                yield event
        if is_empty:
            self.silences[EMPTY_LIST] += 1

    def scopes(self, record: Record) -> Iterator[Record]:
        """Yield the record, or it with each item of its `for_each` beside it as `item`; raises `RecordError`."""
        if self._for_each is None:
            return iter((record,))
        try:
            items = self._for_each(record)
        except ValueError as error:
            raise RecordError(f"{self._place}: {error}{self._remedy}") from None
        if not isinstance(items, (list, type(None))):
            raise RecordError(f"{self._place}: `for_each` needs a list{self._remedy}")
        return ({**record, "item": item} for item in items or ())

    def event(self, scope: Record) -> Event | None:
        """Return the event of one of the `scopes`, None if it makes none; raises `RecordError`."""
        deleted_at = scope.get(DELETED_AT)
        try:
            if deleted_at:
                return self._made(self._delete, scope, deleted_at, of_nobody=True) if self._delete else None
            if not self.holds(scope):
                self.silences[NOT_WHEN] += 1
                return None
            if self._only_links and self._links_nothing(scope):
                self.silences[NOTHING_TO_SAY] += 1
                return None
            event = self._made(self._name(scope), scope, self._timestamp(scope))
        except ValueError as error:
            raise RecordError(f"{self._place}: {error}{self._remedy}") from None
        # An `$identify` that neither links nor sets anything would have no effect.
        acts = event["event"] != "$identify" or any(one in event["properties"] for one in LINKS_AND_SETS)
        if not acts:
            self.silences[NOTHING_TO_SAY] += 1
        return event if acts else None

    def _links_nothing(self, scope: Record) -> bool:
        return not any(usable(candidate(scope)) for candidate in self._other_id)

    def _made(self, name: JSON, scope: Record, time: JSON, *, of_nobody: bool = False) -> Event:
        if not isinstance(name, str) or not name:
            raise ValueError("`event` gives no name")
        key = self._key(scope)
        if all(one is None for one in key):
            raise ValueError("`key` is empty, so the event couldn't be told from others")
        if time is None:
            raise ValueError(self._without_time)
        groups = self._groups_of(scope) if self._has_groups else {}
        distinct_id = self._id(name, scope, groups)
        if name == "$groupidentify":
            said = self._said_of_group(scope, groups)
        else:
            of_nobody = of_nobody or not is_true(self._person_profile(scope))
            said = self._properties(scope)
            said |= {"$process_person_profile": False} if of_nobody else self._said_of_person(scope, distinct_id)
            session_id = uuid(self._session_id(scope))
            if session_id:
                said["$session_id"] = session_id
            if groups:
                said["$groups"] = groups
        said |= ALWAYS
        return {
            "event": name,
            "distinct_id": distinct_id,
            "uuid": uuid_of(canonical([name, *key])),
            "timestamp": normal_time(time),
            "properties": said,
        }

    def _groups_of(self, scope: Record) -> dict[str, str]:
        keys = ((kind, group_key(value)) for kind, value in self._groups(scope).items())
        return {kind: key for kind, key in keys if key}

    def _id(self, name: str, scope: Record, groups: Mapping[str, str]) -> str:
        ids = (usable(candidate(scope), hash_long=True) for candidate in self._distinct_id)
        distinct_id = next((one for one in ids if one), None)
        if distinct_id is None and name == "$groupidentify":
            distinct_id = next((f"${kind}_{key}" for kind, key in groups.items()), None)
        if distinct_id is None:
            raise ValueError("no candidate of `distinct_id` gives an id that PostHog accepts")
        return distinct_id

    def _said_of_person(self, scope: Record, distinct_id: str) -> dict[str, JSON]:
        """Return what PostHog reads from an event about its person."""
        if not (self._sets or self._other_id):
            return {}
        others = (usable(candidate(scope)) for candidate in self._other_id)
        said: dict[str, JSON] = {
            "$anon_distinct_id": next((one for one in others if one and one != distinct_id), None),
            "$set": self._set(scope),
            "$set_once": self._set_once(scope),
            "$unset": [one for one, wish in self._unset(scope).items() if is_true(wish)],
        }
        return {key: value for key, value in said.items() if value}

    def _said_of_group(self, scope: Record, groups: Mapping[str, str]) -> dict[str, JSON]:
        """Return what PostHog reads from a `$groupidentify`: https://posthog.com/docs/product-analytics/group-analytics."""
        if len(groups) != 1:
            raise ValueError("`$groupidentify` needs exactly one entry in `groups`")
        ((kind, key),) = groups.items()
        return {"$group_type": kind, "$group_key": key, "$group_set": self._group_set(scope)}


def _whose(spec: Spec) -> str:
    """Return whose rule it is, as a word before "rule"; the rule of a stream that has none is nobody's."""
    origin = spec.get("origin")
    if not origin or origin["is_changed"]:
        return "your "
    return "shipped " if origin["mapping"] else ""


def _remedy(stream: str, name: str, spec: Spec) -> str:
    """Return how to do without a rule that the user didn't write, as the end of a sentence."""
    whose = _whose(spec)
    if whose == "your ":
        return ""
    if not whose:
        return f"; say in `mappings` what the stream means, or `{{{json.dumps(stream)}: []}}` to do without it"
    written = json.dumps({stream: [{"extends": name, "disabled": True}]})
    return f"; `mappings: {written}` does without this rule, `mapping: none` without all of the shipped ones"
