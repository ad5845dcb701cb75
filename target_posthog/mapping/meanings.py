"""Meaning of each stream's records: the rules of a run, compiled for a stream when its schema is known.

Takes settings, then a stream's name and schema; returns what makes events of its records and what explains them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.errors import RuleError, did_you_mean
from target_posthog.mapping.document import (
    active,
    are_filters,
    check_completions,
    combined,
    grouped,
    load,
    recognised,
    stream_names,
)
from target_posthog.mapping.event import COPIED_TO_PERSON, REVENUE, Entity, RunningMoney
from target_posthog.mapping.explanation import Explainer
from target_posthog.mapping.identity import of_nobody, usable
from target_posthog.mapping.language.compiler import Compiler
from target_posthog.mapping.language.expressions import ANYTHING
from target_posthog.mapping.language.functions import JSON, canonical
from target_posthog.mapping.language.interpreter import is_true
from target_posthog.mapping.likely import rule_for_unmapped, time_of
from target_posthog.mapping.plain_yaml import PlainDataError, check_size
from target_posthog.mapping.rule import ALWAYS_TRUE, NO_FIELDS, RecordError, Rule, Silence, rule_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from target_posthog.mapping.event import Event, Made
    from target_posthog.mapping.language.compiler import Record
    from target_posthog.mapping.language.expressions import Schema
    from target_posthog.mapping.rule import Spec

UNSAID = ("about", "origin")  # of a rule: what doesn't change its events
CONDITION_KEYS = ("when", "for_each", "leave_out", "key")
NAMES_OF_RECORDS = {"shown": "key properties", "adds_up": "properties of events", "carries": "properties of events"}
MELTANO_TEST_STREAM = "meltano_test_stream"  # `meltano config test`: meltano/core/plugin_test_service.py
NO_TIME = (
    "No rule says what the records of stream `%s` mean, and no field of it surely holds the time at which they came "
    "to be, so none can be sent. Write a rule, such as `mappings: %s`; or leave the stream out, with `mappings: %s` or "
    "the setting `unmapped`"
)
NO_RULE = (
    "No rule says what the records of stream `%s` mean: each becomes an event of that name, of nobody, at `%s`. "
    "Write a rule, such as `mappings: %s`; or leave the stream out, with `mappings: %s` or the setting `unmapped`"
)

logger = logging.getLogger(__name__)


class StreamMapping:
    """The rules of one stream: compiled, checked against its schema (any, by default) and ready for its records.

    `missing` names the events and properties of shipped rules for which the stream has no fields. Raises `RuleError`.
    """

    def __init__(
        self,
        stream: str,
        specs: Sequence[Spec],
        *,
        identity: str,
        schema: Schema = ANYTHING,
        nobody: Collection[str] = (),
    ) -> None:
        self._stream = stream
        rules = [Rule(stream, spec, identity=identity, schema=schema, nobody=nobody) for spec in specs]
        self._filters = [rule for rule in rules if rule.is_filter and rule.is_usable]
        self._rules = [rule for rule in rules if not rule.is_filter and rule.is_usable]
        self._unusable = [rule for rule in rules if not rule.is_usable]
        self.missing = sorted({name for rule in rules for name in rule.missing})
        self.blind = [rule.name for rule in self._unusable if rule.is_filter]
        # A filter that is always true is meant to leave nothing.
        self.is_left_out = any("leave_out" in spec and spec.get("when", True) in (True, ALWAYS_TRUE) for spec in specs)

    def reason_to_leave_out(self, record: Record) -> str | None:
        """Return the name of the first `leave_out` rule that applies to the record, else None; raises `RecordError`."""
        return next((rule.name for rule in self._filters if rule.applies(record)), None)

    def events(self, record: Record) -> list[Event]:
        """Return the record's events where nothing of it was sent before, rule by rule; raises `RecordError`."""
        return [item.event for item in self.made(record) if item.proviso.completes is None]

    def made(self, record: Record) -> list[Made]:
        """Return the record's events, each with its rule; raises `RecordError`, also for two that share a key."""
        made = [item for rule in self._rules for item in rule.made(record)]
        if len(made) > 1:
            self._check_keys(made)
        return made

    def _check_keys(self, made: Sequence[Made]) -> None:
        known: dict[str, Made] = {}
        for item in made:
            first = known.setdefault(item.event["uuid"], item)
            if first is not item and first.event != item.event:
                rules = f"rule `{item.rule}`" if first.rule == item.rule else f"rules `{first.rule}` and `{item.rule}`"
                raise RecordError(
                    f"{rules} of stream `{self._stream}` made different events `{item.event['event']}` of it under one "
                    "key, of which PostHog would keep one; give `key` what tells them apart, or the events different "
                    "names"
                )

    def silences(self) -> list[Silence]:
        """Return why rules made nothing of records so far."""
        found = [Silence(rule.name, why, count) for rule in self._rules for why, count in rule.silences.items()]
        return [*found, *(Silence(rule.name, NO_FIELDS, 0) for rule in self._unusable)]


