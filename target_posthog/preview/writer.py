"""Writer of a preview's file: a whole file takes the place of an earlier one, or nothing changes.

Takes rows; knows the tables, not what the rows mean. Raises `RunError` if the disk can't take them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from target_posthog.errors import RunError
from target_posthog.preview.file import FORMAT, INDEXES, TABLES, PreviewFile, is_preview, packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_posthog.mapping.language.functions import JSON

UNFINISHED = ".unfinished"
MOST_TRIES = 5


class PreviewWriter:
    """A preview's file while it is written, beside its place; its owner alone can read it."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._unfinished = self.path.with_name(self.path.name + UNFINISHED)
        try:
            if self.path.is_file() and self.path.stat().st_size and not is_preview(self.path):
                raise RunError(f"`preview_path`: {path} is there already, and is no preview; name another place")
            if not self.path.parent.exists():
                self.path.parent.mkdir(mode=0o700, parents=True)
                (self.path.parent / ".gitignore").write_text("*\n")  # no repository wants to know one's customers
            self._turn = _taken(self._unfinished)
        except OSError as error:
            raise self._unwritable(error.strerror) from None
        self._tidy = weakref.finalize(self, _let_go, self._unfinished, self._turn)  # however the process ends
        self._database = sqlite3.connect(self._unfinished, isolation_level=None)
        # Without a journal nothing lies beside the file; one that isn't finished is thrown away anyway.
        self._run_script(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {TABLES} BEGIN;")

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """Write a row; a value that is an object or a list is packed."""
        values = [packed(value) if isinstance(value, (dict, list)) else value for value in row.values()]
        self._write(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", values)  # noqa: S608  # names are the code's

    def add_event(self, row: Mapping[str, Any]) -> None:
        """Write an event; an earlier one that PostHog would take for the same doesn't count any more."""
        same = [row[name] for name in ("uuid", "event", "distinct_id", "day")]
        self._write("UPDATE event SET repeated = 1 WHERE uuid = ? AND event = ? AND distinct_id = ? AND day = ?", same)
        self.add("event", row)

    def add_words(self, record: int, words: Iterable[str]) -> None:
        """Write what people may call a record."""
        for word in words:
            self._write("INSERT INTO lookup VALUES (?, ?)", [word, record])

    def finish(self, meta: Mapping[str, str]) -> None:
        """Write what the file is, and the indexes."""
        for key, value in {"format": FORMAT, **meta}.items():
            self.add("meta", {"key": key, "value": value})
        self._write("COMMIT", [])
        self._run_script(INDEXES)

    def read(self) -> PreviewFile:
        """Open the finished file to read from, before it is in its place."""
        return PreviewFile(str(self._unfinished))

    def publish(self, plan: JSON) -> None:
        """Write the plan and put the file in its place."""
        self._write("INSERT INTO plan VALUES (?)", [plan])
        self._database.close()
        try:
            self._unfinished.replace(self.path)
        except OSError as error:
            raise self._unwritable(error.strerror) from None
        self._tidy.detach()
        os.close(self._turn)

    def discard(self) -> None:
        """Close and remove the unfinished file; the earlier one stays."""
        self._database.close()
        self.remove()

    def remove(self) -> None:
        """Remove the unfinished file, also in the middle of a write."""
        self._tidy()

    def _run_script(self, sql: str) -> None:
        try:
            self._database.executescript(sql)
        except sqlite3.Error as error:
            raise self._unwritable(str(error)) from None

    def _write(self, sql: str, values: list[Any]) -> None:
        try:
            self._database.execute(sql, values)
        except sqlite3.Error as error:  # a full disk; its words quote no row
            raise self._unwritable(str(error)) from None

    def _unwritable(self, reason: str | None) -> RunError:
        return RunError(f"`preview_path`: the file {self.path} can't be written ({reason})")


def _let_go(path: Path, descriptor: int) -> None:
    """Remove a file that is this process's, and let others have its place."""
    path.unlink(missing_ok=True)
    os.close(descriptor)


def _taken(path: Path) -> int:
    """Make an empty file that is this process's while the descriptor is open; raises OSError if it is another's.

    What a process that was killed has left behind is nobody's, and replaced.
    """
    for _ in range(MOST_TRIES):
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                os.fchmod(descriptor, 0o600)
                os.ftruncate(descriptor, 0)
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise OSError(errno.EAGAIN, "another preview is being written there") from None
        os.close(descriptor)  # the other preview was finished just now, and stands in its place
    raise OSError(errno.EAGAIN, "other previews are being written there")
