"""Explanation of a record: what each rule did with it, and why.

Pure: takes rules, a schema and a record; returns JSON values. It shows values as they are, so what is printed of it may
need a mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from target_posthog.mapping.identity import usable, why_not_usable
from target_posthog.mapping.language.compiler import DELETED_AT, Compiler
from target_posthog.mapping.language.expressions import ANYTHING, Schema
from target_posthog.mapping.rule import DELETED, EMPTY_LIST, NO_EFFECT, NO_PERSON, NOT_WHEN, RecordError, Rule

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from target_posthog.mapping.language.compiler import Record, Value
    from target_posthog.mapping.language.functions import JSON
    from target_posthog.mapping.rule import Spec


class Asked(TypedDict):
    """An expression of a rule and its value for the record; `problem` says why there is none."""

    expression: str
    value: JSON
    problem: str


class IdCandidate(TypedDict):
    """An expression for an id: its value, the id that PostHog would get, and why it isn't the one that counts."""

    key: str  # distinct_id or anon_distinct_id
    expression: str
    value: JSON
    id: str | None
    counts: bool
    why_not: str


class EventIdentity(TypedDict):
    """What PostHog knows an event by."""

    uuid: str
    event: str
    distinct_id: str
    timestamp: str


class Attempt(TypedDict):
    """What a rule did with the record, or with one item (from 0) of its `for_each`; `why_not` is "" if it fired."""

    item: int | None
    fired: bool
    why_not: str
    when: Asked | None
    candidates: list[IdCandidate]
    event: EventIdentity | None


class Explained(TypedDict):
    """What one rule did; `kind` is `event`, or `leave_out`, which fires when it leaves the record out.

    `for_each` has the number of items as its value. `missing` names what of a shipped rule the stream has no field for.
    """

    rule: str
    kind: str
    fired: bool
    why_not: str
    missing: dict[str, str]
    for_each: Asked | None
    attempts: list[Attempt]


class Explainer:
    """Explains records by the rules of one stream; takes what `StreamMapping` takes and agrees with it."""

    def __init__(
        self,
        stream: str,
        specs: Sequence[Spec],
        *,
        identity: str,
        schema: Schema = ANYTHING,
        nobody: Collection[str] = (),
    ) -> None:
        self._rules = [_Explainable(stream, spec, identity=identity, schema=schema, nobody=nobody) for spec in specs]

    def explained(self, record: Record) -> list[Explained]:
        """Return what each rule did, those that can leave the record out first; raises nothing."""
        filters = [rule.explained(record) for rule in self._rules if rule.is_filter]
        reason = next((f"the record is left out ({rule['rule']})" for rule in filters if rule["fired"]), "")
        return [*filters, *(rule.explained(record, reason) for rule in self._rules if not rule.is_filter)]


class _Explainable:
    """A rule beside its words."""

    def __init__(self, stream: str, spec: Spec, *, identity: str, schema: Schema, nobody: Collection[str]) -> None:
        self._rule = Rule(stream, spec, identity=identity, schema=schema, nobody=nobody)
        self._nobody = nobody
        self.is_filter = self._rule.is_filter
        self._for_each = str(spec.get("for_each", ""))
        self._questions: list[tuple[str, str, Value | None, str]] = []  # key, expression, how to answer it or why not
        if not self._rule.is_usable:
            return
        compiler = Compiler(self._rule.name, schema)
        if self._for_each:
            compiler.go_into(compiler.expression("for_each", self._for_each))
        for key in ("when", *(() if self.is_filter else ("distinct_id", "anon_distinct_id"))):
            for text in compiler.listed(spec.get(key), identity):
                value = compiler.optional(key, text)
                self._questions.append((key, str(text), value, compiler.missing.pop(key, "")))

    def explained(self, record: Record, reason: str = "") -> Explained:
        """Explain what the rule did; `reason` says why it was not asked."""
        attempts, for_each = [], None
        why_not = reason or self._rule.missing.get(self._rule.name, "")
        if not why_not:
            try:
                scopes = list(self._rule.scopes(record))
            except RecordError as error:
                why_not, for_each = str(error), Asked(expression=self._for_each, value=None, problem=str(error))
            else:
                for_each = Asked(expression=self._for_each, value=len(scopes), problem="") if self._for_each else None
                attempts = [self._attempt(scope, at if for_each else None) for at, scope in enumerate(scopes)]
                why_not = "; ".join(dict.fromkeys(attempt["why_not"] for attempt in attempts)) or EMPTY_LIST
        fired = any(attempt["fired"] for attempt in attempts)
        return {
            "rule": self._rule.name,
            "kind": "leave_out" if self.is_filter else "event",
            "fired": fired,
            "why_not": "" if fired else why_not,
            "missing": dict(self._rule.missing),
            "for_each": for_each,
            "attempts": attempts,
        }

    def _attempt(self, scope: Record, item: int | None) -> Attempt:
        answers = [(key, _asked(text, value, scope, missing)) for key, text, value, missing in self._questions]
        candidates = [] if self.is_filter else _candidates(answers, self._nobody)
        why_not, event, fired = "", None, False
        try:
            if self.is_filter:
                fired = self._rule.applies(scope)
            else:
                event = self._rule.event(scope)
                fired = event is not None
            why_not = "" if fired else self._why_nothing(scope, candidates)
        except RecordError as error:
            why_not = str(error)
        return {
            "item": item,
            "fired": fired,
            "why_not": why_not,
            "when": next((asked for key, asked in answers if key == "when"), None),
            "candidates": candidates,
            "event": event
            and EventIdentity(
                uuid=event["uuid"],
                event=event["event"],
                distinct_id=event["distinct_id"],
                timestamp=event["timestamp"],
            ),
        }

    def _why_nothing(self, scope: Record, candidates: Sequence[IdCandidate]) -> str:
        if scope.get(DELETED_AT):
            return DELETED
        if not self._rule.applies(scope):
            return NOT_WHEN
        has_id = self.is_filter or any(one["id"] for one in candidates if one["key"] == "distinct_id")
        return NO_EFFECT if has_id else NO_PERSON


def _asked(expression: str, value: Value | None, scope: Record, missing: str) -> Asked:
    try:
        return {"expression": expression, "value": value(scope) if value else None, "problem": missing}
    except ValueError as error:
        return {"expression": expression, "value": None, "problem": str(error)}


def _candidates(answers: Sequence[tuple[str, Asked]], nobody: Collection[str]) -> list[IdCandidate]:
    """Return the candidates of both keys; the first usable one of each counts, if it isn't the other's."""
    candidates: list[IdCandidate] = []
    chosen: dict[str, str] = {}
    for key, asked in answers:
        if key == "when":
            continue
        found = usable(asked["value"], hash_long=key == "distinct_id", nobody=nobody)
        why_not = asked["problem"] or ("" if found else f"it {why_not_usable(asked['value'], nobody)}")
        if found and key in chosen:
            why_not = "another stands before it"
        elif found and found == chosen.get("distinct_id"):
            why_not = "it is the distinct id itself"
        elif found:
            chosen[key] = found
        candidate: IdCandidate = {
            "key": key,
            "expression": asked["expression"],
            "value": asked["value"],
            "id": found,
            "counts": not why_not,
            "why_not": why_not,
        }
        candidates.append(candidate)
    return candidates
