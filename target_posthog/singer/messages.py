"""Reader of Singer messages, and checker of records against their stream's schema.

Takes lines, returns messages; takes records, returns what is wrong with them. No error quotes a line or a record, as
they have personal data in them.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import jsonschema_rs
import msgspec
from singer_sdk.exceptions import InvalidInputLine, InvalidJSONSchema
from singer_sdk.singerlib.encoding import GenericSingerReader
from typing_extensions import override

from target_posthog.singer.process import BYTES_AT_ONCE

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from typing import IO


LONE_SURROGATE = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"
Name = Annotated[str, msgspec.Meta(min_length=1)]


class _Properties(msgspec.Struct):
    properties: dict[str, dict[str, Any] | bool]


class _Schema(msgspec.Struct):
    """What a SCHEMA message has to be: https://hub.meltano.com/singer/spec."""

    stream: Name
    schema: _Properties
    key_properties: list[Name] | None = None


class MessageReader(GenericSingerReader[bytes]):
    """Reads messages with msgspec: numbers become int or float, which read back as they were written.

    Half of a surrogate pair becomes U+FFFD: it is no text, but some programs write it. Everything is read within the
    context that `around` makes.
    """

    def __init__(self, around: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        super().__init__()
        self._around = around
        self._decoder = msgspec.json.Decoder()
        self._lines = 0

    @override
    def process_lines(
        self, file_input: IO[bytes] | None, callbacks: dict[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        """Read to the end and return how many messages there were of each type."""
        with self._around():
            return super().process_lines(file_input, callbacks)

    @property
    @override
    def default_input(self) -> IO[bytes]:
        """Return standard input, read as much at a time as a pipe holds: an eighth of the calls that Python makes."""
        return open(sys.stdin.fileno(), "rb", buffering=BYTES_AT_ONCE, closefd=False)

    @override
    def deserialize_json(self, line: bytes | str) -> dict[str, Any]:
        """Return the message of a line; raises InvalidInputLine."""
        self._lines += 1
        try:
            message = self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            message = self._repaired(line)
        if not isinstance(message, dict):
            raise InvalidInputLine(
                f"Line {self._lines} of the input is no Singer message; does the tap print something else?"
            )
        self._check(message)
        return message

    def _check(self, message: dict[str, Any]) -> None:
        """Raise InvalidInputLine for parts of a wrong type; the SDK would leave a null record out without a word."""
        kind = message.get("type")
        if kind == "RECORD":
            if not isinstance(message.get("stream", ""), str) or not isinstance(message.get("record", {}), dict):
                raise InvalidInputLine(
                    f"Line {self._lines} of the input is a RECORD message whose `stream` isn't a text or whose "
                    "`record` isn't an object"
                )
        elif kind == "SCHEMA":
            try:
                msgspec.convert(message, _Schema)
            except msgspec.ValidationError as error:
                raise InvalidInputLine(f"Line {self._lines} of the input is no right SCHEMA message: {error}") from None
        elif not isinstance(kind, (str, type(None))):
            self._process_unknown_message(message)

    def _repaired(self, line: bytes | str) -> object:
        """Return the message of a line without its lone surrogates; None if it is no JSON even so."""
        try:
            text = json.dumps(json.loads(line), ensure_ascii=False)
            return self._decoder.decode(LONE_SURROGATE.sub(REPLACEMENT, text))
        except (ValueError, RecursionError):
            return None

    @override
    def _process_unknown_message(self, message_dict: dict[str, Any]) -> NoReturn:
        raise InvalidInputLine(f"Line {self._lines} of the input is a message of a type that Singer doesn't have")

    @staticmethod
    @override
    def assert_line_requires(line_dict: dict[str, Any], requires: set[str]) -> None:
        """Raise InvalidInputLine if a message lacks a key."""
        missing = sorted(requires - set(line_dict))
        if missing:
            raise InvalidInputLine(f"A {line_dict.get('type', 'Singer')} message lacks `{'`, `'.join(missing)}`")


class RecordCheck:
    """Checks records against a stream's schema, compiled once; raises InvalidJSONSchema."""

    def __init__(self, stream: str, schema: Mapping[str, Any]) -> None:
        try:
            self._validator = jsonschema_rs.validator_for(dict(schema), validate_formats=False, retriever=_nowhere)
        except (ValueError, jsonschema_rs.ReferencingError):
            raise InvalidJSONSchema(f"The schema of stream `{stream}` is no valid JSON schema") from None

    def problem(self, record: Mapping[str, Any]) -> str | None:
        """Return what is wrong with a record, naming the field and not its value; None if nothing is."""
        if self._validator.is_valid(record):
            return None
        error = next(iter(self._validator.iter_errors(record)))
        place = ".".join(str(part) for part in error.instance_path) or "the record"
        return f"`{place}` isn't as the stream's schema says (`{error.schema_path[-1]}`)"


def _nowhere(address: str) -> NoReturn:
    """Refuse to fetch what a schema refers to: whoever writes one must not choose what is asked or read from here."""
    raise ValueError(address)
