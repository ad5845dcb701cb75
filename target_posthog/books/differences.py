"""Differences between the ledger, planned events and what PostHog has, each with its reason.

Pure: takes accounts, planned and arrived events; yields differences. All money is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from target_posthog.books.figures import Figures, less, without_zeros
from target_posthog.mapping.event import may_be_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from target_posthog.books.arrived import Arrived

REPORT, LEDGER, PLANNED, POSTHOG = SIDES = ("Shopify's report", "ledger", "planned", "PostHog")
DELETED = "the order was deleted in Shopify, whose report drops it from its own day; Order Deleted takes it back later"
NEWER = "newer than the preview"
IN_FLIGHT = "in flight: PostHog has acknowledged it within the last day, and shows it later"
ABSENT = "acknowledged and absent: PostHog doesn't show it; `target-posthog resend --missing` sends it again"
ERASED = "erased with its person, on purpose: it is never sent again"
DEAD_LETTER = "dead letter: "
KEPT_AS_SENT = "kept as sent: the record has changed since"
# What nobody has explained.
NO_EVENT = "no rule made the event"
OTHER_FIGURES = "the event says something else than the ledger"
NO_ENTRY = "the ledger has no entry for the event"
NOT_THERE = "not in PostHog; has the run ended, and for this project?"
NOT_SENT = "not in PostHog, and no run has sent it"
OTHER_AMOUNT = "PostHog has another amount, time or currency than the events that are planned now"
TWICE = "PostHog counts it twice, as its distinct id or day differs"
OTHER_SOURCE = "another source sends events of this name, and both count"
NOT_IN_SHOP = (
    "PostHog has it, and the preview doesn't: deleted in Shopify before a run could see that, or sent with another "
    "mapping?"
)


class Place(NamedTuple):
    """Where the books have a figure: a shop by its id, a currency, and a day of the shop's."""

    shop: str
    currency: str
    day: str


class Planned(NamedTuple):
    """One event that a preview announced; `is_there` if it had a receipt, so that it isn't sent again.

    `timestamp` is the event's own time, in UTC.
    """

    uuid: str
    rule: str
    event: str
    place: Place
    figures: Figures
    is_there: bool = False
    timestamp: str = ""


class Booked(NamedTuple):
    """An entry in its place."""

    rule: str
    place: Place
    figures: Figures


@dataclass(frozen=True)
class BookedRecord:
    """A record as it was read: its entries, its planned events, and why it has none, as far as the preview knows."""

    name: str
    entries: Sequence[Booked]
    events: Sequence[Planned]
    reasons: Mapping[str, str] = field(default_factory=dict)  # by rule; "" stands for all others


class Why(NamedTuple):
    """A reason, and whether it explains a difference: it is none to worry about, or says what to do."""

    reason: str
    is_explained: bool = False


class Difference(NamedTuple):
    """Where two sides differ: the figures by which the second exceeds the first, and the reason."""

    place: Place
    record: str
    event: str
    between: tuple[str, str]
    figures: Figures
    reason: str
    is_explained: bool


class InFlight(NamedTuple):
    """What PostHog may have acknowledged and not show yet.

    That is what a run of the last hours has sent, of which `accepted` has the number by event and day of UTC, and each
    event that itself is no older than `since` (in UTC), as it can't have been sent before it happened.
    """

    since: str = ""
    accepted: Mapping[tuple[str, str], int] = {}

    def told(self) -> Callable[[str, str], bool]:
        """Return what says of one event after another, by name and time, whether it may be in flight.

        Of those that a run has sent no more may be than it sent.
        """
        left = dict(self.accepted)

        def is_in_flight(event: str, timestamp: str) -> bool:
            if self.since and timestamp >= self.since:
                return True
            key = event, timestamp[:10]
            left[key] = left.get(key, 0) - 1
            return left[key] >= 0

        return is_in_flight


NOTHING_IN_FLIGHT = InFlight()


class Evidence(NamedTuple):
    """What else is known of planned events and of those in PostHog.

    `previewed_on` is the day of the preview by shop, `dead_letters` has reasons by the shop and the name of a record,
    `deletions` the names of events that take an order back, `acknowledged` the uuids with a receipt (None without
    receipts), `erased` those that were erased with their persons, and `shops` the names of the preview's shops;
    `in_flight` says what may be on its way, and `may_change` that what events carry changes with their records.
    """

    previewed_on: Mapping[str, str]
    dead_letters: Mapping[tuple[str, str], str] = {}
    deletions: Collection[str] = ()
    acknowledged: Collection[str] | None = None
    erased: Collection[str] = ()
    shops: Mapping[str, str] = {}
    in_flight: InFlight = NOTHING_IN_FLIGHT
    may_change: bool = False


