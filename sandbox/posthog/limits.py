"""The limit of events per distinct id, in: ids as their events come; out: whether PostHog still looks at the person.

A bucket of tokens per `token:distinct_id`: PostHog rust/capture v1/analytics/process.rs,
`apply_token_distinct_id_limits` [01cfdef4]. What its rate is in PostHog's cloud isn't public.
"""

from __future__ import annotations

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
