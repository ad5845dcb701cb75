"""Singer messages are read and checked, in: lines, schemas and records; out: messages, and what is wrong with a record.

Knows no event. Neither what it says nor what it raises quotes a line or a record, for they hold personal data.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import jsonschema_rs
import msgspec
from singer_sdk.exceptions import InvalidInputLine, InvalidJSONSchema
from singer_sdk.singerlib.encoding import GenericSingerReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO


LONE_SURROGATE = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


class MessageReader(GenericSingerReader[bytes]):
    """Reads messages with msgspec: numbers become int or float, which read back as they were written.

    Half of a surrogate pair, which is no text but which some programs write, becomes U+FFFD.
    """

    def __init__(self) -> None:
        super().__init__()
        self._decoder = msgspec.json.Decoder()
        self._lines = 0

    @property
    def default_input(self) -> IO[bytes]:
        """Return standard input."""
        return sys.stdin.buffer

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
        return message

    def _repaired(self, line: bytes | str) -> object:
        """Return the message of a line without its lone surrogates; None if it is no JSON even so."""
        try:
            text = json.dumps(json.loads(line), ensure_ascii=False)
            return self._decoder.decode(LONE_SURROGATE.sub(REPLACEMENT, text))
        except (ValueError, RecursionError):
            return None

    def _process_unknown_message(self, message_dict: dict[str, Any]) -> NoReturn:  # noqa: ARG002  # the SDK's hook
        raise InvalidInputLine(f"Line {self._lines} of the input is a message of a type that Singer doesn't have")

    @staticmethod
    def assert_line_requires(line_dict: dict[str, Any], requires: set[str]) -> None:
        """Raise InvalidInputLine if a message lacks a key."""
        missing = sorted(requires - set(line_dict))
        if missing:
            raise InvalidInputLine(f"A {line_dict.get('type', 'Singer')} message lacks `{'`, `'.join(missing)}`")


class RecordCheck:
    """Checks records against a stream's schema, compiled once; raises InvalidJSONSchema."""

    def __init__(self, stream: str, schema: Mapping[str, Any]) -> None:
        try:
            self._validator = jsonschema_rs.validator_for(dict(schema), validate_formats=False)
        except (ValueError, jsonschema_rs.ReferencingError):
            raise InvalidJSONSchema(f"The schema of stream `{stream}` is no valid JSON schema") from None

    def problem(self, record: Mapping[str, Any]) -> str | None:
        """Return what is wrong with a record, naming the field and not its value; None if nothing is."""
        if self._validator.is_valid(record):
            return None
        error = next(iter(self._validator.iter_errors(record)))
        place = ".".join(str(one) for one in error.instance_path) or "the record"
        return f"`{place}` isn't as the stream's schema says (`{error.schema_path[-1]}`)"


def name_of(record: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return the keys by which people find a record, such as `id=5001`; what could be personal stays out."""
    said = (f"{key}={value}" for key in keys if isinstance(value := record.get(key), int) or _is_plain(value))
    return ", ".join(said) or "without a key that can be shown"


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and "@" not in value and " " not in value and len(value) <= 64  # noqa: PLR2004  # uuids and such