def of_record(record: BookedRecord, deletions: Collection[str] = ()) -> Iterator[Difference]:
    """Yield where a record's entries and its planned events differ; what has no money makes no difference."""
    events, unmet = list(record.events), []
    for entry in record.entries:
        figures = without_zeros(entry.figures)
        same = [event for event in events if (event.place, without_zeros(event.figures)) == (entry.place, figures)]
        if same:
            events.remove(next((event for event in same if event.rule == entry.rule), same[0]))
        elif figures:
            unmet.append(entry)
    for entry in unmet:
        near = next((event for event in events if event.rule == entry.rule), None)
        if near is None:
            known = record.reasons.get(entry.rule) or record.reasons.get("")
            why = Why(known or NO_EVENT, bool(known))
            yield _of_record(entry.place, record.name, entry.rule, less({}, entry.figures), why)
            continue
        events.remove(near)
        elsewhere = f"the event has them on {near.place.day} in {near.place.currency or 'no currency'}"
        why = Why(OTHER_FIGURES if near.place == entry.place else elsewhere)
        figures = less(near.figures, entry.figures) or without_zeros(near.figures)
        yield _of_record(entry.place, record.name, near.event, figures, why)
    for event in (event for event in events if without_zeros(event.figures)):
        why = Why(DELETED, True) if event.event in deletions else Why(NO_ENTRY)  # noqa: FBT003  # a field
        yield _of_record(event.place, record.name, event.event, without_zeros(event.figures), why)


def _of_record(place: Place, record: str, event: str, figures: Figures, why: Why) -> Difference:
    return Difference(place, record, event, (LEDGER, PLANNED), figures, *why)


def of_arrivals(
    planned: Mapping[str, tuple[str, Planned]], arrived: Sequence[Arrived], evidence: Evidence
) -> Iterator[Difference]:
    """Yield where PostHog differs from what was planned for the same days.

    `planned` has the record's name and the event, by uuid.
    """
    seen: set[str] = set()
    deleted = {(evidence.shops.get(event.shop), event.name) for event in arrived if event.event in evidence.deletions}
    for event in arrived:
        name, announced = planned.get(event.uuid, (event.name, None))
        place = Place(
            announced.place.shop if announced else evidence.shops.get(event.shop, ""), event.currency, event.day
        )
        again = event.uuid in seen
        seen.add(event.uuid)
        figures = without_zeros(event.figures)
        if announced is None or again:
            # What counts twice does so in the number of events, too, and under names that aren't ours.
            if figures or not may_be_ours(event.uuid):
                reason, known = _why_more(event, place, evidence, again=again, is_deleted=(place.shop, name) in deleted)
                yield Difference(place, name, event.event, (PLANNED, POSTHOG), figures, reason, known)
        elif (announced.place, without_zeros(announced.figures)) != (place, figures):
            known = evidence.may_change and announced.is_there
            reason = KEPT_AS_SENT if known else OTHER_AMOUNT
            more = less(figures, announced.figures) or figures
            yield Difference(place, name, event.event, (PLANNED, POSTHOG), more, reason, known)
    is_in_flight = evidence.in_flight.told()
    for uuid, (name, announced) in planned.items():
        if uuid not in seen and (figures := less({}, announced.figures)):
            reason, known = _why_absent(announced, name, evidence, is_in_flight)
            yield Difference(announced.place, name, announced.event, (PLANNED, POSTHOG), figures, reason, known)


def _why_more(event: Arrived, place: Place, evidence: Evidence, *, again: bool, is_deleted: bool) -> tuple[str, bool]:
    if again:
        return TWICE, False
    if not may_be_ours(event.uuid):
        return OTHER_SOURCE, False
    if is_deleted:
        return DELETED, True
    if event.day >= evidence.previewed_on.get(place.shop, ""):
        return NEWER, True
    return NOT_IN_SHOP, False


def _why_absent(
    announced: Planned, name: str, evidence: Evidence, is_in_flight: Callable[[str, str], bool]
) -> tuple[str, bool]:
    if announced.uuid in evidence.erased:
        return ERASED, True
    letter = evidence.dead_letters.get((announced.place.shop, name))
    if letter:
        return f"{DEAD_LETTER}{letter}", True
    if evidence.acknowledged is None:
        return NOT_THERE, False
    if announced.uuid not in evidence.acknowledged:
        return NOT_SENT, False
    return (IN_FLIGHT if is_in_flight(announced.event, announced.timestamp) else ABSENT), True
