"""Moments, in: a time with a zone; out: the text by which the store keeps it.

Times are kept with six digits of a fraction, as Shopify keeps them
(https://shopify.dev/changelog/exclusive-timestamp-filters).
"""

from __future__ import annotations

from datetime import datetime, timezone


def instant(at: datetime | str) -> str:
    """Return a time as the store keeps it, `2026-11-01T12:00:00.250000Z`; raises ValueError for one without a zone."""
    found = moment(at) if isinstance(at, str) else at
    if found.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return found.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(at: str) -> datetime:
    """Return the time of a text that the store keeps."""
    return datetime.fromisoformat(at.replace("Z", "+00:00"))
