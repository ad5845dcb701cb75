"""Mapping document: the rules of each stream, from a shipped or a user's file and from settings.

Takes a file's name and changes, returns rules as data. It knows which keys a rule can have, not what they do:
`mapping/rule.py` compiles them.

"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from target_posthog.errors import RuleError
from target_posthog.mapping.event import GROUP_IDENTIFY
from target_posthog.mapping.language.compiler import Shipped
from target_posthog.mapping.language.expressions import did_you_mean
from target_posthog.mapping.rule import rule_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from target_posthog.mapping.language.functions import JSON
    from target_posthog.mapping.rule import Spec

    Streams = dict[str, list[Spec]]

PARTS = ("groups", "records", "money", "books", "glossary")  # objects of a file, each joined with the one of its base
PARTS_OF_OBJECTS = ("groups", "records", "glossary")
FILE_KEYS = ("about", "extends", "shared", "streams", *PARTS)
EVENT_KEYS = (
    *("about", "anon_distinct_id", "delete", "disabled", "distinct_id", "event", "extends", "for_each", "group_set"),
    *("groups", "key", "name", "person_profile", "properties", "session_id", "set", "set_once", "timestamp", "unset"),
    "when",
)
FILTER_KEYS = ("about", "disabled", "extends", "leave_out", "name", "when")
NEEDED_KEYS = ("event", "distinct_id", "timestamp", "key")
SUFFIX = ".yaml"
# The same in each run, and before any event: PostHog hides a group's events before the group was first heard of
# (PostHog nodejs, group-type-manager).
GROUPS_SINCE = "2006-01-01T00:00:00Z"
FIRST_TIMES = (
    "created",
    "date",
    "time",
    "occurred",
    "start",
)  # fields that say when a record came to be, likeliest first


def shipped_names() -> list[str]:
    """Return the names of the mappings that come with the target."""
    return sorted(file.name.removesuffix(SUFFIX) for file in _folder().iterdir() if file.name.endswith(SUFFIX))


def load(name: str) -> dict[str, JSON]:
    """Return a mapping with its base worked in: `about`, `streams` (the rules) and each of `PARTS`.

    `name` is a shipped one or a file's path. Raises `RuleError`, naming the setting `mapping`.
    """
    shipped = shipped_names()
    if name in shipped:
        document = _parsed(name, (_folder() / f"{name}{SUFFIX}").read_text("utf-8"))
        for part in ("streams", "groups"):
            document[part] = _as_shipped(document.get(part, {}))
    elif Path(name).suffix not in {"", "."} or "/" in name:
        try:
            document = _parsed(name, Path(name).read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise RuleError(f"`mapping`: the file {name} can't be read ({reason})") from None
    else:
        names = ", ".join(shipped)
        hint = did_you_mean(name, shipped) or f"; there are {names}, or give a file's path"
        raise RuleError(f"`mapping`: no mapping called `{name}` comes with the target{hint}")
    base = load(document["extends"]) if "extends" in document else {}
    return {
        "about": document.get("about", ""),
        "streams": combined(base.get("streams", {}), document.get("streams") or {}),
        **{part: {**base.get(part, {}), **document.get(part, {})} for part in PARTS},
    }


def combined(base: Mapping[str, Sequence[Spec]], changes: Mapping[str, JSON]) -> Streams:
    """Return the rules of `base` with `changes` worked in, neither being changed.

    A rule with `extends` changes the rule of that name in its place, or stands beside it if it has a `name` of its own;
    another replaces the rule of its name, or is added. Raises `RuleError`.
    """
    if not isinstance(changes, dict):
        raise RuleError("`mappings` needs an object: the streams' names, each with a list of rules")
    streams = {stream: list(rules) for stream, rules in base.items()}
    for stream, rules in changes.items():
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise RuleError(f"stream `{stream}` of the mapping needs a list of rules, each an object")
        known = streams.setdefault(stream, [])
        for rule in rules:
            _work_in(stream, known, rule)
    return streams


def grouped(streams: Mapping[str, Sequence[Spec]], groups: Mapping[str, JSON]) -> Streams:
    """Return the rules with a mapping's `groups` on each event, and a rule per stream that describes each group."""
    keys = {kind: group["key"] for kind, group in groups.items()}
    described = [
        {
            "name": f"group {kind}",
            "event": GROUP_IDENTIFY,
            "distinct_id": [f"concat('${kind}_', {group['key']})"],
            "groups": {kind: group["key"]},
            "group_set": group.get("set", {}),
            "timestamp": f"'{GROUPS_SINCE}'",
            "key": [f"'{kind}'", group["key"]],
        }
        for kind, group in groups.items()
    ]
    return {
        stream: [*(_with_groups(rule, keys) for rule in rules), *described] if rules else []
        for stream, rules in streams.items()
    }


def active(rules: Iterable[Spec]) -> list[Spec]:
    """Return the rules that aren't disabled."""
    return [rule for rule in rules if not rule.get("disabled")]


