"""Completion of nodes: takes nodes that lack parts of their connections, returns them whole.

It knows how connections are paged and owners asked for by id, but neither Singer nor what a node is about.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from tap_shopify_orders.decoding import NOT_AS_PROMISED, decoded, kind_in
from tap_shopify_orders.errors import RunError, printable
from tap_shopify_orders.records.records import WHOLE, Connection, Node, Record
from tap_shopify_orders.shopify.client import LARGEST_PAGE, PageSize
from tap_shopify_orders.shopify.pages import patiently
from tap_shopify_orders.shopify.query import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tap_shopify_orders.reading.question import Question
    from tap_shopify_orders.shopify.client import Client
    from tap_shopify_orders.shopify.query import Names

MOST_NODES = 100_000  # of one connection inside a record; an order has some hundreds of lines
LEDGER = ("agreements",)  # neither they nor their sales are Nodes
MOST_DRAINS = 3
CONNECTIONS_PER_CALL = 4  # of 250 nodes each; a query costs by the size of its connections, and may cost 1,000 points


class _Found(msgspec.Struct):
    nodes: list[msgspec.Raw]


_found = msgspec.json.Decoder(_Found)


class _Order(msgspec.Struct):
    updated_at: str
    agreements: msgspec.Raw


class _LedgerPart(msgspec.Struct):
    order: _Order | None


_ledger_part = msgspec.json.Decoder(_LedgerPart)
_rests = msgspec.json.Decoder(dict[str, msgspec.Raw])
NULL = msgspec.Raw(b"null")  # in the place of an object that is there no more


class Completion:
    """Makes nodes whole, by asking for what they lack: many owners, or several connections, in one call.

    `pause` is called while it waits.
    """

    def __init__(self, client: Client, pause: Callable[[], None]) -> None:
        """Take the way to the store."""
        self._client, self._pause = client, pause
        self._owners_size, self._rest_size = PageSize(), PageSize(first=LARGEST_PAGE)
        self._ledger_size = PageSize()

    def records(self, nodes: Iterable[Node], question: Question) -> list[Record]:
        """Return the nodes' records, but for those that were deleted before they could be made whole.

        A node that is whole becomes its record at once, before the next is taken: what is worked on stays small.
        """
        record = question.reader.record
        made = [record(node) if whole(node, question) else node for node in nodes]
        gone = self.complete([item for item in made if isinstance(item, Node)], question)
        return [record(item) if isinstance(item, Node) else item for item in made if item not in gone]

    def complete(self, nodes: Sequence[Node], question: Question) -> list[Node]:
        """Read every connection inside the nodes to its end; returns the nodes that were deleted meanwhile.

        Raises RunError when an owner is deleted while one of its connections is read, or that leads nowhere.
        """
        return patiently(partial(self._complete, nodes, question), self._pause) if nodes else []

    def _complete(self, nodes: Sequence[Node], question: Question) -> list[Node]:
        gone: list[Node] = []
        for way, keys in sorted(question.query.owners.items(), key=lambda owner: len(owner[0])):
            if way != LEDGER:
                gone += self._begin(nodes, way, [(*way, key) for key in keys], question)
        there = [node for node in nodes if node not in gone]
        self._finish([connection for node in there for connection in _unfinished(node, question)], question)
        gone += [node for node in there if not _ledger_is_whole(node) and not self._drain(node, question)]
        return gone

    def _begin(self, nodes: Sequence[Node], way: Names, paths: Sequence[Names], question: Question) -> Iterator[Node]:
        """Ask for connections that owners lack altogether; yields the nodes whose owners there are no more."""
        lacking = [
            (node, owner)
            for node in nodes
            for owner in _owners(node, way)
            if any(getattr(owner, path[-1]) is UNSET for path in paths)
        ]
        lacking.sort(key=lambda pair: [getattr(pair[1], path[-1]) is UNSET for path in paths])
        for is_lacked, pairs in groupby(lacking, key=lambda pair: [getattr(pair[1], p[-1]) is UNSET for p in paths]):
            left = list(pairs)
            lacked = [path for path, lacks in zip(paths, is_lacked, strict=True) if lacks]
            while left:
                ids = [owner["id"] for _, owner in left]
                document = question.query.beginnings(kind_in(ids[0]), lacked)
                found = asked_by_id(self._client, document, ids, self._owners_size)
                for (node, owner), beginning in zip(left, found, strict=False):
                    if beginning == NULL and (not way or not self._read_again(node, question)):
                        yield node
                    elif beginning != NULL:
                        there = question.reader.node(beginning, way)
                        for path in lacked:
                            if there[path[-1]] is UNSET:
                                raise RunError(f"{NOT_AS_PROMISED}: it lacks {path[-1]}.")
                            setattr(owner, path[-1], there[path[-1]])
                left = left[len(found) :]

    def _drain(self, node: Node, question: Question) -> bool:
        """Read an order's ledger to its end; returns whether it could be read whole.

        Each answer tells when the order was last changed. An order that changed meanwhile is read again as a whole,
        and drained again, some times. One that goes on changing is left to the next run, whose window it is in.
        """
        for _ in range(MOST_DRAINS):
            agreements = self._ledger(node, question)
            if agreements is not None:
                node["agreements"].nodes, node["agreements"].page_info = agreements, WHOLE
                return True
            if not self._read_again(node, question):
                return False
        return False

    def _ledger(self, node: Node, question: Question) -> list[Node] | None:
        """Return the agreements of an order, each with all its sales; None if the order changed meanwhile."""
        agreements: list[Node] = []
        cursor: str | None = None
        cursors: set[str | None] = {None}
        while True:
            part = self._part(node, cursor, None, question)
            if part is None:
                return None
            agreements += part.nodes
            for agreement in part.nodes:
                sales, seen = getattr(agreement, "sales", None), set[str | None]()
                while sales and sales.page_info.has_next_page:
                    more = self._part(node, cursor, sales.page_info.end_cursor, question)
                    if more is None:
                        return None
                    _extend(
                        sales, more.nodes[0]["sales"] if more.nodes else None, f"sales of {printable(node['id'])}", seen
                    )
            if not part.page_info.has_next_page:
                return agreements
            cursor = part.page_info.end_cursor
            if cursor in cursors or not part.nodes or len(agreements) > MOST_NODES:
                raise RunError(f"Shopify's agreements of {printable(node['id'])} lead nowhere: try again.")
            cursors.add(cursor)

    def _part(self, node: Node, agreements: str | None, sales: str | None, question: Question) -> Connection | None:
        """Return one agreement with some of its sales; None if the order isn't as it was."""
        document = question.query.part_of_ledger(node["id"], agreements, sales)
        order = decoded(self._client.ask(document, size=self._ledger_size).data, _ledger_part).order
        if order is None or order.updated_at != node["updated_at"]:
            return None
        return question.reader.connection(order.agreements, LEDGER)

    def _read_again(self, node: Node, question: Question) -> bool:
        """Read a node as a whole once more, in place; returns whether it is still there."""
        (raw,) = asked_by_id(self._client, question.query.by_id(kind_in(node["id"])), [node["id"]])
        if raw == NULL:
            return False
        again = question.reader.node(raw)
        for name in again.__struct_fields__:
            setattr(node, name, again[name])
        self._finish(list(_unfinished(node, question)), question)
        return True

    def _finish(self, unfinished: list[_Unfinished], question: Question) -> None:
        """Read what the connections go on with, and put it into their nodes."""
        while unfinished:
            now = unfinished[:CONNECTIONS_PER_CALL]
            document = question.query.rest_of([connection.missing for connection in now])
            answer = self._client.ask(document, size=self._rest_size)
            rest = decoded(answer.data, _rests)
            for index, connection in enumerate(now):
                _append(connection, rest.get(f"rest{index}", NULL), question)
            unfinished = [connection for connection in unfinished if connection.read.page_info.has_next_page]


