"""Watch over orders: takes their records, returns those that may be emitted, remembers the others.

An order is held while its ledger seems to be cut short, and for some hours until its attribution is there. It waits
while it may change without its `updated_at` moving: for its ledger, its attribution, a payment, a return or a parcel.
The watch knows neither Singer nor HTTP.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import as_datetime
from tap_shopify_orders.records.order import (
    FIRST,
    KNOWN_CUT,
    WAITS,
    WAITS_FOR_A_RETURN,
    cuts_of,
    disagreements,
    may_be_cut,
    order_of,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from tap_shopify_orders.records.fields import Names
    from tap_shopify_orders.records.order import Disagreement, Order
    from tap_shopify_orders.records.records import Record

    Fields = Collection[Names]  # by their paths in the record

RUNS_HELD = 3  # in the third run an order is emitted as it is
MOST_HELD = 1_000
MOST_WAITING = 1_000  # they stand in the state, with some 45 bytes each; of more, those that changed last
# A carrier that Shopify doesn't follow never scans, and its parcels would take the places of payments and returns.
MOST_BEFORE_SCAN = 500
MOST_AS_IS = 1_000  # with some 30 bytes each; of more, those that were emitted last
MOST_IN_VAIN = 5  # times in a row that an order was read once more and is as it was
MOST_WARNINGS = 10  # of one kind; the summary counts all


class Watch:
    """The orders of one run that need a second look.

    `held` has how many runs have held an order for its ledger, 0 if it is held for its attribution alone; `waiting` has
    when an order was last changed (in Unix seconds) and a digest of what it waits for; `as_is` has the gap with which
    an order was emitted as it is: for that gap it isn't held again. All are by its number, and part of the state.

    `since` is how far back orders that wait are looked at again; of those placed before `held_since` none is held for
    its attribution. An order without a ledger ends the run, unless `accepts_no_ledger`, which is None where the ledger
    wasn't asked for.
    """

    def __init__(  # noqa: PLR0913  # what earlier runs left, and what this one goes by
        self,
        held: dict[str, int],
        waiting: dict[str, list[Any]],
        as_is: dict[str, str],
        *,
        since: datetime,
        held_since: datetime | None = None,
        accepts_no_ledger: bool | None = None,
        again: Callable[[str], Record | None],
        logger: logging.Logger,
    ) -> None:
        """Take what earlier runs left, and what reads an order once more by its number."""
        self._held, self._waiting, self._as_is, self._since = held, waiting, as_is, since.timestamp()
        self._held_since, self._accepts_no_ledger = held_since, accepts_no_ledger
        self._without_ledger = self._in_vain = self._uncut = self._same_gap = 0
        self._cuts = {KNOWN_CUT}
        self._again, self._logger = again, logger
        self._examined: set[str] = set()
        self._let_go = 0
        self.findings: Counter[str] = Counter()
        for number in [number for number, (changed, _) in waiting.items() if changed < self._since]:
            del waiting[number]

    def examine(self, records: Iterable[Record]) -> Iterator[Record]:
        """Return those of the records read once more that may be emitted: none that is as it was. Raises RunError."""
        return (passed for record in records if (passed := self.passed(record, once_more=True)) is not None)

    def passed(self, record: Record, *, once_more: bool = False, by_bulk: bool = False) -> Record | None:
        """Return the record to emit, which may be read again; None while the order is held, or if it is there no more.

        None also for one read `once_more` that is as it was. One that was read `by_bulk` may lack nodes of its lists:
        it is read again by pages, which tell. Raises RunError.
        """
        order = order_of(record.judged)
        looked = self._second_look(record, order, disagreements(order), by_bulk=by_bulk)
        if looked is None:
            self._forget(str(order.id))
            return None
        record, order, found = looked
        number = str(order.id)
        first_time = number not in self._examined
        self._examined.add(number)
        if self._hold(order, cut_short=self._seems_cut_short(order, found), first_time=first_time):
            return None
        if once_more and number not in self._held and self._waiting.get(number, [0, ""])[1] == order.digest:
            return None
        self._note_ledger(order)
        self._held.pop(number, None)
        self._warn(found)
        self._remember_gap(number, _gap_in(found))
        self._remember(number, order)
        if number not in self._waiting:  # nobody asks for it any more, and a run can have millions
            self._examined.discard(number)
        return record

    def held_before(self) -> list[str]:
        """Return the numbers of orders that are held for their ledgers and weren't read in this run."""
        return [number for number, runs in self._held.items() if runs and number not in self._examined]

    def waiting_before(self) -> list[str]:
        """Return the numbers of orders that wait, or are held for their attribution, and weren't read in this run."""
        held = [number for number, runs in self._held.items() if not runs]
        return [number for number in {**self._waiting, **dict.fromkeys(held)} if number not in self._examined]

    @property
    def held_for_attribution(self) -> int:
        """How many orders are held for their attribution."""
        return sum(not runs for runs in self._held.values())

    def changed(self, numbers: Sequence[str], look: Callable[[Sequence[str], Fields], Iterable[Record]]) -> list[str]:
        """Return which orders no longer are as they were when they began to wait.

        `look` returns records of some fields, those that orders wait for; what few have is asked for of those few.
        Orders that are there no more are forgotten.
        """
        orders = self._seen(numbers, look(numbers, WAITS))
        returning = [number for number, order in orders.items() if order.has_open_return and number not in self._held]
        if returning:
            orders = {**orders, **self._seen(returning, look(returning, WAITS_FOR_A_RETURN))}
        return [number for number, order in orders.items() if self._has_changed(number, order)]

    def forget_unseen(self, numbers: Iterable[str]) -> None:
        """Forget orders that were asked for and not found."""
        for number in numbers:
            if number not in self._examined:
                self._forget(number)

    def summary(self) -> str:
        """Return what a run says of its orders at the end; empty where all is well."""
        parts = [f"{count:,} by {name}" for name, count in sorted(self.findings.items())]
        sentences = [f"Orders whose ledger disagrees with the order: {', '.join(parts)}."] if parts else []
        if held := len(self._held) - self.held_for_attribution:
            sentences.append(f"{held:,} orders are held for the next run, as their ledgers are cut short.")
        if self._without_ledger:
            sentences.append(
                f"{self._without_ledger:,} orders have no ledger of sales: of their money only the original total"
                " is known."
            )
        if self._let_go:
            sentences.append(
                f"{self._let_go:,} more orders wait for something than the state holds; they aren't looked at again."
            )
        return " ".join(sentences)

    def _seen(self, numbers: Sequence[str], records: Iterable[Record]) -> dict[str, Order]:
        """Return the orders of records by their numbers; those that have none are forgotten."""
        orders = {str(order.id): order for order in map(order_of, (record.judged for record in records))}
        for number in numbers:
            if number not in orders:
                self._forget(number)
        return orders

    def _forget(self, number: str) -> None:
        self._held.pop(number, None)
        self._waiting.pop(number, None)
        self._as_is.pop(number, None)

    def _has_changed(self, number: str, order: Order) -> bool:
        if number in self._held:
            return not self._is_unattributed(order)
        return number in self._waiting and bool(self._waiting[number][1] != order.digest)

    def _second_look(
        self, record: Record, order: Order, found: Sequence[Disagreement], *, by_bulk: bool
    ) -> tuple[Record, Order, Sequence[Disagreement]] | None:
        """Return an order as it is when it is read again, if that may tell more; None if it is there no more."""
        is_cut = by_bulk and self._uncut < MOST_IN_VAIN and may_be_cut(order, found, self._cuts)
        # What can't be held any more is emitted, so it has its second look, in vain or not.
        is_asked = self._same_gap < MOST_IN_VAIN or not self._has_room_for(str(order.id))
        is_short = is_asked and self._seems_cut_short(order, found)
        if not (is_cut or is_short or (self._lacks_ledger(order) and self._may_have_ledger(order))):
            return record, order, found
        again = self._again(str(order.id))
        if again is None:
            return None
        order_again = order_of(again.judged)
        found_again = disagreements(order_again)
        self._in_vain = self._in_vain + 1 if self._lacks_ledger(order_again) else 0
        if is_cut:
            self._uncut = self._uncut + 1 if order_again.sizes == order.sizes else 0
            self._cuts.update(cuts_of(order, order_again))
        if is_short:
            is_same = order_again.sizes == order.sizes and _gap_in(found_again) == _gap_in(found)
            self._same_gap = self._same_gap + 1 if is_same else 0
        if not is_cut and self._lacks_ledger(order_again):
            return record, order, found  # it is the same, and known by its mark
        return again, order_again, found_again

    def _hold(self, order: Order, *, cut_short: bool, first_time: bool) -> bool:
        """Hold an order for the next run if need be, and say so; counts a run in which its ledger was cut short."""
        number = str(order.id)
        runs = self._held.get(number, 0) + (cut_short and first_time)
        is_due = not (cut_short and runs < RUNS_HELD) and not self._is_unattributed(order)
        if is_due or not self._has_room_for(number):
            return False
        self._held[number] = runs
        return True

    def _has_room_for(self, number: str) -> bool:
        return number in self._held or len(self._held) < MOST_HELD

    def _is_unattributed(self, order: Order) -> bool:
        """Say whether an order that was placed lately has no attribution yet."""
        if not order.lacks_attribution or not order.created_at or self._held_since is None:
            return False
        return as_datetime(order.created_at) >= self._held_since

    def _seems_cut_short(self, order: Order, found: Sequence[Disagreement]) -> bool:
        """Say whether an order's ledger may be cut short: not where the order was emitted with this very gap before."""
        gap = _gap_in(found)
        return gap is not None and gap != self._as_is.get(str(order.id))

    def _lacks_ledger(self, order: Order) -> bool:
        return self._accepts_no_ledger is not None and not order.agreements

    def _may_have_ledger(self, order: Order) -> bool:
        """Say whether to ask once more for an order's ledger: not where it is denied, nor after doing so in vain.

        A store's orders of years ago have none, and to ask again for each would take hours.
        """
        return order.agreements is not UNSET and self._in_vain < MOST_IN_VAIN

    def _note_ledger(self, order: Order) -> None:
        """Note an order without a ledger; raises RunError unless that is accepted."""
        if not self._lacks_ledger(order):
            return
        if not self._accepts_no_ledger:
            why = "Shopify denies it" if order.agreements is UNSET else "Shopify has none"
            raise RunError(
                f"Order {order.name or order.id} comes without its ledger of sales ({why}), so of its money only the"
                " original total is known. Add `no_ledger` to `accept` to go on with such orders as they are; what they"
                " lack is sent once the ledger is there."
            )
        self._without_ledger += 1

    def _warn(self, found: Sequence[Disagreement]) -> None:
        for disagreement in found:
            self.findings[disagreement.identity] += 1
            if self.findings[disagreement.identity] <= MOST_WARNINGS:
                self._logger.warning(disagreement.sentence)

    def _remember_gap(self, number: str, gap: str | None) -> None:
        """Remember the gap with which an order is emitted; of too many, let go the one that was emitted first."""
        self._as_is.pop(number, None)
        if gap is None:
            return
        self._as_is[number] = gap
        if len(self._as_is) > MOST_AS_IS:
            del self._as_is[next(iter(self._as_is))]

    def _remember(self, number: str, order: Order) -> None:
        """Remember an order that waits, unless it is too old; of too many, let go the one that changed first."""
        changed = int(as_datetime(order.updated_at).timestamp())
        self._waiting.pop(number, None)
        has_no_place = order.waits_for == ("scan",) and len(self._waiting) >= MOST_BEFORE_SCAN
        if changed < self._since or not order.waits_for or has_no_place:
            return
        self._waiting[number] = [changed, order.digest]
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[min(self._waiting, key=lambda number: self._waiting[number][0])]
            self._let_go += 1


def _gap_in(found: Sequence[Disagreement]) -> str | None:
    """Return by how much what placed an order disagrees with its original total; None if it doesn't."""
    return next((disagreement.gap for disagreement in found if disagreement.identity == FIRST), None)
