"""Windows of time: take a span and how many records changed in it, return parts that suit a bulk operation.

They know nothing of Shopify but how its search writes a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from typing_extensions import override

from tap_shopify_orders.decoding import NOT_AS_PROMISED
from tap_shopify_orders.errors import RunError, printable
from tap_shopify_orders.moments import DAY, EARLIEST, LATEST, SECOND, as_datetime, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDS_PER_OPERATION = 20_000  # some 200 MB of result, and as much as a run may have to read again
MOST_COUNTS = 100_000  # of one split; a store of a hundred million records needs no more


@dataclass(frozen=True)
class Window:
    """A span of last changes: from `since`, inclusive (None: from the beginning), to `until`, exclusive."""

    since: datetime | None
    until: datetime

    @property
    def search(self) -> str:
        """The window as Shopify's search writes it: quoted, in UTC, inclusive below and exclusive above.

        https://shopify.dev/docs/api/usage/search-syntax
        """
        return self.search_by("updated_at")

    def search_by(self, moment: str) -> str:
        """Return the same of another moment than the last change."""
        until = f"{moment}:<'{utc(self.until)}'"
        return f"{moment}:>='{utc(self.since)}' AND {until}" if self.since else until

    def halves(self, step: timedelta = SECOND) -> tuple[Window, Window] | None:
        """Return the window in two, at a whole second or another step of time; None if there is none inside."""
        since = self.since or EARLIEST
        middle = _floor(since + (self.until - since) / 2, step)
        if not since < middle:
            middle += step
        return (Window(self.since, middle), Window(middle, self.until)) if since < middle < self.until else None

    def of_days(self, more: int = 0) -> Window:
        """Return the window of whole days, in UTC, that it lies in; with so many more days at either end."""
        since = _floor(self.since, DAY) - more * DAY if self.since else None
        return Window(since, _floor(self.until - timedelta.resolution, DAY) + (more + 1) * DAY)

    @property
    def empty(self) -> bool:
        """Whether nothing can be in it."""
        return self.since is not None and self.since >= self.until

    def contains(self, moment: datetime) -> bool:
        """Say whether a change at that moment is in it."""
        return (self.since is None or self.since <= moment) and moment < self.until

    @override
    def __str__(self) -> str:
        """Return it for a sentence."""
        return f"{utc(self.since) if self.since else 'the beginning'} to {utc(self.until)}"


def split(
    whole: Window, records: int | None, count: Callable[[Window], int | None], most: int, step: timedelta = SECOND
) -> Iterator[Window]:
    """Yield windows that add up to the whole, oldest first, each with `most` records if time can be split so finely.

    They meet at whole steps of time. A count is None where there are more than Shopify counts. Counts are asked for as
    the windows are, and only they decide where to split, so that a wrong one loses nothing. Raises RunError after too
    many.
    """
    since, last, size = whole.since, whole.until, 0
    asked = iter(range(MOST_COUNTS))

    def counted(window: Window) -> int | None:
        if next(asked, None) is None:
            raise RunError("Shopify's counts lead nowhere: try again, or set `method` to `pages`.")
        return count(window)

    for part, records_in_part in _parts(whole, records, counted, most, step):
        if size and size + records_in_part > most:
            yield Window(since, last)
            since, size = last, 0
        size, last = size + records_in_part, part.until
    yield Window(since, last)


def _parts(
    window: Window, records: int | None, count: Callable[[Window], int | None], most: int, step: timedelta
) -> Iterator[tuple[Window, int]]:
    halves = window.halves(step)
    if halves is None or (records is not None and records <= most):
        yield window, most + 1 if records is None else records
        return
    older, newer = halves
    in_older = count(older)
    yield from _parts(older, in_older, count, most, step)
    in_newer = count(newer) if records is None or in_older is None else records - in_older
    yield from _parts(newer, in_newer, count, most, step)


def _floor(moment: datetime, step: timedelta) -> datetime:
    """Return the last whole step of time at or before a moment."""
    return EARLIEST + (moment - EARLIEST) // step * step


def changed_at(value: object) -> datetime:
    """Return the moment of a node's last change; raises RunError for what is none, or can't be one."""
    try:
        moment = as_datetime(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or not EARLIEST <= moment < LATEST:
        raise RunError(f"{NOT_AS_PROMISED}: `updated_at` is {printable(value) or 'empty'}.")
    return moment
