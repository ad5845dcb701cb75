"""Watch over orders: takes their records, returns those that may be emitted, remembers the others.

An order is held while its ledger seems to be cut short. It waits while it may change without its `updated_at` moving:
for its attribution, a payment, a return or a parcel. The watch knows neither Singer nor HTTP.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tap_shopify_orders.records.order import FIRST, disagreements, order_of
from tap_shopify_orders.settings import as_datetime

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from tap_shopify_orders.records.order import Disagreement, Order
    from tap_shopify_orders.records.records import Record

RUNS_HELD = 3  # in the third run an order is emitted as it is
MOST_HELD = 1_000
MOST_WAITING = 1_000  # they stand in the state, with some 45 bytes each; of more, those that changed last
MOST_WARNINGS = 10  # of one kind; the summary counts all


class Watch:
    """The orders of one run that need a second look.

    `held` has how many runs have held an order, `waiting` when it was last changed (in Unix seconds) and a digest of
    what it waits for, both by its number and both part of the state. `since` is how far back they are looked at again.
    """

    def __init__(
        self,
        held: dict[str, int],
        waiting: dict[str, list[Any]],
        *,
        since: datetime,
        again: Callable[[str], Record | None],
        logger: logging.Logger,
    ) -> None:
        """Take what earlier runs left, and what reads an order once more by its number."""
        self._held, self._waiting, self._since = held, waiting, since.timestamp()
        self._again, self._logger = again, logger
        self._examined: set[str] = set()
        self._let_go = 0
        self.findings: Counter[str] = Counter()
        for number in [number for number, (changed, _) in waiting.items() if changed < self._since]:
            del waiting[number]

    def examine(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records that may be emitted."""
        for record in records:
            passed = self._passed(record)
            if passed is not None:
                yield passed

    def held_before(self) -> list[str]:
        """Return the numbers of orders that are held and weren't read in this run."""
        return [number for number in self._held if number not in self._examined]

    def waiting_before(self) -> list[str]:
        """Return the numbers of orders that wait and weren't read in this run."""
        return [number for number in self._waiting if number not in self._examined]

    def changed(self, numbers: Sequence[str], records: Iterable[Record]) -> list[str]:
        """Return which orders no longer are as they were when they began to wait, by records of what they wait for.

        Orders that are there no more are forgotten.
        """
        digests = {str(order.id): order.digest for order in map(order_of, (record.json for record in records))}
        for number in numbers:
            if number not in digests:
                self._forget(number)
        return [number for number, digest in digests.items() if self._waiting[number][1] != digest]

    def forget_unseen(self, numbers: Iterable[str]) -> None:
        """Forget orders that were asked for and not found."""
        for number in numbers:
            if number not in self._examined:
                self._forget(number)

    def _forget(self, number: str) -> None:
        self._held.pop(number, None)
        self._waiting.pop(number, None)

    def summary(self) -> str:
        """Return what a run says of its orders at the end; empty where all is well."""
        parts = [f"{count:,} by {name}" for name, count in sorted(self.findings.items())]
        sentences = [f"Orders whose ledger disagrees with the order: {', '.join(parts)}."] if parts else []
        if self._held:
            sentences.append(f"{len(self._held):,} orders are held for the next run, as their ledgers are cut short.")
        if self._let_go:
            sentences.append(
                f"{self._let_go:,} more orders wait for something than the state holds; they aren't looked at again."
            )
        return " ".join(sentences)

    def _passed(self, record: Record) -> Record | None:
        """Return the record to emit; None while the order is held, or if it is there no more."""
        order = order_of(record.json)
        found = disagreements(order)
        if _is_cut_short(found):
            again = self._again(str(order.id))
            if again is None:
                self._forget(str(order.id))
                return None
            record, order = again, order_of(again.json)
            found = disagreements(order)
        number = str(order.id)
        first_time = number not in self._examined
        self._examined.add(number)
        if _is_cut_short(found) and self._is_to_be_held(number, first_time=first_time):
            return None
        self._held.pop(number, None)
        self._warn(found)
        self._remember(number, order)
        return record

    def _is_to_be_held(self, number: str, *, first_time: bool) -> bool:
        """Count a run in which an order's ledger was cut short; returns whether the order waits for the next run."""
        runs = self._held.get(number, 0) + first_time
        if runs >= RUNS_HELD or (number not in self._held and len(self._held) >= MOST_HELD):
            return False
        self._held[number] = runs
        return True

    def _warn(self, found: Sequence[Disagreement]) -> None:
        for identity, sentence in found:
            self.findings[identity] += 1
            if self.findings[identity] <= MOST_WARNINGS:
                self._logger.warning(sentence)

    def _remember(self, number: str, order: Order) -> None:
        """Remember an order that waits, unless it is too old; of too many, let go the one that changed first."""
        changed = int(as_datetime(order.updated_at).timestamp())
        self._waiting.pop(number, None)
        if changed < self._since or not order.waits_for:
            return
        self._waiting[number] = [changed, order.digest]
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[min(self._waiting, key=lambda number: self._waiting[number][0])]
            self._let_go += 1


def _is_cut_short(found: Sequence[Disagreement]) -> bool:
    return any(disagreement.identity == FIRST for disagreement in found)
