"""Moments: takes a text, returns a moment in UTC; takes a moment, returns it as Shopify writes it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

EARLIEST = datetime(2006, 1, 1, tzinfo=timezone.utc)  # Shopify began in that year; a window's first half ends after it
LATEST = datetime(9000, 1, 1, tzinfo=timezone.utc)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def as_datetime(text: str) -> datetime:
    """Return a moment in UTC; a text without a zone is UTC. Raises ValueError for a text that is no time."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    try:
        return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    except OverflowError as error:  # the first or last hours of the calendar
        raise ValueError(str(error)) from None


def utc(moment: datetime) -> str:
    """Return a moment as Shopify writes it, to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