@dataclass
class _Unfinished:
    """A connection that has more than its first page, at a path inside a node, of an owner."""

    owner: Node
    path: Names
    cursors: set[str | None] = field(default_factory=set)  # those that were asked for

    @property
    def read(self) -> Connection:
        """The connection, as far as it was read; raises RunError if an answer lacks it."""
        read: Connection | msgspec.UnsetType = self.owner[self.path[-1]]
        if read is UNSET:
            raise RunError(f"{NOT_AS_PROMISED}: it lacks {self.path[-1]}.")
        return read

    @property
    def missing(self) -> Missing:
        """What to ask for next."""
        self.cursors.add(self.read.page_info.end_cursor)
        return Missing(self.owner["id"], self.path, str(self.read.page_info.end_cursor))


def asked_by_id(client: Client, document: str, ids: Sequence[str], size: PageSize | None = None) -> list[msgspec.Raw]:
    """Return the first objects of global ids, as many as one answer may hold, each as JSON; NULL is there no more.

    They come in the order of the ids, one for each. Raises RunError for an answer that has more or less: nothing is
    forgotten because an answer lacks it.
    """
    asked = ids

    def first_of(first: int) -> dict[str, Sequence[str]]:
        nonlocal asked
        asked = ids[:first]
        return {"ids": asked}

    found = decoded(client.ask(document, first_of, size).data, _found).nodes
    if len(found) != len(asked):
        raise RunError("Shopify's answer lacks what was asked for by id: try again.")
    return found


