"""Where two sides of the books differ, and the reason that is given."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from target_posthog.books.arrived import Arrived
from target_posthog.books.differences import (
    IN_FLIGHT,
    NOT_SENT,
    BookedRecord,
    Difference,
    Evidence,
    Ledger,
    Planned,
    of_arrivals,
    of_record,
)
from target_posthog.books.entries import Account, Entry

ONE = Decimal("29.30")
DAY = "2026-11-01"
ENTRY = Entry("placed", "Order Completed", DAY, ONE)
UUID = "5f0c8a3e-6f0b-5d0f-9c4e-000000000001"
OTHER = UUID.replace("-5d0f", "-5d0e")
EVENT = Planned(UUID, "Order Completed", DAY, "USD", ONE, DAY)
ARRIVED = Arrived(UUID, "Order Completed", DAY, "USD", "#1001", ONE)
KINDS = {"Order Completed": "placed"}
KEY = (DAY, "placed", "USD")


def kept(
    *events: Planned, entries: tuple[Entry, ...] = (ENTRY,), left: Decimal | None = None, **more: Any
) -> BookedRecord:
    edited = more.pop("edited", False)
    return BookedRecord("#1001", Account("USD", list(entries), left, edited), list(events), **more)


def reasons(differences: list[Difference]) -> list[tuple[str, Decimal | None, Decimal | None, str]]:
    return [(one.kind, one.left, one.right, one.reason) for one in differences]


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (kept(EVENT), []),
        (kept(EVENT, EVENT, entries=(ENTRY, ENTRY)), []),
        (kept(reasons={"": "left out: test order"}), [("placed", ONE, None, "left out: test order")]),
        (
            kept(reasons={"Order Completed": "filtered: `paid` is false"}),
            [("placed", ONE, None, "filtered: `paid` is false")],
        ),
        (kept(), [("placed", ONE, None, "unknown: no rule made the event")]),
        (
            kept(EVENT._replace(amount=Decimal(30))),
            [("placed", ONE, Decimal(30), "unknown: the event says 30 USD on 2026-11-01")],
        ),
        (
            kept(EVENT, EVENT._replace(event="Order Refunded")),
            [("Order Refunded", None, ONE, "unknown: the record has no entry for the event")],
        ),
        (
            kept(EVENT, left=Decimal(20)),
            [("left", ONE, Decimal(20), "unknown: its entries don't come to what its source says is left")],
        ),
        (kept(EVENT, left=Decimal(35), edited=True), [("left", ONE, Decimal(35), "edited")]),
    ],
)
def test_a_record_and_its_events(record: BookedRecord, found: list[Any]) -> None:
    assert reasons(list(of_record(record))) == found


@pytest.mark.parametrize(
    ("arrived", "dead", "missing", "found"),
    [
        ([ARRIVED], {}, {}, []),
        ([], {"#1001": "no id"}, {KEY: NOT_SENT}, [("placed", ONE, None, "dead letter: no id")]),
        ([], {}, {KEY: IN_FLIGHT}, [("placed", ONE, None, IN_FLIGHT)]),
        ([], {}, {}, [("placed", ONE, None, "unknown: not in PostHog; has the run ended, and for this project?")]),
        (
            [ARRIVED, ARRIVED],
            {},
            {},
            [("placed", None, ONE, "unknown: PostHog counts it twice, as its distinct id or day differs")],
        ),
        (
            [ARRIVED._replace(amount=Decimal(30))],
            {},
            {},
            [("placed", ONE, Decimal(30), "unknown: if it has changed in its source since, preview again")],
        ),
        (
            [ARRIVED, ARRIVED._replace(uuid=OTHER)],
            {},
            {},
            [("placed", None, ONE, "unknown: the preview has no such event; was it sent with another mapping?")],
        ),
        (
            [ARRIVED, ARRIVED._replace(uuid=OTHER, day="2026-11-03")],
            {},
            {},
            [("placed", None, ONE, "newer than the preview")],
        ),
        (
            [ARRIVED, ARRIVED._replace(uuid=UUID.replace("-5d0f", "-7d0f"))],
            {},
            {},
            [("placed", None, ONE, "unknown: another source sends events of this name, and both count")],
        ),
    ],
)
def test_what_was_planned_and_what_arrived(arrived: list[Arrived], dead: Any, missing: Any, found: list[Any]) -> None:
    differences = of_arrivals(
        {UUID: ("#1001", EVENT)},
        arrived,
        KINDS,
        Evidence("2026-11-02", dead, missing),
    )
    assert reasons(list(differences)) == found


def test_a_difference_is_explained_unless_its_reason_is_unknown() -> None:
    place = ("#1001", DAY, "USD", "placed", "read | planned", ONE, None)
    assert Difference(*place, "left out: test order").is_explained
    assert not Difference(*place, "unknown: not in PostHog").is_explained


def test_a_ledger_sums_each_side_exactly_and_names_the_keys_that_differ() -> None:
    ledger = Ledger()
    for side in ("read", "planned"):
        for _ in range(3):
            ledger.add(side, KEY, Decimal("0.10"))
    ledger.add("read", ("2026-11-02", "placed", "USD"), Decimal("0.20"))
    assert ledger.keys_that_differ(["read", "planned", "in PostHog"]) == [("2026-11-02", "placed", "USD")]
    assert {side: tuple(one) for side, one in ledger.totals()["placed", "USD"].items()} == {
        "read": (4, Decimal("0.50")),
        "planned": (3, Decimal("0.30")),
    }
