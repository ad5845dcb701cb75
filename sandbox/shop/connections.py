"""Pages of a connection, in: sorted nodes and the arguments first, last, after, before; out: a connection dict.

Cursors are keysets of sort value and id, as base64 JSON, like the sample of https://shopify.dev/docs/api/usage/pagination-graphql.
Knows no types.
"""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_left, bisect_right
from itertools import islice
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Node = dict[str, Any]
    Key = tuple[Any, int]

LARGEST_PAGE = 250  # https://shopify.dev/docs/api/usage/pagination-graphql


def page_size(args: dict[str, Any]) -> int:
    """Return the asked number of nodes; raises GraphQLError where it is missing, negative or over the limit."""
    asked = args.get("first") if args.get("first") is not None else args.get("last")
    if asked is None:
        raise GraphQLError("you must provide one of first or last", extensions={"code": "BAD_REQUEST"})
    if not 0 <= asked <= LARGEST_PAGE:
        name = "first" if args.get("first") is not None else "last"
        raise GraphQLError(f"{name} must be between 0 and {LARGEST_PAGE}", extensions={"code": "BAD_REQUEST"})
    return int(asked)


def connect(
    nodes: Sequence[Node],
    args: dict[str, Any],
    key: Callable[[Node], Key],
    matches: Callable[[Node], bool] | None = None,
) -> Node:
    """Return one page of nodes that are sorted by `key`, backwards if `reverse`; only those that match count."""
    size = page_size(args)
    low, high = 0, len(nodes)
    reverse = bool(args.get("reverse"))
    first, last = ("before", "after") if reverse else ("after", "before")
    try:
        if args.get(first):
            low = bisect_right(nodes, _decode(args[first]), key=key)
        if args.get(last):
            high = bisect_left(nodes, _decode(args[last]), key=key)
    except (TypeError, ValueError, KeyError, binascii.Error):
        message = "Invalid cursor for current pagination sort."
        raise GraphQLError(message, extensions={"code": "BAD_REQUEST"}) from None
    backwards = reverse != (args.get("first") is None)
    places = range(high - 1, low - 1, -1) if backwards else range(low, high)
    found: Iterable[Node] = (nodes[place] for place in places)
    taken = list(islice(filter(matches, found) if matches else found, size + 1))
    more, taken = len(taken) > size, taken[:size]
    if args.get("first") is None:
        return _connection(taken[::-1], key, before=more, after=bool(args.get("before")))
    return _connection(taken, key, before=bool(args.get("after")), after=more)


def everything(nodes: Iterable[Node]) -> Node:
    """Return a connection of all nodes, without cursors, as a bulk operation reads it."""
    return {"edges": [{"node": node} for node in nodes]}


def connect_list(nodes: Sequence[Node], args: dict[str, Any]) -> Node:
    """Return one page of a list inside a node, in its own order."""
    if not nodes:
        page_size(args)
        return _EMPTY
    places = {id(node): place for place, node in enumerate(nodes)}
    return connect(nodes, args, lambda node: (places[id(node)], 0))


def _connection(nodes: list[Node], key: Callable[[Node], Key], *, before: bool, after: bool) -> Node:
    edges = [{"cursor": _encode(key(node)), "node": node} for node in nodes]
    return {
        "nodes": nodes,
        "edges": edges,
        "pageInfo": {
            "hasNextPage": after,
            "hasPreviousPage": before,
            "startCursor": edges[0]["cursor"] if edges else None,
            "endCursor": edges[-1]["cursor"] if edges else None,
        },
    }


def _encode(key: Key) -> str:
    return base64.b64encode(json.dumps({"last_id": key[1], "last_value": key[0]}).encode()).decode()


def _decode(cursor: str) -> Key:
    found = json.loads(base64.b64decode(cursor, validate=True))
    return found["last_value"], int(found["last_id"])


_EMPTY = _connection([], lambda _node: (0, 0), before=False, after=False)
