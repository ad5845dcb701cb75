"""Mapping document: the rules of each stream, from a shipped or a user's file and from settings.

Takes a file's name and changes, returns rules as data. It knows which keys a rule can have, not what they do:
`mapping/rule.py` compiles them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from target_posthog.errors import RuleError, did_you_mean
from target_posthog.mapping import plain_yaml
from target_posthog.mapping.event import GROUP_IDENTIFY
from target_posthog.mapping.language.compiler import Shipped
from target_posthog.mapping.rule import ALWAYS_TRUE, GONE, rule_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from target_posthog.mapping.language.functions import JSON
    from target_posthog.mapping.rule import Spec

    Streams = dict[str, list[Spec]]

PARTS = ("groups", "records", "money", "books", "glossary")  # objects of a file, each joined with the one of its base
KEYS_OF_ENTRIES = {  # of the parts whose entries are objects
    "groups": ("key", "set"),
    "records": ("adds_up", "carries", "find", "id", "in_events", "keeps_person", "name", "same_person", "shown"),
    "glossary": ("about", "example", "personal", "type", "unit"),
}
TRUTHS = ("keeps_person", "personal")  # of entries: a wrong word for true would silently say no
FILE_KEYS = ("about", "extends", "shared", "streams", *PARTS)
APPLIES_TO = "applies_to"  # of shipped mappings: the tap that they are for, and fields by which its streams are known
EVENT_KEYS = (
    *("about", "anon_distinct_id", "completes", "delete", "disabled", "distinct_id", "event", "extends", "for_each"),
    *("group_set", "groups", "key", "name", "person_profile", "properties", "provisional", "session_id", "set"),
    *("set_once", "timestamp", "unset", "when"),
)
RULE_MARKS = ("event", "leave_out", "extends")  # each rule has one of them
FILTER_KEYS = ("about", "disabled", "extends", "leave_out", "name", "when")
PROVISIONAL_KEYS = {"while", "sent_again"}
NEEDED_KEYS = ("event", "distinct_id", "timestamp", "key")
SUFFIX = ".yaml"
MOST_BASES = 10
NONE = "none"  # the name of the mapping that has no rules
ALL = "*"  # what `extends` says to keep all rules of the stream
# The same in each run, and before any event: PostHog hides a group's events before the group was first heard of
# (PostHog nodejs, group-type-manager).
GROUPS_SINCE = "2006-01-01T00:00:00Z"


def shipped_names() -> list[str]:
    """Return the names of the mappings that come with the target, beside `none`."""
    return sorted(file.name.removesuffix(SUFFIX) for file in _folder().iterdir() if file.name.endswith(SUFFIX))


def load(name: str, extended: Sequence[str] = ()) -> dict[str, JSON]:
    """Return a mapping with its base worked in: `about`, `streams` (the rules), `own` and each of `PARTS`.

    `own` names the streams that a user's file has rules for. `name` is a shipped one or a file's path; `extended` are
    those that it is the base of. Raises `RuleError`, naming the setting `mapping`.
    """
    if name in extended or len(extended) >= MOST_BASES:
        raise RuleError(f"`mapping`: {name} extends itself, or stands at the end of more than {MOST_BASES} others")
    shipped = shipped_names()
    if name == NONE:
        document: dict[str, JSON] = {"about": "No rules but your own."}
    elif name in shipped:
        document = _shipped(name)
    elif Path(name).suffix not in {"", "."} or "/" in name:
        document = _parsed(name, _text_of(name))
    else:
        names = ", ".join([*shipped, NONE])
        hint = did_you_mean(name, shipped) or f"; there are {names}, or give a file's path"
        raise RuleError(f"`mapping`: no mapping called `{name}` comes with the target{hint}")
    base = load(document["extends"], (*extended, name)) if "extends" in document else {}
    changes = document.get("streams") or {}
    return {
        "about": document.get("about", ""),
        "streams": combined(base.get("streams", {}), changes),
        "own": [*base.get("own", ()), *(stream_names(changes) if name not in (*shipped, NONE) else ())],
        **{part: {**base.get(part, {}), **document.get(part, {})} for part in PARTS},
    }


def _text_of(name: str) -> str:
    """Return the text of a file, as much of it as is needed to see that it is too long."""
    try:
        with Path(name).open(encoding="utf-8") as file:
            return file.read(plain_yaml.LARGEST_TEXT_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise RuleError(f"`mapping`: the file {name} can't be read ({reason})") from None


def combined(base: Mapping[str, Sequence[Spec]], changes: Mapping[str, JSON]) -> Streams:
    """Return the rules of `base` with `changes` worked in, neither being changed.

    The rules of a stream take the place of those that it had, unless one of them `extends` one of those (`*` is all),
    or they only leave records out. A rule with `extends` changes the rule of that name in its place, or stands beside
    it if it has a `name` of its own; another replaces the rule of its name, or is added. Raises `RuleError`.
    """
    if not isinstance(changes, dict):
        raise RuleError("`mappings` needs an object: the streams' names, each with a list of rules")
    streams = {stream: list(rules) for stream, rules in base.items()}
    for stream, rules in _by_stream(changes):
        keeps = any("extends" in rule for rule in rules) or (rules and all("leave_out" in rule for rule in rules))
        known = streams.get(stream, []) if keeps else []
        streams[stream] = known
        own = [rule_name(rule) for rule in rules if "extends" not in rule]
        if twice := next((name for name in own if own.count(name) > 1), None):
            raise RuleError(f"stream `{stream}` has two rules `{twice}`: give one of them a `name`, or both")
        for rule in rules:
            if rule != {"extends": ALL}:
                _work_in(stream, known, rule)
    return streams


def stream_names(streams: Mapping[str, JSON]) -> list[str]:
    """Return the names of the streams that have rules, or an empty list of them; raises `RuleError`."""
    return [stream for stream, _ in _by_stream(streams)]


def _by_stream(streams: Mapping[str, JSON], within: str = "") -> Iterator[tuple[str, list[Spec]]]:
    """Yield each stream with its rules; one rule stands for a list of it.

    Meltano takes a name apart at its dots: `public.orders` comes as an object `public` with an entry `orders`.
    """
    for name, rules in streams.items():
        stream = f"{within}{name}"
        if isinstance(rules, dict) and _is_rule(rules):
            if rules.keys() == {"extends"} and rules["extends"] != ALL:
                raise RuleError(
                    f"rule `{rules['extends']}` of stream `{stream}` changes nothing; Meltano drops a null that isn't "
                    "in a list, so write the stream's rules as a list"
                )
            yield stream, [rules]
        elif isinstance(rules, dict) and rules:
            yield from _by_stream(rules, f"{stream}.")
        elif isinstance(rules, list) and all(isinstance(rule, dict) for rule in rules):
            yield stream, rules
        else:
            raise RuleError(f"stream `{stream}` of the mapping needs a list of rules, each an object")


def _is_rule(value: Mapping[str, JSON]) -> bool:
    """Say whether an object is a rule, not streams by the rest of their names."""
    return any(isinstance(value.get(key), str) for key in RULE_MARKS) or "expression" in (value.get("event") or ())


def grouped(streams: Mapping[str, Sequence[Spec]], groups: Mapping[str, JSON]) -> Streams:
    """Return the rules with a mapping's `groups` on each event, and a rule per stream that describes each group."""
    keys = {kind: group["key"] for kind, group in groups.items()}
    described: list[Spec] = [
        {
            "name": f"group {kind}",
            "event": GROUP_IDENTIFY,
            "when": _like(group["key"], f"({group['key']}) != `null`"),
            "distinct_id": [_like(group["key"], f"concat('${kind}_', {group['key']})")],
            "groups": {kind: group["key"]},
            "group_set": group.get("set", {}),
            "timestamp": f"'{GROUPS_SINCE}'",
            "key": [f"'{kind}'", group["key"]],
        }
        for kind, group in groups.items()
    ]
    return {
        stream: [*(_with_groups(rule, keys) for rule in rules), *_of_origin(rules, described)] if rules else []
        for stream, rules in streams.items()
    }


