"""Bookmarks: how far each stream of each store was read; takes a state and what was read, returns the next state.

Every move of a bookmark is made here, and nowhere else. `state.py` knows the form in which they come back.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.contrib.msgspec import encoder

from tap_shopify_orders.moments import as_datetime, utc
from tap_shopify_orders.reading.by_bulk import Task
from tap_shopify_orders.reading.known import Known
from tap_shopify_orders.records.schema import BOOKMARK
from tap_shopify_orders.state import STREAM_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    State = dict[str, Any]

_KNOWN, _TASKS, _VALUE = "known", "bulk", "replication_key_value"
_HELD, _WAITING, _AS_IS = "held", "waiting", "as_is"
_BEGAN, _SINCE, _DELETIONS = "began", "since", "deletions_since"
_REACHED = "read_until"
_DAYS, _READ_ON = "days", "read_on"


class Bookmark:
    """The bookmark of one stream of one store, in the state that the SDK keeps of the stream.

    It moves at these moments, and always behind the records:

    - `begin`, before the first record of all: when that was, by the shop's clock, and the start date by then; also a
      start date that is later than what was read.
    - `advance`, when a record was written: to the record's `updated_at`, but never back. (The SDK's own move goes back
      where the lookback reads records from before the bookmark.)
    - `keep`, when the stream goes on to the next record and when it ends: the fingerprints of what was emitted within
      the lookback, so that the next run doesn't emit it again.
    - `reach`, when a part of a backfill ends: up to which moment it was read, which may be long after the last change.
    - `note`, when a bulk operation was submitted, done with or replaced: what is left for them to read. It is written
      out at once, as a later run must not submit them again.
    - `begin_deletions`, before the first record of a run, and `end_deletions`, after its last tombstone: from where on
      deletions are to be read. They are read last, when the bookmark has moved past them.
    - `watch`, before the first order: which orders are held, which wait, and which were emitted as they are. The three
      are kept up to date while the stream reads, so that each state has those of the records before it.
    """

    def __init__(
        self, state: Callable[[], State], write: Callable[[], None], is_heeded: Callable[[], bool] = lambda: True
    ) -> None:
        """Take what returns the stream's state, what writes the state of the store out, and whether a run goes by it.

        A run that reads all each time doesn't.
        """
        self._state, self._write, self._is_heeded = state, write, is_heeded
        self._highest: datetime | None = None

    @property
    def value(self) -> datetime | None:
        """The latest change that was emitted; None before the first record of all."""
        text = self._state().get(_VALUE) if self._is_heeded() else None
        return as_datetime(text) if text else None

    def begin(self, at: datetime, start: datetime | None) -> None:
        """Keep when the stream was first read, and the latest start date before which not all has been read."""
        state = self._state()
        if not self.value:
            state.setdefault(_BEGAN, utc(at))
        if not self._is_heeded():
            return
        moments = [as_datetime(state[name]) for name in (_VALUE, _REACHED) if state.get(name)]
        if start and all(start > moment for moment in moments):
            state[_SINCE] = utc(start)
        elif not self.value:  # all that there is from the start date on
            first = state.get(_SINCE)
            state[_SINCE] = min(first, utc(start)) if first and start else None

    def reach(self, until: datetime) -> None:
        """Take note that all that changed before a moment was read."""
        if self._is_heeded():
            self._state()[_REACHED] = max(utc(until), self._state().get(_REACHED, ""))

    def unread_before(self, start: datetime | None) -> datetime | None:
        """Return the start date before which not all was read, if the one of now is earlier; else None."""
        first = self._state().get(_SINCE) if self.value else None
        return as_datetime(first) if first and (start is None or start < as_datetime(first)) else None

    def may_have_emitted(self, deleted_at: datetime) -> bool:
        """Say whether a run can have emitted what was deleted at a moment: the first has not what was gone by then."""
        began = self._state().get(_BEGAN)
        return not began or deleted_at >= as_datetime(began)

    def begin_deletions(self, since: datetime) -> datetime:
        """Return from where on deletions are to be read: where an earlier run was to, if it ended before it did."""
        left = self._state().get(_DELETIONS)
        since = min(since, as_datetime(left)) if left else since
        self._state()[_DELETIONS] = utc(since)
        return since

    def end_deletions(self, until: datetime) -> None:
        """Take note that deletions were read up to a moment, which leaves some if it lies before the bookmark."""
        left = as_datetime(self._state().pop(_DELETIONS))
        if self.value and until < self.value:
            self._state()[_DELETIONS] = utc(max(left, until))

    def known(self, lookback: timedelta) -> Known:
        """Return what an earlier run emitted within the lookback; without a bookmark there was no earlier run."""
        return Known(self._state().get(_KNOWN, {}) if self.value else {}, lookback)

    def tasks(self) -> list[Task]:
        """Return what an earlier run left for bulk operations to read; nothing where no run goes by it."""
        if not self._is_heeded():
            return []
        return [Task.loaded(saved, self.value) for saved in self._state().get(_TASKS, [])]

    def advance(self, updated_at: str) -> None:
        """Move to the change of a record that was written, unless it lies before the bookmark or no run goes by it."""
        if not self._is_heeded():
            return
        changed = as_datetime(updated_at)
        if self._highest is None:
            self._highest = self.value
        if self._highest is None or changed > self._highest:
            self._highest = changed
            self._state().update(replication_key=BOOKMARK, replication_key_value=updated_at)

    def keep(self, known: Known) -> None:
        """Keep which records a later run need not emit again."""
        self._state()[_KNOWN] = known.prints

    def watch(self) -> tuple[dict[str, int], dict[str, list[Any]], dict[str, str]]:
        """Return which orders are held, wait, or were emitted as they are, by number.

        What the stream does with them is in the state.
        """
        state = self._state()
        return state.setdefault(_HELD, {}), state.setdefault(_WAITING, {}), state.setdefault(_AS_IS, {})

    def note(self, tasks: Sequence[Task]) -> None:
        """Keep what bulk operations are to read, and write it out."""
        self._state()[_TASKS] = [task.saved for task in tasks]
        if not tasks:
            self.forget_tasks()
        self._write()

    def forget_tasks(self) -> list[str]:
        """Leave what bulk operations were to read; returns their ids."""
        return [saved["operation"] for saved in self._state().pop(_TASKS, []) if saved["operation"]]


class DayBookmark:
    """The bookmark of the sales report of one store: up to which day it was read, and what the days were like.

    - `advance`, when a day's record was written: to that day, but never back.
    - `keep`, right after: a digest of the day's figures, so that it isn't emitted again as long as it stays the same.
    - `read_again`, when all days of a run were read: on which day that was.
    """

    def __init__(self, state: Callable[[], State], is_heeded: Callable[[], bool] = lambda: True) -> None:
        """Take what returns the stream's state, and whether a run goes by it."""
        self._state, self._is_heeded = state, is_heeded

    @property
    def value(self) -> date | None:
        """The latest day that was emitted."""
        text = self._state().get(_VALUE) if self._is_heeded() else None
        return date.fromisoformat(text) if text else None

    def days(self, since: date) -> dict[str, str]:
        """Return digests of the days from `since` on, as they were emitted; older ones are forgotten."""
        days: dict[str, str] = self._state().setdefault(_DAYS, {})
        for day in [day for day in days if day < str(since) or not self._is_heeded()]:
            del days[day]
        return days

    def was_read_again(self, today: date) -> bool:
        """Whether an earlier run of the same day has read the last year."""
        return bool(self._state().get(_READ_ON, "") >= str(today))

    def advance(self, day: str) -> None:
        """Move to a day, unless it lies before the bookmark or no run goes by it."""
        if self._is_heeded() and day > self._state().get(_VALUE, ""):
            self._state().update(replication_key="day", replication_key_value=day)

    def keep(self, day: date, digest: str) -> None:
        """Keep what a day was like."""
        self._state()[_DAYS][str(day)] = digest

    def read_again(self, today: date) -> None:
        """Keep that the days were read."""
        self._state()[_READ_ON] = str(today)


