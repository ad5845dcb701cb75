"""Meaning of each stream's records: the rules of a run, compiled for a stream when its schema is known.

Takes settings, then a stream's name and schema; returns what makes events of its records and what explains them.

"""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.errors import RuleError
from target_posthog.mapping.document import active, combined, grouped, load, rule_for_unmapped, times_of
from target_posthog.mapping.event import REVENUE
from target_posthog.mapping.explanation import Explainer
from target_posthog.mapping.language.expressions import ANYTHING
from target_posthog.mapping.language.functions import as_timestamp
from target_posthog.mapping.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_posthog.mapping.event import Event
    from target_posthog.mapping.language.compiler import Record
    from target_posthog.mapping.language.expressions import Schema
    from target_posthog.mapping.rule import Spec

MELTANO_TEST_STREAM = "meltano_test_stream"  # `meltano config test`: meltano/core/plugin_test_service.py

logger = logging.getLogger(__name__)


class StreamMapping:
    """The rules of one stream: compiled, checked against its schema (any, by default) and ready for its records.

    `missing` names the events and properties of shipped rules for which the stream has no fields. Raises `RuleError`.
    """

    def __init__(self, stream: str, specs: Sequence[Spec], *, identity: str, schema: Schema = ANYTHING) -> None:
        rules = [Rule(stream, spec, identity=identity, schema=schema) for spec in specs]
        self._filters = [rule for rule in rules if rule.is_filter and rule.is_usable]
        self._rules = [rule for rule in rules if not rule.is_filter and rule.is_usable]
        self.missing = sorted({name for rule in rules for name in rule.missing})

    def reason_to_leave_out(self, record: Record) -> str | None:
        """Return the name of the first `leave_out` rule that applies to the record, else None; raises `RecordError`."""
        return next((rule.name for rule in self._filters if rule.applies(record)), None)

    def events(self, record: Record) -> list[Event]:
        """Return the record's events, rule by rule; raises `RecordError`."""
        return [event for rule in self._rules for event in rule.events(record)]


class Meaning(NamedTuple):
    """What a stream's records become, and why."""

    mapping: StreamMapping
    explainer: Callable[[], Explainer]


class Meanings:
    """The rules of a run; raises `RuleError` for one that can't be used. `personal` are names of properties."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.name: str = settings["mapping"]
        self.identity: str = settings["identity"]
        self._unmapped: str = settings["unmapped"]
        self.document = load(self.name)
        streams = combined(self.document["streams"], settings.get("mappings") or {})
        self.streams = grouped(streams, self.document["groups"]) if settings["groups"] else streams
        for stream, rules in self.streams.items():
            StreamMapping(stream, active(rules), identity=self.identity)
        self.money: dict[str, str] = self.document["money"] or REVENUE
        if not all(isinstance(name, str) for pair in self.money.items() for name in pair):
            raise RuleError("`mapping`: `money` names properties, each with the property of its currency")
        self.personal = {name for name, entry in self.document["glossary"].items() if entry.get("personal")}
        self._warned_of: set[str] = set()

    @property
    def fingerprint(self) -> str:
        """Return what changes when a rule or the identity does."""
        rules = {
            stream: [{key: value for key, value in rule.items() if key != "about"} for rule in active(rules)]
            for stream, rules in self.streams.items()
        }
        return hashlib.sha256(json.dumps([self.identity, rules], sort_keys=True).encode()).hexdigest()

    def of(self, stream: str, schema: Schema, keys: Sequence[str]) -> Meaning | None:
        """Return a stream's rules, checked against its schema; None if its records become nothing."""
        rules = self.streams.get(stream)
        if rules is None:
            rules = self._of_unmapped(stream, schema, keys)
        if not rules:
            return None
        mapping = StreamMapping(stream, active(rules), identity=self.identity, schema=schema)
        if mapping.missing:
            names = ", ".join(mapping.missing)
            logger.warning("Stream `%s` has no fields for %s; the events do without", stream, names)
        return Meaning(mapping, partial(Explainer, stream, active(rules), identity=self.identity, schema=schema))

    def _of_unmapped(self, stream: str, schema: Schema, keys: Sequence[str]) -> list[Spec]:
        if stream == MELTANO_TEST_STREAM or self._unmapped == "ignore":
            return []
        if self._unmapped == "fail":
            raise RuleError(
                f"`unmapped`: no rule says what the records of stream `{stream}` mean; add one to `mappings`, deselect "
                "the stream in the tap, or set `unmapped` to event or ignore"
            )
        if stream not in self._warned_of:
            self._warned_of.add(stream)
            logger.warning(
                "No rule says what the records of stream `%s` mean: each becomes an event of that name, of nobody%s. "
                "Add a rule to `mappings`, or set `unmapped`",
                stream,
                "" if times_of(schema) else ", at the time of this run because it has no time of its own",
            )
        return [rule_for_unmapped(stream, schema, keys, run_at=as_timestamp(datetime.now(timezone.utc)))]
