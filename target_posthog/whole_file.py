"""Whole file: takes a path and what to write, leaves that there or what was there before; its owner alone can read it.

Knows no record and no figure. A device or a pipe is written as it is.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def write_whole(path: str | Path, text: str) -> None:
    """Write a file, on disk when this returns, under its name only when it is whole; raises OSError."""
    with whole_file(path) as file:
        file.write(text.encode())


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Return the context in which a file is written; when it ends well the file is on disk, under its name.

    When it ends with an error, nothing has changed. Raises OSError.
    """
    place = Path(path)
    if place.exists() and not place.is_file():
        with place.open("wb") as file:
            yield file
        return
    place = place.resolve()  # a link keeps leading there
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