def _like(pattern: str, text: str) -> str:
    """Return an expression that is shipped if another one is: then it may name fields that a stream lacks."""
    return Shipped(text) if isinstance(pattern, Shipped) else text


def active(rules: Iterable[Spec]) -> list[Spec]:
    """Return the rules that aren't disabled."""
    return [rule for rule in rules if not rule.get("disabled")]


def are_filters(rules: Sequence[Spec]) -> bool:
    """Say whether rules only leave records out, and not all of them: then others say what the rest means."""
    return all("leave_out" in rule and rule.get("when", True) not in (True, ALWAYS_TRUE) for rule in rules)


def recognised(stream: str, rules: Iterable[Spec], fields: Collection[str]) -> list[Spec]:
    """Return the rules that are for this stream: a shipped one is for that of its tap alone, known by its fields.

    Raises `RuleError` for a user's rule that `extends` a shipped one on another tap's stream.
    """
    kept = []
    for rule in rules:
        origin = rule.get("origin") or {"fields": (), "is_changed": False}
        lacking = [field for field in origin["fields"] if field not in fields]
        if not lacking:
            kept.append(rule)
        elif origin["is_changed"]:
            raise RuleError(
                f"your rule `{rule_name(rule)}` of stream `{stream}` extends a rule for {origin['tap']}, whose streams "
                f"have `{'`, `'.join(lacking)}`; this one hasn't, so write the rule without `extends`"
            )
    return kept


