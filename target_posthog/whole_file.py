"""Whole file: takes a path and a text, leaves the text there or what was there before; its owner alone can read it.

Knows no record and no figure. A device or a pipe is written as it is.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_whole(path: str | Path, text: str) -> None:
    """Write a file, on disk when this returns, under its name only when it is whole; raises OSError."""
    place = Path(path)
    if place.exists() and not place.is_file():
        place.write_text(text, "utf-8")
        return
    place = place.resolve()  # a link keeps leading there
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
