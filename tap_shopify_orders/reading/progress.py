"""Progress of a stream: takes how many records there are so far, writes a line to the log now and then.

It knows neither Singer nor Shopify.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

SECONDS_A_LINE = 10.0


@dataclass
class Progress:
    """The progress of one stream: so many of so many of what, and what the rate limit leaves (None: nobody knows).

    `of` is as people write it.
    """

    logger: logging.Logger
    what: str
    of: Callable[[], object]
    points: Callable[[], float | None]
    seconds: float = SECONDS_A_LINE
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Begin to count the seconds."""
        self._logged_at, self._logged = self.clock(), 0

    def tick(self, records: int) -> None:
        """Say how many records there are so far, and how many came per second since the last line, if it is time to."""
        passed = self.clock() - self._logged_at
        if passed < self.seconds:
            return
        points = self.points()
        self.logger.info(
            "%s of %s %s, %s per second%s.",
            f"{records:,}",
            self.of(),
            self.what,
            f"{(records - self._logged) / passed:,.0f}",
            "" if points is None else f"; {points:,.0f} points left",
        )
        self._logged_at, self._logged = self._logged_at + passed, records
