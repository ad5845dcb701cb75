"""What the records of each stream mean, in: settings, then a stream's schema; out: rules, compiled for it.

Knows neither records nor where events go.
"""

from __future__ import annotations

import hashlib
import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.mapping.amounts import REVENUE
from target_posthog.mapping.explanation import Explainer
from target_posthog.mapping.language.compiler import RuleError
from target_posthog.mapping.likely import rule_for_unmapped, text, time_of
from target_posthog.mapping.rules import active, combined, grouped, load, recognised
from target_posthog.mapping.stream_rules import StreamMapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_posthog.mapping.language.expressions import Schema
    from target_posthog.mapping.stream_rules import Spec

UNSAID = ("about", "origin")  # of a rule: what doesn't change its events
MELTANO_TEST_STREAM = "meltano_test_stream"  # `meltano config test`: meltano/core/plugin_test_service.py

logger = logging.getLogger(__name__)


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
        if not all(isinstance(one, str) for pair in self.money.items() for one in pair):
            raise RuleError("`mapping`: `money` names properties, each with the property of its currency")
        self.personal = {name for name, one in self.document["glossary"].items() if one.get("personal")}
        self._warned_of: set[str] = set()

    @property
    def fingerprint(self) -> str:
        """Return what changes when a rule or the identity does."""
        rules = {
            stream: [{key: said for key, said in rule.items() if key not in UNSAID} for rule in active(rules)]
            for stream, rules in self.streams.items()
        }
        return hashlib.sha256(json.dumps([self.identity, rules], sort_keys=True).encode()).hexdigest()

    def of(self, stream: str, schema: Schema, keys: Sequence[str]) -> Meaning | None:
        """Return a stream's rules, checked against its schema; None if its records become nothing."""
        said = self.streams.get(stream)
        rules = said and recognised(stream, said, {*schema.get("properties", ()), *keys})
        if said is None or (said and not rules):
            rules = self._of_unmapped(stream, schema, keys)
            if said and rules:
                origin = said[0]["origin"]
                logger.warning(
                    "The shipped rules for `%s` are left alone: they are for %s, whose streams have `%s`",
                    *(stream, origin["tap"], "`, `".join(origin["fields"])),
                )
        if not rules:
            return None
        mapping = StreamMapping(stream, active(rules), identity=self.identity, schema=schema)
        lacking = [name for name in mapping.left_out if name not in mapping.blind]
        if lacking:
            logger.warning("Stream `%s` lacks the fields for %s; they are left out", stream, ", ".join(lacking))
        if mapping.blind:
            blind = ", ".join(mapping.blind)
            logger.warning(
                "Stream `%s` lacks the fields by which to leave out %s, so they count; select those fields in the tap",
                *(stream, blind),
            )
        return Meaning(mapping, partial(Explainer, stream, active(rules), identity=self.identity, schema=schema))

    def _of_unmapped(self, stream: str, schema: Schema, keys: Sequence[str]) -> list[Spec]:
        if stream == MELTANO_TEST_STREAM or self._unmapped == "ignore":
            return []
        if self._unmapped == "refuse":
            raise RuleError(
                f"`unmapped`: no rule says what the records of stream `{stream}` mean; add one to `mappings`, deselect "
                "the stream in the tap, or set `unmapped` to event or ignore"
            )
        rule = rule_for_unmapped(stream, schema, keys)
        if stream not in self._warned_of:
            self._warned_of.add(stream)
            logger.warning(*_warning(stream, rule, schema))
        return [rule]


def _warning(stream: str, rule: Spec, schema: Schema) -> tuple[str, ...]:
    """Return what to say of a stream without rules, with the rule to write, as a format and its arguments."""
    time = time_of(schema)
    said = {"event": stream, "timestamp": rule["timestamp"], "key": rule["key"], "properties": "@"}
    if time is None:
        written = json.dumps({stream: [{**said, "timestamp": "<a field>", "distinct_id": ["<a field>"]}]})
        return (
            "No rule says what the records of stream `%s` mean, and no field of it surely holds the time at which they "
            "came to be, so none can be sent. Write a rule, such as `mappings: %s`; or leave the stream out, with "
            "`mappings: %s` or the setting `unmapped`",
            *(stream, written, json.dumps({stream: []})),
        )
    written = json.dumps({stream: [{**said, "distinct_id": ["<a field>", text(stream)]}]})
    return (
        "No rule says what the records of stream `%s` mean: each becomes an event of that name, of nobody, at `%s`. "
        "Write a rule, such as `mappings: %s`; or leave the stream out, with `mappings: %s` or the setting `unmapped`",
        *(stream, time.field, written, json.dumps({stream: []})),
    )