class Bookmarks:
    """The bookmarks of a run's stores; a store's own state goes in and out by its number, as a domain can be changed.

    On the wire a state is by shop, in the form that the SDK has for partitions: {"bookmarks": {stream: {"partitions":
    [{"context": {"shop_id": number}, ...}]}}}. Meltano replaces such a list as a whole where it lays the state of a run
    that failed over the last complete one, while it would mix objects. A store's run sees its own state alone.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        """Take the state that a run begins with; shops and streams that it doesn't read stay as they are."""
        self._of_other_taps: State = {}
        self._of_no_shop: State = {}
        self._by_shop: dict[str, dict[int, msgspec.Raw]] = {}  # for each stream; JSON, which nobody changes
        for stream, bookmark in state.get("bookmarks", {}).items():
            if stream not in STREAM_NAMES:
                self._of_other_taps[stream] = bookmark
                continue
            bookmark_alone = dict(bookmark)
            for partition in bookmark_alone.pop("partitions", ()):
                self._put(stream, partition)
            if bookmark_alone:
                self._of_no_shop[stream] = bookmark_alone
        self._before = {shop_id for partitions in self._by_shop.values() for shop_id in partitions}

    def state_of(self, shop_id: int, *, alone: bool) -> State:
        """Return the state that a store's run begins with.

        A bookmark of no shop, as somebody may have written it by hand, is the store's if the run reads no other.
        """
        bookmarks: State = dict(self._of_no_shop) if alone else {}
        for stream, partitions in self._by_shop.items():
            if shop_id in partitions:
                bookmarks[stream] = msgspec.json.decode(partitions[shop_id], type=dict[str, Any])
                del bookmarks[stream]["context"]
        return {"bookmarks": bookmarks} if bookmarks else {}

    @property
    def has_some_of_no_shop(self) -> bool:
        """Whether the state had bookmarks at which none of several stores begins."""
        return bool(self._of_no_shop)

    def has_only_others_than(self, shop_id: int) -> bool:
        """Whether the state had bookmarks, but none at which a shop can begin."""
        return bool(self._before) and not self._of_no_shop and shop_id not in self._before

    def state_with(self, shop_id: int, state: Mapping[str, Any]) -> State:
        """Take a store's state, whenever the store writes it; returns the state of all stores."""
        for stream, bookmark in state.get("bookmarks", {}).items():
            self._put(stream, {"context": {"shop_id": shop_id}, **bookmark})
        ours = {stream: {"partitions": [*partitions.values()]} for stream, partitions in self._by_shop.items()}
        return {"bookmarks": self._of_other_taps | ours}

    def _put(self, stream: str, partition: State) -> None:
        self._by_shop.setdefault(stream, {})[partition["context"]["shop_id"]] = msgspec.Raw(encoder.encode(partition))
