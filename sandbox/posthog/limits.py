"""The limits of events per distinct id, and of requests to the private API.

In: ids as their events come, and requests; out: whether PostHog still looks at the person, and how long a request has
to wait.

Of events: a bucket of tokens per `token:distinct_id`, PostHog rust/capture v1/analytics/process.rs,
`apply_token_distinct_id_limits` [01cfdef4]. What its rate is in PostHog's cloud isn't public.

Of requests: https://posthog.com/docs/api/queries (240 a minute, 2,400 an hour, 3 at once, for the whole project) and
https://posthog.com/docs/api (480 a minute and 4,800 an hour for other addresses), posthog/rate_limit.py. They are
throttles of Django REST Framework (rest_framework/throttling.py, `SimpleRateThrottle`): each looks at the requests that
it let through in the time before.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class DistinctIdLimit:
    """Allows `burst` events of an id at once, and `a_second` more each second."""

    def __init__(self, a_second: float, burst: int) -> None:
        self.a_second = a_second
        self.burst = burst
        self._buckets: dict[str, tuple[float, datetime]] = {}

    def allows(self, distinct_id: str, now: datetime) -> bool:
        """Count one event of this id, and say whether it is within the limit."""
        tokens, since = self._buckets.get(distinct_id, (float(self.burst), now))
        tokens = min(self.burst, tokens + self.a_second * (now - since).total_seconds())
        allowed = tokens >= 1
        self._buckets[distinct_id] = (tokens - allowed, now)
        return allowed


QUESTIONS = (240, 2_400, 3)  # a minute, an hour, at once
SETTINGS = (480, 4_800, 60)


class RequestLimit:
    """Allows `a_minute` and `an_hour` requests, and `at_once` at the same time."""

    def __init__(self, a_minute: int, an_hour: int, at_once: int) -> None:
        self._windows = [(a_minute, 60.0, deque[float]()), (an_hour, 3600.0, deque[float]())]
        self._lock = threading.Lock()
        self.places = threading.BoundedSemaphore(at_once)

    def wait_seconds(self, now: datetime) -> float:
        """Count a request; return 0 if it is within the limits, else in how many seconds one will be.

        As with the throttles, a request that one window refuses counts in the other.
        """
        with self._lock:
            return max(_wait_seconds(now.timestamp(), *window) for window in self._windows)


def _wait_seconds(now: float, most: int, seconds: float, let_through: deque[float]) -> float:
    while let_through and let_through[0] <= now - seconds:
        let_through.popleft()
    if len(let_through) >= most:
        return seconds - (now - let_through[0])
    let_through.append(now)
    return 0.0
