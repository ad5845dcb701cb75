"""Nodes that aren't whole, in; out: records, with every connection inside read to its end.

Knows how connections are paged and owners asked for by id, but neither Singer nor what a node is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from tap_shopify_orders.records.records import Connection, Node, Record
from tap_shopify_orders.shopify.answers import Refused, decoded
from tap_shopify_orders.shopify.client import LARGEST_PAGE, PageSize
from tap_shopify_orders.shopify.pages import patiently
from tap_shopify_orders.shopify.query import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tap_shopify_orders.reading.question import Plan
    from tap_shopify_orders.shopify.client import Client
    from tap_shopify_orders.shopify.query import Names

CONNECTIONS_PER_CALL = 4  # of 250 nodes each; a query costs by the size of its connections, and may cost 1,000 points


class _Found(msgspec.Struct):
    nodes: list[msgspec.Raw]


_found = msgspec.json.Decoder(_Found)
_rests = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL = msgspec.Raw(b"null")


class Completion:
    """Makes nodes whole, by asking for what they lack: many owners, or several connections, in one call.

    `pause` is called while it waits.
    """

    def __init__(self, client: Client, pause: Callable[[], None]) -> None:
        """Take the way to the store."""
        self._client, self._pause = client, pause
        self._owners_size, self._rest_size = PageSize(), PageSize(first=LARGEST_PAGE)

    def records(self, nodes: Iterable[Node], plan: Plan) -> list[Record]:
        """Return the nodes' records, but for those that were deleted before they could be made whole.

        A node that is whole becomes its record at once, before the next is taken: what is worked on stays small.
        """
        record = plan.reader.record
        made = [record(node) if whole(node, plan) else node for node in nodes]
        gone = self.complete([one for one in made if isinstance(one, Node)], plan)
        return [record(one) if isinstance(one, Node) else one for one in made if one not in gone]

    def complete(self, nodes: Sequence[Node], plan: Plan) -> list[Node]:
        """Read every connection inside the nodes to its end; returns the nodes that were deleted meanwhile.

        Raises Refused when an owner is deleted while one of its connections is read, or that leads nowhere.
        """
        return patiently(partial(self._complete, nodes, plan), self._pause) if nodes else []

    def _complete(self, nodes: Sequence[Node], plan: Plan) -> list[Node]:
        gone: list[Node] = []
        for way, keys in plan.query.owners.items():
            gone += self._begin(nodes, way, [(*way, key) for key in keys], plan)
        self._finish([one for node in nodes if node not in gone for one in _unfinished(node, plan)], plan)
        return gone

    def _begin(self, nodes: Sequence[Node], way: Names, paths: Sequence[Names], plan: Plan) -> Iterator[Node]:
        """Ask for connections that owners lack altogether; yields the nodes whose owners there are no more."""
        lacking = [
            (node, owner)
            for node in nodes
            for owner in _owners(node, way)
            if any(getattr(owner, path[-1]) is UNSET for path in paths)
        ]
        while lacking:
            lacked = [path for path in paths if getattr(lacking[0][1], path[-1]) is UNSET]  # as all: rows of one query
            found = self._beginnings([owner["id"] for _, owner in lacking], lacked, plan)
            for (node, owner), beginning in zip(lacking, found, strict=False):
                if beginning == _NULL:
                    yield node
                else:
                    there = plan.reader.node(beginning, way)
                    for path in lacked:
                        setattr(owner, path[-1], there[path[-1]])
            lacking = lacking[len(found) :]

    def _beginnings(self, ids: list[str], paths: Sequence[Names], plan: Plan) -> list[msgspec.Raw]:
        """Return owners with first pages of connections, as many of the ids as one answer may hold."""
        document = plan.query.beginnings(ids[0].split("/")[3], paths)
        answer = self._client.ask(document, lambda first: {"ids": ids[:first]}, self._owners_size)
        found = decoded(answer.data, _found).nodes
        if not found:
            raise Refused("Shopify's answer lacks what was asked for by id: try again.")
        return found

    def _finish(self, connections: list[_Unfinished], plan: Plan) -> None:
        """Read what the connections go on with, and put it into their nodes."""
        while connections:
            now = connections[:CONNECTIONS_PER_CALL]
            answer = self._client.ask(plan.query.rest_of([one.missing for one in now]), size=self._rest_size)
            rest = decoded(answer.data, _rests)
            for index, one in enumerate(now):
                _append(one, rest.get(f"rest{index}", _NULL), plan)
            connections = [one for one in connections if one.connection.page_info.has_next_page]


@dataclass
class _Unfinished:
    """A connection that has more than its first page, at a path inside a node, of an owner."""

    owner: Node
    path: Names

    @property
    def connection(self) -> Connection:
        """The connection, with what is there."""
        return self.owner[self.path[-1]]  # type: ignore[no-any-return]  # a struct made for the fields

    @property
    def missing(self) -> Missing:
        """What to ask for next."""
        return Missing(self.owner["id"], self.path, str(self.connection.page_info.end_cursor))


def whole(node: Node, plan: Plan) -> bool:
    """Say whether every connection inside a node is there, to its end."""
    for way, keys in plan.query.owners.items():
        for owner in _owners(node, way):
            for key in keys:
                connection = getattr(owner, key)
                if connection is UNSET or connection.page_info.has_next_page:
                    return False
    return True


def _unfinished(node: Node, plan: Plan) -> Iterator[_Unfinished]:
    for path in plan.query.connections:
        for owner in _owners(node, path[:-1]):
            if getattr(owner, path[-1]).page_info.has_next_page:
                yield _Unfinished(owner, path)


def _append(one: _Unfinished, rest: msgspec.Raw, plan: Plan) -> None:
    if rest == _NULL:
        raise Refused(f"{one.owner['id']} was deleted while it was read: run again, from where this run stopped.")
    more = _Unfinished(plan.reader.node(rest, one.path[:-1]), one.path).connection
    stuck = not more.nodes or more.page_info.end_cursor == one.connection.page_info.end_cursor
    if more.page_info.has_next_page and stuck:
        raise Refused(f"Shopify's {one.path[-1]} of {one.owner['id']} lead nowhere: try again.")
    one.connection.nodes += more.nodes
    one.connection.page_info = more.page_info


def _owners(node: Node, way: Names) -> list[Node]:
    """Return the objects at the end of a way of lists inside a node."""
    owners = [node]
    for step in way:
        owners = [inner for owner in owners for inner in getattr(owner, step) or ()]
    return owners