def rule_for_unmapped(stream: str, schema: Mapping[str, JSON], keys: Sequence[str], *, run_at: str) -> Spec:
    """Return the rule of a stream that no mapping knows: one event per record, named after the stream, of no person.

    It carries the record's first time, or `run_at` if the record has none.
    """
    fields = [_quoted(key) for key in keys]
    ids = [f"concat({_text(stream + ':')}, {', '.join(_between(fields))})"] if fields else []
    times = [_quoted(name) for name in times_of(schema)]
    return {
        "event": stream,
        "delete": f"{stream} deleted",
        "distinct_id": [*ids, f"concat({_text(stream + ':')}, sha256(@))"],
        "timestamp": " || ".join([*times, _text(run_at)]),
        "key": fields or ["sha256(@)"],
        "properties": "@",
        "person_profile": False,
    }


def times_of(schema: Mapping[str, JSON]) -> list[str]:
    """Return the names of a schema's fields that hold a time, the one that is likeliest to never change first."""
    fields = schema.get("properties", {})
    times = [name for name, field in fields.items() if field.get("format") in {"date-time", "date"}]
    ranks = {name: (name.lower().startswith("updat"), _rank(name.lower())) for name in times}
    return sorted(times, key=lambda name: ranks[name])


def _rank(name: str) -> int:
    return next((rank for rank, part in enumerate(FIRST_TIMES) if part in name), len(FIRST_TIMES))


def _with_groups(rule: Spec, keys: Mapping[str, str]) -> Spec:
    if "leave_out" in rule or rule["event"] == GROUP_IDENTIFY:
        return rule
    return {**rule, "groups": {**keys, **rule.get("groups", {})}}


def _work_in(stream: str, known: list[Spec], rule: Spec) -> None:
    names = [rule_name(other) for other in known]
    if "extends" in rule:
        parent = str(rule["extends"])
        if parent not in names:
            raise RuleError(f"stream `{stream}` has no rule `{parent}` to extend{did_you_mean(parent, names)}")
        at = names.index(parent)
        whole = {"name": parent, **_merged(known[at], rule)}
        replaces = rule_name(whole) == parent
    else:
        whole = rule
        at = names.index(rule_name(rule)) if rule_name(rule) in names else len(known)
        replaces = at < len(known)
    _check(stream, whole)
    known[at if replaces else at + 1 : at + 1] = [whole]


def _merged(parent: Spec, rule: Spec) -> Spec:
    """Return the parent with a rule's keys: objects are joined entry by entry, a null takes a key away."""
    merged = dict(parent)
    for key, value in rule.items():
        both = isinstance(value, dict) and isinstance(parent.get(key), dict) and key != "event"
        merged[key] = {**parent[key], **value} if both else value
    return {key: value for key, value in merged.items() if value is not None and key != "extends"}


def _check(stream: str, rule: Spec) -> None:
    place = f"rule `{rule_name(rule)}` of stream `{stream}`"
    known = FILTER_KEYS if "leave_out" in rule else EVENT_KEYS
    for key in rule:
        if key not in known:
            raise RuleError(f"{place} has no key `{key}`{did_you_mean(str(key), known)}")
    if "leave_out" in rule:
        return
    missing = [key for key in NEEDED_KEYS if not rule.get(key)]
    if missing:
        raise RuleError(f"{place} lacks `{'`, `'.join(missing)}`")
    event = rule["event"]
    if not isinstance(event, str) and not (isinstance(event, dict) and list(event) == ["expression"]):
        raise RuleError(f"{place}: `event` is a name, or {{expression: ...}}")
    if not isinstance(rule["key"], list):
        raise RuleError(f"{place}: `key` is a list of expressions")


def _folder() -> Path:
    return Path(__file__).parent / "shipped"


def _parsed(name: str, text: str) -> dict[str, JSON]:
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}" if error.problem_mark else "somewhere"
        raise RuleError(f"`mapping`: {name} is no YAML ({place}: {error.problem})") from None
    except yaml.YAMLError:
        raise RuleError(f"`mapping`: {name} is no YAML") from None
    if not isinstance(document, dict):
        raise RuleError(f"`mapping`: {name} needs an object with `streams`")
    for key, part in document.items():
        if key not in FILE_KEYS:
            raise RuleError(f"`mapping`: {name} has no key `{key}`{did_you_mean(str(key), FILE_KEYS)}")
        if key in PARTS and not isinstance(part, dict):
            raise RuleError(f"`mapping`: `{key}` of {name} needs an object")
        if key in PARTS_OF_OBJECTS and not all(isinstance(entry, dict) for entry in part.values()):
            raise RuleError(f"`mapping`: each entry in `{key}` of {name} needs an object")
    return document


def _as_shipped(value: JSON) -> JSON:
    """Mark each text in the rules of a shipped mapping."""
    if isinstance(value, str):
        return Shipped(value)
    if isinstance(value, dict):
        return {key: _as_shipped(entry) for key, entry in value.items()}
    return [_as_shipped(item) for item in value] if isinstance(value, list) else value


def _quoted(field: str) -> str:
    return json.dumps(field)  # JMESPath's quoted identifiers are JSON strings


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _between(fields: list[str]) -> list[str]:
    return [part for field in fields for part in (field, "':'")][:-1]
