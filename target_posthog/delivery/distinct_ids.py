"""Count of the persons that a run's events are about, in constant memory.

Takes distinct ids and links between them, returns a number. More than a few ids lie in a temporary file.
"""

from __future__ import annotations

import logging
import sqlite3

from target_posthog.receipts.temporary import no_room, temporary_database

SEEN, LINKED = 1, 2
MOST_IN_MEMORY = 10_000  # beside the 2 MB that SQLite keeps of a file
_TABLE = "CREATE TABLE ids (id INTEGER PRIMARY KEY, what INTEGER)"
_NOTE = "INSERT INTO ids VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET what = what | excluded.what"
_COUNT = "SELECT count(*) FROM ids WHERE what = ?"

logger = logging.getLogger(__name__)


class DistinctIds:
    """Counts different ids by hashes of 64 bits: that two of a million share a hash has a chance of 3 in 10 ** 8."""

    def __init__(self) -> None:
        self._new: dict[int, int] = {}
        self._is_lost = False
        self._database = temporary_database(self, _TABLE)

    def see(self, distinct_id: str) -> None:
        """Note the distinct id of an event."""
        self._note(distinct_id, SEEN)

    def link(self, distinct_id: str) -> None:
        """Note that an id belongs to the person of another id, before or after it was seen."""
        self._note(distinct_id, LINKED)

    @property
    def persons(self) -> int | None:
        """The number of ids that were seen, less those that were linked to another; None if it can't be told."""
        self._keep()
        try:
            return None if self._is_lost else int(self._database.execute(_COUNT, (SEEN,)).fetchone()[0])
        except sqlite3.Error as error:
            self._lose(error)
            return None

    def _note(self, distinct_id: str, what: int) -> None:
        if self._is_lost:
            return
        key = hash(distinct_id)
        self._new[key] = self._new.get(key, 0) | what
        if len(self._new) >= MOST_IN_MEMORY:
            self._keep()

    def _keep(self) -> None:
        try:
            self._database.execute("BEGIN")
            self._database.executemany(_NOTE, self._new.items())
            self._database.execute("COMMIT")
        except sqlite3.Error as error:  # it is a statistic: no run ends for it
            self._lose(error)
        self._new.clear()

    def _lose(self, error: sqlite3.Error) -> None:
        if not self._is_lost:
            self._is_lost = True
            logger.warning("Persons aren't counted any more. %s", no_room(error))
