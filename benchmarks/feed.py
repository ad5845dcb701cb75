"""A template becomes the input of a target, in: lines with marks, how many copies; out: the lines with all copies.

The copies come in blocks, so that customers still come before orders, and states as often as ever. Starts at once, as
somebody waits for it.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.copies import MARK, copy

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES_AT_ONCE = 1_000  # as many records as the tap writes between two states
STATE = b'{"type":"STATE"'
WIDE_MARK = b"\x01"  # where a copy's number goes with three digits, inside a uuid


def lines_of(template: Path, copies: int) -> Iterator[bytes]:
    """Yield the lines of a template, many at a time, those with marks so often; states after each copy."""
    with template.open("rb") as lines:
        while block := list(islice(lines, LINES_AT_ONCE)):
            yield _copy(b"".join(block), 0)
            again = b"".join(line for line in block if MARK in line or WIDE_MARK in line or line.startswith(STATE))
            for number in range(1, copies):
                yield _copy(again, number)


def _copy(lines: bytes, number: int) -> bytes:
    return copy(lines, number).replace(WIDE_MARK, b"%03d" % number)


if __name__ == "__main__":
    for part in lines_of(Path(sys.argv[1]), int(sys.argv[2])):
        sys.stdout.buffer.write(part)
