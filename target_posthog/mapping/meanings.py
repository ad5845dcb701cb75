"""What the records of each stream mean, in: settings, then a stream's schema; out: rules, compiled for it.

Knows neither records nor where events go.
"""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.mapping.amounts import REVENUE
from target_posthog.mapping.explanation import Explainer
from target_posthog.mapping.language.compiler import RuleError
from target_posthog.mapping.language.functions import as_timestamp
from target_posthog.mapping.rules import active, combined, grouped, load, rule_for_unmapped, times_of
from target_posthog.mapping.stream_rules import StreamMapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_posthog.mapping.language.expressions import Schema
    from target_posthog.mapping.stream_rules import Spec

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
            stream: [{key: said for key, said in rule.items() if key != "about"} for rule in active(rules)]
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
        if mapping.left_out:
            lacking = ", ".join(mapping.left_out)
            logger.warning("Stream `%s` lacks the fields for %s; they are left out", stream, lacking)
        return Meaning(mapping, partial(Explainer, stream, active(rules), identity=self.identity, schema=schema))

    def _of_unmapped(self, stream: str, schema: Schema, keys: Sequence[str]) -> list[Spec]:
        if stream == MELTANO_TEST_STREAM or self._unmapped == "ignore":
            return []
        if self._unmapped == "refuse":
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
                "" if times_of(schema) else ", at the time of this sync because it has no time of its own",
            )
        return [rule_for_unmapped(stream, schema, keys, synced_at=as_timestamp(datetime.now(timezone.utc)))]