class Entities:
    """What the records of a stream are about: `id` of the mapping's `records`, else the values of the stream's keys.

    Raises `RuleError` for an `id` or a `same_person` that is no expression.
    """

    def __init__(
        self, stream: str, spec: Mapping[str, JSON], keys: Sequence[str], *, nobody: Collection[str] = ()
    ) -> None:
        self._stream = stream
        self._nobody = nobody
        self._keys = keys
        self._keeps_person = spec.get("keeps_person") is True
        compiler = Compiler(f"`records` of the mapping, stream `{stream}`", ANYTHING)
        self._id = compiler.optional("id", spec.get("id"))
        self._same_person = compiler.value("same_person", spec.get("same_person", True))
        self.money = RunningMoney(*(tuple(_names_of(stream, spec, key)) for key in ("adds_up", "carries")))

    def of(self, record: Record) -> Entity | None:
        """Return a record's entity; None for a record without keys."""
        try:
            key = self._id(record) if self._id else None
        except ValueError:
            key = None
        if key is None:
            values = [record.get(name) for name in self._keys]
            if all(value is None for value in values):
                return None
            key = f"{self._stream}:{canonical(values).decode()}"
        return Entity(str(key), self._keeps_person, self.money, partial(self._is_same_person, record))

    def _is_same_person(self, record: Record, kept: str) -> bool:
        if usable(kept, nobody=self._nobody) is None:  # sent before the setting said whose it is
            return False
        try:
            return is_true(self._same_person({**record, "kept": kept}))
        except ValueError:
            return False


class Remembered(NamedTuple):
    """What receipts remember of an event by what PostHog has of it: `fields` has properties, by the record's fields."""

    entities: Entities
    fields: Mapping[str, str]

    def entity(self, properties: Mapping[str, JSON]) -> Entity | None:
        """Return what an event is about; None if it doesn't say so."""
        record = {field: properties.get(name) for field, name in self.fields.items()}
        return None if None in record.values() else self.entities.of(record)


class Meaning(NamedTuple):
    """What a stream's records become, and why."""

    mapping: StreamMapping
    entities: Entities
    explainer: Callable[[], Explainer]


