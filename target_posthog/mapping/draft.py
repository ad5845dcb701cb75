"""Draft of a mapping for streams that no mapping knows: a YAML file to read, correct and use.

Pure: takes each stream's name, schema, keys and a few records; returns the file's text. What it can't know it says in a
comment, and the file is a valid mapping as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target_posthog.mapping.event import COPIED_TO_PERSON
from target_posthog.mapping.language.functions import as_datetime
from target_posthog.mapping.likely import WHOLE, changing_time_of, own_id, person_of, quoted, time_of, times_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from target_posthog.mapping.language.functions import JSON

PERSON_STREAMS = ("user", "customer", "contact", "profile", "people", "person", "lead", "member", "subscriber")
MOST_PROPERTIES = 40
YAML_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
HEAD = """# A mapping to start from, of {source}. Look at each rule, correct it, then set `mapping` to this file's path.
# `target-posthog plan` shows what a run would send; docs/mapping.md has all keys of a rule and all functions.
streams:"""
OUTSIDE_JSON_SCHEMA = ("singer.decimal", "x-singer.decimal")  # formats of amounts that are written as texts


@dataclass
class Stream:
    """What is known of a stream; `records` are a few of it."""

    name: str
    schema: Mapping[str, JSON]
    keys: Sequence[str]
    records: list[Mapping[str, JSON]] = field(default_factory=list)

    @property
    def fields(self) -> dict[str, JSON]:
        """The fields that the schema names, and those that records have beside them, by their values' kinds."""
        own: Mapping[str, JSON] = self.schema.get("properties") or {}
        named = dict(own)
        for record in self.records:
            for name, value in record.items():
                if value is not None and name not in own:
                    named[name] = _schema_of(value)
        return {
            name: schema if isinstance(schema, dict) else {}
            for name, schema in named.items()
            if not name.startswith("_sdc_")
        }


def draft(streams: Iterable[Stream], source: str) -> str:
    """Return the text of a mapping file for these streams."""
    parts = [HEAD.format(source=_shown(source)), *("\n".join(_stream_lines(stream)) for stream in streams)]
    return "\n\n".join(parts) + "\n" if len(parts) > 1 else f"{parts[0]} {{}}\n"


def _stream_lines(stream: Stream) -> Iterator[str]:
    schema = {"properties": stream.fields}
    time = time_of(schema)
    yield f"  {_yaml(stream.name)}:"
    if time is None:
        fields = ", ".join(map(_shown, stream.fields)) or "none is known"
        yield "    # Left out: no field surely says when a record came to be, and an event needs a time that never"
        yield f"    # changes. If one of these does, write a rule here: {fields}."
        yield "    - leave_out: has no time"
        yield '      when: "`true`"'
        return
    others = [name for name in times_in(schema) if name != time.field]
    also = f" Other times: {', '.join(map(_shown, others))}." if others else ""
    persons = person_of(schema)
    is_person = bool(persons) and any(word in stream.name.lower() for word in PERSON_STREAMS)
    yield from _person_lines(stream, persons, time.expression) if is_person else _event_lines(stream, persons)
    yield f"      # When: a moment that never changes.{also}"
    if not is_person:
        yield f"      timestamp: {_yaml(time.expression)}"
        yield "      # The same key is the same event: what tells the records apart, and never changes."
        yield f"      key: {_list(_keys(stream))}"
        yield "      properties:"
        names = [name for name in stream.fields if name != time.field]
        yield from _property_lines(stream, names)


def _event_lines(stream: Stream, persons: Sequence[str]) -> Iterator[str]:
    yield f"    - event: {_yaml(stream.name)}  # better the name of what happened, such as Ticket Opened"
    yield "      # Who: the first of these that is there. The last is nobody, only the record itself."
    yield f"      distinct_id: {_list([*persons, own_id(stream.name, _keys(stream))])}"
    if not persons:
        yield "      person_profile: false  # until the rule knows a person"


def _person_lines(stream: Stream, persons: Sequence[str], created: str) -> Iterator[str]:
    """Write the rule of a stream of persons: what is true of each now, sent again when it changes."""
    schema = {"properties": stream.fields}
    changed = changing_time_of(schema)
    own = own_id(stream.name, _keys(stream))
    yield "    - event: $identify"
    yield "      # Who: the first of these that is there; the second id is linked to it."
    yield f"      distinct_id: {_list([*persons, own])}"
    yield f"      anon_distinct_id: {_list([own])}"
    yield f"      timestamp: {_yaml(quoted(changed) if changed else created)}"
    yield "      # Each change of a person is an event of its own, by the time of the change."
    yield f"      key: {_list([*_keys(stream), *([quoted(changed)] if changed else [])])}"
    yield "      set:"
    yield from _property_lines(stream, [name for name in stream.fields if name != changed])


def _property_lines(stream: Stream, names: Sequence[str]) -> Iterator[str]:
    for name in names[:MOST_PROPERTIES]:
        schema = stream.fields[name]
        is_amount = schema.get("format") in OUTSIDE_JSON_SCHEMA
        expression = f"number({quoted(name)})" if is_amount else quoted(name)
        if name in COPIED_TO_PERSON:
            yield f"        # PostHog writes a property called {name} onto the person, over what the web shop knows."
        yield f"        {_yaml(_property_name(name, stream.fields))}: {_yaml(expression)}"
    if len(names) > MOST_PROPERTIES:
        yield f"        # and {len(names) - MOST_PROPERTIES} more: {', '.join(map(_shown, names[MOST_PROPERTIES:]))}"


def _property_name(field: str, fields: Collection[str]) -> str:
    """Return a property's name for a field: the field's own, unless PostHog would copy that onto the person."""
    name = field
    while name in COPIED_TO_PERSON or (name != field and name in fields):
        name = f"record_{name.removeprefix('$')}"
    return name


def _keys(stream: Stream) -> list[str]:
    return [quoted(key) for key in stream.keys] or [WHOLE]


def _schema_of(value: JSON) -> dict[str, JSON]:
    if not isinstance(value, str):
        return {"type": "integer" if isinstance(value, int) else "number" if isinstance(value, float) else "object"}
    try:
        as_datetime(value)
    except ValueError:
        return {"type": "string"}
    return {"type": "string", "format": "date-time"}


def _list(expressions: Sequence[str]) -> str:
    return f"[{', '.join(_yaml(expression) for expression in expressions)}]"


def _shown(name: str) -> str:
    """Return a name as it may stand in a comment: on one line."""
    return name if name.isprintable() else _yaml(name)


def _yaml(value: str) -> str:
    """Return a text as YAML has it: in quotes where it could be read as something else."""
    plain = value and all(part.isidentifier() and part.isascii() for part in value.split("_") if part)
    if plain and value.lower() not in YAML_WORDS:
        return value
    quoted_text = json.dumps(value, ensure_ascii=False)
    # YAML allows fewer characters than JSON, and takes some for ends of lines.
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted_text)