def _of_origin(rules: Sequence[Spec], described: Iterable[Spec]) -> list[Spec]:
    """Return the rules that describe groups, for the streams that the stream's own rules are for."""
    origin = next((rule["origin"] for rule in rules if "origin" in rule), None)
    return [{**rule, "origin": {**origin, "is_changed": False}} if origin else rule for rule in described]


def _with_groups(rule: Spec, keys: Mapping[str, str]) -> Spec:
    if "leave_out" in rule or rule["event"] == GROUP_IDENTIFY:
        return rule
    return {**rule, "groups": {**keys, **rule.get("groups", {})}}


def _work_in(stream: str, known: list[Spec], rule: Spec) -> None:
    names = [rule_name(other) for other in known]
    if rule.get("extends"):
        parent = str(rule["extends"])
        if parent not in names:
            raise RuleError(f"stream `{stream}` has no rule `{parent}` to extend{did_you_mean(parent, names)}")
        at = names.index(parent)
        whole = {"name": parent, **_merged(known[at], rule)}
        if "origin" in whole:
            whole["origin"] = {**whole["origin"], "is_changed": True}
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
        if key not in known and key != "origin":
            raise RuleError(f"{place} has no key `{key}`{did_you_mean(str(key), known)}")
    if not isinstance(rule.get("when", True), (str, bool)):
        raise RuleError(f"{place}: `when` is an expression, or true or false")
    if "leave_out" in rule:
        return
    missing = [key for key in NEEDED_KEYS if not rule.get(key)]
    if missing:
        raise RuleError(f"{place} lacks `{'`, `'.join(missing)}`")
    _check_forms(place, rule)


def _check_forms(place: str, rule: Spec) -> None:
    event = rule["event"]
    if not isinstance(event, str) and not (isinstance(event, dict) and list(event) == ["expression"]):
        raise RuleError(f"{place}: `event` is a name, or {{expression: ...}}")
    if not isinstance(rule.get("groups", {}), dict):
        raise RuleError(f"{place}: `groups` is an object: each kind of group with an expression for its key")
    unset = rule.get("unset")
    if isinstance(unset, str) and (unset != GONE or not isinstance(rule.get("set", {}), dict)):
        raise RuleError(f"{place}: `unset` has names, or is `{GONE}` beside a `set` that is an object")
    if not isinstance(rule["key"], list):
        raise RuleError(f"{place}: `key` is a list of expressions")
    provisional = rule.get("provisional", {})
    if not isinstance(provisional, dict) or not all(
        reason.isidentifier() and isinstance(spec, dict) and "while" in spec and spec.keys() <= PROVISIONAL_KEYS
        for reason, spec in provisional.items()
    ):
        raise RuleError(
            f"{place}: `provisional` has reasons, each a word with `while`, an expression, and if the event is to be "
            "sent again when that holds no more, `sent_again: true`"
        )


