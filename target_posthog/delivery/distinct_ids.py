"""How many persons a run spoke of, in: their distinct ids, and those that were linked to another; out: a number.

Knows no event. However many ids there are, they take little memory: what is more than a few lies in a temporary file.
"""

from __future__ import annotations

import sqlite3
import weakref

SAID, LINKED = 1, 2
MOST_IN_MEMORY = 10_000  # beside the 2 MB that SQLite keeps of a file
_TABLE = "CREATE TABLE ids (id INTEGER PRIMARY KEY, what INTEGER)"
_NOTE = "INSERT INTO ids VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET what = what | excluded.what"
_COUNT = "SELECT count(*) FROM ids WHERE what = ?"


class DistinctIds:
    """Counts different ids by their hashes of 64 bits: that two of a million share one has a chance of 3 in 10 ** 8."""

    def __init__(self) -> None:
        """Begin without any."""
        self._new: dict[int, int] = {}
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)  # one thread at a time
        self._database.execute(_TABLE)
        weakref.finalize(self, self._database.close)

    def say(self, distinct_id: str) -> None:
        """Note the id of somebody."""
        self._note(distinct_id, SAID)

    def link(self, distinct_id: str) -> None:
        """Note that an id is another one's, before or after it was said."""
        self._note(distinct_id, LINKED)

    @property
    def persons(self) -> int:
        """Count the ids that were said, less those that were linked to another."""
        self._keep()
        count: int = self._database.execute(_COUNT, (SAID,)).fetchone()[0]
        return count

    def _note(self, distinct_id: str, what: int) -> None:
        key = hash(distinct_id)
        self._new[key] = self._new.get(key, 0) | what
        if len(self._new) >= MOST_IN_MEMORY:
            self._keep()

    def _keep(self) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(_NOTE, self._new.items())
        self._database.execute("COMMIT")
        self._new.clear()
