"""Temporary files, for what would fill the memory: a database, and a mapping in one.

Such a file has no name, so it is nobody else's and ends with the process.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from typing_extensions import override

from target_posthog.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

Value = TypeVar("Value")

# Without a journal: nobody reads it again. https://www.sqlite.org/inmemorydb.html#temp_db
_TABLE = (
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; "
    "CREATE TABLE map (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
)


def temporary_database(owner: object, tables: str) -> sqlite3.Connection:
    """Return a database with these tables, for one thread at a time, which ends with its owner.

    It touches no disk before it has more than 2 MB; from then on each statement can raise sqlite3.Error.
    """
    # The collector may close it in any thread.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    weakref.finalize(owner, database.close)
    database.executescript(tables)
    return database


def no_room(error: sqlite3.Error) -> str:
    """Return what to say of an error of a temporary database."""
    return f"The folder for temporary files, TMPDIR, says {error}; make room there, or name another one"


class TemporaryMapping(MutableMapping[Any, Value]):
    """Maps bytes or texts to values of a type that msgspec knows; beyond 2 MB they lie in a file.

    Raises `RunError` if the disk can't take it.
    """

    def __init__(self, kind: Any) -> None:  # noqa: ANN401  # a type, such as tuple[str, ...]
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._database = temporary_database(self, _TABLE)

    @override
    def __getitem__(self, key: bytes | str) -> Value:
        for (value,) in self._rows("SELECT value FROM map WHERE key = ?", key):
            found: Value = self._decoder.decode(value)
            return found
        raise KeyError(key)

    @override
    def __setitem__(self, key: bytes | str, value: Value) -> None:
        self._rows("INSERT OR REPLACE INTO map VALUES (?, ?)", key, msgspec.msgpack.encode(value))

    @override
    def __delitem__(self, key: bytes | str) -> None:
        if not self._rows("DELETE FROM map WHERE key = ? RETURNING 1", key):
            raise KeyError(key)

    @override
    def __iter__(self) -> Iterator[bytes | str]:
        return (key for (key,) in self._rows("SELECT key FROM map"))

    @override
    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM map")[0][0])

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise RunError(no_room(error)) from None
