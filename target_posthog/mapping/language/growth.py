"""Bound on what an expression can make: takes a syntax tree, returns how many times its input may be in its value.

Pure. `a | [@, @] | [@, @] | ...` doubles with each step: forty of them would make more than any machine holds. Nothing
is evaluated here, so the bound is one for every record.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_posthog.mapping.language.functions import JSON

LONG_LIST = 1_000  # what a list of the record's is taken to hold, where a text is put between its elements
TYPES_OF_CHAINS = ("subexpression", "pipe", "index_expression", "projection", "value_projection")
TYPES_OF_ONE = ("comparator", "not_expression", "slice")  # a slice has numbers in the place of parts


def growth(tree: JSON) -> int:
    """Return the most copies of the input that the value can hold."""
    kind, children = tree["type"], tree["children"]
    if not children or kind in TYPES_OF_ONE:
        return 1
    if kind == "function_expression":
        return _of_call(tree["value"], children)
    inner = [growth(child) for child in (children[:2] if kind == "filter_projection" else children)]
    if kind in TYPES_OF_CHAINS or kind == "filter_projection":
        return prod(inner)
    return max(inner) if kind in ("or_expression", "and_expression") else sum(inner)


def _of_call(name: str, arguments: list[JSON]) -> int:
    inner = [growth(argument) for argument in arguments]
    if name == "map":
        return prod(inner)
    if name == "join" and len(arguments) > 1 and arguments[0]["type"] != "literal":
        listed = arguments[1]["value"] if arguments[1]["type"] == "literal" else None
        return sum(inner) * (len(listed) if isinstance(listed, list) else LONG_LIST)
    return sum(inner)
