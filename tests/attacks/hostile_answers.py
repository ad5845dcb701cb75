"""Answers that no shop gives: takes the body of a right one, returns another, as an object or a text."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Twist = Callable[[Any], Any]

DEEP_LEVELS = 100_000
DEEP = "[" * DEEP_LEVELS + "]" * DEEP_LEVELS
FORGED = "fine\r\n2026-01-01 00:00:00,000 | ERROR | tap-shopify-orders | forged\u2028\x1b[2J\u202e\x00\x85"


def everywhere(key: str, make: Callable[[Any, dict[str, Any]], Any]) -> Twist:
    """Return what puts another value at a key of every object of an answer that has it."""

    def twist(value: Any) -> Any:
        if isinstance(value, list):
            return [twist(one) for one in value]
        if isinstance(value, dict):
            inside = {name: twist(one) for name, one in value.items()}
            return {**inside, key: make(inside[key], inside)} if key in inside else inside
        return value

    return twist


def cursors(make: Callable[[], str]) -> Twist:
    """Return what lets every connection go on and on, also those inside nodes."""
    return everywhere("pageInfo", lambda _, __: {"hasNextPage": True, "endCursor": make()})


def without_nodes(twist: Twist) -> Twist:
    return lambda body: twist(everywhere("nodes", lambda _, __: [])(body))


def only_inside(twist: Twist) -> Twist:
    """Let a twist be for what is inside the nodes of a page, and for what is read of them later."""

    def inside(body: Any) -> Any:
        data = body.get("data") or {}
        page = data.get("page")
        if isinstance(page, dict) and "nodes" in page:
            return {**body, "data": {**data, "page": {**page, "nodes": [twist(one) for one in page["nodes"]]}}}
        return twist(body)

    return inside


def alternating() -> Callable[[], str]:
    names = itertools.cycle(["a", "b"])
    return lambda: next(names)


def fresh() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: str(next(numbers))


def odd_ids(body: Any) -> Any:
    return everywhere("id", lambda _, __: "gid://shopify/Order/x")(body)


def odd_times(body: Any) -> Any:
    return everywhere("updated_at", lambda _, __: 1_700_000_000)(body)


# Each can be told from what a shop answers, so that nothing is lost by taking it for one.
HOSTILE: list[Twist] = [
    odd_ids,
    odd_times,
    without_nodes(cursors(alternating())),
    lambda _: {"errors": [{"message": FORGED, "extensions": {"code": FORGED}}]},
    lambda _: f'{{"data": {DEEP}}}',
    lambda _: {"data": {"page": {"nodes": [None], "pageInfo": {"hasNextPage": True, "endCursor": 1}}}},
    lambda body: json.dumps(body)[:-1],
    lambda body: {**body, "extensions": {"cost": {"requestedQueryCost": -1e300, "actualQueryCost": 1e300}}},
    lambda body: {**body, "extensions": {"search": [{"query": FORGED, "warnings": [{"message": FORGED}]}]}},
]