def check_completions(stream: str, rules: Iterable[Spec]) -> None:
    """Raise `RuleError` for a user's rule that `completes` none of the stream's provisional ones."""
    reasons = {rule_name(rule): set(rule.get("provisional") or ()) for rule in rules}
    for rule in rules:
        completes = rule.get("completes")
        origin = rule.get("origin")
        if completes is None or (origin and not origin["is_changed"]):
            continue
        pairs = list(completes.items()) if isinstance(completes, dict) else []
        if len(pairs) != 1 or pairs[0][1] not in reasons.get(pairs[0][0], ()):
            raise RuleError(
                f"rule `{rule_name(rule)}` of stream `{stream}`: `completes` names a rule of the stream, with one of "
                "the reasons for which that one is `provisional`"
            )


def _folder() -> Path:
    return Path(__file__).parent / "shipped"


def _parsed(name: str, text: str, known: Sequence[str] = FILE_KEYS) -> dict[str, JSON]:
    try:
        document = plain_yaml.read(text)
    except plain_yaml.PlainDataError as error:
        raise RuleError(f"`mapping`: {name} {error}") from None
    if not isinstance(document, dict):
        raise RuleError(f"`mapping`: {name} needs an object with `streams`")
    for key, part in document.items():
        if key not in known:
            raise RuleError(f"`mapping`: {name} has no key `{key}`{did_you_mean(str(key), known)}")
        if key == "extends" and not isinstance(part, str):
            raise RuleError(f"`mapping`: `extends` of {name} needs the name of a mapping")
        if key in PARTS and not isinstance(part, dict):
            raise RuleError(f"`mapping`: `{key}` of {name} needs an object")
        if key in KEYS_OF_ENTRIES:
            _check_entries(name, key, part)
    return document


def _check_entries(name: str, part: str, entries: Mapping[str, JSON]) -> None:
    known = KEYS_OF_ENTRIES[part]
    for entry, spec in entries.items():
        if not isinstance(spec, dict):
            raise RuleError(f"`mapping`: each entry in `{part}` of {name} needs an object")
        place = f"`mapping`: `{entry}` in `{part}` of {name}"
        if part == "groups" and not isinstance(spec.get("key"), str):
            raise RuleError(f"{place}: `key` is an expression")
        for key, value in spec.items():
            if key not in known:
                raise RuleError(f"{place} has no key `{key}`{did_you_mean(str(key), known)}")
            if key in TRUTHS and not isinstance(value, bool):
                raise RuleError(f"{place}: `{key}` is true or false")


@cache
def _shipped(name: str) -> dict[str, JSON]:
    """Return a shipped mapping, its texts marked and each rule with its origin; it isn't to be changed."""
    document = _parsed(name, (_folder() / f"{name}{SUFFIX}").read_text("utf-8"), (*FILE_KEYS, APPLIES_TO))
    origin = {"mapping": name, **document.pop(APPLIES_TO), "is_changed": False}
    for part in ("streams", "groups"):
        document[part] = _as_shipped(document.get(part, {}))
    for rules in document["streams"].values():
        for rule in rules:
            rule["origin"] = origin
    return document


def _as_shipped(value: JSON) -> JSON:
    """Mark each text in the rules of a shipped mapping."""
    if isinstance(value, str):
        return Shipped(value)
    if isinstance(value, dict):
        return {key: _as_shipped(entry) for key, entry in value.items()}
    return [_as_shipped(item) for item in value] if isinstance(value, list) else value
