"""Memory of what was emitted: takes marks of records, returns which of them a run needn't emit again.

It is bounded, and knows neither Singer nor Shopify.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from tap_shopify_orders.decoding import kind_in
from tap_shopify_orders.reading.windows import changed_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    import msgspec

    from tap_shopify_orders.records.records import Node

MOST_KNOWN_RECORDS = 10_000  # they stand in the state, with some 30 bytes each; of a busier hour the newest


class Mark(NamedTuple):
    """Which record a node is, and in which state: its id, and a fingerprint of its JSON, if a later run may want it."""

    record_id: str
    fingerprint: str
    updated_at: datetime

    @classmethod
    def of(cls, node: Node, raw: msgspec.Raw) -> Mark:
        """Return the mark of a node that has `id` and `updated_at`."""
        fingerprint = blake2b(raw, digest_size=8).hexdigest()
        kind_in(node["id"])
        return cls(node["id"].removeprefix("gid://shopify/"), fingerprint, changed_at(node["updated_at"]))

    @classmethod
    def unknown(cls, updated_at: str) -> Mark:
        """Return the mark of a record that isn't as a page had it: a later run won't take it for one that it knows."""
        return cls("", "", changed_at(updated_at))


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