def whole(node: Node, question: Question) -> bool:
    """Say whether every connection inside a node is there, to its end."""
    for way, keys in question.query.owners.items():
        for owner in _owners(node, way):
            for key in keys:
                connection = getattr(owner, key)
                if connection is UNSET or connection.page_info.has_next_page:
                    return False
    return True


def _unfinished(node: Node, question: Question) -> Iterator[_Unfinished]:
    for path in question.query.connections:
        if path[:1] == LEDGER:
            continue
        for owner in _owners(node, path[:-1]):
            if getattr(owner, path[-1]).page_info.has_next_page:
                yield _Unfinished(owner, path)


def _append(unfinished: _Unfinished, rest: msgspec.Raw, question: Question) -> None:
    if rest == NULL:
        raise RunError(
            f"{printable(unfinished.owner['id'])} was deleted while it was read: run again, from where this run "
            "stopped."
        )
    more = _Unfinished(question.reader.node(rest, unfinished.path[:-1]), unfinished.path).read
    what = f"{unfinished.path[-1]} of {printable(unfinished.owner['id'])}"
    _extend(unfinished.read, more, what, unfinished.cursors)


def _extend(connection: Connection, more: Connection | None, what: str, cursors: set[str | None]) -> None:
    """Add the next page of a connection; raises RunError for one that leads nowhere, or where one was before."""
    cursors.add(connection.page_info.end_cursor)
    stuck = not more or not more.nodes or more.page_info.end_cursor in cursors or len(connection.nodes) > MOST_NODES
    if more is None or (more.page_info.has_next_page and stuck):
        raise RunError(f"Shopify's {what} lead nowhere: try again.")
    connection.nodes += more.nodes
    connection.page_info = more.page_info


def _ledger_is_whole(node: Node) -> bool:
    """Say whether all agreements of an order are there, with all their sales; of other nodes nothing is missing."""
    agreements = getattr(node, "agreements", None)
    return agreements is None or not (
        agreements.page_info.has_next_page
        or any(
            agreement["sales"].page_info.has_next_page for agreement in agreements.nodes if hasattr(agreement, "sales")
        )
    )


def _owners(node: Node, way: Names) -> list[Node]:
    """Return the objects at the end of a way of lists inside a node."""
    owners = [node]
    for step in way:
        owners = [inner for owner in owners for inner in _inside(owner, step)]
    return owners


def _inside(owner: Node, step: str) -> Sequence[Node]:
    """Return the objects of a list, or of a connection as far as it was read."""
    value = getattr(owner, step)
    if value is UNSET or value is None:
        return ()
    return value.nodes if isinstance(value, Connection) else value
