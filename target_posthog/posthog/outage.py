"""Outage of PostHog: what a run says while PostHog takes no events.

Takes each failed attempt and each one that worked; logs the first failure at once, later ones at growing intervals, and
the end. A PostHog that asks for another attempt each second would fill a log otherwise.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_INTERVAL_SECONDS = 60.0
GROWTH = 2.0

logger = logging.getLogger(__name__)


class Outage:
    """What one run says of its PostHog's outages; safe to use from several threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._since: float | None = None
        self._say_again_at = 0.0
        self._interval = 0.0

    def goes_on(self, reason: object) -> None:
        """Note a failed attempt, and say so if it is time."""
        with self._lock:
            now = self._now()
            if self._since is None:
                self._since, self._interval = now, FIRST_INTERVAL_SECONDS
                self._say_again_at = now + self._interval
                logger.warning("PostHog can't take events now (%s); waiting, then trying again", reason)
            elif now >= self._say_again_at:
                self._interval *= GROWTH
                self._say_again_at = now + self._interval
                logger.warning("PostHog still takes no events after %.0f s (%s)", now - self._since, reason)
            else:
                logger.debug("PostHog can't take events now (%s)", reason)

    def is_over(self) -> None:
        """Note that PostHog has taken events, and say so if it hadn't before."""
        if self._since is None:
            return
        with self._lock:
            if self._since is not None:
                logger.info("PostHog takes events again, after %.0f s", self._now() - self._since)
                self._since = None
