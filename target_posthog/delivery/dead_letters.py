"""Records that can't be delivered are kept, in: records and reasons; out: a file of Singer messages to pipe in again.

Knows no event and no HTTP. The file holds personal data, as the records do: only its owner can read it.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class DeadLetters:
    """Appends to a file of SCHEMA and RECORD messages; the reason stands beside each record, as `reason`."""

    def __init__(self, path: str) -> None:
        self.path = path
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
        self._append(messages)
        self._schemas[stream] = schema

    def keep_line(self, line: bytes | str, reason: str) -> None:
        """Write a line that is no message, as text; raises OSError as `keep` does."""
        text = line if isinstance(line, str) else line.decode("utf-8", "backslashreplace")
        self._append([{"type": "LINE", "line": text.rstrip("\r\n"), "reason": reason}])

    def _append(self, messages: Sequence[Mapping[str, Any]]) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        end = os.fstat(descriptor).st_size
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
