"""Pages of a connection: takes a function that asks for a page, returns page after page of nodes.

The next page is fetched while the last one is worked on. This module knows how GraphQL connections are paged, but
neither Singer nor what a node is about.
"""

from __future__ import annotations

from concurrent.futures import wait
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tap_shopify_orders.decoding import PageInfo, decoded
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.shopify.transport import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tap_shopify_orders.shopify.answers import Answer

# Shopify says that neither pages nor counts go beyond this, and not for what (https://shopify.dev/docs/api/usage/limits).
# A count may come with one more, and pages may end as if that were all.
MOST_OBJECTS = 25_000
MOST_EMPTY_PAGES = 10  # one after the other, each of which says that there are more
WAIT_SECONDS = 0.2  # how late a signal may be noticed while a page is being fetched

_END: Any = object()
T = TypeVar("T")


class _Page(msgspec.Struct):
    nodes: list[msgspec.Raw]
    page_info: PageInfo = msgspec.field(name="pageInfo")


class _Data(msgspec.Struct):
    page: _Page


_data = msgspec.json.Decoder(_Data)


def nodes_of(answer: Answer) -> list[msgspec.Raw]:
    """Return the nodes of a page, each as JSON."""
    return decoded(answer.data, _data).page.nodes


def seconds_of(records: int, answer: Answer, nodes: int) -> float:
    """Return how long so many records take by pages, in seconds, judged by one page of `nodes` of them.

    A store restores so many points a second, and each record costs some (an order with all fields about 126), whatever
    the size of the pages. 0.0 where the answer tells no cost.
    """
    cost = answer.cost
    if not cost or not cost.actual_query_cost or not cost.throttle_status or not nodes:
        return 0.0
    return records * cost.actual_query_cost / nodes / max(cost.throttle_status.restore_rate, 1.0)


def pages(ask: Callable[[str | None], Answer]) -> Iterator[list[msgspec.Raw]]:
    """Yield page after page of nodes, each node as JSON; raises RunError when a page leads nowhere."""
    cursors: set[str | None] = {None}
    cursor: str | None = None
    empty = 0
    while True:
        page = decoded(ask(cursor).data, _data).page
        yield page.nodes
        if not page.page_info.has_next_page:
            return
        cursor = page.page_info.end_cursor
        empty = 0 if page.nodes else empty + 1
        if cursor in cursors or empty >= MOST_EMPTY_PAGES:
            raise RunError("Shopify's pages lead nowhere: nothing was left out, but the run can't go on. Try it again.")
        cursors.add(cursor)


def ahead(items: Iterator[T], pause: Callable[[], None]) -> Iterator[T]:
    """Yield the items, while a thread already fetches the next one; `pause` is called while there is none yet.

    What the items raise is raised here.
    """
    coming = in_background(lambda: next(items, _END))
    while (item := result(coming, pause)) is not _END:
        coming = in_background(lambda: next(items, _END))
        yield item


def patiently(call: Callable[[], T], pause: Callable[[], None]) -> T:
    """Return what a call returns, or raise what it raises; `pause` is called while it isn't done."""
    return result(in_background(call), pause)


def result(future: Future[T], pause: Callable[[], None]) -> T:
    """Return what a call in the background returns, or raise what it raises; `pause` is called while it isn't done."""
    while not wait([future], timeout=WAIT_SECONDS).done:
        pause()
    return future.result()
