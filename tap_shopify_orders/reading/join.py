"""Join of a bulk operation's rows: takes a file of JSON lines in any order, returns roots with their children.

Roots come oldest change first. Memory stays flat however long the file is: the places of rows in it are kept in a
temporary database, and both are gone with the process. It knows the form of the file alone.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import IO, TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from tap_shopify_orders.decoding import MOST_DIGITS, UNREADABLE
from tap_shopify_orders.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Names = tuple[str, ...]
    _Places = tuple[tuple[int, int], list[Any]]  # of a root, and the rows of _JOINED that it is in

LARGEST_ROW_BYTES = 64 << 20
MOST_CHILDREN = 100_000  # of one row; Shopify lets an order have some hundreds
NO_ROOM = "There is no room in the folder for temporary files, TMPDIR"
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$"
ROWS_AT_ONCE = 1_500  # those of some 400 orders, 4 MB: what they lack is asked for in as few calls as can be
PARENT = "__parentId"

_TABLES = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -16000;
    CREATE TABLE root (changed TEXT, number INTEGER, place INTEGER, size INTEGER);
    CREATE TABLE child (parent INTEGER, kind INTEGER, number INTEGER, place INTEGER, size INTEGER, owner INTEGER);
    CREATE TABLE grandchild (parent INTEGER, kind INTEGER, place INTEGER, size INTEGER);
"""
_INDEXES = """
    CREATE INDEX in_time ON root (changed, number, place, size);
    CREATE INDEX of_number ON child (number) WHERE number IS NOT NULL;
    INSERT INTO child SELECT child.parent, grandchild.kind, NULL, grandchild.place, grandchild.size, child.number
        FROM grandchild JOIN child ON child.number = grandchild.parent;
    CREATE INDEX of_parent ON child (parent, place, kind, size, owner);
"""
_CROWDED = f"SELECT EXISTS (SELECT 1 FROM child GROUP BY parent HAVING count(*) > {MOST_CHILDREN})"  # noqa: S608  # a number
NO_OWNER = -1  # for null: Python's driver looks for an adapter of each None, in vain
_INSERTS = {
    "root": "INSERT INTO root VALUES (?, ?, ?, ?)",
    "child": f"INSERT INTO child VALUES (?, ?, nullif(?, {NO_OWNER}), ?, ?, NULL)",  # noqa: S608  # a number
    "grandchild": "INSERT INTO grandchild VALUES (?, ?, ?, ?)",
}
_LOST = "SELECT EXISTS (SELECT 1 FROM child WHERE parent NOT IN (SELECT number FROM root))"
_OWNERLESS = "SELECT (SELECT count(*) FROM grandchild) > (SELECT count(*) FROM child WHERE owner IS NOT NULL)"
_TWICE = "SELECT EXISTS (SELECT 1 FROM root GROUP BY number HAVING count(*) > 1)"
_JOINED = """
    SELECT root.place, root.size, child.kind, child.place, child.size, child.owner
    FROM root LEFT JOIN child ON child.parent = root.number
    WHERE root.changed >= ? AND root.changed < ?
    ORDER BY root.changed, root.number, root.place, child.place
"""
_ORPHANS = "rows without their parent"
_FAULTS = {
    _LOST: _ORPHANS,
    _OWNERLESS: _ORPHANS,
    _TWICE: "a row twice",
    _CROWDED: "a row with too many others",
}
_PLACE_OF_CHILD = itemgetter(3, 4)


class Incomplete(Exception):  # noqa: N818  # says what the file is
    """The rows aren't those that the operation counted, or children lack their parent."""


@dataclass(frozen=True)
class Counted:
    """How many rows there have to be, and how many of them are no children."""

    objects: int
    roots: int


class Joined(NamedTuple):
    """A row that is no child, as JSON, with its children by connection, in the order of the file.

    Each child comes with the number of its owner, if that is a child itself.
    """

    root: bytes
    children: dict[Names, list[tuple[int | None, bytes]]]


