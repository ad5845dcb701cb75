"""Words of a question to PostHog.

Pure: takes names, times and uuids; returns pieces of HogQL that mean nothing else. A name of a mapping reaches a
question as a quoted text alone, never as an identifier: PostHog refuses an identifier with a `%`
(posthog/hogql/escape_sql.py), and gives a property that it takes for a number or a date as such.
"""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

# All else stands for itself between quotes, a NUL too, whose escape PostHog's parser reads as nothing.
ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'"})


def text(value: str) -> str:
    """Return a text as a literal."""
    return f"'{value.translate(ESCAPES)}'"


def texts(values: Iterable[str]) -> str:
    """Return texts as the inside of a list."""
    return ", ".join(map(text, values))


def moment(time: datetime) -> str:
    """Return a moment, to the microsecond, whatever zone the project has."""
    return f"toDateTime({text(f'{time.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z')})"


def newest(expression: str) -> str:
    """Return an expression's value in the copy that arrived last, which is the one that a merge keeps.

    `any` may take an outdated copy. `argMax` passes over null, so the expression must not give it.
    """
    return f"argMax({expression}, created_at)"


def raw(name: str) -> str:
    """Return a property as JSON: an empty text if the event doesn't have it, never null."""
    return f"JSONExtractRaw(properties, {text(name)})"


def day(expression: str, zone: str) -> str:
    """Return the day of a moment in a time zone, as the number 20261101."""
    return f"toYYYYMMDD(toTimeZone({expression}, {text(zone)}))"
