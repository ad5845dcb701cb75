"""Catalogue of the events that a mapping makes, with their properties, for documents and previews.

Pure: takes a mapping as data, returns its events; it knows neither records nor how rules are compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from target_posthog.mapping.document import active
from target_posthog.mapping.event import SETS
from target_posthog.mapping.rule import rule_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.mapping.language.functions import JSON
    from target_posthog.mapping.rule import Spec

PLACES_OF_VALUES = ("properties", *SETS)


class Property(TypedDict):
    """A property: where it stands (`properties`, `set`, ...), the expression that fills it, the glossary's words."""

    name: str
    place: str
    expression: JSON
    type: str
    unit: str
    example: JSON
    about: str


class EventEntry(TypedDict):
    """An event that a stream's rule makes; `deleted` is the event that a deleted record makes instead, if any."""

    stream: str
    rule: str
    event: str
    about: str
    when: str
    for_each: str
    timestamp: str
    deleted: str
    properties: list[Property]


def catalogue(mapping: Mapping[str, JSON]) -> list[EventEntry]:
    """Return the events of a mapping (as `document.load` returns it), stream by stream, in the order of the rules."""
    return [
        _entry(stream, rule, mapping["glossary"])
        for stream, rules in mapping["streams"].items()
        for rule in active(rules)
        if "event" in rule
    ]


def _entry(stream: str, rule: Spec, glossary: Mapping[str, JSON]) -> EventEntry:
    event = rule["event"]
    return {
        "stream": stream,
        "rule": rule_name(rule),
        "event": str(event if isinstance(event, str) else event["expression"]),
        "about": rule.get("about", ""),
        "when": str(rule.get("when", "")),
        "for_each": rule.get("for_each", ""),
        "timestamp": rule["timestamp"],
        "deleted": rule.get("delete", ""),
        "properties": [
            _property(name, place, expression, glossary.get(name, {}))
            for place in PLACES_OF_VALUES
            if isinstance(rule.get(place), dict)
            for name, expression in rule[place].items()
            if expression is not None
        ],
    }


def _property(name: str, place: str, expression: JSON, words: Mapping[str, JSON]) -> Property:
    return {
        "name": name,
        "place": place,
        "expression": expression,
        "type": words.get("type", ""),
        "unit": words.get("unit", ""),
        "example": words.get("example"),
        "about": words.get("about", ""),
    }