class Rows:
    """The rows of a file of JSON lines, joined.

    `nested` are the paths of the connections inside the nodes, one or two steps long. Roots have `id` and `updated_at`,
    children `__parentId` and `in_<connection>`, and owners of others `id`. Raises Incomplete if they aren't as many as
    were `counted`.
    """

    def __init__(self, file: IO[bytes], nested: Sequence[Names], counted: Counted) -> None:
        """Look through the file once, and keep where each row stands."""
        self._file, self._nested, self.counted = file, tuple(nested), counted
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)  # one thread at a time
        try:
            self._prepare(counted)
        except BaseException:
            self._database.close()
            raise

    def batches(self, since: str, until: str) -> Iterator[list[Joined]]:
        """Yield the roots that changed in [since, until), written as Shopify writes time, oldest change first.

        Each list has as many of them as make up ROWS_AT_ONCE with their children, for some have hundreds.
        """
        batch: list[_Places] = []
        rows = 0
        try:
            for root, joined in groupby(self._database.execute(_JOINED, (since, until)), key=itemgetter(0, 1)):
                children = list(joined)
                batch.append((root, children))
                rows += len(children)
                if rows >= ROWS_AT_ONCE:
                    yield self._read(batch)
                    batch, rows = [], 0
            if batch:
                yield self._read(batch)
        except (OSError, sqlite3.Error) as error:
            raise RunError(f"{NO_ROOM} ({error}). What was read is safe: make room, and run again.") from None

    def close(self) -> None:
        """Let go of file and database."""
        self._database.close()
        self._file.close()

    def _prepare(self, counted: Counted) -> None:
        self._database.executescript(_TABLES)
        found = self._index()
        if found != counted:
            raise Incomplete(f"left a result that has {found.objects} of {counted.objects} rows")
        self._database.executescript(_INDEXES)
        for check, fault in _FAULTS.items():
            if self._database.execute(check).fetchone()[0]:
                raise Incomplete(f"left a result that has {fault}")

    def _read(self, batch: list[_Places]) -> list[Joined]:
        """Return a batch of roots with their children, read in the order of the file: that is one way through it."""
        sizes: dict[Any, int] = dict(root for root, _ in batch)
        sizes.update(map(_PLACE_OF_CHILD, chain.from_iterable(children for _, children in batch)))
        sizes.pop(None, None)  # of roots without children
        lines = {}
        for place in sorted(sizes):
            self._file.seek(place)
            lines[place] = self._file.read(sizes[place])
        return [Joined(lines[root[0]], self._by_connection(children, lines)) for root, children in batch]

    def _by_connection(self, children: list[Any], lines: Mapping[int, bytes]) -> dict[Names, list[Any]]:
        found: dict[Names, list[Any]] = {path: [] for path in self._nested}
        for _, _, kind, place, _, owner in children:
            if kind is not None:
                found[self._nested[kind]].append((owner, lines[place]))
        return found

    def _index(self) -> Counted:
        """Note each row's place; returns how many there are."""
        objects = roots = 0
        rows = self._places()
        self._database.execute("BEGIN")
        while block := list(islice(rows, ROWS_AT_ONCE)):
            for table, values in _INSERTS.items():
                found = [row for of, row in block if of == table]
                self._database.executemany(values, found)
                objects += len(found)
                roots += len(found) if table == "root" else 0
        self._database.execute("COMMIT")
        return Counted(objects, roots)

    def _places(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Yield the table that each row belongs in, and the values that it gets there."""
        keys = [f"in_{path[-1]}" for path in self._nested]
        owners = {path[:-1] for path in self._nested if len(path) > 1}
        tables = ["child" if len(path) == 1 else "grandchild" for path in self._nested]
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(_row_type(keys)).decode
        place = self._file.seek(0)
        while line := self._file.readline(LARGEST_ROW_BYTES + 1):
            if len(line) > LARGEST_ROW_BYTES:
                raise Incomplete("left a result that has a row without end")
            try:
                row = decode(line)
            except UNREADABLE:
                raise Incomplete("left a result that has a row that isn't as it should be") from None
            if row.parent is None:
                if row.updated_at is None:
                    raise Incomplete("left a result that has a row without its time")
                yield "root", (row.updated_at, _number(row.id), place, len(line))
            else:
                kind = _kind(row, keys)
                parent, table = _number(row.parent), tables[kind]
                if table == "child":
                    number = _number(row.id) if self._nested[kind] in owners else NO_OWNER
                    yield table, (parent, kind, number, place, len(line))
                else:
                    yield table, (parent, kind, place, len(line))
            place += len(line)


def _row_type(keys: Sequence[str]) -> type:
    return msgspec.defstruct(
        "Row",
        [
            ("id", str | None, None),
            ("updated_at", Annotated[str, msgspec.Meta(pattern=_MOMENT)] | None, None),
            ("parent", str | None, msgspec.field(default=None, name=PARENT)),
            *((key, str | None, None) for key in keys),
        ],
    )


def _kind(row: object, keys: Sequence[str]) -> int:
    """Return which of the keys tells where a row belongs."""
    for kind, key in enumerate(keys):
        if getattr(row, key) is not None:
            return kind
    raise Incomplete("left a result that has rows of another query")


def _number(global_id: str | None) -> int:
    number = (global_id or "").rpartition("/")[2]
    if not (number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS):
        raise Incomplete("left a result that has a row without its id")
    return int(number)