class Meanings:
    """The rules of a run; raises `RuleError` for one that can't be used. `personal` are names of properties."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.name: str = settings["mapping"]
        self.identity: str = settings["identity"]
        self._nobody = of_nobody(settings.get("nobody") or ())
        self._unmapped: str = settings["unmapped"]
        self.document = load(self.name)
        changes = settings.get("mappings") or {}
        try:
            check_size(changes)
        except PlainDataError as error:
            raise RuleError(f"`mappings` {error}") from None
        streams = combined(self.document["streams"], changes)
        self._own = dict.fromkeys([*self.document["own"], *stream_names(changes)])
        self.met: set[str] = set()  # the streams that came
        self.streams = grouped(streams, self.document["groups"]) if settings["groups"] else streams
        for stream, rules in self.streams.items():
            check_completions(stream, rules)
            StreamMapping(stream, active(rules), identity=self.identity)
        self.money: dict[str, str] = self.document["money"] or REVENUE
        if not all(isinstance(name, str) for pair in self.money.items() for name in pair):
            raise RuleError("`mapping`: `money` names properties, each with the property of its currency")
        self.personal = {name for name, entry in self.document["glossary"].items() if entry.get("personal")}
        self._shown = {
            stream: frozenset(_names_of(stream, naming, "shown")) for stream, naming in self.document["records"].items()
        }
        self._warned_of: set[str] = set()

    def shown_keys(self, stream: str) -> frozenset[str]:
        """Return the key properties of a stream whose values may stand in a log, as they are no personal data."""
        return self._shown.get(stream, frozenset())

    @property
    def fingerprint(self) -> str:
        """What changes when a rule or the identity does."""
        rules = {stream: [_without_words(rule) for rule in active(rules)] for stream, rules in self.streams.items()}
        parts = [self.identity, rules, *sorted(self._nobody)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def conditions(self) -> dict[str, dict[str, str]]:
        """A fingerprint, by stream and rule, of what decides for which records a rule makes events."""
        return {
            stream: {
                rule_name(rule): hashlib.sha256(
                    json.dumps([rule.get(key) for key in CONDITION_KEYS], sort_keys=True).encode()
                ).hexdigest()[:16]
                for rule in active(rules)
            }
            for stream, rules in self.streams.items()
        }

    @property
    def remembered(self) -> dict[str, Remembered]:
        """What receipts remember of events by what PostHog has of them, by the event's name.

        Of streams whose `records` say with `in_events` where their records' fields stand in events.
        """
        found: dict[str, Remembered] = {}
        for stream, naming in self.document["records"].items():
            fields = naming.get("in_events")
            if not fields:
                continue
            remembered = Remembered(Entities(stream, naming, ()), fields)
            for rule in active(self.streams.get(stream, ())):
                names = [name for name in (rule.get("event"), rule.get("delete")) if isinstance(name, str)]
                found |= dict.fromkeys(map(str, names), remembered)
        return found

    def of(self, stream: str, schema: Schema, keys: Sequence[str]) -> Meaning | None:
        """Return a stream's rules, checked against its schema; None if its records become nothing."""
        rules = self._rules_of(stream, schema, keys)
        if not rules:
            return None
        mapping = StreamMapping(stream, active(rules), identity=self.identity, schema=schema, nobody=self._nobody)
        missing = [name for name in mapping.missing if name not in mapping.blind]
        if missing:
            logger.warning("Stream `%s` has no fields for %s; the events do without", stream, ", ".join(missing))
        if mapping.blind:
            logger.warning(
                "Stream `%s` has no fields by which to leave out %s, so they count; select those fields in the tap",
                *(stream, ", ".join(mapping.blind)),
            )
        entities = Entities(stream, self.document["records"].get(stream, {}), keys, nobody=self._nobody)
        explainer = partial(
            Explainer, stream, active(rules), identity=self.identity, schema=schema, nobody=self._nobody
        )
        return Meaning(mapping, entities, explainer)

    def _rules_of(self, stream: str, schema: Schema, keys: Sequence[str]) -> list[Spec]:
        """Return the rules for a stream; where they only leave records out, the rest is what no rule speaks of."""
        specs = self.streams.get(stream)
        if specs == []:
            return []
        rules = recognised(stream, specs or (), {*schema.get("properties", ()), *keys})
        if not are_filters(rules):
            return rules
        unmapped = self._of_unmapped(stream, schema, keys)
        shipped = next((spec["origin"] for spec in specs or () if spec.get("origin")), None)
        if unmapped and shipped:
            logger.warning(
                "The shipped rules for `%s` are left alone: they are for %s, whose streams have `%s`",
                *(stream, shipped["tap"], "`, `".join(shipped["fields"])),
            )
        return [*rules, *unmapped] if unmapped else []

    def _of_unmapped(self, stream: str, schema: Schema, keys: Sequence[str]) -> list[Spec]:
        if stream == MELTANO_TEST_STREAM or self._unmapped == "ignore":
            return []
        if self._unmapped == "fail":
            raise RuleError(
                f"`unmapped`: no rule says what the records of stream `{stream}` mean; add one to `mappings`, deselect "
                "the stream in the tap, or set `unmapped` to event or ignore"
            )
        rule = rule_for_unmapped(stream, schema, keys)
        if stream not in self._warned_of:
            self._warned_of.add(stream)
            logger.warning(*_warning(stream, rule, schema))
        return [rule]

    def unmet(self) -> str:
        """Return a sentence about streams that the user has rules for and that didn't come, "" if all did."""
        unmet = [stream for stream in self._own if stream not in self.met]
        if not unmet or not self.met:
            return ""
        meant = [f"`{stream}`{did_you_mean(stream, self.met - self._own.keys())}" for stream in unmet]
        return f"No stream of this run has the name for which you have rules: {', '.join(meant)}"


def _warning(stream: str, rule: Spec, schema: Schema) -> tuple[str, ...]:
    """Return what to say of a stream without rules, with the rule to write, as a format and its arguments."""
    time = time_of(schema)
    timestamp = rule["timestamp"] if time else "<a field>"
    written = {"event": stream, "distinct_id": ["<a field>"], "timestamp": timestamp, "key": rule["key"]}
    is_copied = not COPIED_TO_PERSON.isdisjoint(schema.get("properties", ()))
    properties = {"<a name>": "<a field>"} if is_copied else "@"
    places = (json.dumps({stream: [{**written, "properties": properties}]}), json.dumps({stream: []}))
    return (NO_RULE, stream, time.field, *places) if time else (NO_TIME, stream, *places)


def _names_of(stream: str, naming: Mapping[str, JSON], key: str) -> list[str]:
    names = naming.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RuleError(f"`records` of the mapping, stream `{stream}`: `{key}` is a list of {NAMES_OF_RECORDS[key]}")
    return names


def _without_words(rule: Spec) -> Spec:
    return {key: value for key, value in rule.items() if key not in UNSAID}
