"""Progress of a run that sends, or previews: says when the next line about it is due.

It knows nothing of what the line says.
"""

from __future__ import annotations

import time

SECONDS_BETWEEN_PROGRESS = 10.0


class Progress:
    """Counts the seconds since the last line, the first time since it was made."""

    def __init__(self, seconds: float = SECONDS_BETWEEN_PROGRESS) -> None:
        self._seconds = seconds
        self._told_at = time.monotonic()

    def is_due(self) -> bool:
        """Say whether it is time for a line, which is then taken for told."""
        now = time.monotonic()
        if now - self._told_at < self._seconds:
            return False
        self._told_at = now
        return True
