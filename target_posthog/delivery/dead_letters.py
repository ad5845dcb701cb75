"""Records that can't be delivered are kept, in: records and reasons; out: a file of Singer messages to pipe in again.

Knows no event and no HTTP. The file holds personal data, as the records do: only its owner can read it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATIENCE_SECONDS = 30.0  # another run holds the file for as long as it writes one record
LOOK_SECONDS = 0.01


class DeadLetters:
    """Appends to a file of SCHEMA and RECORD messages; the reason stands beside each record, as `reason`.

    Several runs may share a file: one writes at a time, so that none takes back what another has written.
    """

    def __init__(self, path: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.path = path
        self._patience_seconds = patience_seconds
        self._schemas: dict[str, Mapping[str, Any]] = {}

    def keep(
        self, stream: str, schema: Mapping[str, Any], keys: Sequence[str], record: msgspec.Raw, reason: str
    ) -> None:
        """Write a record, after its stream's schema if that is new; it is on disk when this returns.

        Raises OSError if it can't be, and then leaves the file as it was.
        """
        messages: list[dict[str, Any]] = []
        if self._schemas.get(stream) != schema:
            messages.append({"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": list(keys)})
        messages.append({"type": "RECORD", "stream": stream, "record": record, "reason": reason})
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            _lock(descriptor, self._patience_seconds)
            end = os.fstat(descriptor).st_size
        except OSError:
            os.close(descriptor)
            raise
        try:
            rest = b"".join(msgspec.json.encode(message) + b"\n" for message in messages)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # a device
                os.ftruncate(descriptor, end)
            raise
        finally:
            os.close(descriptor)
        self._schemas[stream] = schema


def _lock(descriptor: int, patience_seconds: float) -> None:
    """Wait for one's turn, which ends when the file is closed; raises OSError if that takes too long."""
    ends = time.monotonic() + patience_seconds
    while not _is_ours(descriptor):
        if time.monotonic() > ends:
            raise OSError(errno.EAGAIN, "another run holds it")
        time.sleep(LOOK_SECONDS)


def _is_ours(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
