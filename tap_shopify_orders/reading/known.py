"""Memory of what was emitted: takes marks of records, returns which of them a run needn't emit again.

It is bounded, and knows neither Singer nor Shopify.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tap_shopify_orders.decoding import decoded, kind_in
from tap_shopify_orders.moments import LATEST
from tap_shopify_orders.reading.windows import changed_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from tap_shopify_orders.records.records import Node

MOST_KNOWN_RECORDS = 10_000  # they stand in the state, with some 30 bytes each; of a busier hour the newest


class Mark(NamedTuple):
    """Which record a node is, and in which state: its id, and a fingerprint of its JSON, if a later run may want it.

    `reached` is how far everything has been read with it. That is less than its own change where a search has it at an
    earlier place than what it holds by now.
    """

    record_id: str
    fingerprint: str
    updated_at: datetime
    reached: datetime = LATEST

    @classmethod
    def of(cls, node: Node, raw: msgspec.Raw) -> Mark:
        """Return the mark of a node that has `id` and `updated_at`."""
        fingerprint = blake2b(raw, digest_size=8).hexdigest()
        kind_in(node["id"])
        return cls(node["id"].removeprefix("gid://shopify/"), fingerprint, changed_at(node["updated_at"]))

    @property
    def is_of_page(self) -> bool:
        """Whether the record is as a page had it; else it is of a bulk operation, or was read once more."""
        return bool(self.record_id)

    @classmethod
    def unknown(cls, updated_at: datetime, reached: datetime = LATEST) -> Mark:
        """Return the mark of a record that isn't as a page had it: a later run won't take it for one that it knows."""
        return cls("", "", updated_at, reached)


class _Change(msgspec.Struct):
    updated_at: str


_change = msgspec.json.Decoder(_Change)


def change_of(raw: msgspec.Raw) -> datetime:
    """Return the moment of a node's last change; raises RunError for a node without."""
    return changed_at(decoded(raw, _change).updated_at)


def reached(moments: Sequence[datetime], rest: datetime = LATEST) -> list[datetime]:
    """Return for each record of a part, in the order of reading, how far everything has been read with it.

    `moments` are their changes, `rest` the earliest change of what comes after them. A search can be behind: it has a
    record at the place of its last change but one, and the record comes with the last one. To take that for how far
    the reading is would pass over all that lies between, if the run ends there.
    """
    return list(accumulate(reversed(moments), min, initial=rest))[:0:-1]


class Known:
    """Records that were emitted within the lookback before the bookmark, so that unchanged ones aren't emitted again.

    `prints` are fingerprints by id, the stream's part of the state; bounded by the lookback and MOST_KNOWN_RECORDS.
    """

    def __init__(self, before: Mapping[str, str], lookback: timedelta) -> None:
        """Take the fingerprints of the last run, and how far back the next one will look."""
        self.prints: dict[str, str] = {}
        self._before = dict(before)
        self._lookback = lookback
        self._order: deque[Mark] = deque()

    def has(self, mark: Mark) -> bool:
        """Say whether the record was emitted in this very state."""
        return mark.fingerprint in (self.prints.get(mark.record_id), self._before.get(mark.record_id))

    def add(self, mark: Mark) -> None:
        """Note a record, and forget those that no later run will read again."""
        self.prints[mark.record_id] = mark.fingerprint
        self._order.append(mark)
        oldest = mark.updated_at - self._lookback
        while self._order[0].updated_at < oldest or len(self._order) > MOST_KNOWN_RECORDS:
            gone = self._order.popleft()
            if self.prints.get(gone.record_id) == gone.fingerprint:
                del self.prints[gone.record_id]
