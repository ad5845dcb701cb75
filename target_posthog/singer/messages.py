"""Reader of Singer messages.

Takes lines, returns messages; says which lines are none. No error quotes a line, as it has personal data in it.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
from singer_sdk.exceptions import InvalidInputLine
from singer_sdk.singerlib.encoding import GenericSingerReader
from typing_extensions import override

from target_posthog.decoding import LineDecoder
from target_posthog.singer.process import BYTES_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import IO


TYPES = frozenset(("SCHEMA", "RECORD", "STATE", "ACTIVATE_VERSION", "BATCH"))
Name = Annotated[str, msgspec.Meta(min_length=1)]

logger = logging.getLogger(__name__)


class _Properties(msgspec.Struct):
    properties: dict[str, dict[str, Any] | bool] | None = None


class _Schema(msgspec.Struct):
    """What a SCHEMA message has to be: https://hub.meltano.com/singer/spec. Some taps name no property, or all."""

    stream: Name
    schema: _Properties | bool
    key_properties: list[Name] | None = None


class UnreadableLine(InvalidInputLine):
    """A line that is no right message, but doesn't keep the others from being read."""


class MessageReader(GenericSingerReader[bytes]):
    """Reads messages as `LineDecoder` decodes lines, with a warning for the first of each kind that is no JSON.

    A number that became a text is left to the check of its record and to the rules. Blank lines are passed over.
    `unreadable` gets each line that is no message, with a sentence, and raises to end the run. All is read within the
    context that `around` makes.
    """

    def __init__(
        self,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
        unreadable: Callable[[bytes | str, UnreadableLine], None] | None = None,
    ) -> None:
        super().__init__()
        self._around = around
        self._unreadable = unreadable or _raise
        self._decoder = LineDecoder(self._warn_once)
        self._lines = 0
        self._warned: set[str] = set()
        self._last_kind, self._has_stated = "", False

    @property
    def break_off(self) -> str:
        """Say why what was read can't be all that the tap has; empty if nothing speaks against it.

        A tap ends with a STATE: this project's always, those of singer-io, and the SDK's unless it is the state that
        they began with (singer_sdk/helpers/_state.py, write_state). Of one that writes none at all nobody can tell.
        """
        if not self._last_kind:
            return "The tap has sent nothing"
        if self._has_stated and self._last_kind != "STATE":
            return "The tap has broken off: a tap's last message is a STATE, and this one's isn't"
        return ""

    @override
    def process_lines(
        self, file_input: IO[bytes] | None, callbacks: dict[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        """Read to the end and return how many messages there were of each type."""
        counts: Counter[str] = Counter()
        with self._around():
            for line in file_input or self.default_input:
                self._lines += 1
                if line.isspace():
                    continue
                try:
                    message = self.deserialize_json(line)
                except UnreadableLine as error:
                    self._last_kind = "unreadable"
                    self._unreadable(line, error)
                    continue
                kind: str = message["type"]
                callbacks[kind](message)
                counts[kind] += 1
                self._last_kind = kind
                self._has_stated = self._has_stated or kind == "STATE"
        return counts

    @property
    @override
    def default_input(self) -> IO[bytes]:
        """Return standard input, read as much at a time as a pipe holds: an eighth of the calls that Python makes."""
        return open(sys.stdin.fileno(), "rb", buffering=BYTES_AT_ONCE, closefd=False)

    @override
    def deserialize_json(self, line: bytes | str) -> dict[str, Any]:
        """Return the message of a line; raises InvalidInputLine, UnreadableLine where others can do without it."""
        message = self._decoder.decode(line)
        if not isinstance(message, dict):
            raise UnreadableLine(
                f"Line {self._lines} of the input is no Singer message; does the tap print something else?"
            )
        self._check(message)
        return message

    def _check(self, message: dict[str, Any]) -> None:
        """Raise InvalidInputLine for parts of a wrong type; the SDK would leave a null record out without a word."""
        kind = message.get("type")
        if kind == "RECORD":
            if not isinstance(message.get("stream", ""), str) or not isinstance(message.get("record", {}), dict):
                raise UnreadableLine(
                    f"Line {self._lines} of the input is a RECORD message whose `stream` isn't a text or whose "
                    "`record` isn't an object"
                )
        elif kind == "SCHEMA":
            try:
                msgspec.convert(message, _Schema)
            except msgspec.ValidationError as error:
                raise InvalidInputLine(f"Line {self._lines} of the input is no right SCHEMA message: {error}") from None
            schema = message["schema"]
            if schema is False:
                raise InvalidInputLine(f"The schema of stream `{message['stream']}` allows no record at all")
            message["schema"] = schema if schema is not True and schema.get("properties") else _open(schema)
        elif kind is None:
            self.assert_line_requires(message, {"type"})
        elif not isinstance(kind, str) or kind not in TYPES:
            raise UnreadableLine(f"Line {self._lines} of the input is a message of a type that Singer doesn't have")

    def _warn_once(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            logger.warning("Line %d of the input has %s", self._lines, what)

    @staticmethod
    @override
    def assert_line_requires(line_dict: dict[str, Any], requires: set[str]) -> None:
        """Raise InvalidInputLine if a message lacks a key."""
        missing = sorted(requires - set(line_dict))
        if missing:
            raise InvalidInputLine(f"A {line_dict.get('type', 'Singer')} message lacks `{'`, `'.join(missing)}`")


def _open(schema: Any) -> dict[str, Any]:  # noqa: ANN401  # an object or True
    """Return a schema that names no property with an empty list of them, which the SDK asks for."""
    return {**(schema if isinstance(schema, dict) else {}), "properties": {}}


def _raise(_line: bytes | str, error: UnreadableLine) -> NoReturn:
    raise error
