"""Rule of one stream: compiled once, it makes a record's events.

Pure: takes the rule as data and the stream's JSON schema, then records; returns events. The same record gives the same
events, byte for byte. The language of the rules is described in docs/mapping.md.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from target_posthog.errors import RuleError
from target_posthog.mapping.event import (
    ALWAYS,
    FINAL,
    GROUP_IDENTIFY,
    IDENTIFY,
    LINKS_AND_SETS,
    PERSON_EVENTS,
    Event,
    Made,
    Proviso,
    uuid_of,
)
from target_posthog.mapping.identity import group_key, session_of, usable
from target_posthog.mapping.language.compiler import DELETED_AT, Compiler
from target_posthog.mapping.language.functions import JSON, canonical, normal_time
from target_posthog.mapping.language.interpreter import is_true

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from target_posthog.mapping.language.compiler import Record
    from target_posthog.mapping.language.expressions import Schema

Spec = dict[str, JSON]
ALWAYS_TRUE = "`true`"
GONE = "gone"  # `unset: gone` removes what `set` has no value for, but not what the stream has no field for
WITHOUT_TIME = "`timestamp` is empty; name another field, or say with `when` for which records it is there"
WITHOUT_SURE_TIME = "it has no time that is surely its own"
# Why a rule makes nothing of a record.
DELETED = "the record was deleted, and the rule has no `delete` event"
EMPTY_LIST = "its list is empty"
NOT_WHEN = "its `when` isn't true"
NO_EFFECT = "it would link no ids and set nothing"
NO_PERSON = "none of its ids is one that PostHog accepts"
NO_FIELDS = "the stream has no fields for it"


class RecordError(Exception):
    """A record that can't become events; the text says why in one sentence and names no value of it."""


class Silence(NamedTuple):
    """Why a rule made nothing, and of how many records."""

    rule: str
    reason: str
    records: int


def rule_name(spec: Spec) -> str:
    """Return the name by which `extends` finds a rule."""
    return str(spec.get("name") or spec.get("leave_out") or spec.get("event"))


