"""Dead letters: records that can't be delivered, kept as Singer messages that can be piped in again.

Takes records with the reasons, appends to a file; reads the reasons back. The file has personal data in it, as the
records do: only its owner can read it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.delivery.destination import key_name
from target_posthog.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PATIENCE_SECONDS = 30.0  # another run holds the file for as long as it writes one record
LOOK_SECONDS = 0.01
MAPPED = "mapped"  # beside a SCHEMA: its records have been through the stream maps
LINE = "LINE"  # the type of what was no message; no reader of Singer messages takes it for one


class DeadLetters:
    """Appends to a file of SCHEMA and RECORD messages; the reason stands beside each record, as `reason`.

    Several runs may share a file: one writes at a time, so that none takes back what another has written, and each says
    its schemas again where the file isn't as it left it, so that a letter is read by its own. A file that the run reads
    (`is_input`) has its letters already and stays as it is, or a letter would come again without end.
    """

    def __init__(self, path: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.path = path
        self.is_input = _is_standard_input(path)
        self._patience_seconds = patience_seconds
        self._schemas: dict[str, Mapping[str, Any]] = {}  # SCHEMA messages, by stream, that hold at the file's end
        self._left: tuple[int, ...] = ()  # which file it was, and how long, when this run wrote last

    def keep(  # noqa: PLR0913  # what a SCHEMA and a RECORD message are made of
        self,
        stream: str,
        schema: Mapping[str, Any],
        keys: Sequence[str],
        record: msgspec.Raw,
        reason: str,
        *,
        name: str = "",
    ) -> None:
        """Write a record, after its stream's schema unless that holds there; it is on disk when this returns.

        `name` is what the log calls it.

        Raises OSError if it can't be, and then leaves the file as it was.
        """
        letter = {"type": "RECORD", "stream": stream, "record": record, "reason": reason, "name": name}
        keyed = {"stream": stream, "schema": schema, "key_properties": list(keys)}
        self._append(letter, {"type": "SCHEMA", **keyed, MAPPED: True})

    def keep_line(self, line: bytes | str, reason: str) -> None:
        """Write a line that is no message, as text; raises OSError as `keep` does."""
        text = line if isinstance(line, str) else line.decode("utf-8", "backslashreplace")
        self._append({"type": LINE, "line": text.rstrip("\r\n"), "reason": reason})

    def _append(self, letter: Mapping[str, Any], schema: Mapping[str, Any] | None = None) -> None:
        if self.is_input:
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            _lock(descriptor, self._patience_seconds)
            found = _state(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        if found != self._left:
            self._schemas.clear()
        is_known = schema is None or self._schemas.get(schema["stream"]) == schema
        messages = [letter] if schema is None or is_known else [schema, letter]
        try:
            rest = b"".join(msgspec.json.encode(message) + b"\n" for message in messages)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
            self._left = _state(descriptor)
            if schema is not None:
                self._schemas[schema["stream"]] = schema
        except OSError:
            with contextlib.suppress(OSError):  # a device
                os.ftruncate(descriptor, found[-1])
            raise
        finally:
            os.close(descriptor)


def dead_letter_reasons(path: str | None) -> dict[str, str]:
    """Return the reason of each dead letter in a file, by its record's `key_name`; none without a file.

    Raises `RunError` for a file that can't be read, and for a line that is no dead letter.
    """
    if not path or not Path(path).is_file():
        return {}
    try:
        with Path(path).open("rb") as file:
            return _reasons(file, path)
    except OSError as error:
        raise RunError(f"`dead_letter_path`: the file {path} can't be read ({error.strerror})") from None


def _reasons(lines: Iterable[bytes], path: str) -> dict[str, str]:
    reasons: dict[str, str] = {}
    keys: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            message = msgspec.json.decode(line)
            if message["type"] == "SCHEMA":
                keys[message["stream"]] = message["key_properties"]
            elif message["type"] != LINE:
                name = message.get("name") or key_name(message["record"], keys[message["stream"]])
                reasons[name] = message["reason"]
        except (msgspec.DecodeError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise RunError(f"`dead_letter_path`: line {number} of {path} is no dead letter") from None
    return reasons


def _state(descriptor: int) -> tuple[int, ...]:
    """Return which file it is, and how long: what differs when another has written to it, or has taken it away."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_size


def _is_standard_input(path: str) -> bool:
    try:
        read = os.fstat(0)
        return stat.S_ISREG(read.st_mode) and os.path.samestat(read, Path(path).stat())
    except OSError:  # no file yet, or nothing to read from
        return False


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
