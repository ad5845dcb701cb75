"""Plain data from YAML: takes a text, returns JSON values of bounded size.

Pure, and knows no key of a mapping. Keys are the texts that stand there: `on`, `2026-01-01` and `404` too, which YAML
takes for a truth value, a date and a number. Aliases are written out, so nothing here holds more than it seems to.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.mapping.language.functions import JSON

LARGEST_TEXT_CHARACTERS = 1 << 20  # the largest mapping that is shipped has some 25,000
MOST_VALUES = 50_000  # that one has some 1,500
DEEPEST = 40
TAG = "tag:yaml.org,2002:"
MERGE = f"{TAG}merge"
TEXTS = (f"{TAG}str", f"{TAG}timestamp", f"{TAG}value")
TOO_LARGE = f"holds more than {MOST_VALUES:,} values: an alias (`*name`) may repeat what holds others"
TOO_DEEP = f"is nested more than {DEEPEST} levels deep: an alias (`*name`) may stand inside what it names"


class PlainDataError(ValueError):
    """A text or value that isn't plain data, or too much of it; the text is the rest of a sentence, with the line."""


def read(text: str) -> JSON:
    """Return the value of a YAML document; raises PlainDataError."""
    if len(text) > LARGEST_TEXT_CHARACTERS:
        raise PlainDataError(f"is longer than {LARGEST_TEXT_CHARACTERS:,} characters")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}" if error.problem_mark else "somewhere"
        raise PlainDataError(f"is no YAML ({place}: {error.problem})") from None
    except yaml.YAMLError:
        raise PlainDataError("is no YAML") from None
    except RecursionError:
        raise PlainDataError(TOO_DEEP) from None
    return None if node is None else _Reading().value(node, 0)


def check_size(value: JSON) -> None:
    """Raise PlainDataError for a value that is too large or too deep for a mapping."""
    waiting, seen = [(value, 0)], 0
    while waiting:
        part, depth = waiting.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise PlainDataError(f"holds more than {MOST_VALUES:,} values")
        if depth > DEEPEST:
            raise PlainDataError(f"is nested more than {DEEPEST} levels deep")
        if isinstance(part, dict):
            waiting.extend((inner, depth + 1) for inner in part.values())
        elif isinstance(part, list):
            waiting.extend((inner, depth + 1) for inner in part)


class _Reading:
    """One document on its way; counts its values."""

    def __init__(self) -> None:
        self._constructor = yaml.constructor.SafeConstructor()
        self._seen = 0

    def value(self, node: yaml.Node, depth: int) -> JSON:
        self._seen += 1
        if self._seen > MOST_VALUES:
            raise PlainDataError(TOO_LARGE)
        if depth > DEEPEST:
            raise PlainDataError(TOO_DEEP)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{TAG}seq":
            return [self.value(element, depth + 1) for element in node.value]
        if isinstance(node, yaml.MappingNode) and node.tag == f"{TAG}map":
            return self._object(node, depth)
        raise _refused(node, "has a tag that means nothing here")

    def _scalar(self, node: yaml.ScalarNode) -> JSON:
        kind = node.tag.removeprefix(TAG)
        if node.tag in TEXTS or (kind in ("int", "float") and ":" in node.value):  # 12:30 is no number of minutes
            return node.value
        if kind not in ("null", "bool", "int", "float"):
            raise _refused(node, "has a tag that means nothing here")
        try:
            value: JSON = self._constructor.yaml_constructors[node.tag](self._constructor, node)
        except (ValueError, KeyError, IndexError):
            raise _refused(node, f"isn't the {kind} that its tag says") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise _refused(node, "is a number that JSON doesn't have")
        return value

    def _object(self, node: yaml.MappingNode, depth: int) -> dict[str, JSON]:
        merged: dict[str, JSON] = {}
        own: dict[str, JSON] = {}
        for key, inner in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused(key, "has a key that is no text")
            if key.tag == MERGE:
                for base in self._bases(inner, depth):
                    merged = {**base, **merged}
            elif key.value in own:
                raise _refused(key, f"has the key `{key.value}` twice in one object")
            else:
                own[key.value] = self.value(inner, depth + 1)
        return {**merged, **own}

    def _bases(self, node: yaml.Node, depth: int) -> Iterator[dict[str, JSON]]:
        for base_node in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            base = self.value(base_node, depth + 1)
            if not isinstance(base, dict):
                raise _refused(base_node, "merges (`<<`) what is no object")
            yield base


def _refused(node: yaml.Node, problem: str) -> PlainDataError:
    return PlainDataError(f"{problem} (line {node.start_mark.line + 1})")