class Rule:
    """One compiled rule; not usable if it is a shipped one and the stream has no field for what it is about.

    `missing` says what of it the stream has no field for, each with the reason. Raises `RuleError`.
    """

    def __init__(self, stream: str, spec: Spec, *, identity: str, schema: Schema, nobody: Collection[str] = ()) -> None:
        self.is_filter = "leave_out" in spec
        self._nobody = nobody
        self.name = rule_name(spec)
        self.silences: Counter[str] = Counter()
        self._place = f"{_whose(spec)}rule `{self.name}` of stream `{stream}`"
        self._remedy = _remedy(stream, self.name, spec)
        self._without_time = WITHOUT_TIME if _whose(spec) else WITHOUT_SURE_TIME
        compiler = Compiler(self._place, schema, self._remedy)
        self.missing = compiler.missing
        self._for_each = compiler.optional("for_each", spec.get("for_each"), self.name)
        self.is_usable = not self.missing
        if self._for_each:
            compiler.go_into(compiler.expression("for_each", spec["for_each"]))
        if self.is_usable:
            self._when = compiler.optional("when", spec.get("when", True), self.name)
            self.is_usable = not self.missing
        if self.is_usable and not self.is_filter:
            self._compile(compiler, spec, identity)

    def _compile(self, compiler: Compiler, spec: Spec, identity: str) -> None:
        event, unset = spec["event"], spec.get("unset", {})
        is_fixed = isinstance(event, str)
        self._fact = self.name if is_fixed or spec.get("name") else None
        self._event_name = compiler.value("event", f"`{json.dumps(event)}`" if is_fixed else event["expression"])
        self._delete = str(spec["delete"]) if spec.get("delete") else None
        self._distinct_id = compiler.candidates("distinct_id", spec["distinct_id"], identity)
        if not self._distinct_id and event != GROUP_IDENTIFY:
            raise RuleError(f"{self._place}, `distinct_id`: there is no candidate for `identity: {identity}`")
        self._other_id = compiler.candidates("anon_distinct_id", spec.get("anon_distinct_id"), identity)
        self._timestamp = compiler.value("timestamp", spec["timestamp"])
        self._key = compiler.value("key", list(spec["key"]))
        self._properties = compiler.entries("properties", spec.get("properties", {}))
        self._set = compiler.entries("set", spec.get("set", {}), may_be_null=True)
        self._set_once = compiler.entries("set_once", spec.get("set_once", {}), may_be_null=True)
        self._may_be_gone: list[str] = []
        if unset == GONE:
            to_set = spec.get("set", {})
            self._may_be_gone = [
                name for name, expression in to_set.items() if compiler.optional(f"set.{name}", expression)
            ]
            unset = {}
        self._unset = compiler.value("unset", unset if isinstance(unset, dict) else dict.fromkeys(unset, True))
        self._groups = compiler.value("groups", spec.get("groups", {}))
        self._has_groups = bool(spec.get("groups"))
        self._sets = any(spec.get(key) for key in ("set", "set_once", "unset"))
        self._only_links = event == IDENTIFY and not self._sets
        self._group_set = compiler.entries("group_set", spec.get("group_set", {}), may_be_null=True)
        self._session_id = compiler.optional("session_id", spec.get("session_id")) or (lambda _: None)
        self._compile_provisional(compiler, spec.get("provisional", {}))
        self._completes = next(iter(spec.get("completes", {}).items()), None)
        compiler.add_text("distinct_id")
        # Of whom it isn't known whether they opted out, no person is made.
        self._person_profile = compiler.optional("person_profile", spec.get("person_profile", True)) or (
            lambda _: False
        )

    def _compile_provisional(self, compiler: Compiler, provisional: Spec) -> None:
        """Compile why an event may not be final; for which a stream has no fields, that isn't a reason."""
        conditions = {
            reason: compiler.optional("provisional", spec["while"], f"provisional {reason}")
            for reason, spec in provisional.items()
        }
        for reason in provisional:
            compiler.missing.pop(f"provisional {reason}", None)
        self._provisional = {reason: condition for reason, condition in conditions.items() if condition}
        self._sent_again = frozenset(reason for reason, spec in provisional.items() if spec.get("sent_again") is True)

    def applies(self, record: Record) -> bool:
        """Say whether the rule's `when` is true for a record; raises `RecordError`."""
        try:
            return self._when is None or is_true(self._when(record))
        except ValueError as error:
            raise RecordError(f"{self._place}: {error}{self._remedy}") from None

    def made(self, record: Record) -> Iterator[Made]:
        """Yield the events that this rule makes of a record, or of each item of its `for_each`."""
        if record.get(DELETED_AT) and not self._delete:
            self.silences[DELETED] += 1
            return
        is_empty = True
        for scope in self.scopes(record):
            is_empty = False
            event = self.event(scope)
            if event is not None:
                yield Made(event, self.name, self._proviso(scope), self._for_each is not None)
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
                return self._made(self._delete, scope, deleted_at, is_deletion=True) if self._delete else None
            if not self.applies(scope):
                self.silences[NOT_WHEN] += 1
                return None
            if self._only_links and self._links_nothing(scope):
                self.silences[NO_EFFECT] += 1
                return None
            name = self._event_name(scope)
            if name in PERSON_EVENTS and name != GROUP_IDENTIFY and self._usable_id(scope) is None:
                self.silences[NO_PERSON] += 1
                return None
            event = self._made(name, scope, self._timestamp(scope))
        except ValueError as error:
            raise RecordError(f"{self._place}: {error}{self._remedy}") from None
        # An `$identify` that neither links nor sets anything would have no effect.
        has_effect = event["event"] != IDENTIFY or any(key in event["properties"] for key in LINKS_AND_SETS)
        if not has_effect:
            self.silences[NO_EFFECT] += 1
        return event if has_effect else None

    def _proviso(self, scope: Record) -> Proviso:
        """Return what of the event depends on what was sent before; raises `RecordError`."""
        if scope.get(DELETED_AT):
            return Proviso(takes_back=uuid_of(canonical([self._fact, "", *self._key(scope)])))
        if not self._provisional and self._completes is None:
            return FINAL
        try:
            lacks = tuple(reason for reason, condition in self._provisional.items() if is_true(condition(scope)))
            completes = None
            if self._completes:
                rule, reason = self._completes
                completes = uuid_of(canonical([rule, "", *self._key(scope)])), reason
        except ValueError as error:
            raise RecordError(f"{self._place}: {error}{self._remedy}") from None
        return Proviso(lacks, self._sent_again, completes)

    def _links_nothing(self, scope: Record) -> bool:
        return not any(usable(candidate(scope), nobody=self._nobody) for candidate in self._other_id)

    def _made(self, name: JSON, scope: Record, time: JSON, *, is_deletion: bool = False) -> Event:
        if not isinstance(name, str) or not name:
            raise ValueError("`event` gives no name")
        key = self._key(scope)
        if all(part is None for part in key):
            raise ValueError("`key` is empty, so the event couldn't be told from others")
        if time is None:
            raise ValueError(self._without_time)
        timestamp = normal_time(time)
        groups = self._groups_of(scope) if self._has_groups else {}
        distinct_id = self._id(name, scope, groups)
        if name == GROUP_IDENTIFY:
            properties = self._group_properties(scope, groups)
        else:
            of_nobody = is_deletion or not is_true(self._person_profile({**scope, "distinct_id": distinct_id}))
            properties = self._properties(scope)
            properties |= (
                {"$process_person_profile": False} if of_nobody else self._person_properties(scope, distinct_id)
            )
            session_id = session_of(self._session_id(scope), timestamp)
            if session_id:
                properties["$session_id"] = session_id
            if groups:
                properties["$groups"] = groups
        properties |= ALWAYS
        return {
            "event": name,
            "distinct_id": distinct_id,
            # Of the rule's name, if it has one, and not the event's: an event that is renamed stays the same fact.
            "uuid": uuid_of(canonical([self._fact or name, "deleted" if is_deletion else "", *key])),
            "timestamp": timestamp,
            "properties": properties,
        }

    def _groups_of(self, scope: Record) -> dict[str, str]:
        keys = ((kind, group_key(value)) for kind, value in self._groups(scope).items())
        return {kind: key for kind, key in keys if key}

    def _id(self, name: str, scope: Record, groups: Mapping[str, str]) -> str:
        distinct_id = self._usable_id(scope)
        if distinct_id is None and name == GROUP_IDENTIFY:
            distinct_id = next((f"${kind}_{key}" for kind, key in groups.items()), None)
        if distinct_id is None:
            raise ValueError("no candidate of `distinct_id` gives an id that PostHog accepts")
        return distinct_id

    def _usable_id(self, scope: Record) -> str | None:
        ids = (usable(candidate(scope), hash_long=True, nobody=self._nobody) for candidate in self._distinct_id)
        return next((candidate for candidate in ids if candidate), None)

    def _person_properties(self, scope: Record, distinct_id: str) -> dict[str, JSON]:
        """Return what PostHog reads from an event about its person."""
        if not (self._sets or self._other_id):
            return {}
        others = (usable(candidate(scope), nobody=self._nobody) for candidate in self._other_id)
        to_set = self._set(scope)
        gone = (name for name in self._may_be_gone if name not in to_set)
        properties: dict[str, JSON] = {
            "$anon_distinct_id": next((other for other in others if other and other != distinct_id), None),
            "$set": to_set,
            "$set_once": self._set_once(scope),
            "$unset": [*gone, *(name for name, wish in self._unset(scope).items() if is_true(wish))],
        }
        return {key: value for key, value in properties.items() if value}

    def _group_properties(self, scope: Record, groups: Mapping[str, str]) -> dict[str, JSON]:
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
