"""A question's pages, complete, in: a client and a query; out: nodes with every connection inside them read to its end.

Knows how GraphQL connections are paged, but neither Singer nor what a node is about.
"""

from __future__ import annotations

from concurrent.futures import Future, wait
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tap_shopify_orders.answers import Refused
from tap_shopify_orders.query import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_shopify_orders.answers import Answer
    from tap_shopify_orders.client import Client, PageSize
    from tap_shopify_orders.query import Names, PageQuery

    Node = dict[str, Any]

CONNECTIONS_PER_CALL = 4  # of 250 nodes each; a query costs by the size of its connections, and may cost 1,000 points
WAIT_SECONDS = 0.2  # how late a signal may be noticed while a page is being fetched

T = TypeVar("T")


class _PageInfo(msgspec.Struct, rename="camel"):
    has_next_page: bool
    end_cursor: str | None = None


class _Page(msgspec.Struct):
    nodes: list[msgspec.Raw]
    pageInfo: _PageInfo  # noqa: N815  # GraphQL's name


class _Data(msgspec.Struct):
    page: _Page


_data = msgspec.json.Decoder(_Data)


def nodes_of(answer: Answer) -> list[msgspec.Raw]:
    """Return the nodes of a page, each as JSON."""
    return _data.decode(answer.data).page.nodes


def seconds_of(records: int, answer: Answer, nodes: int) -> float:
    """Return how long so many records take by pages, in seconds, judged by one page of `nodes` of them.

    A store restores so many points a second, and each record costs some (an order with all fields about 58), whatever
    the size of the pages. 0.0 where the answer tells no cost.
    """
    cost = answer.cost
    if not cost or not cost.actual_query_cost or not cost.throttle_status or not nodes:
        return 0.0
    return records * cost.actual_query_cost / nodes / max(cost.throttle_status.restore_rate, 1.0)


def pages(ask: Callable[[str | None], Answer]) -> Iterator[list[msgspec.Raw]]:
    """Yield page after page of nodes, each node as JSON; raises Refused when a page leads nowhere."""
    cursors: set[str | None] = {None}
    cursor: str | None = None
    while True:
        page = _data.decode(ask(cursor).data).page
        yield page.nodes
        if not page.pageInfo.has_next_page:
            return
        cursor = page.pageInfo.end_cursor
        if cursor in cursors:
            raise Refused(
                "Shopify's pages go in a circle: nothing was left out, but the run can't go on. Try it again."
            )
        cursors.add(cursor)


@dataclass
class Unfinished:
    """A connection inside a node that has more than its first page."""

    owner: Node
    path: Names

    @property
    def connection(self) -> Node:
        """The connection, with the page that is there."""
        return self.owner[self.path[-1]]  # type: ignore[no-any-return]  # a connection is an object

    @property
    def missing(self) -> Missing:
        """What to ask for next."""
        return Missing(self.owner["id"], self.path, self.connection["pageInfo"]["endCursor"])


def unfinished(nodes: list[Node], query: PageQuery) -> list[Unfinished]:
    """Return the connections inside the nodes that have more than the page holds."""
    return [one for node in nodes for path in query.connections for one in _unfinished_in(node, path)]


def finish(connections: list[Unfinished], query: PageQuery, client: Client, size: PageSize) -> None:
    """Read what the connections go on with, several in one call, and put it into their nodes.

    Raises Refused when an owner has been deleted meanwhile, or a connection leads nowhere.
    """
    while connections:
        now = connections[:CONNECTIONS_PER_CALL]
        answer = client.ask(query.rest_of([one.missing for one in now]), size=size)
        rest = msgspec.json.decode(answer.data)
        for index, one in enumerate(now):
            _append(one, rest[f"rest{index}"])
        connections = [one for one in connections if one.connection["pageInfo"]["hasNextPage"]]


def complete(nodes: list[Node], query: PageQuery, client: Client, size: PageSize) -> list[Node]:
    """Ask for the connections that nodes lack altogether, for many owners in one call; `size` is how many.

    Returns the nodes without those that were deleted meanwhile. Connections may be unfinished afterwards.
    """
    gone: set[str] = set()
    for owner_path in dict.fromkeys(path[:-1] for path in query.connections):
        paths = [path for path in query.connections if path[:-1] == owner_path]
        lacking = [
            (node, owner)
            for node in nodes
            for owner in _owners(node, owner_path)
            if any(path[-1] not in owner for path in paths)
        ]
        while lacking:
            paths = [path for path in paths if path[-1] not in lacking[0][1]]  # the same for all: rows of one query
            found = _beginnings([owner["id"] for _, owner in lacking], paths, query, client, size)
            for (node, owner), beginning in zip(lacking, found, strict=False):
                owner.update(beginning or {})
                gone.update(() if beginning else (node["id"],))
            lacking = lacking[len(found) :]
    return [node for node in nodes if node["id"] not in gone] if gone else nodes


def _beginnings(
    ids: list[str], paths: list[Names], query: PageQuery, client: Client, size: PageSize
) -> list[Node | None]:
    """Return the first pages of connections, of as many of the ids as one answer may hold."""
    document = query.beginnings(ids[0].split("/")[3], paths)
    answer = client.ask(document, lambda first: {"ids": ids[:first]}, size)
    return msgspec.json.decode(answer.data, type=dict[str, list[Any]])["nodes"]


def _owners(node: Node, path: Names) -> list[Node]:
    owners = [node]
    for step in path:
        owners = [inner for owner in owners for inner in owner[step] or ()]
    return owners


def _unfinished_in(node: Node, path: Names) -> Iterator[Unfinished]:
    for owner in _owners(node, path[:-1]):
        if owner[path[-1]]["pageInfo"]["hasNextPage"]:
            yield Unfinished(owner, path)


def _append(one: Unfinished, rest: Node | None) -> None:
    if rest is None:
        raise Refused(f"{one.owner['id']} was deleted while it was read: run again, from where this run stopped.")
    more = rest[one.path[-1]]
    if more["pageInfo"]["hasNextPage"] and not more["nodes"]:
        raise Refused(f"Shopify's {one.path[-1]} of {one.owner['id']} lead nowhere: try again.")
    one.connection["nodes"] += more["nodes"]
    one.connection["pageInfo"] = more["pageInfo"]


def ahead(items: Iterator[T], pause: Callable[[], None]) -> Iterator[T]:
    """Yield the items, while a thread already fetches the next one; `pause` is called while there is none yet.

    What the items raise is raised here.
    """
    coming = _in_background(lambda: next(items, _END))
    while (item := _result(coming, pause)) is not _END:
        coming = _in_background(lambda: next(items, _END))
        yield item


def patiently(call: Callable[[], T], pause: Callable[[], None]) -> T:
    """Return what a call returns, or raise what it raises; `pause` is called while it isn't done."""
    return _result(_in_background(call), pause)


_END: Any = object()


def _result(future: Future[T], pause: Callable[[], None]) -> T:
    while not wait([future], timeout=WAIT_SECONDS).done:
        pause()
    return future.result()


def _in_background(call: Callable[[], T]) -> Future[T]:
    """Return the call's result as it will be; the thread never keeps the process alive."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
            future.set_exception(error)

    Thread(target=run, daemon=True, name="shopify").start()
    return future
