"""Decoding of lines: JSON as taps write it, which isn't always JSON.

Pure: takes a line, returns its value; says what in it was none.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"
MOST_DIGITS = 1_000  # of a whole number; Python itself reads 4,300 of them


class LineDecoder:
    """Decodes lines with msgspec: numbers become int or float, which read back as they were written.

    Half of a surrogate pair, which is no text but which some programs write, becomes U+FFFD; NaN and Infinity, which
    JSON doesn't have, become null; a number that is too large to be read as one (RFC 8259, section 6) becomes a text.
    `tell` gets what a line has of the last two, each time.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._decoder = msgspec.json.Decoder()

    def decode(self, line: bytes | str) -> Any:  # noqa: ANN401  # any JSON value
        """Return the value of a line; None for one that is no JSON even so."""
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return self._repaired(line)

    def _repaired(self, line: bytes | str) -> object:
        try:
            read = json.loads(line, parse_constant=self._null, parse_float=self._float, parse_int=self._whole)
            text = json.dumps(read, ensure_ascii=False)
            return self._decoder.decode(LONE_SURROGATE.sub(REPLACEMENT, text))
        except (ValueError, RecursionError):
            return None

    def _null(self, name: str) -> None:
        """Stand in for NaN and Infinity."""
        self._tell(f"{name}, which is no JSON; such values are taken for null")

    def _float(self, text: str) -> float | str:
        value = float(text)
        return value if math.isfinite(value) else self._text(text)

    def _whole(self, text: str) -> int | str:
        return int(text) if len(text) <= MOST_DIGITS else self._text(text)

    def _text(self, number: str) -> str:
        self._tell("a number that is too large for JSON's readers; such numbers are taken for texts")
        return number
