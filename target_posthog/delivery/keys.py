"""Keys of a run's events, each with the record that it belongs to.

Takes events by their uuids, with hashes of their records and contents; returns the rules of two that differ and share a
key. Knows no PostHog. However many events there are, they take little memory: most lie in a temporary file.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from target_posthog.errors import RunError
from target_posthog.receipts.temporary import no_room, temporary_database

if TYPE_CHECKING:
    from target_posthog.mapping.event import Maker

_TABLES = """
CREATE TABLE known (id INTEGER PRIMARY KEY, record INTEGER, content INTEGER, maker INTEGER);
CREATE TABLE new (id INTEGER PRIMARY KEY, record INTEGER, content INTEGER, maker INTEGER);
"""
_CLASH = """
SELECT known.maker, new.maker FROM new JOIN known USING (id)
WHERE new.record <> known.record AND new.content <> known.content LIMIT 1
"""


class Clash(NamedTuple):
    """Two rules, or one of two records, that make different events under one key: PostHog would keep one of them."""

    first: Maker
    second: Maker

    @property
    def sentence(self) -> str:
        """Return what to say of it."""
        first, second = self
        rules = f"rule `{first.rule}` of stream `{first.stream}`"
        rules = (
            f"{rules}, of two records,"
            if first == second
            else f"{rules} and rule `{second.rule}` of stream `{second.stream}`"
        )
        makes = "makes" if first == second else "make"
        return (
            f"{rules} {makes} different events `{first.event}` under one key, of which PostHog would keep one; give "
            "`key` what tells them apart, or the events different names"
        )


class Keys:
    """Finds events that differ, are of different records, and share a uuid; by hashes of 64 bits."""

    def __init__(self) -> None:
        """Begin without any."""
        self._new: dict[int, tuple[int, int, int]] = {}
        self._makers: dict[Maker, int] = {}
        self._database = temporary_database(self, _TABLES)

    def note(self, uuid: str, maker: Maker, record: int, content: int) -> Clash | None:
        """Note an event by its uuid, the hash of its record's key and that of its content; return a clash at hand."""
        number = self._makers.setdefault(maker, len(self._makers))
        key = hash(uuid)
        first = self._new.setdefault(key, (record, content, number))
        if first[0] != record and first[1] != content:
            return Clash(self._maker(first[2]), maker)
        return None

    def clash(self) -> Clash | None:
        """Return a clash of what was noted since the last call with what was noted before it, if there is one.

        Raises `RunError` where the temporary file can't grow: without it a lost event would go unseen.
        """
        rows = ((key, *value) for key, value in self._new.items())
        try:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT INTO new VALUES (?, ?, ?, ?)", rows)
            found = self._database.execute(_CLASH).fetchone()
            self._database.execute("INSERT OR IGNORE INTO known SELECT * FROM new")
            self._database.execute("DELETE FROM new")
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise RunError(no_room(error)) from None
        self._new.clear()
        return Clash(self._maker(found[0]), self._maker(found[1])) if found else None

    def _maker(self, number: int) -> Maker:
        return list(self._makers)[number]
