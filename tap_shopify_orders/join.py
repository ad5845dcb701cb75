"""A bulk operation's rows, in: a file of JSON lines in any order; out: nodes with their children, oldest change first.

Knows the form of the file, not what a node is about. Memory stays flat however long the file: places in it are kept in
a temporary database, and both are gone with the process.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import IO, TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Node = dict[str, Any]

ROWS_AT_ONCE = 1_000
NODES_AT_ONCE = 200
PARENT = "__parentId"

_TABLES = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -16000;
    CREATE TABLE root (changed TEXT, number INTEGER, place INTEGER, size INTEGER);
    CREATE TABLE child (parent INTEGER, kind INTEGER, place INTEGER, size INTEGER);
"""
_INDEXES = """
    CREATE INDEX in_time ON root (changed, number, place, size);
    CREATE INDEX of_parent ON child (parent, place, kind, size);
"""
_LOST = "SELECT EXISTS (SELECT 1 FROM child WHERE parent NOT IN (SELECT number FROM root))"
_TWICE = "SELECT EXISTS (SELECT 1 FROM root GROUP BY number HAVING count(*) > 1)"
_JOINED = """
    SELECT root.place, root.size, child.kind, child.place, child.size
    FROM root LEFT JOIN child ON child.parent = root.number
    WHERE root.changed >= ? AND root.changed < ?
    ORDER BY root.changed, root.number, root.place, child.place
"""


class Incomplete(Exception):  # noqa: N818  # says what the file is
    """The rows aren't those that the operation counted, or children lack their parent."""


@dataclass(frozen=True)
class Counted:
    """How many rows there have to be, and how many of them are no children."""

    objects: int
    roots: int


class Rows:
    """The rows of a file of JSON lines, joined.

    `nested` are the response keys of the connections inside the nodes.
    Roots have `id` and `updated_at`, children `__parentId` and `in_<connection>`. Raises Incomplete if they aren't as
    many as were `counted`.
    """

    def __init__(self, file: IO[bytes], nested: Sequence[str], counted: Counted) -> None:
        """Look through the file once, and keep where each row stands."""
        self._file, self._nested = file, tuple(nested)
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)  # one thread at a time
        try:
            self._prepare(counted)
        except BaseException:
            self._database.close()
            raise

    def nodes(self, since: str, until: str) -> Iterator[Node]:
        """Yield the nodes that changed in [since, until), written as Shopify writes time, oldest change first.

        Each has all of its children in the order of the file, as the one page of their connection.
        """
        joined = groupby(self._database.execute(_JOINED, (since, until)), key=itemgetter(0, 1))
        while batch := [(root, list(rows)) for root, rows in islice(joined, NODES_AT_ONCE)]:
            objects = self._decoded(batch)
            for (place, _), rows in batch:
                node = objects[place]
                inside: list[list[Node]] = [[] for _ in self._nested]
                for _, _, kind, child_place, _ in rows:
                    if kind is not None:
                        child = objects[child_place]
                        del child[PARENT], child[f"in_{self._nested[kind]}"]
                        inside[kind].append(child)
                for key, nodes in zip(self._nested, inside, strict=True):
                    node[key] = {"pageInfo": {"hasNextPage": False}, "nodes": nodes}
                yield node

    def close(self) -> None:
        """Let go of file and database."""
        self._database.close()
        self._file.close()

    def _prepare(self, counted: Counted) -> None:
        self._database.executescript(_TABLES)
        found = self._index()
        if found != counted:
            raise Incomplete(f"its result has {found.objects} of {counted.objects} rows")
        self._database.executescript(_INDEXES)
        for check, fault in ((_LOST, "rows without their parent"), (_TWICE, "a row twice")):
            if self._database.execute(check).fetchone()[0]:
                raise Incomplete(f"its result has {fault}")

    def _decoded(self, batch: list[tuple[tuple[int, int], list[Any]]]) -> dict[int, Node]:
        """Return the objects of a batch by their places, read in the order of the file: that is one way through it."""
        sizes = dict(root for root, _ in batch)
        sizes.update((place, size) for _, rows in batch for _, _, _, place, size in rows if place is not None)
        objects, decode = {}, msgspec.json.Decoder().decode
        for place in sorted(sizes):
            self._file.seek(place)
            objects[place] = decode(self._file.read(sizes[place]))
        return objects

    def _index(self) -> Counted:
        """Note each row's place; returns how many there are."""
        objects = roots = 0
        rows = self._places()
        self._database.execute("BEGIN")
        while block := list(islice(rows, ROWS_AT_ONCE)):
            tops = [row[1:] for row in block if row[0] is None]
            children = [row for row in block if row[0] is not None]
            self._database.executemany("INSERT INTO root VALUES (?, ?, ?, ?)", tops)
            self._database.executemany("INSERT INTO child VALUES (?, ?, ?, ?)", children)
            objects, roots = objects + len(block), roots + len(tops)
        self._database.execute("COMMIT")
        return Counted(objects, roots)

    def _places(self) -> Iterator[tuple[Any, ...]]:
        """Yield (None, changed, number, place, size) of roots, and (parent, kind, place, size) of children."""
        row_type = msgspec.defstruct(
            "Row",
            [
                ("id", str | None, None),
                ("updated_at", str | None, None),
                ("parent", str | None, msgspec.field(default=None, name=PARENT)),
                *((f"in_{key}", str | None, None) for key in self._nested),
            ],
        )
        decode = msgspec.json.Decoder(row_type).decode
        kinds = list(enumerate(f"in_{key}" for key in self._nested))
        place = self._file.seek(0)
        for line in self._file:
            try:
                row: Any = decode(line)
            except msgspec.DecodeError as error:
                raise Incomplete("its result has a row that isn't JSON") from error
            if row.parent is None:
                yield None, row.updated_at, _number(row.id), place, len(line)
            else:
                kind = next((kind for kind, key in kinds if getattr(row, key) is not None), None)
                if kind is None:
                    raise Incomplete("its result has rows of another query")
                yield _number(row.parent), kind, place, len(line)
            place += len(line)


def _number(global_id: str) -> int:
    return int(global_id.rpartition("/")[2])
